//! What a user asks for, resolved to a plan.
//!
//! [`Request`] is what was typed; [`Plan`] is what was meant: nothing is left to decide. Whatever would make media that cannot boot is an
//! error here, before a byte is written.
#![forbid(unsafe_code)]

mod boot_loader;
mod compression;
pub mod file;
mod initramfs;
mod network;
pub mod settings;
mod verity;

use block::{Error, Result};
use formats::iso9660::VolumeId;
use formats::squashfs::Compression;
use inspect::Facts;
use tree::{Timestamp, TreePath};

pub use boot_loader::{BiosLoader, EfiLoader, Grub};
pub use compression::{DEFAULT_ZSTD_LEVEL, RootImage, SMALLEST};
pub use file::saved;
pub use initramfs::InitramfsPlan;
use mediacheck::Styles;
pub use network::NetworkPlan;
use settings::{
    BootstrapUrl, DracutModules, Generator, InitramfsType, KdumpBootFiles, OutputFormat, Verity,
};

/// What a user asks for, flags and configuration files together; everything that is `None` is decided by [`resolve`].
#[derive(Clone, Debug)]
pub struct Request {
    /// What is written.
    pub format: OutputFormat,
    /// The volume identifier of the ISO.
    pub volume_id: Option<String>,
    /// Kernel parameters to add to every boot entry, in the words of a kernel command line.
    pub append: Vec<String>,
    /// How the root file system image is compressed.
    pub compression: Option<Compression>,
    /// Whether the root file system image has a hash tree.
    pub verity: Option<Verity>,
    /// The time of everything that has no time of its own: `SOURCE_DATE_EPOCH`.
    pub time: Option<i64>,
    /// What kind of initramfs boots the media.
    pub initramfs_type: Option<InitramfsType>,
    /// Who makes a bootstrap initramfs.
    pub generator: Option<Generator>,
    /// What boots live media in an initramfs of dracut's.
    pub dracut_modules: Option<DracutModules>,
    /// Where a machine that boots from the network gets the root file system from.
    pub bootstrap_url: Option<BootstrapUrl>,
    /// Where the files of kdump's kernel go.
    pub kdump_boot_files: Option<KdumpBootFiles>,
    /// By which checksums other programs can check the ISO.
    pub implanted: Option<Styles>,
    /// What the input media say, where the input is media.
    pub input: Option<InputMedia>,
}

impl Default for Request {
    /// An ISO with everything as we would have it.
    fn default() -> Self {
        Self {
            format: OutputFormat::Iso,
            volume_id: None,
            append: Vec::new(),
            compression: None,
            verity: None,
            time: None,
            initramfs_type: None,
            generator: None,
            dracut_modules: None,
            bootstrap_url: None,
            kdump_boot_files: None,
            implanted: None,
            input: None,
        }
    }
}

/// What media say that are built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputMedia {
    /// What kind of initramfs boots them.
    pub initramfs_type: InitramfsType,
    /// Their volume identifier, where it is taken over.
    pub volume_id: Option<String>,
    /// Kernel parameters that earlier builds added.
    pub append: Vec<String>,
    /// Where kdump's files are.
    pub kdump_boot_files: Option<KdumpBootFiles>,
    /// The URL that an earlier build was given.
    pub bootstrap_url: Option<BootstrapUrl>,
    /// What an earlier build was asked for of the hash tree.
    pub verity: Option<Verity>,
}

/// What is built, to the last detail.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the system calls itself, for menus and messages.
    pub name: String,
    /// What is written.
    pub format: OutputFormat,
    /// The volume identifier of the ISO, checked.
    pub volume_id: VolumeId,
    /// The time of everything that has no time of its own.
    pub time: Timestamp,
    /// What boots the system.
    pub initramfs: InitramfsPlan,
    /// Where the root file system comes from over the network; `None` where it does not.
    pub network: Option<NetworkPlan>,
    /// How the root file system image is made.
    pub root_image: RootImage,
    /// Whether it has a hash tree, whose root hash is in the boot configuration.
    pub verity: bool,
    /// The kernels, the newest first; at least one.
    pub kernels: Vec<KernelPlan>,
    /// What UEFI firmware starts.
    pub efi: EfiLoader,
    /// What a BIOS starts; `None` where there is no such loader, the architecture knows no BIOS, or the output is no ISO.
    pub bios: Option<BiosLoader>,
    /// Kernel parameters that users added: those of earlier builds first, each once.
    pub append: Vec<String>,
    /// Where the files of kdump's kernel go.
    pub kdump_boot_files: KdumpBootFiles,
    /// By which checksums other programs can check the ISO.
    pub implanted: Styles,
    /// What was dropped or cannot be honoured, one sentence each.
    pub warnings: Vec<String>,
}

