//! Everything on the media but the root file system image: kernels, initramfs, boot configuration, boot loaders.

use block::{Content, Error, Result};
use bootloader::live::{self, ImageConfig, LiveBoot, LiveConfig, LiveKernel, Origin};
use config::{KernelPlan, Plan};
use contract::media as places;
use formats::squashfs::Compression;
use inspect::{Facts, Kernel};
use media::files::Files;
use media::iso::Description;
use payload::esp;
use payload::initramfs::{self, RootImage, SquashfsCompressor};
use tree::{Node, Tree, TreePath};

use crate::bios;
use crate::progress::Progress;

/// The longest boot configuration file that is read, in bytes; the largest real ones have some 50 KiB.
const MAX_CONFIG: usize = 4 << 20;

/// What the files are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// The operating system, with `/boot` in it.
    pub(crate) tree: &'a Tree<Content>,
    /// What it is.
    pub(crate) facts: &'a Facts,
    /// What is built.
    pub(crate) plan: &'a Plan,
}

/// Puts the files together, and says how the media boot. `runtime` is `liveos-init`.
///
/// # Errors
///
/// Whatever reading the tree answers; [`Kind::Unsupported`](block::Kind::Unsupported) for a kernel that cannot boot media.
pub(crate) fn collect(
    inputs: Inputs<'_>,
    runtime: Vec<u8>,
    progress: &Progress,
) -> Result<(Files, Description)> {
    let Inputs { tree, facts, plan } = inputs;
    let mut files = Files::new(plan.time);
    put_kernels(&mut files, inputs, runtime, progress)?;

    let boot = live_boot(facts, plan);
    let config = configure(tree, facts, &boot)?;
    config
        .warnings
        .iter()
        .for_each(|warning| progress.warn(warning));
    if let Origin::Generated { reason } = &config.origin {
        progress.say(&format!("the boot menu is a new one: {reason}"));
    }
    for (path, bytes) in &config.files {
        files.put(path, Content::from_bytes(bytes.as_slice()))?;
    }

    let grub_folder = boot.grub_folder.trim_start_matches('/');
    let efi = put_efi(&mut files, inputs, &config, grub_folder)?;
    let bios = match &plan.bios {
        Some(loader) => {
            let menu = bios::Menu {
                boot: &boot,
                config: &config,
            };
            Some(bios::put(loader, tree, &menu, &mut files)?)
        }
        None => None,
    };
    let title = format!("{} live", plan.name);
    Ok((
        files,
        Description {
            volume_id: plan.volume_id.clone(),
            title,
            bios,
            efi,
            reserved: contract::media::RESERVED_LEN,
        },
    ))
}

/// The kernels, each with its initramfs and what lies beside it in `/boot`.
fn put_kernels(
    files: &mut Files,
    Inputs { tree, facts, plan }: Inputs<'_>,
    runtime: Vec<u8>,
    progress: &Progress,
) -> Result<()> {
    let mut options = initramfs::Options::new(Content::from_bytes(runtime));
    options.root_image = root_image(plan);
    options.time = plan.time;
    let mut told = std::collections::BTreeSet::new();
    for kernel in &plan.kernels {
        let found = facts
            .kernels
            .iter()
            .find(|found| found.version == kernel.version);
        let found: &Kernel = found.ok_or_else(|| {
            let message = "the plan does not fit the image";
            Error::not_found(format!("the kernel {}", kernel.version), message)
        })?;
        let made = initramfs::build(tree, facts, found, &options).map_err(|error| {
            error.while_doing(format!(
                "making the initramfs of the kernel {}",
                kernel.version
            ))
        })?;
        // Most warnings are about the image and the same for each of its kernels.
        for warning in &made.warnings {
            if told.insert(warning.clone()) {
                progress.warn(warning);
            }
        }
        progress.say(&format!(
            "initramfs of {}: {:.1} MiB, {} modules",
            kernel.version,
            made.bytes.len() as f64 / f64::from(1 << 20),
            made.modules.len()
        ));
        put_kernel(files, tree, kernel, made.bytes)?;
    }
    Ok(())
}

fn put_kernel(
    files: &mut Files,
    tree: &Tree<Content>,
    kernel: &KernelPlan,
    initramfs: Vec<u8>,
) -> Result<()> {
    files.put(&places::kernel(&kernel.version), file(tree, &kernel.image)?)?;
    files.put(
        &places::initramfs(&kernel.version),
        Content::from_bytes(initramfs),
    )?;
    for (name, content) in companions(tree, &kernel.version) {
        files.put(&format!("{}/{name}", places::BOOT_DIR), content)?;
    }
    Ok(())
}

