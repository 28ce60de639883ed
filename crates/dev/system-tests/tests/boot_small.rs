//! The test system: what is about media, firmware and the runtime and not about a distribution.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use contract::failure::{MEDIUM_DAMAGED, MEDIUM_NOT_FOUND, NO_ROOT_IMAGE, ROOT_UNKNOWN};
use system_tests::media::{FOR_BOOTS, extract, iso, names, place, stops};
use testkit::fixture::{self, Kernels, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{Attach, DirectKernel, Firmware, Machine};

/// What an entry of the boot menu has on its command line, besides the image's own parameters.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 quiet panic=-1";

/// Waits for the checks of the test system and fails with those that failed; then the machine is off.
fn checks(guest: &mut Guest) -> Result<()> {
    guest.expect("CHECKS BEGIN", BOOT)?;
    let report = guest.expect("ALL CHECKS DONE", BOOT)?;
    let (passed, failed) = (
        report.matches(" ok\r").count(),
        report.matches(" FAILED").count(),
    );
    ensure!(failed == 0 && passed == 10, "{report}");
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

/// The ISO of a test system, or nothing where a tool is missing.
fn small_iso(kernels: Kernels) -> Result<Option<PathBuf>> {
    if !tools::available(&FOR_BOOTS) {
        return Ok(None);
    }
    let disk = fixture::test_system(&TestSystem {
        kernels,
        ..TestSystem::default()
    })?;
    iso(&disk, &[]).map(Some)
}

/// A machine that starts the kernel of `version` from `iso` directly, with `parameters` besides the usual ones.
fn direct(iso: &Path, version: &str, parameters: &str, folder: &Path) -> Result<Machine> {
    let mut machine = guest::machine(iso);
    machine.firmware = Firmware::Bios;
    let (kernel, initramfs) = (folder.join("kernel"), folder.join("initramfs"));
    extract(iso, &format!("/boot/vmlinuz-{version}"), &kernel)?;
    extract(iso, &format!("/boot/initramfs-{version}.img"), &initramfs)?;
    machine.kernel = Some(DirectKernel {
        kernel,
        initramfs,
        command_line: format!("{LIVE} {PATIENT_KERNEL} {parameters}"),
    });
    Ok(machine)
}

/// The versions of the kernels on `iso`.
fn versions(iso: &Path) -> Result<Vec<String>> {
    let found: Vec<String> = names(iso, "/boot")?
        .iter()
        .filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned))
        .collect();
    ensure!(!found.is_empty(), "the ISO has no kernel");
    Ok(found)
}

/// Starts the ISO as a whole and waits for its checks.
fn boots(firmware: Firmware, attach: Attach) -> Result<()> {
    let Some(iso) = small_iso(Kernels::One)? else {
        return Ok(());
    };
    let mut machine = guest::machine(&iso);
    machine.firmware = firmware;
    if let Some(media) = &mut machine.media {
        media.attach = attach;
    }
    checks(&mut Guest::start(&machine)?)
}

#[test]
fn ref_it_boots_from_a_usb_stick_under_ovmf() {
    boots(Firmware::Uefi, Attach::Usb).unwrap();
}

#[test]
fn ref_it_boots_from_a_usb_stick_under_seabios() {
    boots(Firmware::Bios, Attach::Usb).unwrap();
}

#[test]
fn ref_it_boots_from_a_disk_with_secure_boot_on() {
    boots(Firmware::Secure, Attach::Disk).unwrap();
}

#[test]
fn ref_each_of_two_kernels_boots_and_has_its_entry() {
    let Some(iso) = small_iso(Kernels::Two).unwrap() else {
        return;
    };
    let found = versions(&iso).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let folder = tempfile::tempdir().unwrap();
    extract(&iso, "/boot/grub/grub.cfg", &folder.path().join("grub.cfg")).unwrap();
    let config = std::fs::read_to_string(folder.path().join("grub.cfg")).unwrap();
    for version in found {
        assert!(
            config.contains(&format!("/boot/vmlinuz-{version}")),
            "{config}"
        );
        let own = folder.path().join(&version);
        std::fs::create_dir(&own).unwrap();
        let machine = direct(&iso, &version, "", &own).unwrap();
        checks(&mut Guest::start(&machine).unwrap())
            .context(version)
            .unwrap();
    }
}

#[test]
fn ref_whole_media_pass_the_media_check() {
    let Some(iso) = small_iso(Kernels::One).unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let version = versions(&iso).unwrap().remove(0);
    let machine = direct(&iso, &version, "rd.live.check", folder.path()).unwrap();
    checks(&mut Guest::start(&machine).unwrap()).unwrap();
}

#[test]
fn ref_media_with_one_changed_byte_do_not_pass_the_media_check() {
    let Some(iso) = small_iso(Kernels::One).unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.iso");
    std::fs::copy(&iso, &changed).unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&changed)
        .unwrap();
    let (first, len) = place(&iso, "/liveos/rootfs.img").unwrap();
    let at = first + len / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    let version = versions(&iso).unwrap().remove(0);
    let mut machine = direct(&iso, &version, "rd.live.check", folder.path()).unwrap();
    if let Some(media) = &mut machine.media {
        media.path = changed;
    }
    stops(&machine, MEDIUM_DAMAGED).unwrap();
}

#[test]
fn ref_what_is_not_there_is_a_failure_with_its_code_and_no_endless_wait() {
    let Some(iso) = small_iso(Kernels::One).unwrap() else {
        return;
    };
    let version = versions(&iso).unwrap().remove(0);
    for (parameters, code) in [
        ("root=live:CDLABEL=OTHER rd.timeout=5", MEDIUM_NOT_FOUND),
        ("rd.live.squashimg=other.img", NO_ROOT_IMAGE),
        ("root=live:nonsense", ROOT_UNKNOWN),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let machine = direct(&iso, &version, parameters, folder.path()).unwrap();
        stops(&machine, code).context(parameters).unwrap();
    }
}
