//! Everything on the media but the root file system image: kernels, initramfs, boot configuration, boot loaders.

mod efi;
mod kdump;
pub(crate) mod kernels;

use std::path::Path;
use std::sync::Arc;

use block::{Content, DiskFile, Error, Result};
use bootloader::ipxe;
use bootloader::live::{self, ImageConfig, LiveBoot, LiveConfig, LiveKernel, Medium, Origin};
use config::settings::{AdditionalFile, DracutModules, Generator};
use config::{InitramfsPlan, Plan};
use contract::media as places;
use customize::steps::files::content_of;
use formats::iso9660::VolumeId;
use inspect::Facts;
use media::files::Files;
use media::iso::Description;
use mediacheck::Styles;
use payload::initramfs::HostShell;
use tree::{Tree, TreePath};

use crate::bios;
use crate::progress::Progress;

pub(crate) use kdump::kept as kept_for_kdump;

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

/// The files of an ISO, and how it boots. `common` has what all kinds of media have.
///
/// # Errors
///
/// Whatever reading the tree answers.
pub(crate) fn iso(
    inputs: Inputs<'_>,
    common: &Files,
    progress: &Progress,
) -> Result<(Files, Description)> {
    let Inputs { tree, facts, plan } = inputs;
    let mut boot = live_boot(facts, plan);
    boot.medium = Medium::Volume(plan.volume_id.as_str().to_owned());
    match plan.initramfs {
        InitramfsPlan::Bootstrap { .. } => {
            boot.live_arguments = live::live_arguments(plan.volume_id.as_str());
            boot.live_arguments.extend(verity_argument(plan));
        }
        InitramfsPlan::FullOs => {
            boot.live_arguments = live::full_os_arguments();
            // GRUB has loaded all that the system needs.
            boot.media_check = false;
        }
    }
    let config = configure(tree, facts, &boot)?;
    tell(&config, progress);
    let (mut files, efi) = put_on_iso(common.clone(), inputs, &boot, &config)?;
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
            implanted: plan.implanted,
        },
    ))
}

/// Puts the boot configuration and what UEFI starts beside `files`; answers with the path of the ESP too.
fn put_on_iso(
    mut files: Files,
    inputs: Inputs<'_>,
    boot: &LiveBoot,
    config: &LiveConfig,
) -> Result<(Files, String)> {
    for (path, bytes) in &config.files {
        files.put(path, Content::from_bytes(bytes.as_slice()))?;
    }
    let grub_folder = boot.grub_folder.trim_start_matches('/');
    let efi = efi::put_on_iso(&mut files, inputs, config, grub_folder)?;
    Ok((files, efi))
}

/// The ISO of a network-boot folder for firmware that boots over HTTP, but for an initramfs that is the whole system. `common` has what
/// all kinds of media have; of it come the kernels and their initramfs.
///
/// Firmware hands such an ISO on as a RAM disk, and GRUB starts as from a CD. GRUB itself cannot be relied on there: Debian 12's for the
/// network (grub-efi-amd64-signed 1+2.06+13+deb12u2) has no HTTP in it, and GRUB up to 2.12 takes no address from firmware that names a
/// DNS server in the path of the boot device (`efinet.c`: it expects the address right before the URL).
///
/// # Errors
///
/// Whatever reading the tree answers.
pub(crate) fn http_boot(inputs: Inputs<'_>, common: &Files) -> Result<(Files, Description)> {
    let Inputs { tree, facts, plan } = inputs;
    let mut boot = server_boot(facts, plan);
    boot.medium = Medium::Volume(places::HTTP_BOOT_VOLUME_ID.to_owned());
    // What is in doubt in the menu was told with the folder's.
    let config = configure(tree, facts, &boot)?;
    let mut files = Files::new(plan.time);
    for (path, content, _) in common.contents() {
        let loads = |kernel: &LiveKernel| {
            let paths = [&kernel.image, &kernel.initramfs];
            paths.iter().any(|own| own.trim_start_matches('/') == path)
        };
        if boot.kernels.iter().any(loads) {
            files.put(&path, content.clone())?;
        }
    }
    let (files, efi) = put_on_iso(files, inputs, &boot, &config)?;
    let description = Description {
        volume_id: VolumeId::new(places::HTTP_BOOT_VOLUME_ID)?,
        title: format!("{} over HTTP", plan.name),
        bios: None,
        efi,
        reserved: places::RESERVED_LEN,
        implanted: Styles::None,
    };
    Ok((files, description))
}

