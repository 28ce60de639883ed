//! `liveos-init` without the network: as small as it is wanted for media that need none, and honest where it is asked for one.

use contract::failure::NOT_SUPPORTED;
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::{programs, tools};
use vm::{DirectKernel, Firmware};

const LIVE: &str = "rd.live.dir=liveos rd.live.squashimg=rootfs.img console=ttyS0 quiet panic=-1";

#[test]
fn ref_it_boots_media_from_a_disk_and_says_that_it_fetches_nothing() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let program = programs::init_without_network().unwrap();
    let disk = fixture::test_system(&TestSystem::default()).unwrap();
    let iso = iso(&disk, &["--runtime", program.to_str().unwrap()]).unwrap();
    let boot = names(&iso, "/boot").unwrap();
    let version = boot.iter().find_map(|name| name.strip_prefix("vmlinuz-"));
    let version = version.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (kernel, initramfs) = (
        folder.path().join("kernel"),
        folder.path().join("initramfs"),
    );
    extract(&iso, &format!("/boot/vmlinuz-{version}"), &kernel).unwrap();
    extract(&iso, &format!("/boot/initramfs-{version}.img"), &initramfs).unwrap();
    for (root, expected) in [
        ("live:CDLABEL=CDROM", "ALL CHECKS DONE"),
        ("live:http://10.0.2.2/live.iso", NOT_SUPPORTED.code),
    ] {
        let mut machine = guest::machine(&iso);
        machine.firmware = Firmware::Bios;
        machine.kernel = Some(DirectKernel {
            kernel: kernel.clone(),
            initramfs: initramfs.clone(),
            command_line: format!("root={root} {LIVE} {PATIENT_KERNEL}"),
        });
        let mut guest = Guest::start(&machine).unwrap();
        let markers = ["ALL CHECKS DONE", NOT_SUPPORTED.code];
        let (which, text) = guest.expect_any(&markers, BOOT).unwrap();
        assert_eq!(markers[which], expected, "{text}");
        if which == 1 {
            guest.expect("without the network", COMMAND).unwrap();
        }
    }
}
