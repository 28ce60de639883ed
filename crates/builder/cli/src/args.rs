//! What can be typed. What it means is decided elsewhere (`config`).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Turns an operating system that exists as a disk image into media that boot without installing it.
#[derive(Debug, Parser)]
#[command(name = "liveos", version, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 a fault of liveos, 2 arguments, 3 configuration, \
4 input, 5 the machine lacks something, 6 output, 7 verification failed.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build bootable live media from a disk image.
    Build(BuildArguments),
    /// Change finished media in place: kernel parameters, files, what the initramfs holds.
    Edit(EditArguments),
    /// Show what a disk image or an ISO holds.
    Inspect(InspectArguments),
    /// Boot media in a virtual machine (QEMU), with its console in this terminal.
    Run(RunArguments),
}

/// `liveos build`.
#[derive(Args, Debug)]
pub(crate) struct BuildArguments {
    /// The disk image to build from: raw or qcow2.
    pub(crate) source: PathBuf,

    /// Where the ISO is written; what is there now stays until the new one is whole.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// The volume identifier of the ISO, up to 32 characters; the boot configuration finds the medium by it.
    #[arg(long, value_name = "ID")]
    pub(crate) volume_id: Option<String>,

    /// Kernel parameters to add to every boot entry; may be given several times.
    #[arg(long = "append", value_name = "PARAMETERS", allow_hyphen_values = true)]
    pub(crate) append: Vec<String>,

    /// How the root file system image is compressed; by default with zstd, where all kernels can read it.
    #[arg(long, value_enum)]
    pub(crate) compression: Option<CompressionName>,

    /// The level of the compression: zstd 1 to 22 (3 by default), gzip 1 to 12.
    #[arg(long, value_name = "N")]
    pub(crate) level: Option<u8>,

    /// The smallest result, whatever the time it takes.
    #[arg(long, conflicts_with_all = ["compression", "level"])]
    pub(crate) smallest: bool,

    /// How many threads compress; all cores by default. The result is the same with any number.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// The liveos-init program to put into the initramfs, in place of the one that this program carries.
    #[arg(long, value_name = "FILE")]
    pub(crate) runtime: Option<PathBuf>,

    /// Allow backing files of a qcow2 image outside its own folder.
    #[arg(long)]
    pub(crate) allow_backing_anywhere: bool,

    /// Print nothing but warnings and errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// The names of the compressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionName {
    /// Fast and small; every kernel since 4.14 can read it.
    Zstd,
    /// The classical one; slow.
    Gzip,
    /// The smallest but for zstd's highest levels; very slow.
    Xz,
    /// The fastest, and the largest.
    Lz4,
}

/// `liveos edit`.
#[derive(Args, Debug)]
#[command(after_help = EDIT_HELP)]
pub(crate) struct EditArguments {
    /// The media: an ISO, a device with one, or a folder for network boot.
    pub(crate) media: PathBuf,

    /// Write changed media to this file and leave the given ones as they are.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Kernel parameters to add to every boot entry.
    #[arg(long, value_name = "PARAMETERS", allow_hyphen_values = true)]
    pub(crate) append: Vec<String>,

    /// A kernel parameter to take out of every boot entry: all of a name, or only those that are just NAME=VALUE.
    #[arg(long, value_name = "NAME[=VALUE]", allow_hyphen_values = true)]
    pub(crate) delete: Vec<String>,

    /// A kernel parameter to give another value in every boot entry; it is added where there is none.
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub(crate) replace: Vec<String>,

    /// A file to put on the media, in the place of what is there.
    #[arg(long, value_name = "FILE:/PATH")]
    pub(crate) add: Vec<String>,

    /// A file or folder to unpack over the initramfs, with its mode and owned by root.
    #[arg(long, value_name = "FILE:/PATH")]
    pub(crate) initramfs_add: Vec<String>,

    /// Take back all changes; with others, before they are made. An ISO becomes what it was, byte for byte.
    #[arg(long)]
    pub(crate) reset: bool,

    /// Allow changes of parameters without which the media do not boot.
    #[arg(long)]
    pub(crate) force: bool,

    /// Show the boot entries and all changes that are in force.
    #[arg(long)]
    pub(crate) show: bool,

    /// Print nothing but warnings and errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EDIT_HELP: &str = "Changes add up, and each is there once however often it is made. Of one call, --delete comes first, then \
--replace, then --append. The root file system image is never touched.";

/// `liveos inspect`.
#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// A disk image (raw, qcow2) or an ISO.
    pub(crate) source: PathBuf,

    /// Print JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,

    /// Allow backing files of a qcow2 image outside its own folder.
    #[arg(long)]
    pub(crate) allow_backing_anywhere: bool,
}

/// `liveos run`.
#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// The ISO or disk image to boot.
    pub(crate) media: PathBuf,

    /// The firmware of the machine.
    #[arg(long, value_enum, default_value_t = FirmwareName::Uefi)]
    pub(crate) firmware: FirmwareName,

    /// As what the machine sees the media.
    #[arg(long = "as", value_enum, default_value_t = AttachName::Cd, value_name = "HOW")]
    pub(crate) attach: AttachName,

    /// The memory of the machine in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub(crate) memory: u32,
}

/// The names of the firmwares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FirmwareName {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
    /// OVMF with Secure Boot on and Microsoft's keys.
    Secure,
}

/// How media are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AttachName {
    /// A CD drive.
    Cd,
    /// A USB stick.
    Usb,
    /// A virtio disk.
    Disk,
}
