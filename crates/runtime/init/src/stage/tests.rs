//! Whole boots on a machine that only writes down what was asked of it.

use contract::failure::Failure;
use contract::media;
use contract::request::{Emergency, Policy};
use rustix::io::Errno;

use crate::fake::Fake;
use crate::report::Report;
use crate::role::pid1::{boot, stop};

mod check;
mod find;
mod layers;
mod ram;
mod reference;
mod remote;
mod verity;

const CMDLINE: &str =
    "root=live:CDLABEL=CDROM rd.live.dir=liveos rd.live.squashimg=rootfs.img rd.timeout=30";

/// An ISO 9660 medium with this label, as far as a probe sees.
pub(crate) fn iso(label: &str) -> Vec<u8> {
    let mut bytes = vec![0; 18 * 2048];
    bytes[32768..32774].copy_from_slice(b"\x01CD001");
    bytes[32768 + 40..32768 + 72].fill(b' ');
    bytes[32768 + 40..32768 + 40 + label.len()].copy_from_slice(label.as_bytes());
    bytes[32768 + 830..32768 + 846].copy_from_slice(b"2026112018381900");
    bytes[34816..34822].copy_from_slice(b"\xffCD001");
    bytes
}

/// A machine with an empty drive bay, whose medium is `sr0` when it comes.
pub(crate) fn machine(extra: &str) -> Fake {
    let mut fake = Fake::default();
    fake.file("/proc/cmdline", format!("{CMDLINE} {extra}\n"))
        .file("/proc/self/exe", "program")
        .file("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    1024000 kB\n")
        .file(
            media::MODULE_INDEX,
            "liveos module index 1\nmodule isofs /isofs.ko\nmodule squashfs /squashfs.ko\nmodule overlay /overlay.ko\n\
             module loop /loop.ko\nmodule ahci /ahci.ko\nmodule e1000 /e1000.ko\n\
             alias pci:v*bc01sc06i01* ahci\nalias pci:v*bc02* e1000\nalias fs-iso9660 isofs\n",
        )
        .file("/sys/bus/pci/devices/0000:00:01.0/modalias", "pci:v1d2bc02sc00i00\n")
        .file("/sys/bus/pci/devices/0000:00:02.0/modalias", "pci:v1d2bc01sc06i01\n")
        .file("/sys/bus/pci/devices/0000:00:03.0/class", "1\n")
        .on_mount("/dev/sr0", "liveos/rootfs.img", *b"hsqs............")
        .on_mount("/dev/loop0", "usr/bin/true", "")
        .on_mount(media::OVERLAY_SOURCE, "sbin/init", "");
    fake
}

fn run(fake: &mut Fake) -> (Failure, Report, Policy) {
    let (mut report, mut policy) = (Report::default(), Policy::default());
    let Err(failure) = boot(fake, &mut report, &mut policy);
    (failure, report, policy)
}

/// The code with which a boot of this machine stops.
pub(crate) fn code(fake: &mut Fake) -> &'static str {
    run(fake).0.code.code
}

#[test]
fn a_boot_does_each_step_once_and_in_order() {
    let mut fake = machine("quiet");
    fake.drives("/ahci.ko", "sr0", iso("CDROM"));
    let (failure, report, _) = run(&mut fake);
    // The fake machine starts no program: this is as far as a boot goes.
    assert_eq!(failure.code.code, "L0603");
    assert_eq!(report.medium.unwrap().path(), "/dev/sr0");
    let steps: Vec<_> = fake
        .done
        .iter()
        .filter(|line| !line.starts_with("load"))
        .collect();
    assert_eq!(
        steps,
        [
            "mount proc proc /proc",
            "mount sysfs sysfs /sys",
            "mount devtmpfs devtmpfs /dev mode=755",
            "mount tmpfs tmpfs /run mode=755,size=20%,nr_inodes=800k",
            "mount devpts devpts /dev/pts mode=620,gid=5",
            "mount tmpfs tmpfs /run/initramfs mode=755,size=32m",
            "listen",
            "link /dev/sr0 /run/initramfs/livedev",
            "mount iso9660 /dev/sr0 /run/initramfs/live",
            "loop /run/initramfs/live/liveos/rootfs.img",
            "mount squashfs /dev/loop0 /run/initramfs/squashfs",
            "bind /run/initramfs/squashfs /run/rootfsbase",
            "mount tmpfs tmpfs /run/initramfs/overlay mode=755,size=50%",
            "link /run/initramfs/overlay/overlayfs /run/overlayfs",
            "link /run/initramfs/overlay/ovlwork /run/ovlwork",
            "attributes /run/rootfsbase /run/overlayfs",
            "mount overlay LiveOS_rootfs /sysroot lowerdir=/run/rootfsbase,upperdir=/run/overlayfs,workdir=/run/ovlwork",
            "link /run/initramfs/livedev /run/overlay/isodev",
            "link /run/initramfs/live /run/overlay/live",
            "link /run/initramfs/squashfs /run/overlay/squashfs_container",
            "link /run/rootfsbase /run/overlay/rootfsbase",
            "copy /proc/self/exe /run/initramfs/shutdown",
            "write /run/liveos/report.json",
            "move /dev /sysroot/dev",
            "move /proc /sysroot/proc",
            "move /sys /sysroot/sys",
            "move /run /sysroot/run",
            "root /sysroot",
            "execute /sbin/init",
        ]
    );
}

