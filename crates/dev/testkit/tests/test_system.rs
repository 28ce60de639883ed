//! The fixtures do what the tests that stand on them believe.

use std::path::Path;

use testkit::fixture::{self, TestSystem};
use testkit::guest::{BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware};

/// Starts the disk's own root file system, without a boot loader and without anything of ours.
const INIT: &str = r#"#!/busybox sh
/busybox mkdir -p /proc /sys /dev /root
/busybox mount -t proc none /proc
/busybox mount -t sysfs none /sys
/busybox mount -t devtmpfs none /dev
for module in virtio_pci virtio_blk crc32c_generic ext4; do /busybox modprobe $module; done
until [ -b /dev/vda2 ]; do /busybox usleep 100000; done
/busybox mount -o ro /dev/vda2 /root
/busybox mount -o remount,rw /root
exec /busybox switch_root /root /sbin/init
"#;

/// A kernel and an initramfs for `disk`, from what the disk itself has.
fn boot_files(disk: &Path, folder: &Path) -> anyhow::Result<DirectKernel> {
    let script = format!(
        r#"set -eu
cd '{folder}'
qemu-img convert -O raw '{disk}' raw
start=$(sfdisk --json raw | sed -n 's/.*"start": \([0-9]*\).*/\1/p' | tail -n 1)
dd if=raw of=root bs=512 skip="$start" conv=sparse status=none
rm raw
version=$(debugfs -R 'ls -p /usr/lib/modules' root 2>/dev/null | cut -d/ -f6 | grep '^[0-9]' | head -n 1)
mkdir -p tree/lib tree/usr/lib
debugfs -R "dump /boot/vmlinuz-$version kernel" root 2>/dev/null
debugfs -R "dump /usr/bin/busybox tree/busybox" root 2>/dev/null
debugfs -R "rdump /usr/lib/modules tree/lib" root 2>/dev/null
chmod 755 tree/busybox tree/init
rm root
(cd tree && find . | cpio --quiet -o -H newc) > initramfs
rm -r tree
"#,
        folder = folder.display(),
        disk = disk.display()
    );
    std::fs::create_dir(folder.join("tree"))?;
    std::fs::write(folder.join("tree/init"), INIT)?;
    tools::run("sh", ["-c", &script])?;
    Ok(DirectKernel {
        kernel: folder.join("kernel"),
        initramfs: folder.join("initramfs"),
        command_line: format!("console=ttyS0 quiet panic=-1 rdinit=/init {PATIENT_KERNEL}"),
    })
}

#[test]
fn ref_the_test_system_passes_its_own_checks_from_its_disk() {
    if !tools::available(&["qemu-system-x86_64", "apt-get", "cpio"]) {
        return;
    }
    let disk = fixture::test_system(&TestSystem::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let overlay = folder.path().join("overlay.qcow2");
    tools::output(
        tools::command("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
            .arg(&disk)
            .arg(&overlay),
    )
    .unwrap();
    let mut machine = testkit::guest::machine(&overlay);
    machine.firmware = Firmware::Bios;
    machine.kernel = Some(boot_files(&disk, folder.path()).unwrap());
    machine.media = None;
    let drive = format!("file={},format=qcow2,if=virtio", overlay.display());
    machine.extra.extend(["-drive".into(), drive.into()]);
    let mut guest = Guest::start(&machine).unwrap();
    guest.expect("CHECKS BEGIN", BOOT).unwrap();
    let report = guest.expect("ALL CHECKS DONE", COMMAND).unwrap();
    assert!(!report.contains("FAILED"), "{report}");
    assert_eq!(report.matches(" ok").count(), 10, "{report}");
    assert!(guest.wait_for_end(COMMAND).unwrap().success());
}
