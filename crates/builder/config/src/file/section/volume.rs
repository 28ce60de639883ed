//! `storage.filesystems` and `storage.verity`: checked, and without effect on live media.

use std::collections::BTreeSet;

use crate::file::fields::{Context, Fields, Section, Shape};
use crate::file::form::{Form, key};
use crate::file::node::Node;
use crate::file::rule;
use crate::file::section::partition::SIZE;
use crate::file::shape::{Choice, Short, Text};

pub(super) const FILE_SYSTEM: Section<FileSystem> = Section("FileSystem", file_system);
pub(super) const VERITY: Section<Verity> = Section("Verity", verity);

/// A file system, as far as rules hang on it.
#[derive(Debug, Default)]
pub(super) struct FileSystem {
    pub(super) device: String,
    pub(super) kind: Option<Type>,
    pub(super) mount: Option<Mount>,
    subvolumes: Vec<Subvolume>,
}

/// The types that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Fat,
    Btrfs,
    Other,
}

/// Where something is mounted.
#[derive(Clone, Debug, Default)]
pub(super) struct Mount {
    pub(super) path: String,
    pub(super) options: String,
    by_label: bool,
}

/// A verity device, as far as rules hang on it.
#[derive(Debug, Default)]
pub(super) struct Verity {
    pub(super) id: String,
    pub(super) name: String,
    /// `dataDeviceId` and `hashDeviceId`, without those that are not given.
    pub(super) parts: Vec<String>,
}

/// A subvolume of btrfs.
#[derive(Debug, Default)]
struct Subvolume {
    path: String,
    mount: Option<Mount>,
}

impl FileSystem {
    /// Where it and its subvolumes are mounted.
    pub(super) fn mounts(&self) -> impl Iterator<Item = &Mount> {
        let subvolumes = self
            .subvolumes
            .iter()
            .filter_map(|part| part.mount.as_ref());
        self.mount.iter().chain(subvolumes)
    }

    /// Whether a mount of it goes by the partition's label.
    pub(super) fn goes_by_label(&self) -> bool {
        self.mounts().any(|mount| mount.by_label)
    }
}

const TYPES: Choice<Type> = Choice(&[
    ("ext4", Type::Other, "ext4"),
    ("xfs", Type::Other, "XFS"),
    ("fat32", Type::Fat, "FAT32"),
    ("vfat", Type::Fat, "FAT"),
    ("btrfs", Type::Btrfs, "btrfs"),
]);

const MOUNT_IDS: Choice<bool> = Choice(&[
    ("part-uuid", false, "the partition's UUID"),
    ("uuid", false, "the file system's UUID"),
    ("part-label", true, "the partition's name"),
]);

const MOUNT: Short<MountPath, Section<Mount>> = Short {
    short: MountPath,
    long: Section("MountPoint", mount_point),
};

fn file_system(fields: &mut Fields<'_>) -> FileSystem {
    let mount = key(
        "mountPoint",
        "Where it is mounted. A single value is its `path`.",
    );
    let btrfs = key("btrfs", "What btrfs has more. With `type: btrfs` only.");
    let device = key("deviceId", "The `id` of its partition or verity device.");
    let system = FileSystem {
        device: fields.need(device, &Text::any("a name")),
        kind: fields.get(key("type", "Its type."), &TYPES),
        mount: fields.get(mount, &MOUNT),
        subvolumes: fields
            .get(btrfs, &Section("Btrfs", btrfs_section))
            .unwrap_or_default(),
    };
    if fields.has("btrfs") && system.kind != Some(Type::Btrfs) {
        fields.refuse("btrfs", "needs the type `btrfs`");
    }
    if system.mount.is_some() && !system.subvolumes.is_empty() {
        fields.refuse(
            "mountPoint",
            "cannot stand beside subvolumes of btrfs: mount those",
        );
    }
    if system.mount.is_some() && !fields.has("type") {
        fields.refuse("mountPoint", "needs the key `type` beside it");
    }
    if system.kind == Some(Type::Btrfs) && system.mount.as_ref().is_some_and(names_subvolume) {
        fields.refuse(
            "mountPoint",
            "has an option `subvol=` or `subvolid=`: give `btrfs.subvolumes`",
        );
    }
    system
}