#[test]
fn storage_comes_first_and_nothing_is_loaded_that_is_not_needed() {
    let mut fake = machine("");
    fake.drives("/ahci.ko", "sr0", iso("CDROM"));
    run(&mut fake);
    let loaded: Vec<_> = fake
        .done_of("load")
        .iter()
        .map(|l| l.replace(" async_probe", ""))
        .collect();
    assert_eq!(
        loaded,
        [
            "/ahci.ko",
            "/isofs.ko",
            "/loop.ko",
            "/squashfs.ko",
            "/overlay.ko"
        ]
    );
}

#[test]
fn a_medium_that_is_there_before_us_or_comes_late_is_found() {
    let mut fake = machine("");
    fake.file("/dev/sda", iso("CDROM"))
        .file("/sys/class/block/sda/size", "1");
    fake.on_mount("/dev/sda", "liveos/rootfs.img", *b"hsqs............");
    assert_eq!(run(&mut fake).1.medium.unwrap().name, "sda");
    let mut fake = machine("");
    fake.appears(29, "sr0", iso("CDROM"));
    assert_eq!(run(&mut fake).1.medium.unwrap().name, "sr0");
}

#[test]
fn a_medium_that_comes_after_the_deadline_is_too_late_and_what_was_seen_is_told() {
    let mut fake = machine("");
    fake.appears(3, "sda", iso("OTHER"))
        .appears(4, "sdb", vec![0; 512])
        .appears(31, "sr0", iso("CDROM"));
    let (failure, ..) = run(&mut fake);
    assert_eq!(failure.code.code, "L0201");
    for part in [
        "\"CDROM\"",
        "30 s",
        "/dev/sda has iso9660 with the label \"OTHER\"",
        "/dev/sdb has nothing",
    ] {
        assert!(failure.cause.contains(part), "{part}: {}", failure.cause);
    }
}

#[test]
fn a_drive_that_cannot_be_read_is_looked_at_again_when_it_changes() {
    let mut fake = machine("");
    fake.appears(1, "sr0", iso("CDROM"))
        .refuse("open /dev/sr0", Errno::NOMEDIUM);
    assert_eq!(code(&mut fake), "L0201");
    let mut fake = machine("");
    fake.appears(1, "sr0", vec![0; 4])
        .appears(2, "sr0", iso("CDROM"));
    assert_eq!(run(&mut fake).1.medium.unwrap().name, "sr0");
    assert!(
        fake.done_of("write")
            .contains(&"/sys/module/block/parameters/events_dfl_poll_msecs".to_owned())
    );
}

#[test]
fn of_a_hybrid_disk_the_whole_disk_is_taken() {
    let mut fake = machine("");
    for name in ["sda", "sda1"] {
        fake.file(&format!("/dev/{name}"), iso("CDROM"));
    }
    fake.file("/sys/class/block/sda/sda1/partition", "1")
        .file("/sys/class/block/sda1/partition", "1");
    assert_eq!(run(&mut fake).1.medium.unwrap().name, "sda");
}

#[test]
fn messages_about_other_things_and_garbage_are_passed_over() {
    let mut fake = machine("");
    fake.says(1, "libudev\0junk")
        .says(1, "remove@/devices/x/block/sr0\0SUBSYSTEM=block\0")
        .says(
            2,
            "add@/devices/y\0SUBSYSTEM=pci\0MODALIAS=pci:v9d9bc02sc00i00\0",
        )
        .appears(3, "loop0", iso("CDROM"))
        .appears(3, "fd0", iso("CDROM"))
        .appears(4, "sr0", iso("CDROM"));
    assert_eq!(run(&mut fake).1.medium.unwrap().name, "sr0");
}

