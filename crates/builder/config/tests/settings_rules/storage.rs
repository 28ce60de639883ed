//! `storage`: without effect on live media, and checked as if it had one.

use crate::read;

/// The faults of `text`, each as `line message`.
fn faults(text: &str) -> Vec<String> {
    let faults = crate::faults(text);
    let shown = faults.iter().map(|fault| {
        let (line, rest) = fault.split_once(':').unwrap();
        format!("{line} {}", rest.split_once(' ').unwrap().1)
    });
    shown.collect()
}

/// A disk image's storage, with some of its text replaced.
fn storage(replaced: &[(&str, &str)]) -> String {
    let mut text = "\
os: {bootloader: {resetType: hard-reset}}
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    maxSize: 4G
    partitions:
    - {id: esp, type: esp, start: 1M, end: 9M}
    - {id: boot, label: boot, size: 512M}
    - {id: root, label: root, type: root, size: grow}
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: 'umask=0077'}}
  - {deviceId: boot, type: ext4, mountPoint: {path: /boot, idType: part-label}}
  - {deviceId: root, type: xfs, mountPoint: /}
"
    .to_owned();
    for (from, to) in replaced {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text
}

#[test]
fn the_storage_of_a_disk_image_is_taken_with_warnings() {
    let settings = read(&storage(&[])).unwrap();
    let warnings: Vec<&str> = settings
        .warnings
        .iter()
        .filter_map(|warning| warning.split(".yaml:").nth(1))
        .collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(
        warnings[0].starts_with("1: `os.bootloader` has no effect"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].starts_with("4: `storage.disks` has no effect"),
        "{warnings:?}"
    );
    assert!(
        warnings[2].starts_with("11: `storage.filesystems` has no effect"),
        "{warnings:?}"
    );
}

#[test]
fn what_no_disk_could_be_is_refused() {
    for (from, to, expected) in [
        (
            "  bootType: efi\n",
            "",
            "3 `storage.disks` needs the key `bootType` beside it",
        ),
        (
            "os: {bootloader: {resetType: hard-reset}}",
            "os: {}",
            "2 `storage.disks` needs `os.bootloader.resetType: hard-reset`",
        ),
        (
            "bootType: efi",
            "bootType: bios",
            "3 `storage.bootType` is `bios`, and must be one of `efi` and `legacy`",
        ),
        (
            "bootType: efi",
            "bootType: legacy",
            "3 `storage.bootType` is `legacy`, and there is no partition of type `bios-grub`",
        ),
        (
            "type: esp",
            "type: home",
            "3 `storage.bootType` is `efi`, and there is no partition of type `esp`",
        ),
        (
            "partitionTableType: gpt",
            "partitionTableType: mbr",
            "5 `storage.disks[0].partitionTableType` is `mbr`, and must be `gpt`",
        ),
        (
            "maxSize: 4G",
            "maxSize: 4",
            "6 `storage.disks[0].maxSize` is `4`, and must be a size",
        ),
        (
            "maxSize: 4G",
            "maxSize: 4GiB",
            "6 `storage.disks[0].maxSize` is `4GiB`, and must be a size",
        ),
        (
            "maxSize: 4G",
            "maxSize: 0G",
            "6 `storage.disks[0].maxSize` is 0, and must be more",
        ),
        (
            "maxSize: 4G",
            "maxSize: 1025K",
            "6 `storage.disks[0].maxSize` is `1025K`, and must be a multiple of 1M",
        ),
        (
            "maxSize: 4G",
            "maxSize: 99999999999T",
            "6 `storage.disks[0].maxSize` is `99999999999T`, and must be a size",
        ),
        (
            "    maxSize: 4G\n",
            "",
            "5 `storage.disks[0]` needs the key `maxSize`: the last partition has no end",
        ),
        (
            "size: grow",
            "size: 4G",
            "6 `storage.disks[0].maxSize` is too small for the partitions",
        ),
        (
            "size: 512M",
            "size: grow",
            "7 `storage.disks[0].partitions` has the partition `boot` without an end",
        ),
        (
            "size: 512M",
            "start: 5M, end: 90M",
            "7 `storage.disks[0].partitions` has the partition `boot`, which begins before the one ahead of it ends",
        ),
        (
            "start: 1M",
            "start: 512K",
            "8 `storage.disks[0].partitions[0].start` is `512K`, and must be a multiple of 1M",
        ),
        (
            "end: 9M",
            "end: 1M",
            "8 `storage.disks[0].partitions[0].end` is not after `start`",
        ),
        (
            "end: 9M",
            "end: 9M, size: 8M",
            "8 `storage.disks[0].partitions[0].size` cannot stand beside `end`",
        ),
        (
            "type: root, size: grow}",
            "type: root, size: 1G}\n    - {id: root, size: grow}",
            "4 `storage.disks` has the id `root` twice",
        ),
        (
            "label: boot",
            "label: bööt",
            "9 `storage.disks[0].partitions[1].label` is `bööt`, and must have at most 35 characters of ASCII",
        ),
        (
            "label: boot",
            "label: root",
            "4 `storage.disks` has the label `root` twice, and a mount goes by labels",
        ),
        (
            "type: root",
            "type: linux",
            "10 `storage.disks[0].partitions[2].type` is `linux`, and must be a UUID or one of `esp`",
        ),
        (
            "deviceId: root",
            "deviceId: nosuch",
            "11 `storage.filesystems` names the device `nosuch`, which no partition",
        ),
        (
            "deviceId: root",
            "deviceId: boot",
            "11 `storage.filesystems` uses the device `boot`, which is used already",
        ),
        (
            "deviceId: root, ",
            "",
            "14 `storage.filesystems[2]` needs the key `deviceId`",
        ),
        (
            "type: xfs",
            "type: zfs",
            "14 `storage.filesystems[2].type` is `zfs`, and must be one of `ext4`",
        ),
        (
            "mountPoint: /}",
            "mountPoint: boot}",
            "14 `storage.filesystems[2].mountPoint` is `boot`, and must be an absolute path",
        ),
        (
            "mountPoint: /}",
            "mountPoint: /boot}",
            "11 `storage.filesystems` has the mount point `/boot` twice",
        ),
        (
            "idType: part-label",
            "idType: label",
            "13 `storage.filesystems[1].mountPoint.idType` is `label`, and must be",
        ),
        (
            "umask=0077",
            "a b",
            "12 `storage.filesystems[0].mountPoint.options` is `a b`, and must be without blanks",
        ),
        (
            "type: xfs, ",
            "",
            "14 `storage.filesystems[2].mountPoint` needs the key `type` beside it",
        ),
        (
            "/boot/efi",
            "/efi",
            "4 `storage.disks` has the ESP `esp`, which must be mounted at `/boot/efi`",
        ),
        (
            "type: fat32",
            "type: ext4",
            "4 `storage.disks` has the ESP `esp`, whose file system must be `fat32` or `vfat`",
        ),
        (
            "mountPoint: /}",
            "btrfs: {}}",
            "14 `storage.filesystems[2].btrfs` needs the type `btrfs`",
        ),
        (
            "  disks:\n",
            "  resetPartitionsUuidsType: reset-all\n  disks:\n",
            "4 `storage.resetPartitionsUuidsType` cannot stand beside `disks`",
        ),
    ] {
        let faults = faults(&storage(&[(from, to)]));
        assert!(
            matches!(faults.as_slice(), [fault] if fault.starts_with(expected)),
            "{to:?}\nexpected: {expected}\nfaults: {faults:#?}"
        );
    }
}

