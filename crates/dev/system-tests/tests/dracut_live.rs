//! Our media with the initramfs programs of others: dracut's `dmsquash-live` and KIWI's `kiwi-live` boot them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, Peers, ROOT_PASSWORD};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware};

/// What the media's own menu has on its command line.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 quiet panic=-1";

/// A Debian of this suite with the initramfs files of others and the ISO that is made of it; nothing where something is missing.
fn media(suite: &'static str) -> Result<Option<(Peers, PathBuf)>> {
    let programs = ["mmdebstrap", "python3"];
    if !tools::slow_tests() || !tools::available(&FOR_BOOTS) || !tools::available(&programs) {
        return Ok(None);
    }
    let peers = fixture::peers(suite)?;
    let iso = iso(&peers.disk, &[])?;
    Ok(Some((peers, iso)))
}

/// Boots `iso` with an initramfs that is not ours and looks at what it made of the media.
fn boots(iso: &Path, initramfs: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let boot = names(iso, "/boot")?;
    let version = boot.iter().find_map(|name| name.strip_prefix("vmlinuz-"));
    let version = version.context("the ISO has no kernel")?;
    let kernel = folder.path().join("kernel");
    extract(iso, &format!("/boot/vmlinuz-{version}"), &kernel)?;
    let mut machine = guest::machine(iso);
    machine.firmware = Firmware::Bios;
    // KIWI's has 100 MiB when it is unpacked.
    machine.memory_mib = 2048;
    machine.kernel = Some(DirectKernel {
        kernel,
        initramfs: initramfs.to_path_buf(),
        command_line: format!("{LIVE} {PATIENT_KERNEL}"),
    });
    let mut guest = Guest::start(&machine)?;
    guest.log_in("root", ROOT_PASSWORD, BOOT)?;
    let root = guest.command("findmnt -n -o FSTYPE,SOURCE /")?;
    let words: Vec<_> = root.split_whitespace().collect();
    ensure!(words == ["overlay", "LiveOS_rootfs"], "the root is {root}");
    guest.command("echo written > /root/file && grep -q written /root/file")?;
    // It is not ours that booted.
    guest.command("test ! -e /run/liveos")?;
    guest.send("poweroff\n")?;
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

#[test]
fn ref_dmsquash_live_of_dracut_059_boots_our_media() {
    if let Some((peers, iso)) = media("bookworm").unwrap() {
        boots(&iso, &peers.dmsquash_live).unwrap();
    }
}

#[test]
fn ref_kiwi_live_in_dracut_059_boots_our_media() {
    if let Some((peers, iso)) = media("bookworm").unwrap() {
        boots(&iso, &peers.kiwi_live).unwrap();
    }
}
