//! The sections of a configuration file: one function each, which asks for the section's keys.
//!
//! ```text
//! mod        the whole file          input      input, output, baseConfigs
//! os         os                      packages   os.packages and lists of packages
//! accounts   os.users, os.groups     kernel     os.modules, os.overlays
//! files      additionalFiles, -Dirs  media      iso, pxe
//! scripts    scripts                 initramfs  initramfs, rootImage
//! storage    storage                 partition  storage.disks
//! volume     storage.filesystems, storage.verity
//! ```
//!
//! These functions are the only place where a key is spelled: reading, the JSON schema and the reference page all come from them.

mod accounts;
mod files;
mod initramfs;
mod input;
mod kernel;
mod media;
mod os;
mod packages;
mod partition;
mod scripts;
mod storage;
mod volume;

use std::path::PathBuf;
use std::sync::OnceLock;

use super::fields::{Fields, Marked, Section};
use super::form::{ObjectForm, key};
use super::shape::{Choice, List};
use crate::settings::{Input, RootImageSettings, Scripts};

pub(super) use initramfs::InitramfsValues;
pub(super) use input::{Format, OutputValues};
pub(super) use media::MediaValues;
pub(super) use os::{OsValues, UkiMode};
pub(super) use storage::StorageValues;

/// A configuration file.
pub(super) const FILE: Section<FileValues> = Section("Configuration", file);

/// What one file of a chain says.
#[derive(Debug, Default)]
pub(super) struct FileValues {
    pub(super) base_configs: Vec<Marked<PathBuf>>,
    pub(super) input: Option<Input>,
    pub(super) output: OutputValues,
    pub(super) iso: Option<MediaValues>,
    pub(super) pxe: Option<MediaValues>,
    pub(super) os: Option<OsValues>,
    pub(super) scripts: Option<Scripts>,
    pub(super) initramfs: InitramfsValues,
    pub(super) root_image: RootImageSettings,
    pub(super) storage: Option<Marked<StorageValues>>,
}

/// What a configuration file accepts.
pub(super) fn form() -> &'static ObjectForm {
    static FORM: OnceLock<ObjectForm> = OnceLock::new();
    FORM.get_or_init(|| FILE.object_form())
}

const PREVIEW_FEATURES: Choice<()> = Choice(&[
    ("uki", (), "`os.uki`"),
    ("output-artifacts", (), "`output.artifacts`"),
    ("inject-files", (), "a command of Image Customizer's"),
    ("reinitialize-verity", (), "`storage.reinitializeVerity`"),
    ("package-snapshot-time", (), "`os.packages.snapshotTime`"),
    (
        "kdump-boot-files",
        (),
        "`iso.kdumpBootFiles`, `pxe.kdumpBootFiles`",
    ),
    ("base-configs", (), "`baseConfigs`"),
    ("input-image-oci", (), "`input.image.oci`"),
    ("output-selinux-policy", (), "`output.selinuxPolicyPath`"),
    ("btrfs", (), "file systems of type `btrfs`"),
    ("create", (), "a command of Image Customizer's"),
    ("preview-distro-version", (), "distributions in preview"),
    ("unsupported-distro-version", (), "unknown distributions"),
    ("tools-dir", (), "an option of Image Customizer's"),
    (
        "remove-package-manager",
        (),
        "`os.packages.removePackageManager`",
    ),
]);

fn file(fields: &mut Fields<'_>) -> FileValues {
    let features = key(
        "previewFeatures",
        "Features of Image Customizer's that it asks consent for. The names are checked, and nothing depends on them: every feature is there without.",
    );
    let base_configs = key(
        "baseConfigs",
        "Files that this one builds on: see [Chains of files](#chains-of-files).",
    );
    let input = key(
        "input",
        "What is built from. A SOURCE on the command line wins.",
    );
    let output = key("output", "What is written.");
    let iso = key("iso", "The ISO. Read when an ISO is written.");
    let pxe = key(
        "pxe",
        "Network boot. Read when `pxe-dir` or `pxe-tar` is written.",
    );
    let os = key(
        "os",
        "What is changed in the operating system. Where live media are built from, the section, even an empty one, has the root file system image made anew.",
    );
    let scripts = key(
        "scripts",
        "Scripts that change the image, run in the sandbox.",
    );
    let initramfs = key("initramfs", "How a bootstrap initramfs is made.").ours();
    let root_image = key("rootImage", "The root file system image.").ours();
    let storage = key(
        "storage",
        "Partitions and file systems of a disk image. Live media have none: the keys are checked, and a warning names each that has no effect. One file of a chain may have this section.",
    );
    fields.get(features, &List(PREVIEW_FEATURES));
    let bases = fields.list(base_configs, input::BASE_CONFIG);
    if bases.iter().any(Option::is_none)
        && let Some(context) = fields.context()
    {
        context.report.is_broken = true;
    }
    FileValues {
        base_configs: bases.into_iter().flatten().collect(),
        input: fields.get(input, &input::INPUT).flatten(),
        output: fields.get(output, &input::OUTPUT).unwrap_or_default(),
        iso: fields.get(iso, &media::ISO),
        pxe: fields.get(pxe, &media::PXE),
        os: fields.get(os, &os::OS),
        scripts: fields.get(scripts, &scripts::SCRIPTS),
        initramfs: fields
            .get(initramfs, &initramfs::INITRAMFS)
            .unwrap_or_default(),
        root_image: fields
            .get(root_image, &initramfs::ROOT_IMAGE)
            .unwrap_or_default(),
        storage: fields.marked(storage, &storage::STORAGE),
    }
}
