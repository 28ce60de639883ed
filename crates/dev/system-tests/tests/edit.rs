//! Finished media that are changed in place.
#![expect(clippy::unwrap_used, reason = "in a test a failure has to be loud")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Result, bail};
use system_tests::builds::{Refusal, liveos};
use system_tests::media::{FOR_BOOTS, extract, iso};
use testkit::fixture::{TestSystem, test_system};
use testkit::guest::{self, BOOT, COMMAND, Guest};
use testkit::tools;
use vm::Firmware;

/// The exit code for arguments that are wrong.
const ARGUMENTS: i32 = 2;
/// The exit code for input that is at fault.
const INPUT: i32 = 4;
/// The exit code for output that cannot be written.
const OUTPUT: i32 = 6;

/// `liveos edit` with these arguments.
fn run(media: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(liveos()?.arg("edit").arg(media).args(arguments).output()?)
}

/// The same, that has to succeed; with what it printed.
fn edit(media: &Path, arguments: &[&str]) -> Result<String> {
    let done = run(media, arguments)?;
    if !done.status.success() {
        bail!("{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A copy of the test system's ISO, the original, and the folder of the copy; nothing where a tool is missing.
fn copy() -> Option<(PathBuf, PathBuf, tempfile::TempDir)> {
    if !tools::available(&FOR_BOOTS) {
        return None;
    }
    let disk = test_system(&TestSystem::default()).unwrap();
    let original = iso(&disk, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.iso");
    fs::copy(&original, &copy).unwrap();
    Some((copy, original, folder))
}

/// What xorriso lists of all files: names, modes, lengths.
fn list(iso: &Path) -> String {
    let mut command = tools::command("xorriso");
    command
        .arg("-indev")
        .arg(iso)
        .args(["-find", "/", "-exec", "lsdl", "--"]);
    tools::output(&mut command).unwrap()
}

#[test]
fn ref_a_changed_iso_boots_with_its_parameters_and_files_and_passes_the_media_check() {
    let Some((media, _, folder)) = copy() else {
        return;
    };
    // The runtime takes this file's lines for a part of the kernel's command line: it asks for the media check.
    let parameters = folder.path().join("parameters");
    fs::write(&parameters, "rd.live.check\n").unwrap();
    let added = format!("{}:/etc/cmdline.d/50-check.conf", parameters.display());
    let arguments = [
        "--initramfs-add",
        &added,
        "--delete",
        "quiet",
        "--append",
        "edited=yes",
    ];
    edit(&media, &arguments).unwrap();
    let mut machine = guest::machine(&media);
    machine.firmware = Firmware::Bios;
    let mut guest = Guest::start(&machine).unwrap();
    guest.expect("edited=yes", BOOT).unwrap();
    guest.expect("the medium is what was built", BOOT).unwrap();
    let report = guest.expect("ALL CHECKS DONE", BOOT).unwrap();
    assert!(!report.contains(" FAILED"), "{report}");
    assert!(guest.wait_for_end(COMMAND).unwrap().success());
}

#[test]
fn ref_changes_in_place_and_of_a_copy_are_the_same_and_reset_gives_back_every_byte() {
    let Some((media, original, folder)) = copy() else {
        return;
    };
    let before = list(&media);
    let added = folder.path().join("user-data");
    fs::write(&added, "#cloud-config\n").unwrap();
    let added = format!("{}:/user-data", added.display());
    let arguments = [
        "--append",
        "ds=nocloud debug",
        "--replace",
        "console=ttyS1",
        "--add",
        &added,
    ];
    let new = folder.path().join("new.iso");
    edit(
        &original,
        &[&["-o", new.to_str().unwrap()], &arguments[..]].concat(),
    )
    .unwrap();
    edit(&media, &arguments).unwrap();
    edit(&media, &arguments).unwrap();
    assert!(fs::read(&media).unwrap() == fs::read(&new).unwrap());

    let shown = edit(&media, &["--show"]).unwrap();
    for part in [
        "--append debug",
        "--replace console=ttyS1",
        ":/user-data",
        "ds=nocloud debug\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let config = folder.path().join("grub.cfg");
    extract(&media, "/boot/grub/grub.cfg", &config).unwrap();
    let config = fs::read_to_string(config).unwrap();
    assert!(
        config.contains("console=ttyS1") && !config.contains("console=ttyS0 quiet"),
        "{config}"
    );
    let file = folder.path().join("file");
    extract(&media, "/user-data", &file).unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "#cloud-config\n");
    let others = |list: &str| -> Vec<String> {
        let changed = ["/user-data'", "/grub.cfg'", "/loopback.cfg'", "/reserved'"];
        let lines = list
            .lines()
            .filter(|line| changed.iter().all(|path| !line.contains(path)));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(others(&list(&media)), others(&before));

    edit(&media, &["--reset"]).unwrap();
    assert!(fs::read(&media).unwrap() == fs::read(&original).unwrap());
}

#[test]
fn ref_a_parameter_that_was_taken_away_is_not_on_media_that_are_made_of_those() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let disk = test_system(&TestSystem::default()).unwrap();
    let media = iso(&disk, &["--append", "first=1 second=2 third=3"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.iso");
    let made = folder.path().join("made.iso");
    let arguments = [
        "-o",
        changed.to_str().unwrap(),
        "--delete",
        "first",
        "--replace",
        "second=4",
    ];
    edit(&media, &arguments).unwrap();
    let mut build = liveos().unwrap();
    build.arg("build").arg(&changed).arg("-o").arg(&made);
    tools::output(build.args(["--append", "fourth=5"])).unwrap();
    for path in [
        "/boot/grub/grub.cfg",
        "/azl-image-customizer/saved-configs.yaml",
    ] {
        let file = folder.path().join("file");
        extract(&made, path, &file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let has = |parameter: &str| text.contains(parameter);
        assert!(!has("first=") && !has("second=2"), "{path}: {text}");
        assert!(
            has("second=4") && has("third=3") && has("fourth=5"),
            "{path}: {text}"
        );
    }
}

#[test]
fn ref_what_cannot_be_changed_is_refused_with_its_code_and_stays_as_it_is() {
    let Some((media, original, folder)) = copy() else {
        return;
    };
    let noise = folder.path().join("noise");
    fs::write(&noise, vec![0x5a; 1 << 20]).unwrap();
    let file = format!("{}:/liveos/rootfs.img", noise.display());
    // A program that runs cannot be written.
    let busy = std::env::current_exe().unwrap();
    for (media, arguments, code) in [
        (&media, &["--append", "root=/dev/sda1"][..], ARGUMENTS),
        (&media, &["--delete", "rd.live.image"], ARGUMENTS),
        (&media, &["--replace", "novalue"], ARGUMENTS),
        (&media, &["--add", &file], ARGUMENTS),
        (&media, &["--add", "/no/such:/x"], INPUT),
        (&media, &[], ARGUMENTS),
        (&noise, &["--append", "x"], INPUT),
        (&folder.path().join("none"), &["--append", "x"], OUTPUT),
        (&busy, &["--append", "x"], OUTPUT),
    ] {
        let refusal = Refusal::of(&run(media, arguments).unwrap()).unwrap();
        assert_eq!(refusal.code, Some(code), "{arguments:?}: {}", refusal.said);
        assert!(refusal.said.starts_with("error: "), "{}", refusal.said);
    }
    assert!(fs::read(&media).unwrap() == fs::read(&original).unwrap());
}
