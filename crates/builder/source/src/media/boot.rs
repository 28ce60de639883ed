//! `/boot`, which is empty in a live root file system: filled from the medium, so that kernels are found as on a disk.

use block::{Content, Result};
use inspect::KernelImage;
use tree::{Inode, Metadata, Node, Tree, TreePath};

use super::{RootOnMedia, misplaced};
use crate::Warning;

/// Kernels are called so in `/boot` of the media that keep the system's there; the version follows.
const KERNEL_PREFIX: &str = "vmlinuz-";

/// Boot images that belong to the medium and not to the system, by the end of their path.
const OF_THE_MEDIUM: [&str; 2] = [
    contract::media::EFI_IMAGE_NAME,
    contract::media::BIOS_IMAGE_NAME,
];

/// Where media of other tools have their boot configuration.
const FOREIGN_CONFIGS: [&str; 7] = [
    "boot/grub/grub.cfg",
    "boot/grub2/grub.cfg",
    "EFI/BOOT/grub.cfg",
    "isolinux/isolinux.cfg",
    "isolinux/live.cfg",
    "boot/syslinux/syslinux.cfg",
    "loader/entries",
];

/// A kernel on a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaKernel {
    /// Where it lies on the medium.
    pub path: TreePath,
    /// Its version, as `uname -r` prints it.
    pub version: String,
}

/// What filling `/boot` gave.
pub(super) struct Filled {
    pub(super) kernels: Vec<MediaKernel>,
    /// Whether the medium's `/boot` is the system's.
    pub(super) has_system_boot: bool,
}

/// Fills `/boot` of `system` from the medium; `root` is where `system` came from.
pub(super) fn fill(
    system: &mut Tree<Content>,
    medium: &Tree<Content>,
    root: &RootOnMedia,
    warnings: &mut Vec<Warning>,
) -> Result<Filled> {
    let has_system_boot = is_boot_of(medium, system);
    if has_system_boot {
        copy_boot(system, medium, root)?;
    }
    let kernels = kernels(medium)?;
    if has_system_boot {
        return Ok(Filled {
            kernels,
            has_system_boot,
        });
    }
    let any_fits = kernels
        .iter()
        .any(|kernel| has_modules(system, &kernel.version));
    for kernel in &kernels {
        let fits = has_modules(system, &kernel.version) || !any_fits;
        if fits && !has_kernel(system, &kernel.version) {
            put_kernel(system, medium, kernel)?;
        }
    }
    let configs: Vec<&str> = FOREIGN_CONFIGS
        .into_iter()
        .filter(|path| medium.resolve(path).is_ok())
        .collect();
    if !configs.is_empty() {
        warnings.push(Warning::Media(format!(
            "the boot menu of the medium fits only itself and is not taken over, nor are its kernel parameters: {}",
            configs.join(", ")
        )));
    }
    Ok(Filled {
        kernels,
        has_system_boot,
    })
}

/// Whether the medium's `/boot` is that of `system`: a kernel in it is named by a version that the system has modules for, or has none
/// for any.
fn is_boot_of(medium: &Tree<Content>, system: &Tree<Content>) -> bool {
    let versions: Vec<String> = medium
        .list(contract::media::BOOT_DIR)
        .filter_map(|(name, _)| {
            let name = name.to_string();
            name.strip_prefix(KERNEL_PREFIX).map(str::to_owned)
        })
        .collect();
    let has_no_modules = system.list("usr/lib/modules").next().is_none()
        && system.list("lib/modules").next().is_none();
    let has_modules = |version: &String| has_modules(system, version);
    !versions.is_empty() && (has_no_modules || versions.iter().any(has_modules))
}

/// Whether `system` has a folder of modules for the kernel `version`.
fn has_modules(system: &Tree<Content>, version: &str) -> bool {
    let folder = system.resolve(format!("lib/modules/{version}"));
    let folder = folder.or_else(|_| system.resolve(format!("usr/lib/modules/{version}")));
    folder.is_ok_and(|(_, id)| system.directory(id).is_some())
}

/// Whether `system` has the kernel `version` itself.
fn has_kernel(system: &Tree<Content>, version: &str) -> bool {
    let places = [
        format!("boot/vmlinuz-{version}"),
        format!("lib/modules/{version}/vmlinuz"),
        format!("usr/lib/modules/{version}/vmlinuz"),
    ];
    places.iter().any(|path| system.file(path).is_some())
}

/// Lays the medium's `/boot` over that of `system`; boot images, and the initramfs that is the system, stay out.
fn copy_boot(system: &mut Tree<Content>, medium: &Tree<Content>, root: &RootOnMedia) -> Result<()> {
    let Ok((path, id)) = medium.resolve(contract::media::BOOT_DIR) else {
        return Ok(());
    };
    for entry in medium.walk_from(path, id) {
        let shown = entry.path.to_string();
        if OF_THE_MEDIUM.iter().any(|end| shown.ends_with(end)) || entry.path == *root.path() {
            continue;
        }
        put(system, &entry.path, entry.inode)?;
    }
    Ok(())
}

/// Puts a copy of `inode` at `path`, in the place of what is there; a folder that is there stays.
pub(super) fn put(
    system: &mut Tree<Content>,
    path: &TreePath,
    inode: &Inode<Content>,
) -> Result<()> {
    if let Node::Directory(_) = inode.node {
        system
            .make_directories(path, &inode.metadata)
            .map_err(misplaced)?;
        return Ok(());
    }
    let copy = Inode::new(inode.metadata.clone(), inode.node.clone());
    system.put(path, copy).map(drop).map_err(misplaced)
}

/// The kernels on the medium that say their version, or are named by it.
fn kernels(medium: &Tree<Content>) -> Result<Vec<MediaKernel>> {
    let mut found = Vec::new();
    for entry in medium.walk() {
        let Node::File(content) = &entry.inode.node else {
            continue;
        };
        let Some(KernelImage { version }) = inspect::kernel_image(content)? else {
            continue;
        };
        let name = String::from_utf8_lossy(entry.path.file_name().unwrap_or_default());
        let named = name.strip_prefix(KERNEL_PREFIX).map(str::to_owned);
        if let Some(version) = version.or(named).filter(|version| !version.contains('/')) {
            found.push(MediaKernel {
                path: entry.path,
                version,
            });
        }
    }
    Ok(found)
}

fn put_kernel(
    system: &mut Tree<Content>,
    medium: &Tree<Content>,
    kernel: &MediaKernel,
) -> Result<()> {
    let (Some(id), Ok(path)) = (
        medium.lookup(&kernel.path),
        TreePath::parse(contract::media::kernel(&kernel.version)),
    ) else {
        return Ok(());
    };
    let inode = medium.inode(id);
    let metadata = Metadata {
        mtime: inode.metadata.mtime,
        ..Metadata::with_permissions(0o644)
    };
    put(system, &path, &Inode::new(metadata, inode.node.clone()))
}