/// What lies beside a kernel in `/boot` and has its version at the end of its name (`config-…`, `System.map-…`, `symvers-…`), but for the
/// kernel itself and the initramfs of the distribution, which cannot boot media.
fn companions<'a>(
    tree: &'a Tree<Content>,
    version: &'a str,
) -> impl Iterator<Item = (String, Content)> + 'a {
    let is_companion = move |name: &str| {
        let kind = name
            .strip_suffix(version)
            .and_then(|kind| kind.strip_suffix('-'));
        kind.is_some_and(|kind| {
            !["vmlinu", "kernel", "initr"]
                .iter()
                .any(|other| kind.starts_with(other))
        })
    };
    tree.list("boot").filter_map(move |(name, id)| {
        let name = name.to_string();
        match &tree.inode(id).node {
            Node::File(content) if is_companion(&name) => Some((name, content.clone())),
            _ => None,
        }
    })
}

fn root_image(plan: &Plan) -> RootImage {
    RootImage::Squashfs(match plan.root_image.compression {
        Compression::Zstd { .. } => SquashfsCompressor::Zstd,
        Compression::Gzip { .. } => SquashfsCompressor::Gzip,
        Compression::Xz => SquashfsCompressor::Xz,
        Compression::Lz4 => SquashfsCompressor::Lz4,
    })
}

fn live_boot(facts: &Facts, plan: &Plan) -> LiveBoot {
    let kernels = plan.kernels.iter().map(|kernel| {
        let mut live = LiveKernel::new(&kernel.version);
        if let Some(name) = kernel.image.file_name() {
            live.name = String::from_utf8_lossy(name).into_owned();
        }
        live
    });
    let mut boot = LiveBoot::new(plan.volume_id.as_str(), &plan.name, kernels.collect());
    let uses_grub2 = match facts.boot.grub_config.first() {
        Some(path) => path.names().any(|name| name == b"grub2"),
        None => true,
    };
    let folder = if uses_grub2 {
        places::GRUB2_DIR
    } else {
        places::GRUB_DIR
    };
    boot.grub_folder = format!("/{folder}");
    boot.extra_arguments = plan
        .append
        .iter()
        .flat_map(|text| bootloader::cmdline::split(text))
        .collect();
    boot
}

/// The boot configuration of the media, from the image's own.
fn configure(tree: &Tree<Content>, facts: &Facts, boot: &LiveBoot) -> Result<LiveConfig> {
    let read = |path: &str| -> Result<Option<Vec<u8>>> {
        tree.file(path)
            .map(|content| content.read_all(MAX_CONFIG))
            .transpose()
    };
    let grub_config = match facts.boot.grub_config.first() {
        Some(path) => read(&path.to_string())?,
        None => None,
    };
    let mut bls_entries = Vec::new();
    for path in &facts.boot.bls_entries {
        let name = String::from_utf8_lossy(path.file_name().unwrap_or_default()).into_owned();
        bls_entries.extend(read(&path.to_string())?.map(|bytes| (name, bytes)));
    }
    let image = ImageConfig {
        grub_config: grub_config.as_deref(),
        bls_entries: &bls_entries,
        file: &read,
    };
    live::configure(&image, boot)
}

/// What UEFI starts: on the ISO itself and in the ESP. Answers with the path of the ESP on the media.
fn put_efi(
    files: &mut Files,
    Inputs { tree, plan, .. }: Inputs<'_>,
    config: &LiveConfig,
    grub_folder: &str,
) -> Result<String> {
    let mok_manager = plan
        .efi
        .mok_manager
        .as_ref()
        .map(|path| file(tree, path))
        .transpose()?;
    let programs = esp::Programs {
        suffix: plan.efi.suffix,
        shim: file(tree, &plan.efi.shim)?,
        grub: file(tree, &plan.efi.grub)?,
        mok_manager,
    };
    // GRUB looks where its builder told it to; a GRUB without such a place looks beside itself.
    let folders = [plan.efi.vendor.as_str(), "BOOT"];
    let redirectors = folders.iter().map(|folder| {
        (
            format!("EFI/{folder}/grub.cfg"),
            config.redirector.clone().into_bytes(),
        )
    });
    let esp_files = esp::files(programs, redirectors.collect())?;
    for (path, content) in &esp_files {
        files.put(path, content.clone())?;
    }
    let image = format!("{grub_folder}/{}", places::EFI_IMAGE_NAME);
    files.put(
        &image,
        Content::from_bytes(esp::image(&esp_files, plan.time)?),
    )?;
    Ok(image)
}

fn file(tree: &Tree<Content>, path: &TreePath) -> Result<Content> {
    let missing = || Error::not_found(path.to_string(), "the plan does not fit the image");
    tree.file(path.as_bytes()).cloned().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata};

    #[test]
    fn what_belongs_to_a_kernel_goes_with_it_and_its_old_initramfs_does_not() {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        for name in [
            "vmlinuz-6.1",
            "config-6.1",
            "System.map-6.1",
            "initrd.img-6.1",
            "config-6.2",
            "x6.1",
        ] {
            let path = TreePath::parse(format!("boot/{name}")).unwrap();
            let file = Inode::new(Metadata::default(), Node::File(Content::default()));
            tree.put(&path, file).unwrap();
        }
        let names: Vec<String> = companions(&tree, "6.1").map(|(name, _)| name).collect();
        assert_eq!(names, ["System.map-6.1", "config-6.1"]);
    }
}
