//! The search for the medium where it is no device with a name of its own: files, contents, links of udev.

use rustix::io::Errno;

use super::{code, iso, machine, run};
use crate::fake::Fake;
use crate::stage::find::Medium;

/// An ext4 file system with this label, as far as a probe sees.
fn ext4(label: &str) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
    bytes[1024 + 120..1024 + 120 + label.len()].copy_from_slice(label.as_bytes());
    bytes
}

/// A machine that finds the ISO file on the disk `sdb1`.
fn with_file(extra: &str) -> Fake {
    let mut fake = machine(extra);
    fake.appears(1, "sda1", ext4("OTHER"))
        .appears(2, "sdb1", ext4("DATA"))
        .on_mount("/dev/sdb1", "isos/live.iso", iso("CDROM"))
        .on_mount("/dev/loop7", "liveos/rootfs.img", *b"hsqs............");
    fake.loops("/run/initramfs/isoscan/isos/live.iso", "/dev/loop7");
    fake
}

fn medium(fake: &mut Fake) -> Medium {
    let (failure, report, _) = run(fake);
    report.medium.unwrap_or_else(|| panic!("{failure}"))
}

#[test]
fn a_file_with_the_medium_is_looked_for_on_every_file_system() {
    for name in [
        "iso-scan/filename=/isos/live.iso",
        "findiso=/isos/live.iso",
        "img_loop=/isos/live.iso img_label=DATA",
        "fromiso=/dev/sdb1/isos/live.iso",
    ] {
        let mut fake = with_file(name);
        let found = medium(&mut fake);
        let carrier = found.carrier.unwrap();
        assert_eq!(
            (
                found.name.as_str(),
                carrier.name.as_str(),
                carrier.kind,
                carrier.path.as_str()
            ),
            ("loop7", "sdb1", "ext4", "/isos/live.iso"),
            "{name}"
        );
        for line in [
            "mount ext4 /dev/sdb1 /run/initramfs/isoscan noload",
            "link /dev/sdb1 /run/initramfs/isoscandev",
            "loop /run/initramfs/isoscan/isos/live.iso",
            "mount iso9660 /dev/loop7 /run/initramfs/live",
        ] {
            assert!(fake.done.contains(&line.to_owned()), "{name}: {line}");
        }
        let looked_at = "mount ext4 /dev/sda1 /run/initramfs/isoscan noload".to_owned();
        let asked_for = name.contains("img_label") || name.contains("fromiso");
        assert_eq!(fake.done.contains(&looked_at), !asked_for, "{name}");
        let unmounted = fake
            .done
            .contains(&"unmount /run/initramfs/isoscan".to_owned());
        assert_eq!(unmounted, !asked_for, "{name}");
    }
}

#[test]
fn of_two_files_of_that_name_the_one_with_the_medium_is_taken() {
    let mut fake = with_file("iso-scan/filename=/isos/live.iso");
    fake.on_mount("/dev/sda1", "isos/live.iso", iso("ANOTHER"));
    assert_eq!(medium(&mut fake).carrier.unwrap().name, "sdb1");
    assert_eq!(fake.done_of("loop").len(), 2, "the ISO and its image");
}

#[test]
fn a_file_that_is_nowhere_ends_with_its_code_and_what_was_seen() {
    let mut fake = with_file("iso-scan/filename=/isos/none.iso");
    let (failure, ..) = run(&mut fake);
    assert_eq!(failure.code.code, "L0203");
    for part in [
        "/isos/none.iso",
        "30 s",
        "/dev/sda1 has ext4 without a file",
    ] {
        assert!(failure.cause.contains(part), "{part}: {}", failure.cause);
    }
    let mut fake = with_file("iso-scan/filename=/isos/live.iso root=live:LABEL=X");
    let (failure, ..) = run(&mut fake);
    assert_eq!(failure.code.code, "L0203");
    let part = "whose /isos/live.iso has iso9660 with the label \"CDROM\"";
    assert!(failure.cause.contains(part), "{}", failure.cause);
}