fn names_subvolume(mount: &Mount) -> bool {
    let mut options = mount.options.split(',');
    options.any(|option| option.starts_with("subvol=") || option.starts_with("subvolid="))
}

/// A path that stands for a mount point.
#[derive(Clone, Copy, Debug)]
struct MountPath;

impl Shape for MountPath {
    type Value = Mount;

    fn read(&self, node: &Node, context: &mut Context) -> Option<Mount> {
        let path = PATH.read(node, context)?;
        Some(Mount {
            path,
            ..Mount::default()
        })
    }

    fn form(&self) -> Form {
        PATH.form()
    }
}

const PATH: Text = Text::of("an absolute path", rule::mount_path);

fn mount_point(fields: &mut Fields<'_>) -> Mount {
    let id = key("idType", "What `/etc/fstab` finds it by.").default("`part-uuid`");
    let options = fields.get(
        key("options", "Mount options."),
        &Text::of("mount options", rule::word),
    );
    Mount {
        path: fields.need(key("path", "Where it is mounted."), &PATH),
        options: options.unwrap_or_default(),
        by_label: fields.get(id, &MOUNT_IDS).unwrap_or_default(),
    }
}

fn btrfs_section(fields: &mut Fields<'_>) -> Vec<Subvolume> {
    let subvolumes = fields.list(
        key("subvolumes", "The subvolumes."),
        Section("Subvolume", subvolume),
    );
    let mut seen = BTreeSet::new();
    for subvolume in subvolumes
        .iter()
        .filter(|subvolume| !subvolume.path.is_empty())
    {
        if !seen.insert(&subvolume.path) {
            fields.refuse(
                "subvolumes",
                &format!("has the path `{}` twice", subvolume.path),
            );
        }
    }
    check_loops(fields, &subvolumes);
    subvolumes
}

