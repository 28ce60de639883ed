//! Images that were closed.

use block::{DiskFormat, Options, ReadAt as _, open_disk_image};

use crate::disk::{Bench, assert_reads_as, data_ranges, next_number, open};
use crate::image::{BAT, LOGICAL_SECTOR, MIB, from_bytes, item, put, region};
use crate::support::{need, run};

#[test]
fn ref_images_of_every_form_read_as_the_disk_they_were_made_of() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new((9 << 20) + 5 * 512);
    for form in ["dynamic", "fixed"] {
        for more in [
            "",
            ",block_size=2M",
            ",block_size=8M,log_size=3M",
            ",block_state_zero=off",
        ] {
            let options = format!("subformat={form}{more}");
            let path = bench.convert("image", "vhdx", &["-o", &options]);
            let opened = open_disk_image(&path, &Options::default()).unwrap();
            assert_eq!(opened.format, DiskFormat::Vhdx, "{options}");
            assert_eq!(opened.damage, [""; 0], "{options}");
            assert_reads_as(&opened.image, &bench.disk, &options);
        }
    }
    for len in [512, MIB, 32 * MIB] {
        let bench = Bench::new(len);
        let path = bench.convert("image", "vhdx", &[]);
        assert_reads_as(&open(path).unwrap(), &bench.disk, &format!("{len}"));
    }
}

#[test]
fn ref_blocks_that_were_written_in_any_order_read_as_qemu_reads_them() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(512);
    let path = bench.path("image");
    let options = "block_size=1M";
    run(
        "qemu-img",
        &["create", "-f", "vhdx", "-o", options, &path, "40M"],
        "",
    );
    let mut commands = String::new();
    let mut state = 5;
    for number in 1..30 {
        let at = next_number(&mut state) % 39_000 * 1024;
        let len = (next_number(&mut state) % 900 + 1) * 1024;
        commands += &format!("write -P {number} {at} {len}\n");
    }
    run("qemu-io", &["-f", "vhdx", &path], &commands);
    assert_reads_as(
        &open(&path).unwrap(),
        &bench.expected(&path, "vhdx"),
        "written",
    );
}

#[test]
fn ref_blocks_behind_the_entries_of_bitmaps_are_found() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    // A bitmap has an entry after every 4096 blocks of 1 MiB.
    let bench = Bench::new(512);
    let path = bench.path("image");
    let options = "block_size=1M";
    run(
        "qemu-img",
        &["create", "-f", "vhdx", "-o", options, &path, "20G"],
        "",
    );
    let places = [0_u64, 4095, 4096, 8191, 8192, 8193, 16_384, 20_479];
    let mut commands = String::new();
    for (number, block) in (1..).zip(places) {
        commands += &format!("write -P {number} {block}M 1M\n");
    }
    run("qemu-io", &["-f", "vhdx", &path], &commands);
    let image = open(&path).unwrap();
    for (number, block) in (1_u8..).zip(places) {
        let mut buf = vec![0; MIB];
        image.read_exact_at(&mut buf, block << 20).unwrap();
        assert!(buf.iter().all(|byte| *byte == number), "block {block}");
    }
    let expected = [0..1, 4095..4097, 8191..8194, 16_384..16_385, 20_479..20_480];
    let blocks = data_ranges(&image).unwrap();
    let blocks: Vec<_> = blocks
        .iter()
        .map(|range| range.start >> 20..range.end >> 20)
        .collect();
    // Blocks that are neighbours may be found one by one.
    let joined = blocks
        .iter()
        .fold(Vec::<std::ops::Range<u64>>::new(), |mut all, range| {
            match all.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => all.push(range.clone()),
            }
            all
        });
    assert_eq!(joined, expected);
}

#[test]
fn ref_with_sectors_of_4096_bytes_a_bitmap_comes_after_eight_times_as_many_blocks() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(512);
    let path = bench.path("image");
    let options = "block_size=1M";
    run(
        "qemu-img",
        &["create", "-f", "vhdx", "-o", options, &path, "40G"],
        "",
    );
    let mut bytes = std::fs::read(&path).unwrap();
    let sector = item(&bytes, LOGICAL_SECTOR);
    put(&mut bytes, sector, &4096_u32.to_le_bytes());
    let bat = region(&bytes, BAT);
    // QEMU makes no such images: a block of ones at the end of the file, for one block of the disk after the other.
    let host = bytes.len().next_multiple_of(MIB);
    bytes.resize(host, 0);
    bytes.resize(host + MIB, 1);
    for (block, entry) in [(32_767, 32_767), (32_768, 32_769), (40_959, 40_960)] {
        let mut changed = bytes.clone();
        put(
            &mut changed,
            bat + entry * 8,
            &(host as u64 | 6).to_le_bytes(),
        );
        let image = from_bytes(&changed).unwrap();
        let start = block << 20;
        let ranges = data_ranges(&image).unwrap();
        assert_eq!(ranges.len(), 1, "{ranges:?}");
        assert_eq!(ranges[0], start..start + (1 << 20));
        let mut buf = [0; 2];
        image.read_exact_at(&mut buf, start).unwrap();
        assert_eq!(buf, [1, 1]);
    }
}

#[test]
fn ref_holes_are_known_without_reading_them() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(512);
    let path = bench.path("image");
    run("qemu-img", &["create", "-f", "vhdx", &path, "10T"], "");
    let far = 9_u64 << 40;
    let write = format!("write -P 1 {far} 3M\n");
    run("qemu-io", &["-f", "vhdx", &path], &write);
    let image = open(&path).unwrap();
    assert_eq!(image.len(), 10 << 40);
    let ranges = data_ranges(&image).unwrap();
    let (first, last) = (ranges.first().unwrap(), ranges.last().unwrap());
    assert!(
        first.start <= far && last.end >= far + (3 << 20),
        "{ranges:?}"
    );
    assert!(last.end - first.start <= 64 << 20, "{ranges:?}");
}

#[test]
fn ref_states_of_blocks_read_as_qemu_reads_them() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(3 * MIB);
    let path = bench.convert("image", "vhdx", &["-o", "block_size=1M,subformat=fixed"]);
    let bytes = std::fs::read(&path).unwrap();
    let bat = region(&bytes, BAT);
    for state in [0, 1, 2, 3, 5, 6] {
        let mut changed = bytes.clone();
        changed[bat + 8] = changed[bat + 8] & !7 | state;
        std::fs::write(&path, &changed).unwrap();
        let expected = bench.expected(&path, "vhdx");
        assert_reads_as(&open(&path).unwrap(), &expected, &format!("state {state}"));
    }
}