#[test]
fn a_file_system_that_cannot_be_mounted_is_tried_again_until_the_end() {
    let mount = "mount ext4 /dev/sdb1 /run/initramfs/isoscan noload";
    let mut fake = with_file("iso-scan/filename=/isos/live.iso");
    fake.refuse(mount, Errno::NODEV);
    let (failure, ..) = run(&mut fake);
    assert_eq!(failure.code.code, "L0203");
    assert!(
        failure.cause.contains("ext4 that cannot be mounted"),
        "{}",
        failure.cause
    );
    let tried = fake.done.iter().filter(|line| *line == mount).count();
    assert!((5..20).contains(&tried), "{tried}");
}

#[test]
fn a_device_with_the_mediums_name_is_taken_where_no_file_is_found() {
    let mut fake = with_file("iso-scan/filename=/isos/none.iso");
    fake.appears(3, "sr0", iso("CDROM"));
    let found = medium(&mut fake);
    assert_eq!((found.name.as_str(), found.carrier), ("sr0", None));
    assert!(
        fake.log
            .iter()
            .any(|line| line.contains("/dev/sr0 is taken"))
    );
    // But the file goes first, also where it comes later.
    let mut fake = machine("iso-scan/filename=/isos/live.iso");
    fake.appears(1, "sr0", iso("CDROM"))
        .appears(9, "sdb1", ext4("DATA"))
        .on_mount("/dev/sdb1", "isos/live.iso", iso("CDROM"));
    assert!(medium(&mut fake).carrier.is_some());
}

#[test]
fn a_copy_in_memory_releases_the_file_system_with_the_file() {
    let mut fake = with_file("iso-scan/filename=/isos/live.iso rd.live.ram");
    assert_eq!(code(&mut fake), "L0603");
    let from = fake
        .done
        .iter()
        .position(|l| l == "unmount /run/initramfs/live")
        .unwrap();
    assert_eq!(
        fake.done[from + 1..from + 3],
        ["detach /dev/loop7", "unmount /run/initramfs/isoscan"]
    );
}

#[test]
fn journals_are_replayed_only_where_the_system_writes_there_anyway() {
    let mut fake = with_file("iso-scan/filename=/isos/live.iso rd.live.overlay.persistent");
    medium(&mut fake);
    let plain = "mount ext4 /dev/sdb1 /run/initramfs/isoscan".to_owned();
    assert!(fake.done.contains(&plain), "{:?}", fake.done);
}

#[test]
fn a_file_of_the_initramfs_is_the_medium() {
    let mut fake = machine("root=live:/live.iso");
    fake.loops("/live.iso", "/dev/loop7");
    fake.file("/live.iso", iso("ANY")).on_mount(
        "/dev/loop7",
        "liveos/rootfs.img",
        *b"hsqs............",
    );
    assert_eq!(code(&mut fake), "L0603");
    assert_eq!(fake.done_of("loop")[0], "/live.iso");
    assert!(!fake.done.contains(&"listen".to_owned()));
    let mut fake = machine("root=live:/rootfs.img");
    fake.file("/rootfs.img", *b"hsqs............");
    assert_eq!(code(&mut fake), "L0603");
    assert!(
        fake.done
            .contains(&"mount squashfs /dev/loop0 /run/initramfs/squashfs".to_owned())
    );
    assert_eq!(code(&mut machine("root=live:/none.iso")), "L0205");
    let mut fake = machine("root=live:/text.iso");
    fake.file("/text.iso", "text");
    assert_eq!(code(&mut fake), "L0204");
}

