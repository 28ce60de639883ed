//! The copy in memory.

use super::*;
use crate::system::System as _;
use contract::checksums::{Algorithm, BLANKS, Checksums, blank_out};

const IMAGE: &[u8; 16] = b"hsqs............";
const FILE: &str = "/run/initramfs/live/liveos/rootfs.img";
/// Where the image lies on the medium.
const AT: u64 = 40_960;

/// A machine whose medium has a table, and that medium.
fn covered(parameters: &str) -> (Fake, Vec<u8>) {
    let mut medium = iso("CDROM");
    medium.resize(60_000, 3);
    medium[AT as usize..][..IMAGE.len()].copy_from_slice(IMAGE);
    let mut blanked = medium.clone();
    blank_out(&BLANKS, &mut blanked, 0);
    let digests = blanked.chunks(10_000);
    let table = Checksums {
        algorithm: Algorithm::Blake3,
        chunk: 10_000,
        covered: 60_000,
        blanks: BLANKS.to_vec(),
        digests: digests.map(|c| *blake3::hash(c).as_bytes()).collect(),
    };
    let mut fake = machine(parameters);
    fake.on_mount("/dev/sr0", "liveos/checksums", table.print());
    fake.extents.insert(FILE.to_owned(), AT);
    (fake, medium)
}

fn copied(fake: &Fake) -> Option<Vec<u8>> {
    let copy = fake.open(media::RAM_IMAGE).ok()?;
    let mut bytes = vec![0; copy.len() as usize];
    copy.read_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn each_dialect_gets_its_copy_which_is_the_image() {
    for parameter in ["rd.live.ram", "toram", "copytoram=y", "rd.kiwi.ramdisk"] {
        let (mut fake, medium) = covered(parameter);
        fake.appears(1, "sr0", medium);
        assert_eq!(code(&mut fake), "L0603", "{parameter}");
        assert_eq!(copied(&fake).unwrap(), IMAGE);
        assert_eq!(fake.done_of("loop"), [media::RAM_IMAGE]);
        assert_eq!(fake.done_of("unmount"), [media::LIVE_MOUNT]);
        assert!(fake.done_of("eject").is_empty());
    }
}

#[test]
fn what_is_copied_is_compared_with_the_table_that_covers_it() {
    for at in [AT as usize + 3, 49_999] {
        let (mut fake, mut medium) = covered("rd.live.ram");
        medium[at] ^= 1;
        fake.appears(1, "sr0", medium);
        let (failure, ..) = run(&mut fake);
        assert_eq!(failure.code.code, "L0303");
        assert!(
            failure.cause.contains("at byte 40000 "),
            "{}",
            failure.cause
        );
        assert!(fake.done_of("loop").is_empty());
    }
    // What is not copied is not looked at.
    let (mut fake, mut medium) = covered("rd.live.ram");
    medium[55_000] ^= 1;
    fake.appears(1, "sr0", medium);
    assert_eq!(code(&mut fake), "L0603");
}

#[test]
fn where_nothing_is_known_of_its_place_the_image_is_copied_as_it_is() {
    for place in [None, Some(59_999)] {
        let (mut fake, medium) = covered("rd.live.ram");
        fake.extents.clear();
        if let Some(place) = place {
            fake.extents.insert(FILE.to_owned(), place);
        }
        fake.appears(1, "sr0", medium);
        assert_eq!(code(&mut fake), "L0603");
        assert_eq!(copied(&fake).unwrap(), IMAGE);
    }
}

#[test]
fn a_copy_that_may_be_left_out_is_made_only_where_it_fits() {
    let meminfo = |mib: u64| format!("MemAvailable: {} kB\n", mib * 1024);
    for (name, mib, is_copied) in [
        ("sda", 4096, true),
        ("sda", 2048, false),
        ("sr0", 4096, false),
    ] {
        let (mut fake, medium) = covered("copytoram=auto");
        fake.file("/proc/meminfo", meminfo(mib))
            .on_mount("/dev/sda", "liveos/rootfs.img", *IMAGE)
            .appears(1, name, medium);
        assert_eq!(code(&mut fake), "L0603");
        assert_eq!(copied(&fake).is_some(), is_copied, "{name} {mib}");
        assert_eq!(fake.done_of("unmount").is_empty(), !is_copied);
    }
}

#[test]
fn the_disc_goes_out_of_its_drive_where_that_is_asked_for_and_it_is_released() {
    let (mut fake, medium) = covered("rd.live.ram rd.live.eject");
    fake.appears(1, "sr0", medium);
    assert_eq!(code(&mut fake), "L0603");
    let done: Vec<_> = fake
        .done
        .iter()
        .skip_while(|line| !line.starts_with("unmount"))
        .take(2)
        .collect();
    assert_eq!(done, ["unmount /run/initramfs/live", "eject /dev/sr0"]);
    let (mut fake, medium) = covered("rd.live.ram rd.live.eject");
    fake.appears(1, "sr0", medium)
        .refuse("unmount /run/initramfs/live", Errno::BUSY);
    assert_eq!(code(&mut fake), "L0603");
    assert!(fake.done_of("eject").is_empty(), "it is in use");
}