#[test]
fn storage_without_disks_has_nothing_that_needs_them() {
    for (text, expected) in [
        (
            "storage: {bootType: efi}",
            "1 `storage.bootType` needs the key `disks` beside it",
        ),
        (
            "storage: {filesystems: [{deviceId: a}]}",
            "1 `storage.filesystems` needs the key `disks` beside it",
        ),
        (
            "storage: {resetPartitionsUuidsType: some}",
            "1 `storage.resetPartitionsUuidsType` is `some`, and must be `reset-all`",
        ),
        (
            "storage: {resetPartitionsUuidsType: reset-all}",
            "1 `storage.resetPartitionsUuidsType` needs `os.bootloader.resetType: hard-reset`",
        ),
        ("storage: {disks: [{}]}", ""),
    ] {
        let faults = faults(text);
        assert!(
            faults.iter().any(|fault| fault.starts_with(expected)),
            "{text}: {faults:?}"
        );
    }
}

#[test]
fn a_legacy_disk_needs_its_partition_where_grub_looks() {
    let legacy = |partition: &str, system: &str| {
        storage(&[
            ("bootType: efi", "bootType: legacy"),
            ("{id: esp, type: esp, start: 1M, end: 9M}", partition),
            (
                "  - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: 'umask=0077'}}\n",
                system,
            ),
        ])
    };
    read(&legacy("{id: bios, type: bios-grub, end: 9M}", "")).unwrap();
    read(&legacy(
        "{id: bios, type: bios-grub, end: 9M}",
        "  - {deviceId: bios}\n",
    ))
    .unwrap();
    for (partition, system, expected) in [
        (
            "{id: bios, type: bios-grub, start: 2M, end: 9M}",
            "",
            "has the partition `bios` of type `bios-grub`, which must begin at 1M",
        ),
        (
            "{id: bios, type: bios-grub, end: 9M}",
            "  - {deviceId: bios, type: ext4}\n",
            "which takes no file system and no mount point",
        ),
    ] {
        let faults = faults(&legacy(partition, system));
        assert!(
            matches!(faults.as_slice(), [fault] if fault.contains(expected)),
            "{faults:?}"
        );
    }
}