/// The files of a network-boot server, but for the large ones. `common` has what all kinds of media have.
///
/// # Errors
///
/// Whatever reading the tree answers.
pub(crate) fn netboot(inputs: Inputs<'_>, common: &Files, progress: &Progress) -> Result<Files> {
    let Inputs { tree, facts, plan } = inputs;
    let mut files = common.clone();
    let boot = server_boot(facts, plan);
    let config = configure(tree, facts, &boot)?;
    tell(&config, progress);
    for (path, bytes) in &config.files {
        // What a CD is known by means nothing on a server.
        if !path.starts_with("/.disk/") {
            files.put(path, Content::from_bytes(bytes.as_slice()))?;
        }
    }
    efi::put_on_server(&mut files, inputs, &config, progress)?;
    let arguments = config
        .entries
        .iter()
        .flat_map(|entry| entry.command_line(&boot));
    for argument in arguments.filter(|argument| ipxe::has_setting(argument)) {
        progress.warn(&format!(
            "the kernel parameter {argument} cannot be given by an iPXE script as it is: iPXE takes ${{ for a setting"
        ));
    }
    let script = ipxe::script(&boot, &config.entries);
    files.put(IPXE_SCRIPT, Content::from_bytes(script.into_bytes()))?;
    Ok(files)
}

/// The iPXE script of a network-boot folder.
const IPXE_SCRIPT: &str = "boot.ipxe";

/// What a machine boots from a server.
fn server_boot(facts: &Facts, plan: &Plan) -> LiveBoot {
    let mut boot = live_boot(facts, plan);
    boot.medium = Medium::Network;
    boot.media_check = false;
    boot.live_arguments = match &plan.network {
        Some(network) => network_arguments(facts, plan, &network.url),
        None => live::full_os_arguments(),
    };
    boot
}

/// What makes a kernel get the root file system from `url`.
fn network_arguments(facts: &Facts, plan: &Plan, url: &str) -> Vec<String> {
    let mut arguments = live::network_arguments(url);
    let is_azure = facts.os.as_ref().is_some_and(|os| os.id() == "azurelinux");
    if let InitramfsPlan::Bootstrap {
        generator: Generator::Dracut,
        dracut_modules: DracutModules::Upstream,
    } = plan.initramfs
        && is_azure
    {
        // A change of Azure Linux's own to dracut 102: without it nothing starts the download.
        arguments.push("rd.live.azldownloader=enable".to_owned());
    }
    arguments.extend(verity_argument(plan));
    arguments
}

/// What makes the runtime verify the root file system image, where that has a hash tree: the root hash comes when the image is written.
fn verity_argument(plan: &Plan) -> Option<String> {
    plan.verity
        .then(|| live::verity_argument(media::pending::ROOT_HASH))
}

fn tell(config: &LiveConfig, progress: &Progress) {
    config
        .warnings
        .iter()
        .for_each(|warning| progress.warn(warning));
    if let Origin::Generated { reason } = &config.origin {
        progress.say(&format!("the boot menu is a new one: {reason}"));
    }
}

fn live_boot(facts: &Facts, plan: &Plan) -> LiveBoot {
    let kernels = plan.kernels.iter().map(|kernel| {
        let mut live = LiveKernel::new(&kernel.version);
        if let Some(name) = kernel.image.file_name() {
            live.name = String::from_utf8_lossy(name).into_owned();
        }
        if plan.initramfs == InitramfsPlan::FullOs {
            live.initramfs = format!("/{}", places::FULL_OS_INITRAMFS);
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
    boot.extra_arguments = plan.append.clone();
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

fn file(tree: &Tree<Content>, path: &TreePath) -> Result<Content> {
    let missing = || Error::not_found(path.to_string(), "the plan does not fit the image");
    tree.file(path.as_bytes()).cloned().ok_or_else(missing)
}

/// Puts the user's files on the media, last of all: they may take the place of any file.
///
/// # Errors
///
/// What reading them answers; [`Kind::Corrupt`](block::Kind::Corrupt) for a destination that is no path.
pub(crate) fn put_additional(files: &mut Files, items: &[AdditionalFile]) -> Result<()> {
    for item in items {
        let (content, mode) = content_of(item)?;
        files.put_with_mode(item.destination.trim_start_matches('/'), content, mode)?;
    }
    Ok(())
}

/// Where a machine has busybox.
const HOST_BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];

/// What this machine has for the shell of an initramfs.
///
/// # Errors
///
/// What opening it answers.
pub(crate) fn host_shell() -> Result<HostShell> {
    let here = HOST_BUSYBOX
        .iter()
        .map(Path::new)
        .find(|path| path.is_file());
    let busybox = match here {
        Some(path) => Some(Content::from_source(Arc::new(DiskFile::open(path)?))),
        None => None,
    };
    Ok(HostShell { busybox })
}