/// A kernel on the media.
#[derive(Clone, Debug)]
pub struct KernelPlan {
    /// Its version, as `uname -r` prints it.
    pub version: String,
    /// The kernel in the tree.
    pub image: TreePath,
}

impl Request {
    /// What kind of initramfs will boot the media.
    #[must_use]
    pub fn initramfs_kind(&self) -> settings::InitramfsType {
        initramfs::choose(self).kind()
    }
}

/// Decides everything.
///
/// `newest` is the time of the newest file of the tree, the time of the media where `SOURCE_DATE_EPOCH` says nothing. `host_grub` says whether the
/// builder's machine has GRUB's files for BIOS machines, for images that have none.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where there is no kernel or no EFI boot loader,
/// [`Kind::Unsupported`](block::Kind::Unsupported) where a kernel cannot run live media or a request cannot be met.
pub fn resolve(
    request: &Request,
    facts: &Facts,
    newest: Timestamp,
    host_grub: bool,
) -> Result<Plan> {
    let mut warnings = Vec::new();
    if facts.kernels.is_empty() {
        let message = format!(
            "{} has no kernel (looked for /boot/vmlinuz-* and /usr/lib/modules/*/vmlinuz); install a kernel package",
            facts.name()
        );
        return Err(Error::not_found("choosing the kernels", message));
    }
    let input = request.input.as_ref();
    let asked = request
        .volume_id
        .as_deref()
        .or(input.and_then(|input| input.volume_id.as_deref()))
        .unwrap_or(contract::media::DEFAULT_VOLUME_ID);
    let volume_id = VolumeId::new(asked)?;
    let initramfs = initramfs::choose(request);
    let network = network::choose(request, initramfs, &mut warnings)?;
    let root_image = match initramfs {
        InitramfsPlan::Bootstrap { .. } => compression::choose(request.compression, facts)?,
        // No kernel has to mount it.
        InitramfsPlan::FullOs => RootImage::default(),
    };
    let verity = verity::choose(request, facts, initramfs, &mut warnings)?;
    let efi = boot_loader::efi(facts)?;
    let bios = match request.format {
        OutputFormat::Iso => boot_loader::bios(facts, host_grub),
        OutputFormat::PxeDir | OutputFormat::PxeTar => None,
    };
    if bios.is_none()
        && request.format == OutputFormat::Iso
        && facts.architecture.value == inspect::Architecture::X86_64
    {
        warnings.push(
            "no boot loader for BIOS machines, neither in the image (package grub-pc-bin, grub2-pc-modules or isolinux) nor on \
             this machine: the media boot under UEFI only"
                .to_owned(),
        );
    }
    for uki in &facts.boot.ukis {
        warnings.push(format!("the unified kernel image {uki} is not used"));
    }
    Ok(Plan {
        name: facts.name().to_owned(),
        format: request.format,
        volume_id,
        time: time(request.time, newest),
        initramfs,
        network,
        root_image,
        verity,
        kernels: facts.kernels.iter().map(kernel).collect(),
        efi,
        bios,
        append: append(request),
        kdump_boot_files: request
            .kdump_boot_files
            .or(input.and_then(|input| input.kdump_boot_files))
            .unwrap_or(KdumpBootFiles::None),
        implanted: request.implanted.unwrap_or(initramfs.checksums()),
        warnings,
    })
}

/// The parameters that users added, those of earlier builds first, each once.
fn append(request: &Request) -> Vec<String> {
    let earlier = request.input.iter().flat_map(|input| &input.append);
    let mut all: Vec<String> = Vec::new();
    for argument in earlier.chain(&request.append) {
        if !all.contains(argument) {
            all.push(argument.clone());
        }
    }
    all
}

/// The last second that all formats of the media can hold: squashfs ends in 2106, the years of ISO 9660 in 2155.
const LAST_TIME: i64 = u32::MAX as i64;

fn time(asked: Option<i64>, newest: Timestamp) -> Timestamp {
    Timestamp::from_seconds(asked.unwrap_or(newest.seconds).clamp(0, LAST_TIME))
}

fn kernel(kernel: &inspect::Kernel) -> KernelPlan {
    KernelPlan {
        version: kernel.version.clone(),
        image: kernel.image.clone(),
    }
}
