//! qcow2: what `qemu-img` and `qemu-io` make, read by us; and damaged images.
#![expect(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod disk;
mod support;

use std::path::Path;
use std::sync::Arc;

use block::qcow2::Image;
use block::{BackingFiles, DiskFormat, Kind, Options, ReadAt, Result, open_disk_image};
use disk::{Bench, assert_reads_as, data_ranges, next_number, open, read_all};
use support::{need, run};

/// A qcow2 image of the bench's disk.
fn convert(bench: &Bench, name: &str, more: &[&str], options: &str) -> String {
    bench.convert(name, "qcow2", &[more, &["-o", options]].concat())
}

#[test]
fn ref_images_of_every_cluster_size_read_as_the_disk_they_were_made_of() {
    if !need("qemu-img") {
        return;
    }
    // Not a whole number of clusters.
    let bench = Bench::new((4 << 20) + 5 * 512);
    for compat in ["0.10", "1.1"] {
        for cluster_bits in [9, 12, 14, 16, 18, 21] {
            let options = format!("compat={compat},cluster_size={}", 1 << cluster_bits);
            for more in [&[][..], &["-c"], &["-S", "0"]] {
                let path = convert(&bench, "image", more, &options);
                let what = format!("{options} {more:?}");
                assert_reads_as(&open(path).unwrap(), &bench.disk, &what);
            }
        }
    }
}

#[test]
fn ref_clusters_compressed_with_zstd_read_as_the_disk_they_were_made_of() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new((4 << 20) + 512);
    for cluster_bits in [9, 12, 16, 21] {
        let options = format!("compression_type=zstd,cluster_size={}", 1 << cluster_bits);
        let path = convert(&bench, "image", &["-c"], &options);
        assert_reads_as(&open(path).unwrap(), &bench.disk, &options);
    }
}

#[test]
fn ref_preallocated_images_read_as_the_disk_they_were_made_of() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new((8 << 20) + 512);
    for preallocation in ["metadata", "falloc", "full"] {
        let options = format!("preallocation={preallocation}");
        let path = convert(&bench, "image", &[], &options);
        assert_reads_as(&open(path).unwrap(), &bench.disk, &options);
    }
}

#[test]
fn ref_clusters_that_were_written_zeroed_and_discarded_read_as_qemu_reads_them() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(8 << 20);
    let tables = [
        "",
        "extended_l2=on,",
        "extended_l2=on,compression_type=zstd,",
    ];
    for (options, cluster_bits) in tables.iter().flat_map(|o| [(o, 14), (o, 16), (o, 17)]) {
        let options = format!("{options}cluster_size={}", 1 << cluster_bits);
        let base = convert(&bench, "base", &["-c"], &options);
        let top = bench.path("top");
        // Larger than what lies under it, and written in pieces smaller than a subcluster.
        let create = [
            "create", "-f", "qcow2", "-o", &options, "-F", "qcow2", "-b", "base", &top, "9M",
        ];
        run("qemu-img", &create, "");
        let mut commands = String::new();
        let mut state = 9;
        for _ in 0..60 {
            let number = next_number(&mut state);
            let at = (number >> 20) % (8 << 20) / 512 * 512;
            let len = (512 + (number >> 45) % 100_000 / 512 * 512).min((8 << 20) - at);
            commands += &match number % 4 {
                0 => format!("write -P {} {at} {len}\n", number >> 8 & 0xff),
                1 => format!("write -z {at} {len}\n"),
                2 => format!("write -zu {at} {len}\n"),
                _ => format!("discard {at} {len}\n"),
            };
        }
        for path in [&base, &top] {
            run("qemu-io", &["-f", "qcow2", path], &commands);
            commands += "write -P 7 8500k 70k\n";
            let expected = bench.expected(path, "qcow2");
            let image = open(path).unwrap();
            assert_reads_as(&image, &expected, &format!("{path} {options}"));
        }
    }
}

#[test]
fn ref_chains_of_backing_files_read_as_qemu_reads_them() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(3 << 20);
    std::fs::create_dir(bench.path("below")).unwrap();
    std::fs::rename(bench.path("raw"), bench.path("below/raw")).unwrap();
    let mut under = ("below/raw".to_owned(), "raw");
    for number in 0..4 {
        let name = format!("layer{number}");
        let path = bench.path(&name);
        let size = format!("{}K", 3 << 10 | number << 8);
        let options = format!("cluster_size={}", 4096 << number);
        let create = [
            "create", "-f", "qcow2", "-o", &options, "-F", under.1, "-b", &under.0, &path, &size,
        ];
        run("qemu-img", &create, "");
        let at = number * 700_000 / 512 * 512;
        let write = format!("write -P {} {at} 300032\nwrite -z 100k 50k\n", number + 1);
        run("qemu-io", &["-f", "qcow2", &path], &write);
        under = (name, "qcow2");
    }
    let path = bench.path(&under.0);
    let opened = open_disk_image(&path, &Options::default()).unwrap();
    assert_eq!(opened.format, DiskFormat::Qcow2);
    assert_eq!(opened.files.len(), 5);
    assert_reads_as(&opened.image, &bench.expected(&path, "qcow2"), "chain");
}

