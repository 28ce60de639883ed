//! What configuration files say, as values: merged over the chain of `baseConfigs`, with every path resolved against the folder of
//! its own file. Nothing here is decided yet; that is [`resolve`](crate::resolve)'s.

mod os;
mod places;
mod scripts;

use std::path::PathBuf;

pub use os::{
    AdditionalDirectory, AdditionalFile, FileSource, Group, HomeDirectory, ImageHistory,
    KernelModule, LoadMode, Os, Overlay, PackageList, Packages, Password, SelinuxMode, SshKey,
    User,
};
pub use places::{Place, Places};
pub use scripts::{Script, ScriptSource, Scripts};

/// A chain of configuration files, merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The files, the last the one that was named on the command line; empty without configuration.
    pub files: Vec<PathBuf>,
    /// `input.image`: what is built from.
    pub input: Option<Input>,
    /// `output.image`: where it goes and as what.
    pub output: Output,
    /// `iso`.
    pub iso: MediaSettings,
    /// `pxe`.
    pub pxe: MediaSettings,
    /// `os`, one for each file that has it, the base first: each step is taken for all of them before the next step.
    pub os: Vec<Os>,
    /// `scripts`, one for each file that has them, the base first.
    pub scripts: Vec<Scripts>,
    /// `initramfs`: ours.
    pub initramfs: InitramfsSettings,
    /// `rootImage`: ours. How the root file system image is made.
    pub root_image: RootImageSettings,
    /// What was accepted and has no effect on live media, one sentence each with file, line and key.
    pub warnings: Vec<String>,
    /// Where the values are from, for messages.
    pub places: Places,
}

impl Settings {
    /// `os.hostname`: the last that is given.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.os.iter().rev().find_map(|os| os.hostname.as_deref())
    }

    /// `os.selinux.mode`: the last that is given.
    #[must_use]
    pub fn selinux(&self) -> Option<SelinuxMode> {
        self.os.iter().rev().find_map(|os| os.selinux)
    }

    /// `os.imageHistory`: the last that is given.
    #[must_use]
    pub fn image_history(&self) -> Option<ImageHistory> {
        self.os.iter().rev().find_map(|os| os.image_history)
    }

    /// `os.kernelCommandLine.extraCommandLine` of all files, the base first.
    pub fn extra_command_line(&self) -> impl Iterator<Item = &str> {
        let all = self.os.iter().flat_map(|os| &os.extra_command_line);
        all.map(String::as_str)
    }
}

/// `input.image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `path`: a file or a folder.
    Path(PathBuf),
    /// `oci`: an OCI image by its reference.
    Oci(String),
    /// `azureLinux`: a published image.
    AzureLinux {
        /// `variant`.
        variant: String,
        /// `version`.
        version: String,
    },
}

/// `output.image`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// `path`.
    pub path: Option<PathBuf>,
    /// `format`.
    pub format: Option<OutputFormat>,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutputFormat {
    /// A hybrid ISO.
    Iso,
    /// A folder for network boot.
    PxeDir,
    /// The same as a tarball, compressed with gzip.
    PxeTar,
}

impl OutputFormat {
    /// Its name in configuration files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iso => "iso",
            Self::PxeDir => "pxe-dir",
            Self::PxeTar => "pxe-tar",
        }
    }
}

/// `iso` or `pxe`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaSettings {
    /// Whether any file of the chain has the section.
    pub is_given: bool,
    /// `kernelCommandLine.extraCommandLine`: arguments without quoting, one each.
    pub extra_command_line: Vec<String>,
    /// `additionalFiles`: on the media, not in the root file system.
    pub additional_files: Vec<AdditionalFile>,
    /// `initramfsType`.
    pub initramfs_type: Option<InitramfsType>,
    /// `kdumpBootFiles`.
    pub kdump_boot_files: Option<KdumpBootFiles>,
    /// `bootstrapBaseUrl` or `bootstrapFileUrl`; of `pxe` only.
    pub bootstrap_url: Option<BootstrapUrl>,
    /// `volumeId`: ours, of `iso` only.
    pub volume_id: Option<String>,
    /// `persistence`: ours, of `iso` only.
    pub persistence: Option<PersistenceSettings>,
    /// `mediaCheck`: ours, of `iso` only.
    pub implanted: Option<mediacheck::Styles>,
}

/// `persistence`: what is written stays on the stick that is booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersistenceSettings {
    /// `fileSystem`: what the partition for it gets.
    pub file_system: contract::request::persistence::FileSystem,
    /// `encrypted`: with a passphrase that the first boot asks for.
    pub encrypted: bool,
}

/// What kind of initramfs boots the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitramfsType {
    /// A small one that finds the root file system image.
    Bootstrap,
    /// The whole system.
    FullOs,
}

/// Where the files of kdump's kernel go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KdumpBootFiles {
    /// On the media.
    None,
    /// In the root file system's `/boot`.
    Keep,
}

/// Where a machine that boots from the network gets the root file system from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapUrl {
    /// The folder: `image.iso` follows.
    Base(String),
    /// The file.
    File(String),
}

/// `initramfs`: ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitramfsSettings {
    /// `generator`.
    pub generator: Option<Generator>,
    /// `dracutModules`, with the generator dracut: `liveos` (default) or `upstream`.
    pub dracut_modules: Option<DracutModules>,
    /// `addModules`: kernel modules to take besides ours, by name or alias.
    pub add_modules: Vec<String>,
    /// `omitModules`: kernel modules to leave out.
    pub omit_modules: Vec<String>,
    /// `install`: files of the image to take along; programs with their libraries.
    pub install: Vec<String>,
    /// `shell`: a shell for `rd.shell` and `rd.break`.
    pub shell: Option<bool>,
    /// `additionalFiles`: files to put in.
    pub additional_files: Vec<AdditionalFile>,
}

/// Who makes a bootstrap initramfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// We do, from the tree.
    Native,
    /// The image's own dracut, in the sandbox.
    Dracut,
}

/// What boots live media in an initramfs of dracut's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DracutModules {
    /// Our dracut module, with `liveos-init` in it.
    Liveos,
    /// dracut's own `dmsquash-live livenet`.
    Upstream,
}

/// `rootImage`: ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RootImageSettings {
    /// `compression.algorithm` and `compression.level`.
    pub compression: Option<formats::squashfs::Compression>,
    /// `verity`.
    pub verity: Option<Verity>,
}

/// Whether the root file system image has a hash tree, by which the kernel verifies it as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verity {
    /// Where all kernels can verify it.
    Auto,
    /// In any case.
    On,
    /// Not.
    Off,
}

impl Verity {
    /// Its name in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}
