//! A boot that stops or is looked into: codes, shells, and the report.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use contract::failure::MEDIUM_NOT_FOUND;
use contract::media as places;
use system_tests::builds::liveos;
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware, Machine};

/// The command line of the media's own menu, with the screen for a console too.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=tty0 console=ttyS0 quiet panic=-1";

/// What a shell of the initramfs says when it waits.
const PROMPT: &str = "# ";

/// The ISO of a test system whose initramfs has a shell, or nothing where a tool is missing.
fn iso_with_shell() -> Result<Option<PathBuf>> {
    let programs = ["busybox"];
    if !tools::available(&FOR_BOOTS) || !tools::available(&programs) {
        return Ok(None);
    }
    let disk = fixture::test_system(&TestSystem::default())?;
    iso(&disk, &["--initramfs-shell"]).map(Some)
}

/// A machine that starts the kernel of `iso` directly, with `parameters` besides the usual ones.
fn direct(iso: &Path, parameters: &str, folder: &Path) -> Result<Machine> {
    let boot = names(iso, "/boot")?;
    let version = boot.iter().find_map(|name| name.strip_prefix("vmlinuz-"));
    let version = version.context("the ISO has no kernel")?;
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

/// Runs `line` in a shell of the initramfs; what it printed.
fn run(guest: &mut Guest, line: &str) -> Result<String> {
    // The quotes keep the marker out of the echo of this very line.
    guest.send(&format!("{line}; echo \"@@do\"\"ne\"\n"))?;
    let text = guest.expect("@@done", COMMAND)?;
    guest.expect(PROMPT, COMMAND)?;
    let (_, printed) = text.split_once('\n').unwrap_or_default();
    Ok(printed
        .trim_end_matches("@@done")
        .trim()
        .replace("\r\n", "\n"))
}

/// How many pixels of the machine's screen are not black; the picture goes to `path`.
fn lit(guest: &Guest, path: &Path) -> Result<usize> {
    guest.screendump(path)?;
    let picture = fs::read(path)?;
    ensure!(picture.starts_with(b"P6"), "no picture");
    let (pixels, _) = picture.as_chunks::<3>();
    Ok(pixels
        .iter()
        .filter(|pixel| pixel.iter().any(|value| *value > 64))
        .count())
}

#[test]
fn ref_a_shell_before_a_stage_sees_that_moment_and_its_end_goes_on() {
    let Some(iso) = iso_with_shell().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let machine = direct(&iso, "rd.break=base,switch", folder.path()).unwrap();
    let mut guest = Guest::start(&machine).unwrap();
    guest.expect("rd.break=base", BOOT).unwrap();
    guest.expect(PROMPT, COMMAND).unwrap();
    assert_eq!(run(&mut guest, "ls /dev/sr0").unwrap(), "/dev/sr0");
    let command = format!("ls -A {} | wc -l", places::LOWER);
    let lower = run(&mut guest, &command).unwrap();
    assert!(lower.ends_with('0'), "{lower}");
    guest.send("exit\n").unwrap();
    guest.expect("rd.break=switch", BOOT).unwrap();
    guest.expect(PROMPT, COMMAND).unwrap();
    let command = format!("mount | grep -c ' {} '", places::NEW_ROOT);
    assert_eq!(run(&mut guest, &command).unwrap(), "1");
    guest.send("exit\n").unwrap();
    guest.expect("ALL CHECKS DONE", BOOT).unwrap();
}

#[test]
fn ref_a_boot_that_stops_has_its_code_on_every_console_a_shell_and_a_report() {
    let Some(iso) = iso_with_shell().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let parameters = "root=live:CDLABEL=OTHER rd.timeout=3 rd.shell";
    let machine = direct(&iso, parameters, folder.path()).unwrap();
    let mut guest = Guest::start(&machine).unwrap();
    guest.expect(MEDIUM_NOT_FOUND.code, BOOT).unwrap();
    guest.expect(MEDIUM_NOT_FOUND.advice, COMMAND).unwrap();
    guest.expect(PROMPT, COMMAND).unwrap();
    // Four lines of text have thousands of pixels; a screen with nothing but a cursor has a few.
    let screen = std::env::var_os("LIVEOS_SCREENS").map_or(folder.path().to_owned(), PathBuf::from);
    let pixels = lit(&guest, &screen.join("stopped.ppm")).unwrap();
    assert!(pixels > 2000, "{pixels} pixels of the screen are lit");
    let report = run(&mut guest, &format!("cat {}", places::REPORT)).unwrap();
    let file = folder.path().join("report.json");
    fs::write(&file, report).unwrap();
    let shown = liveos().unwrap().arg("report").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{text}");
    for part in [
        "result      stopped",
        MEDIUM_NOT_FOUND.code,
        MEDIUM_NOT_FOUND.advice,
        "  find\n",
        "  in all\n",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn ref_where_no_shell_was_put_in_that_is_told_and_the_machine_ends_as_asked() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let disk = fixture::test_system(&TestSystem::default()).unwrap();
    let iso = iso(&disk, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let parameters = "root=live:CDLABEL=OTHER rd.timeout=3 rd.shell rd.emergency=poweroff";
    let machine = direct(&iso, parameters, folder.path()).unwrap();
    let mut guest = Guest::start(&machine).unwrap();
    guest.expect(MEDIUM_NOT_FOUND.code, BOOT).unwrap();
    guest.expect("no shell", COMMAND).unwrap();
    assert!(guest.wait_for_end(COMMAND).unwrap().success());
}