#[test]
fn ref_holes_are_known_without_reading_them() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(512);
    let path = bench.path("image");
    run("qemu-img", &["create", "-f", "qcow2", &path, "2T"], "");
    run(
        "qemu-io",
        &["-f", "qcow2", &path],
        "write -P 1 1T 64k\nwrite -P 2 1100G 1M\n",
    );
    let image = open(&path).unwrap();
    assert_eq!(image.len(), 2 << 40);
    let tera = 1_u64 << 40;
    let second = 1100_u64 << 30;
    let expected = [tera..tera + 65536, second..second + (1 << 20)];
    assert_eq!(data_ranges(&image).unwrap(), expected);
}

#[test]
fn ref_snapshots_are_passed_over() {
    if !need("qemu-img") || !need("qemu-io") {
        return;
    }
    let bench = Bench::new(1 << 20);
    let path = convert(&bench, "image", &[], "lazy_refcounts=on");
    run("qemu-img", &["snapshot", "-c", "before", &path], "");
    run("qemu-io", &["-f", "qcow2", &path], "write -P 1 0 300k\n");
    assert_reads_as(
        &open(&path).unwrap(),
        &bench.expected(&path, "qcow2"),
        "snapshot",
    );
}

#[test]
fn ref_what_is_not_done_is_refused_by_name() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(1 << 20);
    let path = bench.path("image");
    for (method, name) in [(1, "AES"), (2, "LUKS")] {
        run("qemu-img", &["create", "-f", "qcow2", &path, "1M"], "");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[35] = method;
        std::fs::write(&path, bytes).unwrap();
        refused(&path, name);
    }
    let data = bench.path("data");
    let options = format!("data_file={data}");
    run(
        "qemu-img",
        &["create", "-f", "qcow2", "-o", &options, &path, "1M"],
        "",
    );
    refused(&path, "data_file");
    for (format, name) in [
        ("vmdk", "VMDK"),
        ("vdi", "VDI"),
        ("qed", "QED"),
        ("qcow", "version 1"),
    ] {
        run("qemu-img", &["create", "-f", format, &path, "1M"], "");
        refused(&path, name);
    }
}

fn refused(path: &str, name: &str) {
    let error = open(path).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn ref_backing_files_outside_of_the_folder_are_read_only_when_asked() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(1 << 20);
    std::fs::create_dir(bench.path("inner")).unwrap();
    std::os::unix::fs::symlink("../raw", bench.path("inner/link")).unwrap();
    let path = bench.path("inner/image");
    let raw = bench.path("raw");
    let anywhere = Options {
        backing_files: BackingFiles::Anywhere,
        ..Options::default()
    };
    let never = Options {
        backing_files: BackingFiles::Refused,
        ..Options::default()
    };
    for name in ["../raw", "link", raw.as_str()] {
        run(
            "qemu-img",
            &["create", "-f", "qcow2", "-F", "raw", "-b", name, &path],
            "",
        );
        refused(&path, "outside of the image's folder");
        assert!(open_disk_image(&path, &never).is_err());
        let opened = open_disk_image(&path, &anywhere).unwrap();
        assert_reads_as(&opened.image, &bench.disk, name);
    }
    let json = r#"json:{"driver":"raw","file":{"driver":"file","filename":"../raw"}}"#;
    for name in ["nbd://localhost/x", json] {
        run(
            "qemu-img",
            &[
                "create", "-u", "-f", "qcow2", "-F", "raw", "-b", name, &path, "1M",
            ],
            "",
        );
        refused(&path, "no file name");
    }
    run(
        "qemu-img",
        &[
            "create", "-u", "-f", "qcow2", "-F", "raw", "-b", "gone", &path, "1M",
        ],
        "",
    );
    assert_eq!(open(&path).unwrap_err().kind(), Kind::Io);
}

