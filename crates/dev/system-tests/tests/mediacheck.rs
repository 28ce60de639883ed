//! The media check in machines: media of other programs, with the checksums that those implant, and Esc.
#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use contract::failure::{Code, MEDIUM_DAMAGED, NO_CHECKSUMS};
use mediacheck::{FIELD_AT, Making, Styles};
use system_tests::builds::{build, liveos};
use system_tests::media::{FOR_BOOTS, extract, iso, names, place};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{Attach, DirectKernel, Firmware, Machine};

const GOOD: &str = "the medium is what was built";
const SYSTEM: &str = "CHECKS BEGIN";

/// An ISO that xorriso made, with the layout of dracut's media and the root of the test system.
struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    /// `None` where a tool is missing. The medium has `padding` bytes besides the system.
    fn open(padding: u64) -> Result<Option<Self>> {
        if !tools::available(&FOR_BOOTS) || !tools::available(&["implantisomd5"]) {
            return Ok(None);
        }
        let ours = iso(&fixture::test_system(&TestSystem::default())?, &[])?;
        let workshop = Self {
            folder: tempfile::tempdir()?,
        };
        let kernels = names(&ours, "/boot")?;
        let version = kernels
            .iter()
            .find_map(|name| name.strip_prefix("vmlinuz-"))
            .context("the ISO has no kernel")?;
        fs::create_dir_all(workshop.path("medium/LiveOS"))?;
        for (path, name) in [
            (format!("/boot/vmlinuz-{version}"), "kernel"),
            (format!("/boot/initramfs-{version}.img"), "initramfs"),
            (
                "/liveos/rootfs.img".to_owned(),
                "medium/LiveOS/squashfs.img",
            ),
        ] {
            extract(&ours, &path, &workshop.path(name))?;
        }
        File::create(workshop.path("medium/padding"))?.set_len(padding)?;
        let mut command = tools::command("xorriso");
        command
            .args(["-as", "mkisofs", "-quiet", "-R", "-V", "OTHER", "-o"])
            .args([workshop.iso(), workshop.path("medium")]);
        tools::output(&mut command)?;
        Ok(Some(workshop))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn iso(&self) -> PathBuf {
        self.path("other.iso")
    }

    /// As isomd5sum's own program does it.
    fn implant_md5(&self) -> Result<()> {
        let mut command = tools::command("implantisomd5");
        tools::output(command.args(["--force".as_ref(), self.iso().as_path()])).map(drop)
    }

    /// As `tagmedia`, which no distribution that the tests run on has.
    fn implant_sha256(&self) -> Result<()> {
        let bytes = fs::read(self.iso())?;
        let mut making = Making::new(Styles::Tagmedia, bytes.len() as u64, None);
        making.iter_mut().for_each(|one| one.update(&bytes));
        let implanted = Making::finish(making)?.context("nothing was made")?;
        let iso = File::options().write(true).open(self.iso())?;
        Ok(iso.write_all_at(&implanted.print()?, FIELD_AT)?)
    }

    /// Changes one bit in the middle of the root file system image; a second time takes it back.
    fn change(&self) -> Result<()> {
        let (first, len) = place(&self.iso(), "/LiveOS/squashfs.img")?;
        flip(&self.iso(), first + len / 2)
    }

    fn machine(&self, parameters: &str) -> Machine {
        let mut machine = guest::machine(self.iso());
        machine.firmware = Firmware::Bios;
        machine.kernel = Some(DirectKernel {
            kernel: self.path("kernel"),
            initramfs: self.path("initramfs"),
            command_line: format!(
                "root=live:CDLABEL=OTHER rd.live.image console=ttyS0 quiet panic=-1 {PATIENT_KERNEL} {parameters}"
            ),
        });
        machine
    }
}

fn flip(path: &Path, at: u64) -> Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    Ok(file.write_all_at(&[byte[0] ^ 1], at)?)
}

/// Starts `machine` and waits for its system, after a check that found nothing.
fn passes(machine: &Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    let (which, text) = guest.expect_any(&[GOOD, SYSTEM, "liveos-init: L0"], BOOT)?;
    ensure!(which == 0, "{text}");
    guest.expect(SYSTEM, BOOT).map(drop)
}

/// Starts `machine`, waits for the refusal with `code`, and then for the end of the machine, which the command line asks for.
fn ends(machine: &Machine, code: Code) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    let refusal = format!("liveos-init: {}", code.code);
    let (which, text) = guest.expect_any(&[&refusal, SYSTEM, GOOD], BOOT)?;
    ensure!(which == 0, "{text}");
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