#[test]
fn subvolumes_of_btrfs_are_checked() {
    let with = |subvolumes: &str| {
        storage(&[(
            "type: xfs, mountPoint: /}",
            &format!("type: btrfs, btrfs: {{subvolumes: [{subvolumes}]}}}}"),
        )])
    };
    read(&with("{path: root, mountPoint: /, quota: {referencedLimit: 1G, exclusiveLimit: 512M}}, {path: home}")).unwrap();
    for (subvolumes, expected) in [
        (
            "{path: /root}",
            "subvolumes[0].path` is `/root`, and must be names with single `/` between them",
        ),
        (
            "{path: a/../b}",
            "subvolumes[0].path` is `a/../b`, and must be names",
        ),
        ("{path: a}, {path: a}", "subvolumes` has the path `a` twice"),
        (
            "{path: a, mountPoint: {path: /a, options: 'subvol=b'}}",
            "mountPoint` has an option `subvol=` or `subvolid=`",
        ),
        (
            "{path: a, quota: {referencedLimit: x}}",
            "quota.referencedLimit` is `x`, and must be a size",
        ),
        (
            "{path: var, mountPoint: /var/log}, {path: var/log, mountPoint: /var}",
            "has `var/log` in `var`, and mounts them the other way round",
        ),
        (
            "{path: a, mountPoint: /boot}",
            "`storage.filesystems` has the mount point `/boot` twice",
        ),
    ] {
        let faults = faults(&with(subvolumes));
        assert!(
            matches!(faults.as_slice(), [fault] if fault.contains(expected)),
            "{subvolumes}: {faults:?}"
        );
    }
    let faults = faults(&storage(&[(
        "type: xfs, mountPoint: /}",
        "type: btrfs, mountPoint: {path: /, options: 'subvolid=5'}}",
    )]));
    assert!(
        matches!(faults.as_slice(), [fault] if fault.contains("give `btrfs.subvolumes`")),
        "{faults:?}"
    );
}

#[test]
fn verity_is_checked_and_warned_of() {
    let with = |verity: &str| {
        storage(&[
            (
                "    - {id: root, label: root, type: root, size: grow}\n",
                "    - {id: root, label: root, type: root, size: 1G}\n    - {id: hash, size: grow}\n",
            ),
            (
                "  - {deviceId: root, type: xfs, mountPoint: /}\n",
                &format!(
                    "  - {{deviceId: v, type: xfs, mountPoint: {{path: /, options: 'a,ro'}}}}\n  verity: [{verity}]\n"
                ),
            ),
        ])
    };
    let good = "{id: v, name: root, dataDeviceId: root, hashDeviceId: hash, corruptionOption: panic, hashSignaturePath: /boot/root.hash.sig}";
    let settings = read(&with(good)).unwrap();
    assert!(
        settings
            .warnings
            .iter()
            .any(|warning| warning.contains("`storage.verity` has no effect on live media")),
        "{:?}",
        settings.warnings
    );
    for (from, to, expected) in [
        (
            "name: root",
            "name: usr",
            "`storage.verity` has the device `v`, which must have the name `root`",
        ),
        (
            "name: root",
            "name: var",
            "verity[0].name` is `var`, and must be one of `root` and `usr`",
        ),
        (
            "dataDeviceId: root, ",
            "",
            "verity[0]` needs one of the keys `dataDeviceId` and `dataDevice`",
        ),
        (
            "dataDeviceId: root",
            "dataDeviceId: nosuch",
            "`storage.verity` names the device `nosuch`",
        ),
        (
            "hashDeviceId: hash",
            "hashDevice: {idType: part-label, id: hash}",
            "verity[0].hashDevice` cannot stand beside `dataDeviceId`",
        ),
        (
            "corruptionOption: panic",
            "corruptionOption: shrug",
            "corruptionOption` is `shrug`, and must be",
        ),
        (
            "/boot/root.hash.sig",
            "/etc/root.hash.sig",
            "hashSignaturePath` is `/etc/root.hash.sig`, and must be a path below `/boot`",
        ),
        (
            "/boot/root.hash.sig",
            "/boot//root.hash.sig",
            "hashSignaturePath` is `/boot//root.hash.sig`, and must be",
        ),
        (
            "id: v",
            "id: w",
            "`storage.filesystems` names the device `v`",
        ),
    ] {
        let faults = faults(&with(&good.replace(from, to)));
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{to}: {faults:?}"
        );
    }
    let faults = faults(&with(good).replace("options: 'a,ro'", "options: rw"));
    assert!(
        matches!(faults.as_slice(), [fault] if fault.contains("whose mount must have the option `ro`")),
        "{faults:?}"
    );
    read("storage: {verity: [{id: v, name: root, dataDevice: {idType: part-label, id: a}, hashDevice: {idType: part-label, id: b}}]}").unwrap();
}
