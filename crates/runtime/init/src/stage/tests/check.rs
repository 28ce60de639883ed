//! The media check.

use super::*;
use contract::checksums::{Algorithm, BLANKS, Checksums, blank_out};
use mediacheck::{DESCRIPTOR_AT, FIELD_AT, FIELD_LEN, Making, Styles};

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

#[test]
fn what_the_table_has_as_blank_may_change_and_nothing_else() {
    let mut medium = iso("CDROM");
    let mut covered = medium.clone();
    blank_out(&BLANKS, &mut covered, 0);
    let table = Checksums {
        algorithm: Algorithm::Blake3,
        chunk: 36_864,
        covered: 36_864,
        blanks: BLANKS.to_vec(),
        digests: vec![*blake3::hash(&covered).as_bytes()],
    };
    for (at, expected) in [
        (510, "L0603"),
        (FIELD_AT as usize, "L0603"),
        (33_000, "L0303"),
    ] {
        medium[at] ^= 1;
        let mut fake = machine("rd.live.check");
        fake.on_mount("/dev/sr0", "liveos/checksums", table.print())
            .appears(1, "sr0", medium.clone());
        assert_eq!(code(&mut fake), expected, "{at}");
    }
}

#[test]
fn escape_skips_the_check_and_an_arrow_key_does_not() {
    for (keys, expected) in [(b"x\x1b".to_vec(), "L0603"), (b"\x1b[A".to_vec(), "L0303")] {
        let (mut fake, mut medium) = checked(36_000);
        medium[35_000] ^= 1;
        fake.appears(1, "sr0", medium);
        fake.keys = [vec![], keys].into();
        assert_eq!(code(&mut fake), expected);
        let skipped = fake
            .log
            .iter()
            .any(|line| line.contains("check was skipped"));
        assert_eq!(skipped, expected == "L0603");
        assert!(!fake.screen.contains("is what was built"));
        let watched: Vec<_> = fake.done.iter().filter(|l| l.starts_with("keys")).collect();
        assert_eq!(watched, ["keys watched", "keys ignored"]);
    }
}

#[test]
fn a_console_without_keys_is_no_reason_to_skip() {
    let (mut fake, mut medium) = checked(36_000);
    medium[35_000] ^= 1;
    fake.appears(1, "sr0", medium)
        .refuse("keys watched", Errno::NODEV);
    assert_eq!(code(&mut fake), "L0303");
}

/// A medium of another program, with these checksums; its partition begins at byte 35 840.
fn implanted(styles: Styles) -> Vec<u8> {
    let mut medium = iso("CDROM");
    medium.resize(40 * 2048, 7);
    let at = DESCRIPTOR_AT as usize;
    medium[at + 80..at + 84].copy_from_slice(&40u32.to_le_bytes());
    medium[FIELD_AT as usize..][..FIELD_LEN].fill(b' ');
    let mut making = Making::new(styles, 40 * 2048, Some((70, 90)));
    making.iter_mut().for_each(|one| one.update(&medium));
    let field = Making::finish(making).unwrap().unwrap().print().unwrap();
    medium[FIELD_AT as usize..][..FIELD_LEN].copy_from_slice(&field);
    medium
}

#[test]
fn media_of_other_programs_are_checked_by_what_those_implanted() {
    for parameter in ["rd.live.check", "mediacheck", "mediacheck=1"] {
        for styles in [Styles::Isomd5sum, Styles::Tagmedia, Styles::Both] {
            let mut medium = implanted(styles);
            let mut fake = machine(parameter);
            fake.appears(1, "sr0", medium.clone());
            assert_eq!(code(&mut fake), "L0603", "{parameter} {styles:?}");
            assert!(
                fake.screen
                    .contains("100 %\nthe medium is what was built\n")
            );
            medium[45_000] ^= 1;
            let mut fake = machine(parameter);
            fake.appears(1, "sr0", medium);
            let (failure, ..) = run(&mut fake);
            assert_eq!(failure.code.code, "L0303");
            let who = match styles {
                Styles::Isomd5sum => "(isomd5sum, md5)",
                _ => "(tagmedia, sha256)",
            };
            assert!(failure.cause.contains(who), "{}", failure.cause);
        }
    }
    let mut fake = machine("rd.live.check=0");
    let mut medium = implanted(Styles::Both);
    medium[45_000] ^= 1;
    fake.appears(1, "sr0", medium);
    assert_eq!(code(&mut fake), "L0603");
}

#[test]
fn a_checksum_that_cannot_be_one_is_not_taken_for_none() {
    let mut medium = implanted(Styles::Tagmedia);
    medium[FIELD_AT as usize + 20] = b'x';
    let mut fake = machine("rd.live.check");
    fake.appears(1, "sr0", medium);
    assert_eq!(code(&mut fake), "L0302");
    let mut fake = machine("rd.live.check");
    fake.appears(1, "sr0", implanted(Styles::Tagmedia)[..70_000].to_vec());
    assert_eq!(code(&mut fake), "L0303", "cut off");
}

#[test]
fn a_changed_partition_table_is_fine_where_a_partition_was_added_and_nowhere_else() {
    for (start, expected) in [(160, "L0603"), (159, "L0303")] {
        let mut medium = implanted(Styles::Tagmedia);
        medium[600] ^= 1;
        let mut fake = machine("rd.live.check");
        fake.on_mount("/dev/sda", "liveos/rootfs.img", *b"hsqs............")
            .file("/sys/class/block/sda/sda3/start", format!("{start}\n"))
            .appears(1, "sda", medium);
        assert_eq!(code(&mut fake), expected);
    }
}