#[test]
fn media_without_a_name_are_known_by_what_they_hold() {
    for (line, path) in [
        ("boot=live", "live/filesystem.squashfs"),
        ("boot=live live-media-path=x", "x/a.squashfs"),
        ("archisosearchfilename=/boot/mark arch=m", "boot/mark"),
        ("archisosearchuuid=U", "boot/U.uuid"),
        (
            "archisodevice=/dev/loop0 img_dev=UUID=none img_loop=/x arch=m",
            "arch/m/airootfs.erofs",
        ),
    ] {
        let mut fake = machine("");
        fake.file("/proc/cmdline", format!("rd.timeout=30 {line}"))
            .appears(1, "sda", iso("A"))
            .appears(2, "sr0", iso("B"))
            .on_mount("/dev/sr0", path, *b"hsqs............");
        let (failure, report, _) = run(&mut fake);
        if line.contains("img_loop") {
            assert_eq!(
                failure.code.code, "L0203",
                "only the file is looked for: {failure}"
            );
            continue;
        }
        assert_eq!(report.medium.unwrap().name, "sr0", "{line}: {failure}");
        let mounts = fake.done_of("mount");
        let live = mounts.iter().filter(|m| m.contains("/run/initramfs/live"));
        assert_eq!(live.count(), 2, "{mounts:?}");
        assert_eq!(fake.done_of("unmount"), ["/run/initramfs/live"]);
    }
    let mut fake = machine("");
    fake.file("/proc/cmdline", "boot=live rd.timeout=5")
        .appears(1, "sda", iso("A"))
        .appears(1, "sdb", *b"hsqs............");
    let (failure, ..) = run(&mut fake);
    assert_eq!(failure.code.code, "L0201");
    assert!(
        failure.cause.contains("in its folder live"),
        "{}",
        failure.cause
    );
}

#[test]
fn only_what_can_be_taken_out_is_the_medium_where_that_is_asked_for() {
    for (line, expected) in [
        ("live-media=removable", "sr0"),
        ("live-media=removable-usb", "sdb"),
        ("", "sda"),
    ] {
        let mut fake = machine("");
        fake.file("/proc/cmdline", format!("boot=live {line}"));
        for (second, name) in [(1, "sda"), (2, "sr0"), (3, "sdb")] {
            fake.appears(second, name, iso("A")).on_mount(
                &format!("/dev/{name}"),
                "live/filesystem.squashfs",
                *b"hsqs............",
            );
        }
        fake.file("/sys/class/block/sda/removable", "0\n")
            .file("/sys/class/block/sr0/removable", "1\n")
            .file("/sys/class/block/sdb/removable", "1\n")
            .file(
                "/sys/class/block/sdb/device/../../../bInterfaceClass",
                "08\n",
            );
        assert_eq!(medium(&mut fake).name, expected, "{line}");
    }
}

#[test]
fn links_of_udev_are_told_from_what_the_kernel_says() {
    for (id, name, attributes) in [
        ("virtio-abc", "vda", &[("vda/serial", "abc")] as &[_]),
        (
            "nvme-Big_Disk_S1",
            "nvme0n1",
            &[
                ("nvme0n1/device/model", "Big Disk   \n"),
                ("nvme0n1/device/serial", " S1\n"),
            ],
        ),
        ("nvme-eui.01", "nvme0n1", &[("nvme0n1/wwid", "eui.01\n")]),
        (
            "mmc-SD16G_0x12",
            "mmcblk0",
            &[
                ("mmcblk0/device/name", "SD16G\n"),
                ("mmcblk0/device/serial", "0x12\n"),
            ],
        ),
        (
            "wwn-0x5000-part2",
            "sda2",
            &[
                ("sda/device/wwid", "naa.5000\n"),
                ("sda/sda2/partition", "2\n"),
                ("sda2/partition", "2\n"),
            ],
        ),
        (
            "usb-Acme_Stick_7_S-1-0:0",
            "sdb",
            &[
                ("sdb/device/vendor", "Acme    \n"),
                ("sdb/device/model", "Stick 7\n"),
                ("sdb/device/scsi_device/6:0:0:0/x", ""),
                ("sdb/device/../../../bInterfaceClass", "08\n"),
                ("sdb/device/../../../../serial", "S-1\n"),
            ],
        ),
    ] {
        let mut fake = machine(&format!("root=live:/dev/disk/by-id/{id}"));
        for (path, value) in attributes {
            fake.file(&format!("/sys/class/block/{path}"), *value);
        }
        fake.appears(1, "sr0", iso("CDROM"))
            .appears(2, name, iso("CDROM"));
        assert_eq!(medium(&mut fake).name, name, "{id}");
    }
}
