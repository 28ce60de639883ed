//! What can be typed. What it means is decided elsewhere (`config`).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Turns an operating system that exists as a disk image, live media, a folder or a tar into media that boot without installing it.
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
    /// Build bootable live media.
    Build(BuildArguments),
    /// Change finished media in place: kernel parameters, files, what the initramfs holds.
    Edit(EditArguments),
    /// Show what `build` would do with the same arguments, without doing it.
    Plan(PlanArguments),
    /// The command line of Image Customizer's `customize`, for those who switch.
    Customize(CustomizeArguments),
    /// Print the JSON schema of the configuration.
    Schema,
    /// Show what a disk image, an ISO, a tar or a folder holds.
    Inspect(InspectArguments),
    /// Check whether media are what was built, and name what is not.
    Check(CheckArguments),
    /// Say what the booting machine would do with a kernel command line.
    Explain(ExplainArguments),
    /// Boot media in a virtual machine (QEMU), with its console in this terminal.
    Run(RunArguments),
    /// Show what liveos-init did when this machine booted, and how long each stage took.
    Report(ReportArguments),
}

/// `liveos build`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct BuildArguments {
    /// What to build from: a disk image (raw, qcow2, vhd, vhdx), a live ISO, a tar or a folder; or `input.image` of the configuration.
    pub(crate) source: Option<PathBuf>,

    /// A configuration file, YAML or JSON; `liveos schema` says what can be in it. What is typed here wins over it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where the result is written, or `output.image.path` of the configuration; what is there now stays until the new one is whole.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,

    /// What is written; otherwise the output's name says it: `.iso`, `.tar.gz`, or a folder.
    #[arg(short, long, value_enum)]
    pub(crate) format: Option<FormatName>,

    /// A small initramfs that finds the root file system (bootstrap; usual for ISOs), or one that is the whole system (full-os; usual
    /// for network boot).
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) initramfs_type: Option<InitramfsTypeName>,

    /// Who makes a bootstrap initramfs: liveos from the image's files, or the image's own dracut.
    #[arg(long, value_enum, value_name = "GENERATOR")]
    pub(crate) initramfs_generator: Option<GeneratorName>,

    /// Put a shell into the initramfs, for `rd.shell` and `rd.break` on the kernel command line.
    #[arg(long)]
    pub(crate) initramfs_shell: bool,

    /// Keep what the live system writes on the stick that it is booted from, in a partition with this file system.
    #[arg(long, value_enum, value_name = "FILE_SYSTEM", num_args = 0..=1, require_equals = true, default_missing_value = "ext4")]
    pub(crate) persistence: Option<FileSystemName>,

    /// The URL of the ISO for machines that boot from the network with a bootstrap initramfs.
    #[arg(long, value_name = "URL")]
    pub(crate) bootstrap_url: Option<String>,

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

    /// Have the kernel verify the root file system image as it is read, in any case; without this wherever all kernels of the image can.
    #[arg(long, overrides_with = "no_verity")]
    pub(crate) verity: bool,

    /// No hash tree behind the root file system image: the kernel reads it as it is.
    #[arg(long, overrides_with = "verity")]
    pub(crate) no_verity: bool,

    /// How much room the ISO keeps free for `liveos edit`, in MiB; 0 for none. Where it is full, an ISO gets longer.
    #[arg(long, value_name = "MIB")]
    pub(crate) reserve: Option<u32>,

    /// Make the root file system image anew where it could be passed on from the input media as it is.
    #[arg(long)]
    pub(crate) rebuild: bool,

    /// A folder of packages, or a repository file (.repo, .list, .sources), for packages that the configuration installs; may be given
    /// several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) package_source: Vec<PathBuf>,

    /// Install packages from the given sources only, not from the repositories of the image.
    #[arg(long)]
    pub(crate) disable_image_repositories: bool,

    /// Take packages as they were at this time (a date, or RFC 3339), where the image's package manager can.
    #[arg(long, value_name = "TIME")]
    pub(crate) package_snapshot_time: Option<String>,

    /// Where the system is unpacked for steps that run programs of the image; by default beside the output.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scratch: Option<PathBuf>,

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

/// `liveos plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanArguments {
    /// The arguments of `build`.
    #[command(flatten)]
    pub(crate) build: BuildArguments,

    /// Print JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `liveos customize`.
#[derive(Args, Debug)]
pub(crate) struct CustomizeArguments {
    /// Where temporary files are written.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) build_dir: Option<PathBuf>,

    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,

    /// What to build from; wins over `input.image` of the configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) image_file: Option<PathBuf>,

    /// Where the result is written; wins over `output.image.path`.
    #[arg(long, visible_alias = "output-path", value_name = "PATH")]
    pub(crate) output_image_file: Option<PathBuf>,

    /// What is written; wins over `output.image.format`.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) output_image_format: Option<FormatName>,

    /// A folder of packages or a `.repo` file; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) rpm_source: Vec<PathBuf>,

    /// Ignore the repositories of the image.
    #[arg(long)]
    pub(crate) disable_base_image_rpm_repos: bool,

    /// Take packages as they were at this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) package_snapshot_time: Option<String>,

    /// Accepted, and of no effect: only cosi images are compressed so.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) cosi_compression_level: Option<u8>,

    /// `panic`, `fatal` and `error` print errors only; with anything else progress is told too.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: String,

    /// Accepted, and of no effect: nothing is sent anywhere.
    #[arg(long)]
    pub(crate) disable_telemetry: bool,
}

/// The names of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// A hybrid ISO: CD, USB stick, disk.
    Iso,
    /// A folder for a network-boot server.
    PxeDir,
    /// The same as a tar.gz.
    PxeTar,
}

/// The kinds of initramfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InitramfsTypeName {
    /// Finds the root file system image.
    Bootstrap,
    /// Is the whole system.
    FullOs,
}

/// File systems for what stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileSystemName {
    /// Needs no program.
    Ext4,
    /// Made by `mkfs.xfs` of the image.
    Xfs,
    /// Made by `mkfs.btrfs` of the image.
    Btrfs,
}

/// Who makes a bootstrap initramfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GeneratorName {
    /// liveos, without running anything of the image.
    Native,
    /// The image's own dracut, in a sandbox.
    Dracut,
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

/// `liveos check`.
#[derive(Args, Debug)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArguments {
    /// An ISO, or a device that one was written to.
    pub(crate) media: PathBuf,

    /// How many threads compare; all cores by default.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const CHECK_HELP: &str = "Ends with 0 where all is as it was built, and with 7 where something is not: it is named on standard output. What Windows writes \
into the EFI system partition of a stick is a warning, where the programs in it are as they were.";

/// `liveos inspect`.
#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// A disk image (raw, qcow2, vhd, vhdx), an ISO, a tar or a folder.
    pub(crate) source: PathBuf,

    /// Print JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,

    /// Allow backing files of a qcow2 image outside its own folder.
    #[arg(long)]
    pub(crate) allow_backing_anywhere: bool,
}

/// `liveos explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArguments {
    /// The kernel command line, as one word or several; `-` or nothing for this machine's own.
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    pub(crate) command_line: Vec<String>,

    /// Print JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,

    /// Print every parameter that is known, with what is done for it.
    #[arg(long)]
    pub(crate) parameters: bool,
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

/// `liveos report`.
#[derive(Args, Debug)]
pub(crate) struct ReportArguments {
    /// A report from elsewhere, `-` for the standard input; by default that of this machine's boot.
    pub(crate) file: Option<PathBuf>,
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