#[test]
fn ref_a_disk_longer_than_any_real_one_is_refused() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(512);
    let path = bench.path("image");
    let create = |size: &str| run("qemu-img", &["create", "-f", "qcow2", &path, size], "");
    create("64T");
    assert_eq!(data_ranges(&open(&path).unwrap()).unwrap(), []);
    create("65T");
    assert_eq!(open(&path).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn ref_an_error_names_the_image_of_the_chain_that_is_at_fault() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(1 << 20);
    let base = convert(&bench, "base", &["-c"], "cluster_size=4096");
    let top = bench.path("top");
    let create = ["create", "-f", "qcow2", "-F", "qcow2", "-b", "base", &top];
    run("qemu-img", &create, "");
    let whole = std::fs::read(&base).unwrap();
    // An L1 entry that is not aligned, and no table at all.
    let l1 = u64::from_be_bytes(whole[40..48].try_into().unwrap()) as usize;
    for (at, value) in [(l1 + 6, 0x02), (l1 + 3, 0x7f)] {
        let mut bytes = whole.clone();
        bytes[at] = value;
        std::fs::write(&base, bytes).unwrap();
        let error = read_all(&open(&top).unwrap()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert_eq!(
            error.place().path.as_deref(),
            Some(Path::new(&base)),
            "{error}"
        );
    }
}

#[test]
fn ref_an_image_that_lies_on_itself_is_refused() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(512);
    let (a, b) = (bench.path("a"), bench.path("b"));
    for (path, under) in [(&a, "b"), (&b, "./a")] {
        run(
            "qemu-img",
            &[
                "create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", under, path, "1M",
            ],
            "",
        );
    }
    let error = open(&a).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("circle"), "{error}");
}

/// Reads all of a damaged image, as far as its length is one that a disk of a few MiB could have got by a flipped bit or two.
fn read_damaged(bytes: Vec<u8>) -> Result<Option<Vec<u8>>> {
    let image = Image::open(Arc::new(bytes))?;
    let mut buf = vec![0; 4096];
    let last = image.len().saturating_sub(4096);
    for offset in [0, last / 2, last] {
        if image.len() >= 4096 {
            image.read_exact_at(&mut buf, offset)?;
        }
    }
    if image.len() > 64 << 20 {
        return Ok(None);
    }
    data_ranges(&image)?;
    read_all(&image).map(Some)
}

#[test]
fn ref_every_flipped_byte_of_the_tables_gives_an_answer() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(300_032);
    let mut same = 0;
    for (more, options) in [
        (&[][..], "cluster_size=4096"),
        (&["-c"], "cluster_size=4096,compression_type=zstd"),
        (&["-c"], "cluster_size=512,compat=0.10"),
        (&[], "cluster_size=16k,extended_l2=on"),
    ] {
        let path = convert(&bench, "image", more, options);
        let whole = std::fs::read(path).unwrap();
        let l1 = u64::from_be_bytes(whole[40..48].try_into().unwrap()) as usize;
        let l2 = u64::from_be_bytes(whole[l1..l1 + 8].try_into().unwrap()) as usize & 0xff_ffff;
        let places = (0..130).chain(l1..l1 + 64).chain(l2..l2 + 128);
        for (at, flip) in places.flat_map(|at| [(at, 0xff), (at, 1), (at, 0x80)]) {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            match read_damaged(bytes) {
                Ok(Some(disk)) => same += usize::from(disk == bench.disk),
                Ok(None) => {}
                Err(error) => assert!(error.place().offset.is_some(), "{error} (byte {at})"),
            }
        }
    }
    assert!(
        same > 100,
        "flips of what is not used change nothing: {same}"
    );
}

#[test]
fn ref_a_truncated_image_is_an_error_or_reads_the_same() {
    if !need("qemu-img") {
        return;
    }
    let bench = Bench::new(300_032);
    for (more, options) in [
        (&[][..], "cluster_size=4096"),
        (&["-c"], "cluster_size=4096"),
        (&["-c"], "cluster_size=65536,compression_type=zstd"),
        (&[], "cluster_size=65536"),
    ] {
        let path = convert(&bench, "image", more, options);
        let whole = std::fs::read(path).unwrap();
        let lengths = (0..whole.len()).step_by(997).chain(0..200);
        for len in lengths.chain(whole.len() - 100..whole.len()) {
            let image = Image::open(Arc::new(whole[..len].to_vec()));
            let by_data = image.and_then(|image| {
                let mut disk = vec![0; ReadAt::len(&image) as usize];
                for range in data_ranges(&image)? {
                    let part = &mut disk[range.start as usize..range.end as usize];
                    image.read_exact_at(part, range.start)?;
                }
                assert!(read_all(&image)? == disk, "{options}: {len}");
                Ok(disk)
            });
            match by_data {
                Ok(disk) => assert!(disk == bench.disk, "{options}: {len} of {}", whole.len()),
                Err(error) => assert!(error.place().offset.is_some(), "{error}"),
            }
        }
    }
}
