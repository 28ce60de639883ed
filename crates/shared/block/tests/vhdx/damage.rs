//! Images that are damaged, or hold what is not read.

use block::{Kind, ReadAt as _};

use crate::disk::{Bench, read_all};
use crate::image::{
    BAT, DISK_ID, DISK_SIZE, FILE_PARAMETERS, HEADERS, KIB, LOGICAL_SECTOR, METADATA, MIB, REGIONS,
    change_headers, change_regions, entry, from_bytes, item, item_entry, put, read, region, sample,
};
use crate::support::need;

/// A small image, of a disk that is not a whole number of blocks.
fn small() -> Option<(Bench, Vec<u8>)> {
    if !need("qemu-img") {
        return None;
    }
    let bench = Bench::new(MIB + 64 * KIB);
    let image = sample(&bench, "block_size=1M,subformat=fixed");
    Some((bench, image))
}

#[test]
fn ref_either_of_two_copies_is_enough_and_the_damaged_one_is_named() {
    let Some((bench, image)) = small() else {
        return;
    };
    for (starts, len, name) in [(HEADERS, 80, "header"), (REGIONS, 100, "region table")] {
        for start in starts {
            for at in (0..len).chain([4095]) {
                let mut bytes = image.clone();
                bytes[start + at] ^= 1 << (at % 8);
                let image = from_bytes(&bytes).unwrap();
                let [damage] = image.damage() else {
                    panic!("{name} byte {at}: {:?}", image.damage());
                };
                assert!(damage.contains(name), "{damage}");
                assert!(read_all(&image).unwrap() == bench.disk, "{name} byte {at}");
            }
        }
        let mut bytes = image.clone();
        for start in starts {
            bytes[start + 20] ^= 1;
        }
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn ref_every_damaged_byte_of_what_is_there_once_is_an_error_or_leads_to_no_panic() {
    let Some((_, image)) = small() else {
        return;
    };
    let metadata = region(&image, METADATA);
    let bat = region(&image, BAT);
    let items = item(&image, FILE_PARAMETERS) - metadata;
    let ranges = [
        (0..8, 8),
        (metadata..metadata + 8, 8),
        (metadata + 10..metadata + 12, 0),
        (metadata + 32..metadata + 32 + 5 * 32, 0),
        (metadata + items..metadata + items + 64, 0),
        (bat..bat + 16, 0),
    ];
    for (range, errors) in ranges {
        let mut found = 0;
        for at in range.clone() {
            for bit in [0, 3, 6, 7] {
                let mut bytes = image.clone();
                bytes[at] ^= 1 << bit;
                if let Err(error) = read(&bytes) {
                    let is_refused = error.place().what == "opening the disk image";
                    assert!(error.place().offset.is_some() || is_refused, "{error}");
                    found += 1;
                }
            }
        }
        assert!(found >= errors * 4, "{range:?}: {found}");
    }
}

#[test]
fn ref_fields_that_cannot_be_are_refused() {
    let Some((_, image)) = small() else {
        return;
    };
    let cases: [(usize, &[u8], Kind, &str); 14] = [
        (
            item(&image, FILE_PARAMETERS),
            &[0, 0, 8, 0],
            Kind::Corrupt,
            "blocks of",
        ),
        (
            item(&image, FILE_PARAMETERS),
            &[0, 0, 0x30, 0],
            Kind::Corrupt,
            "blocks of",
        ),
        (
            item(&image, FILE_PARAMETERS),
            &[0, 0, 0, 0x20],
            Kind::Corrupt,
            "blocks of",
        ),
        (
            item(&image, LOGICAL_SECTOR),
            &[0, 4, 0, 0],
            Kind::Corrupt,
            "sectors of",
        ),
        (item(&image, DISK_SIZE), &[0; 8], Kind::Corrupt, "a disk of"),
        (item(&image, DISK_SIZE), &[1], Kind::Corrupt, "a disk of"),
        (
            item(&image, DISK_SIZE),
            &[0, 0, 0, 0, 0, 0x41],
            Kind::Corrupt,
            "a disk of",
        ),
        (
            item(&image, DISK_SIZE),
            &[0, 0, 0, 0, 0, 0x40],
            Kind::Corrupt,
            "block table",
        ),
        (
            item_entry(&image, DISK_SIZE),
            &DISK_ID,
            Kind::Unsupported,
            "required",
        ),
        (
            item_entry(&image, DISK_SIZE),
            &[1],
            Kind::Unsupported,
            "required",
        ),
        (
            item_entry(&image, DISK_SIZE) + 16,
            &[0; 4],
            Kind::Corrupt,
            "not in the region",
        ),
        (
            item_entry(&image, DISK_SIZE) + 20,
            &[4, 0, 0, 0],
            Kind::Corrupt,
            "has 4 bytes",
        ),
        (region(&image, BAT), &[7], Kind::Corrupt, "parent"),
        (region(&image, BAT), &[4], Kind::Corrupt, "state 4"),
    ];
    for (at, value, kind, part) in cases {
        let mut bytes = image.clone();
        put(&mut bytes, at, value);
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{part}: {error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn ref_headers_that_cannot_be_are_refused() {
    let Some((_, image)) = small() else {
        return;
    };
    let headers: [(usize, &[u8], Kind); 4] = [
        (66, &[2, 0], Kind::Unsupported),
        (48, &[1; 18], Kind::Unsupported),
        (48, &[1; 16], Kind::Corrupt),
        (0, b"heed", Kind::Corrupt),
    ];
    for (at, value, kind) in headers {
        let mut bytes = image.clone();
        change_headers(&mut bytes, |header| {
            put(header, at, value);
            // A log that is not aligned.
            put(header, 72, &[1]);
        });
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{at}: {error}");
    }
    let mut bytes = image.clone();
    change_headers(&mut bytes, |header| put(header, 8, &[9; 8]));
    put(&mut bytes, HEADERS[0] + 66, &[1, 0]);
    assert!(from_bytes(&bytes).is_ok());
}

#[test]
fn ref_regions_that_cannot_be_are_refused() {
    let Some((_, image)) = small() else {
        return;
    };
    let bat = entry(&image, REGIONS[0] + 16, BAT) - REGIONS[0];
    let other = entry(&image, REGIONS[0] + 16, METADATA) - REGIONS[0];
    let cases: [(usize, &[u8], Kind, &str); 7] = [
        (bat, &[1, 2, 3], Kind::Unsupported, "required"),
        (bat + 16, &[0; 8], Kind::Corrupt, "byte 0"),
        (bat + 16, &[0, 1], Kind::Corrupt, "at byte"),
        (bat + 24, &[0; 4], Kind::Corrupt, "0 bytes"),
        (8, &[0], Kind::Corrupt, "no region"),
        (8, &[0, 8], Kind::Corrupt, "2048 entries"),
        (
            bat + 16,
            &[0, 0, 0, 0, 0, 0, 0, 0x10],
            Kind::Corrupt,
            "past the end",
        ),
    ];
    for (at, value, kind, part) in cases {
        let mut bytes = image.clone();
        change_regions(&mut bytes, |table| {
            // QEMU says of no region that it is required.
            table[bat + 28] = 1;
            put(table, at, value);
        });
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{part}: {error}");
        assert!(
            error.place().offset.is_some() || part == "2048 entries",
            "{error}"
        );
        let with_sources = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(with_sources.contains(part), "{part}: {with_sources}");
    }
    let mut bytes = image.clone();
    change_regions(&mut bytes, |table| {
        let copy = table[other..other + 32].to_vec();
        put(table, 80, &copy);
        put(table, 8, &[3]);
    });
    let error = from_bytes(&bytes).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    let mut bytes = image;
    change_regions(&mut bytes, |table| {
        // Not known, and not required.
        put(table, 80, &[1; 32]);
        put(table, 108, &[0; 4]);
        put(table, 8, &[3]);
    });
    assert!(from_bytes(&bytes).is_ok());
}

#[test]
fn ref_differencing_images_are_refused_with_their_parents_name() {
    let Some((_, mut bytes)) = small() else {
        return;
    };
    let flags = item(&bytes, FILE_PARAMETERS) + 4;
    put(&mut bytes, flags, &[2]);
    let error = from_bytes(&bytes).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(
        error.to_string().contains("parent that is not named"),
        "{error}"
    );

    let text = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (key, value) = (text("relative_path"), text(".\\b\u{e4}se.vhdx"));
    let mut locator = vec![0; 20];
    locator[18] = 1;
    locator.extend(32_u32.to_le_bytes());
    locator.extend((32 + key.len() as u32).to_le_bytes());
    locator.extend((key.len() as u16).to_le_bytes());
    locator.extend((value.len() as u16).to_le_bytes());
    locator.extend([key, value].concat());
    let metadata = region(&bytes, METADATA);
    let id = item_entry(&bytes, DISK_ID);
    // a8d35f2d-b30b-454d-abf7-d3d84834ab0c
    let guid = [0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45];
    put(&mut bytes, id, &guid);
    put(
        &mut bytes,
        id + 8,
        &[0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c],
    );
    put(&mut bytes, id + 16, &(128 * KIB as u32).to_le_bytes());
    put(&mut bytes, id + 20, &(locator.len() as u32).to_le_bytes());
    put(&mut bytes, metadata + 128 * KIB, &locator);
    let error = from_bytes(&bytes).unwrap_err();
    assert!(
        error.to_string().contains("\".\\\\b\u{e4}se.vhdx\""),
        "{error}"
    );
}

#[test]
fn ref_a_file_that_was_cut_off_anywhere_is_an_error_or_the_same_disk() {
    let Some((bench, image)) = small() else {
        return;
    };
    let dynamic = sample(&bench, "block_size=1M");
    for image in [image, dynamic] {
        assert!(read(&image).unwrap() == bench.disk);
        for step in 0..200 {
            let len = image.len() * step / 200;
            if let Ok(disk) = read(&image[..len]) {
                assert!(disk == bench.disk, "{len} of {}", image.len());
            }
        }
        assert!(read(&image[..image.len() / 2]).is_err());
    }
    assert_eq!(from_bytes(b"").unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(from_bytes(b"vhdxfile").unwrap_err().kind(), Kind::Corrupt);
    let image = from_bytes(&sample(&bench, "block_size=1M")).unwrap();
    assert!(image.read_exact_at(&mut [0; 2], image.len() - 1).is_err());
}