fn in_workshop(padding: u64, test: impl FnOnce(&Workshop) -> Result<()>) {
    if let Some(workshop) = Workshop::open(padding).unwrap() {
        test(&workshop).unwrap();
    }
}

#[test]
fn ref_what_implantisomd5_wrote_is_checked_and_one_changed_byte_ends_the_machine() {
    in_workshop(0, |workshop| {
        workshop.implant_md5()?;
        passes(&workshop.machine("rd.live.check"))?;
        workshop.change()?;
        ends(
            &workshop.machine("rd.live.check rd.emergency=poweroff"),
            MEDIUM_DAMAGED,
        )?;
        // Off is off, and where nothing is checked nobody finds it.
        let mut guest = Guest::start(&workshop.machine("rd.live.check=0"))?;
        let (which, text) = guest.expect_any(&[SYSTEM, "checking the medium"], BOOT)?;
        ensure!(which == 0, "{text}");
        Ok(())
    });
}

#[test]
fn ref_what_tagmedia_writes_is_checked_and_one_changed_byte_ends_the_machine() {
    in_workshop(0, |workshop| {
        workshop.implant_sha256()?;
        passes(&workshop.machine("mediacheck"))?;
        workshop.change()?;
        ends(
            &workshop.machine("mediacheck rd.emergency=reboot"),
            MEDIUM_DAMAGED,
        )
    });
}

#[test]
fn ref_checkisomd5_checks_what_a_build_and_an_edit_implant() {
    if !tools::available(&FOR_BOOTS) || !tools::available(&["checkisomd5"]) {
        return;
    }
    let disk = fixture::test_system(&TestSystem::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (config, iso) = (
        folder.path().join("config.yaml"),
        folder.path().join("live.iso"),
    );
    fs::write(&config, "iso:\n  mediaCheck: both\n").unwrap();
    build(&disk, &iso, &["-c", config.to_str().unwrap()]).unwrap();
    let check = || tools::output(tools::command("checkisomd5").arg(&iso));
    check().unwrap();
    let mut edit = liveos().unwrap();
    tools::output(edit.arg("edit").arg(&iso).args(["--append", "debug"])).unwrap();
    check().unwrap();
    flip(&iso, fs::metadata(&iso).unwrap().len() / 2).unwrap();
    assert!(check().is_err());
}

#[test]
fn ref_a_partition_that_was_added_to_a_stick_is_no_damage() {
    if !tools::available(&["sfdisk"]) {
        return;
    }
    in_workshop(0, |workshop| {
        let ours = iso(&fixture::test_system(&TestSystem::default())?, &[])?;
        let stick = workshop.path("stick");
        let len = fs::copy(&ours, &stick)?;
        File::options()
            .write(true)
            .open(&stick)?
            .set_len(len + (64 << 20))?;
        let mut command = tools::command("sh");
        command.args(["-euc", "echo ',,L' | sfdisk --quiet --append \"$1\"", "sh"]);
        tools::output(command.arg(&stick))?;
        let head = |path: &Path| -> Result<[u8; 2048]> {
            let mut head = [0; 2048];
            File::open(path)?.read_exact_at(&mut head, 0)?;
            Ok(head)
        };
        ensure!(head(&ours)? != head(&stick)?, "the table is as it was");
        let mut machine = workshop.machine(
            "root=live:CDLABEL=CDROM rd.live.dir=liveos rd.live.squashimg=rootfs.img rd.live.check",
        );
        if let Some(media) = &mut machine.media {
            media.path = stick;
            media.attach = Attach::Disk;
        }
        passes(&machine)
    });
}

#[test]
fn ref_a_medium_with_nothing_to_check_it_by_stops_where_a_check_was_asked_for() {
    in_workshop(0, |workshop| {
        ends(
            &workshop.machine("rd.live.check rd.emergency=poweroff"),
            NO_CHECKSUMS,
        )
    });
}

#[test]
fn ref_escape_on_the_serial_line_skips_the_check() {
    // Long enough to press a key.
    in_workshop(600 << 20, |workshop| {
        workshop.implant_md5()?;
        // At the end, where only a check that was not skipped finds it: in the last sectors of the padding.
        let (first, len) = place(&workshop.iso(), "/padding")?;
        flip(&workshop.iso(), first + len - 100_000)?;
        let mut guest = Guest::start(&workshop.machine("rd.live.check"))?;
        guest.expect("Esc skips the check", BOOT)?;
        guest.send("\u{1b}")?;
        let (which, text) =
            guest.expect_any(&["media check was skipped", "liveos-init: L0", GOOD], BOOT)?;
        ensure!(which == 0, "{text}");
        guest.expect(SYSTEM, BOOT).map(drop)
    });
}
