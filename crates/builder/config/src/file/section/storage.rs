//! `storage`: checked, and without effect on live media.

use std::collections::{BTreeMap, BTreeSet};

use crate::file::fields::{Fields, Marked, Section};
use crate::file::form::key;
use crate::file::section::partition::{DISK, Disk, Kind, Partition};
use crate::file::section::volume::{FILE_SYSTEM, FileSystem, Type, VERITY, Verity};
use crate::file::shape::Choice;

pub(super) const STORAGE: Section<StorageValues> = Section("Storage", storage);

/// `storage`, as far as other sections hang on it.
#[derive(Debug, Default)]
pub(in crate::file) struct StorageValues {
    /// Whether there are `disks`.
    pub(in crate::file) has_disks: bool,
    /// Whether there is a `resetPartitionsUuidsType`.
    pub(in crate::file) resets_uuids: bool,
    /// `reinitializeVerity: all`.
    pub(in crate::file) reinitializes_verity: Option<Marked<bool>>,
}

const NO_PARTITIONS: &str = "they have no partitions of their own";

fn storage(fields: &mut Fields<'_>) -> StorageValues {
    let boot = key("bootType", "How the disk boots. Needs `disks`.");
    let disks = key("disks", "Disks to lay out, at most one. Needs `bootType` and `os.bootloader.resetType: hard-reset`.").idle(NO_PARTITIONS);
    let systems = key(
        "filesystems",
        "The file systems of the partitions. Needs `disks`.",
    )
    .idle("their file systems are flattened into one root file system");
    let verity = key("verity", "dm-verity of the disk.")
        .idle("the disk's hash trees and roots are left behind");
    let reset = key(
        "resetPartitionsUuidsType",
        "Whether partitions get new UUIDs. Not beside `disks`.",
    )
    .idle(NO_PARTITIONS);
    let again = key("reinitializeVerity", "Whether the disk's hash trees are made anew. `all` is an error: live media have none of the disk's.").default("`none`");
    let boot = fields.get(boot, &BOOT_TYPES);
    let disks: Vec<Disk> = fields.list(disks, DISK);
    let systems = fields.list(systems, FILE_SYSTEM);
    let verity = fields.list(verity, VERITY);
    let resets_uuids = fields
        .get(reset, &Choice(&[("reset-all", (), "all of them")]))
        .is_some();
    let again = fields.marked(
        again,
        &Choice(&[("none", false, "they are not"), ("all", true, "they are")]),
    );
    if disks.len() > 1 {
        fields.refuse("disks", "has more than one disk");
    }
    let has_disks = fields.has("disks") && !disks.is_empty();
    check_needs(fields, has_disks);
    if resets_uuids && has_disks {
        fields.refuse("resetPartitionsUuidsType", "cannot stand beside `disks`");
    }
    let partitions = disks
        .iter()
        .flat_map(|disk| &disk.partitions)
        .collect::<Vec<_>>();
    check_ids(fields, &partitions, &verity);
    if has_disks {
        check_devices(fields, &partitions, &verity, &systems);
        check_boot(fields, boot, &partitions, &systems);
    }
    check_mounts(fields, &systems, &verity);
    StorageValues {
        has_disks,
        resets_uuids,
        reinitializes_verity: again.filter(|again| again.value),
    }
}

/// `disks` and what goes with them.
fn check_needs(fields: &mut Fields<'_>, has_disks: bool) {
    if has_disks && !fields.has("bootType") {
        fields.refuse("disks", "needs the key `bootType` beside it");
    }
    for name in ["bootType", "filesystems"] {
        if fields.has(name) && !has_disks && !fields.has("disks") {
            fields.refuse(name, "needs the key `disks` beside it");
        }
    }
}

/// Each partition and verity device by its own name.
fn check_ids(fields: &mut Fields<'_>, partitions: &[&Partition], verity: &[Verity]) {
    let mut seen = BTreeSet::new();
    let ids = partitions.iter().map(|partition| ("disks", &partition.id));
    let ids = ids.chain(verity.iter().map(|verity| ("verity", &verity.id)));
    for (key, id) in ids.filter(|(_, id)| !id.is_empty()) {
        if !seen.insert(id) {
            fields.refuse(key, &format!("has the id `{id}` twice"));
        }
    }
}

/// Every reference leads to a device, and each device is used once.
fn check_devices(
    fields: &mut Fields<'_>,
    partitions: &[&Partition],
    verity: &[Verity],
    systems: &[FileSystem],
) {
    let known: BTreeSet<&String> = partitions
        .iter()
        .map(|partition| &partition.id)
        .chain(verity.iter().map(|verity| &verity.id))
        .collect();
    let mut used = BTreeSet::new();
    let parts = verity.iter().flat_map(|verity| {
        let parts: BTreeSet<&String> = verity.parts.iter().collect();
        parts.into_iter().map(|part| ("verity", part))
    });
    let devices = systems.iter().map(|system| ("filesystems", &system.device));
    for (key, device) in parts.chain(devices).filter(|(_, id)| !id.is_empty()) {
        if !known.contains(device) {
            fields.refuse(
                key,
                &format!(
                    "names the device `{device}`, which no partition and no verity device is called"
                ),
            );
        } else if !used.insert(device) {
            fields.refuse(
                key,
                &format!("uses the device `{device}`, which is used already"),
            );
        }
    }
}

