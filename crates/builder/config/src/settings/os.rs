//! `os`: what is changed in the operating system.

use std::path::PathBuf;

/// One file's `os` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Os {
    /// `hostname`, a checked host name.
    pub hostname: Option<String>,
    /// `packages`.
    pub packages: Packages,
    /// `additionalDirs`.
    pub additional_directories: Vec<AdditionalDirectory>,
    /// `additionalFiles`.
    pub additional_files: Vec<AdditionalFile>,
    /// `groups`.
    pub groups: Vec<Group>,
    /// `users`.
    pub users: Vec<User>,
    /// `services.enable`.
    pub enable_services: Vec<String>,
    /// `services.disable`.
    pub disable_services: Vec<String>,
    /// `modules`.
    pub modules: Vec<KernelModule>,
    /// `overlays`.
    pub overlays: Vec<Overlay>,
    /// `kernelCommandLine.extraCommandLine`: arguments without quoting, one each.
    pub extra_command_line: Vec<String>,
    /// `selinux.mode`.
    pub selinux: Option<SelinuxMode>,
    /// `imageHistory`.
    pub image_history: Option<ImageHistory>,
}

/// `packages`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// `updateExistingPackages`.
    pub update_existing: bool,
    /// `installLists` and `install`, names in this order.
    pub install: PackageList,
    /// `removeLists` and `remove`.
    pub remove: PackageList,
    /// `updateLists` and `update`.
    pub update: PackageList,
    /// `snapshotTime`, as it was written: a date or RFC 3339.
    pub snapshot_time: Option<String>,
    /// `sources`: ours. Extra repositories (`.repo`, `.list`, `.sources` files) and folders of packages, for the time of the build.
    pub sources: Vec<PathBuf>,
}

/// Names of packages.
pub type PackageList = Vec<String>;

/// An item of `additionalFiles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdditionalFile {
    /// `source` or `content`.
    pub source: FileSource,
    /// `destination`: a path; where it is relative, the root is meant.
    pub destination: String,
    /// `permissions`, at most 0o777; the source's own, or 0o644 of inline content, where it is not given.
    pub permissions: Option<u16>,
}

/// What a file is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// A file of the builder's machine.
    Path(PathBuf),
    /// Text of the configuration.
    Content(String),
}

/// An item of `additionalDirs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdditionalDirectory {
    /// `source`: a folder of the builder's machine; its contents are copied.
    pub source: PathBuf,
    /// `destination`.
    pub destination: String,
    /// `newDirPermissions`.
    pub new_directory_permissions: u16,
    /// `mergedDirPermissions`; `None` keeps what is there.
    pub merged_directory_permissions: Option<u16>,
    /// `childFilePermissions`.
    pub child_file_permissions: u16,
}

/// An item of `groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `name`.
    pub name: String,
    /// `gid`, at most 60000.
    pub gid: Option<u32>,
}

/// An item of `users`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `name`.
    pub name: String,
    /// `uid`, at most 60000.
    pub uid: Option<u32>,
    /// `password`.
    pub password: Option<Password>,
    /// `passwordExpiresDays`: −1 never.
    pub password_expires_days: Option<i32>,
    /// `sshPublicKeyPaths` and `sshPublicKeys`.
    pub ssh_keys: Vec<SshKey>,
    /// `primaryGroup`.
    pub primary_group: Option<String>,
    /// `secondaryGroups`.
    pub secondary_groups: Vec<String>,
    /// `startupCommand`: the shell.
    pub startup_command: Option<String>,
    /// `homeDirectory`.
    pub home_directory: Option<HomeDirectory>,
}

/// An absolute path in the image.
pub type HomeDirectory = String;

/// `password`.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// No password lets the user in.
    Locked,
    /// The password itself.
    PlainText(String),
    /// A hash as crypt(5) writes it.
    Hashed(String),
    /// A file whose first line is the password.
    PlainTextFile(PathBuf),
    /// A file whose first line is the hash.
    HashedFile(PathBuf),
}

impl std::fmt::Debug for Password {
    /// Never shows a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked => f.write_str("Locked"),
            Self::PlainText(_) => f.write_str("PlainText(…)"),
            Self::Hashed(_) => f.write_str("Hashed(…)"),
            Self::PlainTextFile(path) => f.debug_tuple("PlainTextFile").field(path).finish(),
            Self::HashedFile(path) => f.debug_tuple("HashedFile").field(path).finish(),
        }
    }
}

/// A public key for `authorized_keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// The line itself.
    Line(String),
    /// A file of lines.
    File(PathBuf),
}

/// An item of `modules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelModule {
    /// `name`.
    pub name: String,
    /// `loadMode`.
    pub load_mode: LoadMode,
    /// `options`.
    pub options: std::collections::BTreeMap<String, String>,
}

/// `loadMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadMode {
    /// Loaded at every start.
    Always,
    /// Loaded when the hardware asks for it: a module that was disabled no longer is.
    Auto,
    /// Never loaded.
    Disable,
    /// As the image has it.
    #[default]
    Inherit,
}

/// An item of `overlays`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// `mountPoint`.
    pub mount_point: String,
    /// `lowerDirs`.
    pub lower_directories: Vec<String>,
    /// `upperDir`.
    pub upper_directory: String,
    /// `workDir`.
    pub work_directory: String,
    /// `isInitrdOverlay`.
    pub in_initramfs: bool,
    /// `mountDependencies`.
    pub mount_dependencies: Vec<String>,
    /// `mountOptions`.
    pub mount_options: Option<String>,
}

/// `selinux.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelinuxMode {
    /// Off, by `selinux=0` on the kernel command line and in `/etc/selinux/config`.
    Disabled,
    /// On, and only reports.
    Permissive,
    /// On.
    Enforcing,
    /// On, by the kernel command line too.
    ForceEnforcing,
}

/// `imageHistory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageHistory {
    /// No history file is written.
    None,
}
