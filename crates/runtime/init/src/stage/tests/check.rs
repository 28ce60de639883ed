//! The media check.

use super::*;
use contract::checksums::{Algorithm, Checksums};

/// A machine whose medium has a table over its first `covered` bytes.
fn checked(covered: u64) -> (Fake, Vec<u8>) {
    let medium = iso("CDROM");
    let chunk = 10_000;
    let upto = usize::try_from(covered).unwrap().min(medium.len());
    let digests = medium[..upto]
        .chunks(chunk)
        .map(|c| *blake3::hash(c).as_bytes());
    let mut digests: Vec<_> = digests.collect();
    digests.resize(covered.div_ceil(chunk as u64) as usize, [0; 32]);
    let table = Checksums {
        algorithm: Algorithm::Blake3,
        chunk: chunk as u64,
        covered,
        blanks: vec![],
        digests,
    };
    let mut fake = machine("rd.live.check");
    fake.on_mount("/dev/sr0", "liveos/checksums", table.print());
    (fake, medium)
}

#[test]
fn a_good_medium_passes_and_is_mounted_once() {
    let (mut fake, medium) = checked(36_000);
    fake.appears(1, "sr0", medium);
    assert_eq!(code(&mut fake), "L0603");
    assert!(
        fake.screen
            .contains("100 %\nthe medium is what was built\n"),
        "{}",
        fake.screen
    );
    assert_eq!(
        fake.done
            .iter()
            .filter(|l| l.starts_with("mount iso9660"))
            .count(),
        1
    );
}

#[test]
fn one_changed_byte_anywhere_in_it_stops_the_boot_with_its_place() {
    for at in [0, 9_999, 10_000, 35_999] {
        let (mut fake, mut medium) = checked(36_000);
        medium[at] ^= 1;
        fake.appears(1, "sr0", medium);
        let (failure, ..) = run(&mut fake);
        assert_eq!(failure.code.code, "L0303", "{at}");
        assert!(
            failure
                .cause
                .contains(&format!("at byte {} ", at / 10_000 * 10_000)),
            "{}",
            failure.cause
        );
        assert!(fake.done_of("loop").is_empty());
    }
}

#[test]
fn a_medium_that_is_cut_off_or_cannot_be_read_stops_the_boot() {
    let (mut fake, medium) = checked(36_865);
    fake.appears(1, "sr0", medium);
    assert_eq!(code(&mut fake), "L0303");
}

#[test]
fn a_check_that_cannot_be_made_stops_the_boot() {
    let mut fake = machine("rd.live.check");
    fake.appears(1, "sr0", iso("CDROM"));
    assert_eq!(code(&mut fake), "L0301");
    let mut fake = machine("rd.live.check");
    fake.appears(1, "sr0", iso("CDROM"))
        .on_mount("/dev/sr0", "liveos/checksums", "damaged");
    assert_eq!(code(&mut fake), "L0302");
    let mut fake = machine("rd.live.check root=live:/dev/vda");
    fake.appears(1, "vda", *b"hsqs............")
        .on_mount("/dev/vda", "usr/x", "");
    assert_eq!(code(&mut fake), "L0301");
}

#[test]
fn no_check_is_made_where_none_is_asked_for() {
    let (mut fake, mut medium) = checked(36_000);
    medium[5] = 1;
    fake.file("/proc/cmdline", CMDLINE)
        .appears(1, "sr0", medium);
    assert_eq!(code(&mut fake), "L0603");
}