/// How a disk boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BootType {
    Efi,
    Legacy,
}

const BOOT_TYPES: Choice<BootType> = Choice(&[
    ("efi", BootType::Efi, "by UEFI"),
    ("legacy", BootType::Legacy, "by a BIOS"),
]);

/// The partition that the firmware needs, with the file system that it needs.
fn check_boot(
    fields: &mut Fields<'_>,
    boot: Option<BootType>,
    partitions: &[&Partition],
    systems: &[FileSystem],
) {
    let has = |kind| {
        partitions
            .iter()
            .any(|partition| partition.kind == Some(kind))
    };
    match boot {
        Some(BootType::Efi) if !has(Kind::Esp) => fields.refuse(
            "bootType",
            "is `efi`, and there is no partition of type `esp`",
        ),
        Some(BootType::Legacy) if !has(Kind::BiosGrub) => fields.refuse(
            "bootType",
            "is `legacy`, and there is no partition of type `bios-grub`",
        ),
        _ => {}
    }
    let by_device = by_device(systems);
    for partition in partitions {
        let id = &partition.id;
        let system = by_device.get(id.as_str());
        match partition.kind {
            Some(Kind::Esp) => {
                if system.is_none_or(|system| system.kind != Some(Type::Fat)) {
                    fields.refuse(
                        "disks",
                        &format!("has the ESP `{id}`, whose file system must be `fat32` or `vfat`"),
                    );
                }
                let mount = system.and_then(|system| system.mount.as_ref());
                if mount.is_none_or(|mount| mount.path != "/boot/efi") {
                    fields.refuse(
                        "disks",
                        &format!("has the ESP `{id}`, which must be mounted at `/boot/efi`"),
                    );
                }
            }
            Some(Kind::BiosGrub)
                if system.is_some_and(|system| system.kind.is_some() || system.mount.is_some()) =>
            {
                fields.refuse("disks", &format!("has the partition `{id}` of type `bios-grub`, which takes no file system and no mount point"));
            }
            _ => {}
        }
    }
    check_labels(fields, partitions, systems);
}

/// The file systems by the names of their devices.
fn by_device(systems: &[FileSystem]) -> BTreeMap<&str, &FileSystem> {
    let systems = systems.iter();
    systems
        .map(|system| (system.device.as_str(), system))
        .collect()
}

/// Labels that are there twice cannot be told apart.
fn check_labels(fields: &mut Fields<'_>, partitions: &[&Partition], systems: &[FileSystem]) {
    let systems = by_device(systems);
    let by_label: BTreeSet<&String> = partitions
        .iter()
        .filter(|partition| {
            let system = systems.get(partition.id.as_str());
            system.is_some_and(|system| system.goes_by_label())
        })
        .filter_map(|partition| partition.label.as_ref())
        .collect();
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for label in partitions
        .iter()
        .filter_map(|partition| partition.label.as_ref())
    {
        let count = counts.entry(label).or_default();
        *count = count.saturating_add(1);
    }
    for (label, _) in counts.into_iter().filter(|(_, count)| *count > 1) {
        if by_label.contains(label) {
            fields.refuse(
                "disks",
                &format!("has the label `{label}` twice, and a mount goes by labels"),
            );
        }
    }
}

/// Each mount point once; verity where it can be.
fn check_mounts(fields: &mut Fields<'_>, systems: &[FileSystem], verity: &[Verity]) {
    let mut seen = BTreeSet::new();
    for mount in systems.iter().flat_map(FileSystem::mounts) {
        if !mount.path.is_empty() && !seen.insert(&mount.path) {
            fields.refuse(
                "filesystems",
                &format!("has the mount point `{}` twice", mount.path),
            );
        }
    }
    let systems = by_device(systems);
    for verity in verity.iter().filter(|verity| !verity.parts.is_empty()) {
        let system = systems.get(verity.id.as_str());
        let mount = system.and_then(|system| system.mounts().next());
        let id = &verity.id;
        let expected = mount.and_then(|mount| match mount.path.as_str() {
            "/" => Some("root"),
            "/usr" => Some("usr"),
            _ => None,
        });
        match expected {
            None => fields.refuse(
                "verity",
                &format!("has the device `{id}`, which must be mounted at `/` or `/usr`"),
            ),
            Some(name) if name != verity.name => fields.refuse(
                "verity",
                &format!("has the device `{id}`, which must have the name `{name}`"),
            ),
            Some(_) => {}
        }
        let is_read_only =
            mount.is_some_and(|mount| mount.options.split(',').any(|option| option == "ro"));
        if expected.is_some() && !is_read_only {
            fields.refuse(
                "verity",
                &format!("has the device `{id}`, whose mount must have the option `ro`"),
            );
        }
    }
}
