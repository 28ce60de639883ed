//! The end of a live system: what it wrote is whole, and nothing is left in use.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, Contents, Debian, ROOT_PASSWORD};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware, Machine};

/// What the media's own menu has on its command line.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 quiet panic=-1";

/// What the last program says where something does not go.
const COMPLAINTS: [&str; 4] = [
    "still in use",
    "stays mounted",
    "was refused",
    "Device or resource busy",
];

/// A Debian from a CD whose changes go to the file system in `disk`.
fn machine(folder: &Path, disk: &Path) -> Result<Machine> {
    let wish = Debian {
        suite: "bookworm",
        contents: Contents::Minimal,
    };
    let iso = iso(&fixture::debian(&wish)?, &[])?;
    let boot = names(&iso, "/boot")?;
    let version = boot.iter().find_map(|name| name.strip_prefix("vmlinuz-"));
    let version = version.context("the ISO has no kernel")?;
    let (kernel, initramfs) = (folder.join("kernel"), folder.join("initramfs"));
    extract(&iso, &format!("/boot/vmlinuz-{version}"), &kernel)?;
    extract(&iso, &format!("/boot/initramfs-{version}.img"), &initramfs)?;
    let mut machine = guest::machine(iso);
    machine.firmware = Firmware::Bios;
    machine.kernel = Some(DirectKernel {
        kernel,
        initramfs,
        command_line: format!("{LIVE} {PATIENT_KERNEL} rd.overlay=LABEL=persist"),
    });
    let drive = format!("file={},format=raw,if=virtio", disk.display());
    machine.extra.extend(["-drive".into(), drive.into()]);
    Ok(machine)
}

/// Writes a file, powers off, and looks at the file system that it was written to.
fn powers_off(folder: &Path) -> Result<()> {
    let disk = folder.join("disk");
    let mut make = tools::command("mkfs.ext4");
    make.args(["-q", "-L", "persist"]).arg(&disk).arg("128M");
    tools::output(&mut make)?;
    let machine = machine(folder, &disk)?;
    let mut guest = Guest::start(&machine)?;
    guest.log_in("root", ROOT_PASSWORD, BOOT)?;
    guest.command("echo kept > /root/kept; grep -q persist /proc/cmdline; findmnt -n -o SOURCE /dev/vda || grep /dev/vda /proc/mounts")?;
    // A program that holds a file open to the last moment.
    guest.command(
        "(trap '' TERM HUP; exec 3>/root/held; while :; do echo x >&3; done) >/dev/null 2>&1 &",
    )?;
    guest.send("poweroff\n")?;
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    let transcript = guest.transcript();
    for complaint in COMPLAINTS {
        ensure!(
            !transcript.contains(complaint),
            "{complaint}:\n{transcript}"
        );
    }
    let mut look = tools::command("dumpe2fs");
    let state = tools::output(look.arg("-h").arg(&disk))?;
    let is_clean = state
        .lines()
        .any(|line| line.starts_with("Filesystem state:") && line.ends_with(" clean"));
    ensure!(is_clean && !state.contains("needs_recovery"), "{state}");
    let mut check = tools::command("e2fsck");
    tools::output(check.args(["-f", "-n"]).arg(&disk))?;
    Ok(())
}

#[test]
fn ref_a_persistent_file_system_is_clean_after_power_off_and_nothing_is_in_use() {
    let programs = ["mmdebstrap", "dumpe2fs", "e2fsck"];
    if !tools::slow_tests() || !tools::available(&FOR_BOOTS) || !tools::available(&programs) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    powers_off(folder.path()).unwrap();
}
