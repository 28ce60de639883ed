//! VHD: what `qemu-img` and `qemu-io` make, read by us; and damaged images.
#![expect(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod disk;
mod support;

use std::sync::Arc;

use block::vhd::{Image, probe};
use block::{DiskFormat, Kind, Options, ReadAt as _, Result, open_disk_image};
use disk::{Bench, assert_reads_as, data_ranges, next_number, open, read_all};
use support::{need, run};

const FORMS: [&str; 2] = ["dynamic", "fixed"];

/// Sets the checksum of a structure that has it at `field`.
fn seal(bytes: &mut [u8], field: usize) {
    bytes[field..field + 4].fill(0);
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    bytes[field..field + 4].copy_from_slice(&(!sum).to_be_bytes());
}

/// Changes all footers of an image.
fn change_footers(bytes: &mut [u8], change: impl Fn(&mut [u8])) {
    let end = bytes.len() - 512;
    for at in [0, end] {
        let footer = &mut bytes[at..at + 512];
        if footer.starts_with(b"conectix") {
            change(footer);
            seal(footer, 64);
        }
    }
}

fn from_bytes(bytes: &[u8]) -> Result<Image> {
    Image::open(Arc::new(bytes.to_vec()))
}

/// An image of a small disk, as bytes.
fn sample(bench: &Bench, form: &str) -> Vec<u8> {
    let options = format!("subformat={form},force_size=on");
    let path = bench.convert("image", "vpc", &["-o", &options]);
    std::fs::read(path).unwrap()
}

#[test]
fn ref_images_of_every_form_read_as_the_disk_they_were_made_of() {
    if !need("qemu-img") {
        return;
    }
    for len in [512, 4 << 20, (9 << 20) + 5 * 512] {
        let bench = Bench::new(len);
        for form in FORMS {
            let options = format!("subformat={form},force_size=on");
            let path = bench.convert("image", "vpc", &["-o", &options]);
            let opened = open_disk_image(&path, &Options::default()).unwrap();
            assert_eq!(opened.format, DiskFormat::Vhd, "{form} {len}");
            assert_eq!(opened.damage, [""; 0], "{form} {len}");
            assert_reads_as(&opened.image, &bench.disk, &format!("{form} {len}"));
        }
    }
}

#[test]
fn ref_the_size_of_a_disk_is_the_one_that_qemu_finds() {
    if !need("qemu-img") {
        return;
    }
    // QEMU rounds the disk up to a geometry, and says "qemu" or "qem2" by which of both sizes counts.
    let bench = Bench::new((5 << 20) + 512);
    for form in FORMS {
        for force in ["on", "off"] {
            let options = format!("subformat={form},force_size={force}");
            let path = bench.convert("image", "vpc", &["-o", &options]);
            let mut bytes = std::fs::read(&path).unwrap();
            for creator in [
                b"win ", b"qem2", b"d2v ", b"CTXS", b"tap\0", b"vpc ", b"qemu", b"else",
            ] {
                change_footers(&mut bytes, |footer| {
                    footer[28..32].copy_from_slice(creator);
                    // A geometry that is smaller than the disk.
                    footer[56..60].copy_from_slice(&[0, 9, 4, 17]);
                });
                std::fs::write(&path, &bytes).unwrap();
                let expected = bench.expected(&path, "vpc");
                let what = format!("{options} {}", creator.escape_ascii());
                assert_reads_as(&open(&path).unwrap(), &expected, &what);
            }
        }
    }
}

#[test]
fn ref_blocks_that_were_written_in_any_order_read_as_qemu_reads_them() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(512);
    let path = bench.path("image");
    let create = ["create", "-f", "vpc", "-o", "force_size=on", &path, "40M"];
    run("qemu-img", &create, "");
    let mut commands = String::new();
    let mut state = 5;
    for number in 1..30 {
        let at = next_number(&mut state) % 39_000 * 1024;
        let len = (next_number(&mut state) % 900 + 1) * 1024;
        commands += &format!("write -P {number} {at} {len}\n");
    }
    run("qemu-io", &["-f", "vpc", &path], &commands);
    assert_reads_as(
        &open(&path).unwrap(),
        &bench.expected(&path, "vpc"),
        "written",
    );
}

#[test]
fn ref_holes_are_known_without_reading_them() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(512);
    let path = bench.path("image");
    let create = ["create", "-f", "vpc", "-o", "force_size=on", &path, "1T"];
    run("qemu-img", &create, "");
    let far = 900_u64 << 30;
    let write = format!("write -P 1 {far} 3M\n");
    run("qemu-io", &["-f", "vpc", &path], &write);
    let image = open(&path).unwrap();
    assert_eq!(image.len(), 1 << 40);
    let ranges = data_ranges(&image).unwrap();
    let (first, last) = (ranges.first().unwrap(), ranges.last().unwrap());
    assert!(
        first.start <= far && far - first.start < 2 << 20,
        "{first:?}"
    );
    assert!(
        last.end >= far + (3 << 20) && last.end - far < 5 << 20,
        "{last:?}"
    );
}