#[test]
fn every_refusal_stops_with_its_code() {
    for (operation, expected) in [
        ("mount proc proc /proc", "L0001"),
        (
            "mount tmpfs tmpfs /run mode=755,size=20%,nr_inodes=800k",
            "L0001",
        ),
        ("mount iso9660 /dev/sr0 /run/initramfs/live", "L0202"),
        ("read /lib/liveos/modules.index", "L0104"),
        ("open /run/initramfs/live/liveos/rootfs.img", "L0401"),
        ("loop /run/initramfs/live/liveos/rootfs.img", "L0403"),
        ("mount squashfs /dev/loop0 /run/initramfs/squashfs", "L0403"),
        ("bind /run/initramfs/squashfs /run/rootfsbase", "L0403"),
        (
            "mount tmpfs tmpfs /run/initramfs/overlay mode=755,size=50%",
            "L0501",
        ),
        (
            "mount overlay LiveOS_rootfs /sysroot lowerdir=/run/rootfsbase,upperdir=/run/overlayfs,workdir=/run/ovlwork",
            "L0502",
        ),
        ("move /run /sysroot/run", "L0602"),
        ("root /sysroot", "L0602"),
    ] {
        let mut fake = machine("");
        fake.appears(1, "sr0", iso("CDROM"))
            .refuse(operation, Errno::IO);
        let (failure, ..) = run(&mut fake);
        assert_eq!(failure.code.code, expected, "{operation}: {failure}");
        assert!(
            !fake.done.iter().any(|line| line.starts_with("execute")),
            "{operation}"
        );
    }
}

#[test]
fn what_can_be_done_without_does_not_stop_a_boot() {
    for operation in [
        "mount devpts devpts /dev/pts mode=620,gid=5",
        "listen",
        "copy /proc/self/exe /run/initramfs/shutdown",
        "write /run/liveos/report.json",
        "load /ahci.ko async_probe",
        "attributes /run/rootfsbase /run/overlayfs",
    ] {
        let mut fake = machine("");
        fake.appears(1, "sr0", iso("CDROM"))
            .refuse(operation, Errno::NOSYS);
        assert_eq!(code(&mut fake), "L0603", "{operation}");
    }
}

#[test]
fn what_is_mounted_already_does_not_stop_a_boot() {
    let mut fake = machine("");
    fake.appears(1, "sr0", iso("CDROM"))
        .refuse("mount devtmpfs devtmpfs /dev mode=755", Errno::BUSY);
    assert_eq!(code(&mut fake), "L0603");
}

#[test]
fn images_that_are_no_root_stop_with_their_code() {
    for (path, bytes, expected) in [
        (
            "liveos/rootfs.img",
            &b"not a file system at all"[..],
            "L0402",
        ),
        ("liveos/rootfs.img", &iso("X"), "L0402"),
    ] {
        let mut fake = machine("");
        fake.appears(1, "sr0", iso("CDROM"))
            .on_mount("/dev/sr0", path, bytes);
        assert_eq!(code(&mut fake), expected);
    }
    let mut fake = machine("rd.live.squashimg=other.img");
    fake.appears(1, "sr0", iso("CDROM"));
    assert_eq!(code(&mut fake), "L0401");
    let mut fake = machine("");
    fake.appears(1, "sr0", iso("CDROM"))
        .on_mount("/dev/loop0", "LiveOS/rootfs.img", "");
    assert_eq!(code(&mut fake), "L0402");
}

#[test]
fn an_image_on_the_device_itself_needs_no_medium_around_it() {
    let mut fake = machine("root=live:/dev/vda");
    fake.appears(1, "vda", *b"hsqs............")
        .on_mount("/dev/vda", "usr/x", "");
    assert_eq!(code(&mut fake), "L0603");
    assert!(
        fake.done
            .contains(&"mount squashfs /dev/vda /run/initramfs/squashfs".to_owned())
    );
    assert!(fake.done_of("loop").is_empty());
}

#[test]
fn a_copy_in_memory_releases_the_medium() {
    let mut fake = machine("rd.live.ram");
    fake.appears(1, "sr0", iso("CDROM"));
    assert_eq!(code(&mut fake), "L0603");
    let mut done = fake.done.iter().skip_while(|l| !l.starts_with("remount"));
    let mut next = || done.next().unwrap().as_str();
    let size = 16 + (32 << 20);
    assert_eq!(
        next(),
        format!("remount /run/initramfs mode=755,size={size}")
    );
    assert_eq!(next(), "create /run/initramfs/squashed.img");
    assert_eq!(next(), "unmount /run/initramfs/live");
    assert_eq!(fake.done_of("loop"), ["/run/initramfs/squashed.img"]);
}

#[test]
fn a_copy_that_cannot_be_made_says_whose_fault_it_is() {
    for (operation, cause) in [
        (
            "create /run/initramfs/squashed.img",
            "/run/initramfs/squashed.img: ",
        ),
        (
            "fill /run/initramfs/squashed.img",
            "writing /run/initramfs/squashed.img: No space",
        ),
    ] {
        let mut fake = machine("rd.live.ram");
        fake.appears(1, "sr0", iso("CDROM"))
            .refuse(operation, Errno::NOSPC);
        let (failure, ..) = run(&mut fake);
        assert_eq!(failure.code.code, "L0406");
        assert!(failure.cause.starts_with(cause), "{}", failure.cause);
        assert!(fake.done_of("unmount").is_empty());
    }
}

