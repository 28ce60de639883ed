//! ISOs without an area for changes, and ISOs that other programs made.

use std::process::Command;

use media::edit::iso::edit;

use super::sample::{config, files, iso, read};
use super::target::Recorder;
use super::{add, append, into_initramfs, reset};

#[test]
fn an_iso_without_an_area_gets_longer_and_becomes_what_it_was() {
    let original = iso(0);
    let target = Recorder::of(&original);
    edit(&target, &append("debug")).unwrap();
    edit(&target, &into_initramfs("/etc/x", b"x")).unwrap();
    edit(&target, &append("more")).unwrap();
    let changed = target.bytes();
    assert!(
        config(&changed).contains("quiet debug more\n"),
        "{}",
        config(&changed)
    );
    assert!(!read(&changed, "/boot/liveos-additions.img").is_empty());
    assert!(changed.len() > original.len());
    edit(&target, &reset()).unwrap();
    assert!(target.bytes() == original);
}

#[test]
fn a_device_without_an_area_is_refused_with_what_to_do() {
    let target = Recorder::fixed(&iso(0));
    let error = edit(&target, &append("debug")).unwrap_err();
    assert_eq!(error.kind(), block::Kind::Limit);
    assert!(error.to_string().contains("-o"), "{error}");
}

/// An ISO that xorriso makes of a folder, with these further arguments; `None` where it is missing.
fn by_xorriso(arguments: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    for (path, bytes) in files(&iso(0)) {
        let to = tree.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        if !path.contains("checksums") {
            std::fs::write(to, bytes).unwrap();
        }
    }
    let output = folder.path().join("x.iso");
    #[expect(clippy::disallowed_methods, reason = "a reference tool")]
    let done = Command::new("xorriso")
        .args(["-as", "mkisofs", "-quiet", "-V", "X", "-o"])
        .arg(&output)
        .args(arguments)
        .arg(&tree)
        .output();
    match done {
        Ok(done) => {
            assert!(
                done.status.success(),
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
            Some(std::fs::read(output).unwrap())
        }
        Err(_) => {
            testkit::tools::skipped("xorriso");
            None
        }
    }
}

/// What xorriso or isoinfo print for a file on `iso`.
fn by_isoinfo(iso: &[u8], how: &[&str], path: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), iso).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a reference tool")]
    let done = Command::new("isoinfo")
        .arg("-i")
        .arg(file.path())
        .args(how)
        .args(["-x", path])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    done.stdout
}

#[test]
fn ref_isos_by_xorriso_with_and_without_rock_ridge_and_joliet_are_changed_and_become_what_they_were()
 {
    for arguments in [&["-R", "-J"][..], &["-R"], &["-J"]] {
        let Some(original) = by_xorriso(arguments) else {
            return;
        };
        let target = Recorder::of(&original);
        edit(&target, &append("debug")).unwrap();
        edit(&target, &into_initramfs("/etc/x", b"x")).unwrap();
        edit(&target, &add("/boot/Some file.txt", b"added")).unwrap();
        let changed = target.bytes();
        let expected = config(&changed);
        assert!(
            expected.contains("quiet debug\n"),
            "{arguments:?}: {expected}"
        );
        assert_eq!(read(&changed, "/boot/Some file.txt"), b"added");
        let spaces: &[&[&str]] = match arguments {
            ["-R", "-J"] => &[&["-R"], &["-J"]],
            ["-R"] => &[&["-R"]],
            _ => &[&["-J"]],
        };
        for how in spaces {
            assert_eq!(
                by_isoinfo(&changed, how, "/boot/grub/grub.cfg"),
                expected.as_bytes()
            );
            assert_eq!(by_isoinfo(&changed, how, "/boot/Some file.txt"), b"added");
            assert_eq!(
                by_isoinfo(&changed, how, "/boot/liveos-additions.img"),
                read(&changed, "/boot/liveos-additions.img")
            );
        }
        edit(&target, &reset()).unwrap();
        assert!(target.bytes() == original, "{arguments:?}");
    }
}

#[test]
fn an_implanted_sum_and_a_menu_in_the_boot_image_are_told_of() {
    let mut original = iso(4 << 20);
    let note = b"ISO MD5SUM = 0123456789abcdef0123456789abcdef;";
    let at = 16 * 2048 + 883;
    original[at..at + note.len()].copy_from_slice(note);
    let target = Recorder::of(&original);
    let report = edit(&target, &append("debug")).unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("no longer fits")),
        "{report:?}"
    );
    edit(&target, &reset()).unwrap();
    assert!(target.bytes() == original);
}
