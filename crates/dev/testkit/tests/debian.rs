//! The whole Debian is a system that boots by itself, so that what a live medium of it lacks was lost by us.

use testkit::fixture::{self, Contents, Debian, ROOT_PASSWORD};
use testkit::guest::{self, BOOT, COMMAND, Guest};
use testkit::tools;

#[test]
fn ref_debian_boots_from_its_disk_under_secure_boot_and_every_unit_comes_up() {
    if !tools::slow_tests() || !tools::available(&["qemu-system-x86_64", "mmdebstrap"]) {
        return;
    }
    let disk = fixture::debian(&Debian {
        suite: "bookworm",
        contents: Contents::Minimal,
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let overlay = folder.path().join("overlay.qcow2");
    let mut create = tools::command("qemu-img");
    create.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]);
    tools::output(create.arg(&disk).arg(&overlay)).unwrap();
    let mut machine = guest::machine(&overlay);
    machine.firmware = vm::Firmware::Secure;
    machine.media = None;
    let drive = format!("file={},format=qcow2,if=virtio", overlay.display());
    machine.extra.extend(["-drive".into(), drive.into()]);
    let mut guest = Guest::start(&machine).unwrap();
    guest.log_in("root", ROOT_PASSWORD, BOOT).unwrap();
    assert_eq!(
        guest.command("systemctl is-system-running --wait").unwrap(),
        "running"
    );
    let enabled = guest
        .command("od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-*")
        .unwrap();
    assert!(enabled.trim_end().ends_with('1'), "{enabled}");
    guest.send("poweroff\n").unwrap();
    assert!(guest.wait_for_end(COMMAND).unwrap().success());
}