#[test]
fn ref_either_footer_is_enough_and_the_damaged_one_is_named() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(64 << 10);
    let image = sample(&bench, "dynamic");
    for end in [0, image.len() - 512] {
        for at in 0..512 {
            let mut bytes = image.clone();
            bytes[end + at] ^= 1 << (at % 8);
            let image = from_bytes(&bytes).unwrap();
            let [damage] = image.damage() else {
                panic!("byte {at}: {:?}", image.damage());
            };
            assert!(damage.contains("footer"), "{damage}");
            assert!(read_all(&image).unwrap() == bench.disk, "byte {at}");
        }
    }
    let mut bytes = image.clone();
    bytes[99] ^= 1;
    let path = bench.path("damaged");
    std::fs::write(&path, bytes).unwrap();
    let opened = open_disk_image(&path, &Options::default()).unwrap();
    let [damage] = opened.damage.as_slice() else {
        panic!("{:?}", opened.damage);
    };
    assert!(damage.starts_with(&path), "{damage}");
    // A file that was cut off behind its data is known by its start.
    let cut = &image[..image.len() - 512];
    assert!(probe(&cut.to_vec()).unwrap());
    assert_eq!(from_bytes(cut).unwrap().damage().len(), 1);
    let mut both = image.clone();
    both[100] ^= 1;
    let last = both.len() - 1;
    both[last] ^= 1;
    let error = from_bytes(&both).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn ref_every_damaged_byte_of_a_fixed_footer_is_an_error() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(64 << 10);
    let image = sample(&bench, "fixed");
    for at in image.len() - 512..image.len() {
        let mut bytes = image.clone();
        bytes[at] ^= 0x10;
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    }
    let mut short = image;
    short.drain(..512);
    let error = from_bytes(&short).unwrap_err();
    assert_eq!(
        (error.kind(), error.place().offset),
        (Kind::Corrupt, Some((64 << 10) - 512))
    );
}

#[test]
fn ref_every_damaged_byte_of_the_header_is_an_error_and_of_the_table_no_panic() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(64 << 10);
    let image = sample(&bench, "dynamic");
    for at in 512..1536 {
        let mut bytes = image.clone();
        bytes[at] ^= 0x80;
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        assert!(error.place().offset.is_some(), "{error}");
    }
    let mut outcomes = [0; 2];
    for at in 1536..1540 {
        for bit in 0..8 {
            let mut bytes = image.clone();
            bytes[at] ^= 1 << bit;
            let read = from_bytes(&bytes).and_then(|image| read_all(&image));
            outcomes[usize::from(read.is_ok())] += 1;
        }
    }
    // The place of the one block: what is past the end of the file is an error.
    assert!(outcomes[0] > 16, "{outcomes:?}");
}

#[test]
fn ref_header_fields_that_cannot_be_are_refused_though_the_checksum_is_right() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(64 << 10);
    let image = sample(&bench, "dynamic");
    let cases: [(usize, &[u8], Kind); 8] = [
        (0, b"cxspars!", Kind::Corrupt),
        (24, &[0, 2, 0, 0], Kind::Unsupported),
        (28, &[0, 0, 0, 0], Kind::Corrupt),
        (32, &[0, 0, 0, 0], Kind::Corrupt),
        (32, &[0, 0, 1, 0], Kind::Corrupt),
        (32, &[0, 0x30, 0, 0], Kind::Corrupt),
        (32, &[0x80, 0, 0, 0], Kind::Corrupt),
        (16, &[0, 0, 0, 1, 0, 0, 0, 0], Kind::Corrupt),
    ];
    for (at, value, kind) in cases {
        let mut bytes = image.clone();
        let header = &mut bytes[512..1536];
        header[at..at + value.len()].copy_from_slice(value);
        seal(header, 36);
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{at}: {error}");
    }
    let cases: [(usize, &[u8], Kind); 6] = [
        (12, &[0, 2, 0, 0], Kind::Unsupported),
        (60, &[0, 0, 0, 0], Kind::Corrupt),
        (60, &[0, 0, 0, 9], Kind::Corrupt),
        (48, &[0, 0, 4, 0, 0, 0, 0, 0], Kind::Limit),
        (48, &[0, 0, 1, 0, 0, 0, 0, 0], Kind::Corrupt),
        (16, &[0xff; 8], Kind::Corrupt),
    ];
    for (at, value, kind) in cases {
        let mut bytes = image.clone();
        change_footers(&mut bytes, |footer| {
            footer[at..at + value.len()].copy_from_slice(value);
        });
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{at}: {error}");
    }
}

#[test]
fn ref_differencing_images_are_refused_with_their_parents_name() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(64 << 10);
    let mut bytes = sample(&bench, "dynamic");
    change_footers(&mut bytes, |footer| footer[63] = 4);
    let name: Vec<u8> = "b\u{e4}se.vhd"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let header = &mut bytes[512..1536];
    header[64..64 + name.len()].copy_from_slice(&name);
    seal(header, 36);
    let error = from_bytes(&bytes).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("\"b\u{e4}se.vhd\""), "{error}");
}

#[test]
fn ref_a_file_that_was_cut_off_anywhere_is_an_error_or_the_same_disk() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new((3 << 20) + 512);
    for form in FORMS {
        let image = sample(&bench, form);
        for step in 0..=300 {
            let len = image.len() * step / 300;
            let Ok(read) = from_bytes(&image[..len]).and_then(|image| read_all(&image)) else {
                continue;
            };
            assert!(read == bench.disk, "{form}, {len} of {}", image.len());
        }
    }
}