#[test]
fn a_copy_that_does_not_fit_is_refused_with_figures() {
    let mut fake = machine("rd.live.ram rd.minmem=1000");
    fake.appears(1, "sr0", iso("CDROM"));
    let (failure, ..) = run(&mut fake);
    assert_eq!(failure.code.code, "L0405");
    assert!(
        failure
            .cause
            .contains("1000 MiB are free, the image has 1 MiB"),
        "{}",
        failure.cause
    );
    assert!(fake.done_of("create").is_empty());
}

#[test]
fn a_root_without_init_stops_before_anything_is_moved() {
    let mut fake = machine("init=/bin/none");
    fake.appears(1, "sr0", iso("CDROM"));
    assert_eq!(code(&mut fake), "L0603", "one of the usual ones is there");
    assert!(
        fake.log
            .iter()
            .any(|line| line.contains("init=/bin/none is not there"))
    );
    let mut fake = Fake::default();
    fake.file("/proc/cmdline", CMDLINE)
        .appears(1, "sr0", iso("CDROM"))
        .on_mount("/dev/sr0", "liveos/rootfs.img", *b"hsqs............")
        .on_mount("/dev/loop0", "usr/x", "");
    assert_eq!(code(&mut fake), "L0601");
    assert!(fake.done_of("move").is_empty());
}

#[test]
fn the_command_line_must_name_a_live_medium() {
    for (text, expected) in [
        ("quiet", "L0101"),
        ("root=/dev/sda1", "L0101"),
        ("root=live:x", "L0102"),
        ("root=live:ftp://x/y", "L0103"),
    ] {
        let mut fake = Fake::default();
        fake.file("/proc/cmdline", text);
        assert_eq!(code(&mut fake), expected);
    }
    let mut fake = Fake::default();
    fake.file("/proc/cmdline", CMDLINE)
        .file(media::MODULE_INDEX, "damaged");
    assert_eq!(code(&mut fake), "L0104");
}

#[test]
fn files_of_the_initramfs_come_before_the_kernels_command_line() {
    let mut fake = machine("");
    fake.file("/etc/cmdline.d/20.conf", "rd.live.dir=b init=/b")
        .file("/etc/cmdline.d/10.conf", "init=/a")
        .file("/etc/cmdline.d/other", "init=/c")
        .file("/etc/cmdline", "rd.emergency=halt")
        .appears(1, "sr0", iso("CDROM"));
    let (_, _, policy) = run(&mut fake);
    assert_eq!(policy.emergency, Some(Emergency::Halt));
    assert!(
        fake.log
            .iter()
            .any(|line| line.contains("init=/b is not there"))
    );
    assert!(
        fake.done
            .contains(&"loop /run/initramfs/live/liveos/rootfs.img".to_owned())
    );
}

#[test]
fn a_stop_does_what_the_command_line_asked_for() {
    for (text, expected) in [
        ("", &["write /run/liveos/report.json"] as &[&str]),
        ("rd.shell", &["write /run/liveos/report.json", "shell"]),
        (
            "rd.emergency=poweroff",
            &["write /run/liveos/report.json", "power PowerOff"],
        ),
        (
            "rd.shell rd.emergency=reboot",
            &["write /run/liveos/report.json", "shell", "power Reboot"],
        ),
    ] {
        let mut fake = machine(text);
        let (failure, report, policy) = run(&mut fake);
        let before = fake.done.len();
        stop(&mut fake, &report, &policy, &failure);
        assert_eq!(fake.done[before..], *expected, "{text}");
        assert!(fake.screen.contains("stopped with L0201"));
        let saved = String::from_utf8(fake.files[media::REPORT].clone()).unwrap();
        assert!(saved.contains("\"code\": \"L0201\""), "{saved}");
    }
}

#[test]
fn a_break_starts_a_shell_before_its_stage() {
    for (text, before) in [
        ("rd.break", "copy /proc/self/exe /run/initramfs/shutdown"),
        (
            "rd.break=mount",
            "bind /run/initramfs/squashfs /run/rootfsbase",
        ),
        (
            "rd.break=cmdline",
            "mount tmpfs tmpfs /run/initramfs mode=755,size=32m",
        ),
    ] {
        let mut fake = machine(text);
        fake.appears(1, "sr0", iso("CDROM"));
        assert_eq!(code(&mut fake), "L0603");
        let shell = fake.done.iter().position(|l| l == "shell").unwrap();
        assert_eq!(fake.done[shell - 1], before, "{text}");
    }
}