/// A subvolume in another must not be mounted above it: that would be a path without end.
fn check_loops(fields: &mut Fields<'_>, subvolumes: &[Subvolume]) {
    let is_in = |inner: &str, outer: &str| {
        let rest = inner
            .trim_end_matches('/')
            .strip_prefix(outer.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    // OK: a list that is long enough to take time here has its paths twice, or is no list of a person.
    for outer in subvolumes.iter().take(MAX_SUBVOLUMES) {
        for inner in subvolumes.iter().take(MAX_SUBVOLUMES) {
            let (Some(above), Some(below)) = (&inner.mount, &outer.mount) else {
                continue;
            };
            if is_in(&inner.path, &outer.path) && is_in(&below.path, &above.path) {
                let message = format!(
                    "has `{}` in `{}`, and mounts them the other way round",
                    inner.path, outer.path
                );
                fields.refuse("subvolumes", &message);
            }
        }
    }
}

/// The most subvolumes that are compared with each other; what is beyond is not.
const MAX_SUBVOLUMES: usize = 1000;

fn subvolume(fields: &mut Fields<'_>) -> Subvolume {
    let path = key(
        "path",
        "Its path in the file system, without `/` at its ends.",
    );
    let mount = key(
        "mountPoint",
        "Where it is mounted. A single value is its `path`.",
    );
    let subvolume = Subvolume {
        path: fields.need(path, &Text::of("a path", subvolume_path)),
        mount: fields.get(mount, &MOUNT),
    };
    fields.get(
        key("quota", "How much it may hold."),
        &Section("Quota", quota),
    );
    if subvolume.mount.as_ref().is_some_and(names_subvolume) {
        fields.refuse(
            "mountPoint",
            "has an option `subvol=` or `subvolid=`, which follows from `path`",
        );
    }
    subvolume
}

fn subvolume_path(text: &str) -> rule::Checked {
    match text.split('/').any(|name| matches!(name, "" | "." | "..")) {
        true => Err(format!(
            "is `{}`, and must be names with single `/` between them",
            text.escape_debug()
        )),
        false => Ok(()),
    }
}

fn quota(fields: &mut Fields<'_>) {
    fields.get(key("referencedLimit", "All that it may hold."), &SIZE);
    fields.get(key("exclusiveLimit", "All that it may hold alone."), &SIZE);
}

const CORRUPTION: Choice<()> = Choice(&[
    ("io-error", (), "reading fails"),
    ("ignore", (), "nothing"),
    ("panic", (), "the kernel stops"),
    ("restart", (), "the machine starts again"),
]);

const VERITY_NAMES: Choice<&str> =
    Choice(&[("root", "root", "of `/`"), ("usr", "usr", "of `/usr`")]);

fn verity(fields: &mut Fields<'_>) -> Verity {
    let id = fields.need(
        key("id", "What file systems call it; each once."),
        &Text::any("a name"),
    );
    let name = fields.get(key("name", "The device's name.").needed(), &VERITY_NAMES);
    let parts = [
        device(
            fields,
            ["dataDeviceId", "dataDevice", "dataDeviceMountIdType"],
            "the data",
        ),
        device(
            fields,
            ["hashDeviceId", "hashDevice", "hashDeviceMountIdType"],
            "the hash tree",
        ),
    ];
    if fields.has("dataDeviceId") && fields.has("hashDevice") {
        fields.refuse(
            "hashDevice",
            "cannot stand beside `dataDeviceId`: give both by id, or neither",
        );
    }
    if fields.has("dataDevice") && fields.has("hashDeviceId") {
        fields.refuse(
            "hashDeviceId",
            "cannot stand beside `dataDevice`: give both by id, or neither",
        );
    }
    fields.get(
        key("corruptionOption", "What a wrong block does.").default("`io-error`"),
        &CORRUPTION,
    );
    let signature = key(
        "hashSignaturePath",
        "Where the root hash's signature goes, below `/boot`.",
    );
    fields.get(signature, &Text::of("a path", signature_path));
    Verity {
        id,
        name: name.unwrap_or_default().to_owned(),
        parts: parts.into_iter().flatten().collect(),
    }
}

/// A device by the id of a partition of this file, or by the name of one that is there.
fn device(
    fields: &mut Fields<'_>,
    [by_id, by_name, id_type]: [&'static str; 3],
    of: &'static str,
) -> Option<String> {
    let about = match of {
        "the data" => [
            "The partition of the data, by its `id`.",
            "The same, by its name. Without `disks` only.",
            "What finds it at the start.",
        ],
        _ => [
            "The partition of the hash tree, by its `id`.",
            "The same, by its name. Without `disks` only.",
            "What finds it at the start.",
        ],
    };
    let id = fields.get(key(by_id, about[0]), &Text::any("a name"));
    fields.get(
        key(by_name, about[1]),
        &Section("IdentifiedPartition", identified),
    );
    fields.get(key(id_type, about[2]).default("`part-uuid`"), &MOUNT_IDS);
    let given = (fields.has(by_id), fields.has_any(by_name));
    fields.need_one_of((by_id, given.0), (by_name, given.1));
    id
}

fn identified(fields: &mut Fields<'_>) {
    fields.get(
        key("idType", "What `id` is.").needed(),
        &Choice(&[("part-label", (), "the partition's name")]),
    );
    fields.need(key("id", "The name."), &Text::any("a name"));
}

fn signature_path(text: &str) -> rule::Checked {
    rule::mount_path(text)?;
    let is_clean = !text
        .split('/')
        .skip(1)
        .any(|name| matches!(name, "" | "." | ".."));
    match text.starts_with("/boot/") && is_clean {
        true => Ok(()),
        false => Err(format!(
            "is `{}`, and must be a path below `/boot` without `.` and `..`",
            text.escape_debug()
        )),
    }
}
