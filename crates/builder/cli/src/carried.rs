//! What is taken over from input media of our own layout: files that users put on them, the initramfs, and the large payload.

use std::collections::BTreeMap;

use block::{Content, Piece, ReadAt as _, Result};
use config::{InitramfsPlan, Plan};
use contract::media as places;
use media::files::Files;
use source::{Media, RootOnMedia};

use crate::job::Job;

/// Files of media that every build makes anew, or that only fit the medium that they are on; folders end with a slash.
const MADE_ANEW: [&str; 18] = [
    "boot.catalog",
    "boot.ipxe",
    "boot/efi/",
    "boot/grub/efiboot.img",
    "boot/grub/i386-pc/",
    "boot/grub/loopback.cfg",
    "boot/grub2/efiboot.img",
    "boot/grub2/i386-pc/",
    "efi/",
    places::HTTP_BOOT_ISO,
    "isolinux/",
    "liveos/checksums",
    "liveos/manifest.json",
    "liveos/reserved",
    "liveos/rootfs.img",
    "boot/initrd.img",
    ADDITIONS,
    ".disk/",
];

/// Where `liveos edit` puts what it adds to the initramfs.
const ADDITIONS: &str = "boot/liveos-additions.img";

/// What can be passed on from the input media as it is.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// The root file system image, or the initramfs that is the whole system.
    pub(crate) payload: Option<Content>,
    /// The initramfs by the version of their kernel.
    pub(crate) initramfs: BTreeMap<String, Content>,
    /// What `liveos edit` put beside the initramfs: a further archive.
    pub(crate) additions: Option<Content>,
}

/// Whether media have the layout that Image Customizer and we write.
pub(crate) fn is_our_layout(media: &Media) -> bool {
    let path = media.root.path().to_string();
    let path = path.trim_start_matches('/');
    media.has_system_boot && [places::ROOT_IMAGE, places::FULL_OS_INITRAMFS].contains(&path)
}

/// Decides what is passed on. `changed` says that the system was changed, or that everything is to be made anew.
pub(crate) fn choose(media: &Media, plan: &Plan, job: &Job, changed: bool) -> Carried {
    let mut carried = Carried {
        additions: media.tree.file(ADDITIONS).cloned(),
        ..Carried::default()
    };
    let saved_kdump = job
        .request
        .input
        .as_ref()
        .and_then(|input| input.kdump_boot_files);
    let same_kdump =
        saved_kdump.unwrap_or(config::settings::KdumpBootFiles::None) == plan.kdump_boot_files;
    if changed || !same_kdump || job.request.compression.is_some() {
        return carried;
    }
    let file = |path: &str| media.tree.file(path).cloned();
    carried.payload = match (&media.root, plan.initramfs) {
        (RootOnMedia::Squashfs { path, nested: None }, InitramfsPlan::Bootstrap { .. }) => {
            file(&path.to_string())
        }
        (RootOnMedia::FullOs { path }, InitramfsPlan::FullOs) => file(&path.to_string()),
        _ => None,
    };
    let wishes = &job.settings.initramfs;
    let as_before = *wishes == config::settings::InitramfsSettings::default()
        && job.request.generator.is_none();
    if carried.payload.is_some() && is_our_layout(media) && as_before {
        for kernel in &plan.kernels {
            let names = [
                places::initramfs(&kernel.version),
                format!("{}/initrd.img-{}", places::BOOT_DIR, kernel.version),
            ];
            if let Some(content) = names.iter().find_map(|name| file(name)) {
                carried.initramfs.insert(kernel.version.clone(), content);
            }
        }
    }
    carried
}

/// An initramfs with a further archive behind it, at a multiple of 512: the kernel finds a plain archive at multiples of 4 only.
///
/// # Errors
///
/// Where the two are too long together.
pub(crate) fn joined(initramfs: &Content, additions: &Content) -> Result<Content> {
    let gap = initramfs.len().next_multiple_of(512) - initramfs.len();
    let padding = Piece::Hole { len: gap };
    let all = initramfs
        .pieces()
        .chain([&padding])
        .chain(additions.pieces());
    Content::new(all.cloned())
}

/// Puts the files of the input media that no build makes among `files`.
///
/// # Errors
///
/// A path that cannot be one.
pub(crate) fn put_files(media: &Media, files: &mut Files) -> Result<()> {
    if !is_our_layout(media) {
        return Ok(());
    }
    for entry in media.tree.walk() {
        let path = entry.path.to_string();
        let path = path.trim_start_matches('/');
        let tree::Node::File(content) = &entry.inode.node else {
            continue;
        };
        if !is_made_anew(path) {
            files.put_with_mode(
                path,
                content.clone(),
                entry.inode.metadata.permissions & 0o777,
            )?;
        }
    }
    Ok(())
}

fn is_made_anew(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let is_kernels = lower.strip_prefix("boot/").is_some_and(|name| {
        let kinds = [
            "vmlinuz-",
            "initramfs-",
            "initrd.img-",
            "config-",
            "system.map-",
            "symvers-",
        ];
        !name.contains('/') && kinds.iter().any(|kind| name.starts_with(kind))
    });
    is_kernels
        || MADE_ANEW.iter().any(|made| {
            if made.ends_with('/') {
                lower.starts_with(made)
            } else {
                lower == *made
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_additions_is_the_contracts() {
        let place = format!("{}/{}", places::BOOT_DIR, places::INITRAMFS_ADDITIONS_NAME);
        assert_eq!(ADDITIONS, place);
    }

    #[test]
    fn an_archive_that_was_added_stands_behind_the_initramfs_at_a_multiple_of_512() {
        let (first, second) = (
            Content::from_bytes(*b"first"),
            Content::from_bytes(*b"second"),
        );
        let bytes = joined(&first, &second).unwrap().read_all(1000).unwrap();
        assert_eq!(
            (&bytes[..5], &bytes[512..]),
            (&b"first"[..], &b"second"[..])
        );
        assert!(bytes[5..512].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn users_files_are_carried_and_ours_are_not() {
        for path in [
            "a.txt",
            "boot/grub2/theme.txt",
            "cloud-init-data/user-data",
            "boot/x/vmlinuz-1",
        ] {
            assert!(!is_made_anew(path), "{path}");
        }
        for path in [
            "EFI/BOOT/BOOTX64.EFI",
            "boot/vmlinuz-6.1",
            "boot/initrd.img",
            "liveos/rootfs.img",
            "boot/grub2/i386-pc/normal.mod",
            ".disk/info",
        ] {
            assert!(is_made_anew(path), "{path}");
        }
    }
}
