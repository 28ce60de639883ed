//! Checksums for other programs: what those programs say to them, and that changes of the media keep them right.

use std::path::Path;
use std::process::Command;

use media::edit::iso::edit;
use mediacheck::{
    Check, DESCRIPTOR_AT, DESCRIPTOR_LEN, FIELD_AT, FIELD_LEN, Implanted, Passed, Style, Styles,
};

use super::target::Recorder;
use super::{append, reset};
use crate::sample::{check_table, iso, with_checksums};

const ROOM: u64 = 4 << 20;

fn implanted(iso: &[u8]) -> Implanted {
    let descriptor = &iso[DESCRIPTOR_AT as usize..][..DESCRIPTOR_LEN];
    Implanted::read(descriptor.try_into().unwrap())
        .unwrap()
        .unwrap()
}

/// What our own reader says of all of them.
fn check(iso: &[u8]) -> Vec<(Style, Option<Passed>)> {
    let run = |mut check: Check| {
        let style = check.style();
        let read = check.update(&iso[..check.len() as usize]);
        (style, read.and_then(|()| check.finish()).ok())
    };
    Check::all(&implanted(iso)).into_iter().map(run).collect()
}

#[expect(clippy::disallowed_methods, reason = "reference tools")]
fn output(program: &str, arguments: &[&Path]) -> Option<(bool, String)> {
    let done = Command::new(program).args(arguments).output().ok()?;
    Some((
        done.status.success(),
        String::from_utf8_lossy(&done.stdout).into_owned(),
    ))
}

#[test]
fn each_style_is_implanted_alone_and_beside_the_other() {
    let (md5, tags) = (Style::Isomd5sum, Style::Tagmedia);
    for (styles, expected) in [
        (Styles::Isomd5sum, vec![md5]),
        (Styles::Tagmedia, vec![tags]),
        (Styles::Both, vec![tags, md5]),
    ] {
        let iso = with_checksums(ROOM, styles);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|style| (style, Some(Passed::Whole)))
            .collect();
        assert_eq!(check(&iso), expected);
        // The table of our own counts the field as blank.
        check_table(&iso);
    }
    let none = iso(ROOM);
    assert_eq!(none[FIELD_AT as usize..][..FIELD_LEN], [b' '; FIELD_LEN]);
}

#[test]
fn a_change_keeps_them_right_and_its_end_brings_the_first_ones_back() {
    for room in [ROOM, 0] {
        for styles in [Styles::Isomd5sum, Styles::Tagmedia, Styles::Both] {
            let original = with_checksums(room, styles);
            let target = Recorder::of(&original);
            let report = edit(&target, &append("debug")).unwrap();
            assert!(report.warnings.is_empty(), "{report:?}");
            let changed = target.bytes();
            assert_ne!(implanted(&changed), implanted(&original));
            for (style, passed) in check(&changed) {
                assert_eq!(passed, Some(Passed::Whole), "{styles:?}: {style}");
            }
            edit(&target, &reset()).unwrap();
            assert!(target.bytes() == original, "{room} {styles:?}");
        }
    }
}

#[test]
fn all_of_them_are_verified_and_the_damage_has_its_place() {
    let mut iso = with_checksums(ROOM, Styles::Both);
    let outcomes = |iso: &Vec<u8>| {
        let all = media::implant::verify(iso, &|done, all| assert!(done <= all)).unwrap();
        let outcome = |one: media::implant::Verified| (one.style, one.outcome);
        all.into_iter().map(outcome).collect::<Vec<_>>()
    };
    let good = |style| (style, Ok(Passed::Whole));
    assert_eq!(
        outcomes(&iso),
        [good(Style::Tagmedia), good(Style::Isomd5sum)]
    );
    let at = iso.len() / 2;
    iso[at] ^= 1;
    for (style, outcome) in outcomes(&iso) {
        let within = outcome.unwrap_err().within;
        assert!(within.contains(&(at as u64)), "{style}: {within:?}");
    }
    assert!(media::implant::verify(&iso[..at].to_vec(), &|_, _| {}).is_err());
    assert!(
        media::implant::verify(&iso[..9000].to_vec(), &|_, _| {})
            .unwrap()
            .is_empty()
    );
    assert!(
        media::implant::verify(&crate::sample::iso(ROOM), &|_, _| {})
            .unwrap()
            .is_empty()
    );
}

#[test]
fn ref_checkisomd5_accepts_what_was_implanted_and_refuses_one_changed_byte() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for styles in [Styles::Isomd5sum, Styles::Both] {
        let mut iso = with_checksums(ROOM, styles);
        let changed = Recorder::of(&iso);
        edit(&changed, &append("debug")).unwrap();
        for bytes in [&iso, &changed.bytes()] {
            std::fs::write(file.path(), bytes).unwrap();
            let Some((passed, text)) = output("checkisomd5", &[file.path()]) else {
                return testkit::tools::skipped("checkisomd5");
            };
            assert!(passed, "{styles:?}: {text}");
        }
        let middle = iso.len() / 2;
        iso[middle] ^= 1;
        std::fs::write(file.path(), &iso).unwrap();
        let (passed, text) = output("checkisomd5", &[file.path()]).unwrap();
        assert!(!passed, "{text}");
    }
}

#[test]
fn ref_implantisomd5_writes_the_same_field() {
    let ours = with_checksums(ROOM, Styles::Isomd5sum);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), iso(ROOM)).unwrap();
    let Some((done, text)) = output("implantisomd5", &[file.path()]) else {
        return testkit::tools::skipped("implantisomd5");
    };
    assert!(done, "{text}");
    assert!(std::fs::read(file.path()).unwrap() == ours);
}

#[test]
fn ref_sha256sum_of_what_checkmedia_covers_is_what_was_implanted() {
    let iso = with_checksums(ROOM, Styles::Tagmedia);
    let tags = implanted(&iso).tagmedia.unwrap();
    let part = tags.partition.unwrap();
    let mut covered = iso.clone();
    covered[..512].fill(0);
    covered[FIELD_AT as usize..][..FIELD_LEN].fill(b' ');
    let of_part = &covered[part.first as usize * 512..][..part.sectors as usize * 512];
    let file = tempfile::NamedTempFile::new().unwrap();
    for (bytes, digest) in [(&covered[..], tags.digest), (of_part, part.digest)] {
        std::fs::write(file.path(), bytes).unwrap();
        let Some((_, text)) = output("sha256sum", &[file.path()]) else {
            return testkit::tools::skipped("sha256sum");
        };
        assert!(text.starts_with(&digest.to_string()), "{text}");
    }
    // No distribution that the tests run on has it: it is asked where it is there.
    for styles in [Styles::Tagmedia, Styles::Both, Styles::Isomd5sum] {
        std::fs::write(file.path(), with_checksums(ROOM, styles)).unwrap();
        if let Some((passed, text)) = output("checkmedia", &[file.path()]) {
            assert!(passed && !text.contains("wrong"), "{styles:?}: {text}");
        }
    }
}
