//! qcow2: what `qemu-img` and `qemu-io` make, read by us; and damaged images.
#![expect(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod support;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use block::qcow2::Image;
use block::{BackingFiles, DiskFormat, Kind, Options, ReadAt, Result, open_disk_image};
use support::{need, run};

/// The next number of a fixed sequence that looks random.
fn next_number(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A disk of `len` bytes: noise, text, zeros and runs, in pieces of uneven length.
fn sample_disk(len: usize) -> Vec<u8> {
    let mut state = 1;
    let mut disk = Vec::with_capacity(len);
    while disk.len() < len {
        let number = next_number(&mut state);
        let piece = 512 + (number >> 8) as usize % 200_000;
        match number % 5 {
            0 | 1 => disk.resize(disk.len() + piece, 0),
            2 => disk.extend((0..piece).map(|_| next_number(&mut state) as u8)),
            3 => disk.extend((0..piece).map(|at| (at / 7) as u8)),
            _ => disk.resize(disk.len() + piece, number as u8),
        }
    }
    disk.truncate(len);
    disk
}

fn read_all(image: &dyn ReadAt) -> Result<Vec<u8>> {
    let mut disk = vec![0x5a; image.len() as usize];
    image.read_exact_at(&mut disk, 0)?;
    Ok(disk)
}

fn data_ranges(image: &dyn ReadAt) -> Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    let mut offset = 0;
    while let Some(range) = image.next_data(offset)? {
        assert!(range.start >= offset && range.start < range.end && range.end <= image.len());
        offset = range.end;
        ranges.push(range);
    }
    Ok(ranges)
}

/// Holds that `image` is `disk`: read whole, in uneven pieces from two threads, and by its data alone.
fn assert_reads_as(image: &dyn ReadAt, disk: &[u8], what: &str) {
    assert_eq!(image.len(), disk.len() as u64, "{what}");
    assert!(
        read_all(image).unwrap() == disk,
        "{what}: the whole disk differs"
    );
    std::thread::scope(|scope| {
        for seed in [3, 4] {
            scope.spawn(move || {
                let mut state = seed;
                for _ in 0..200 {
                    let at = next_number(&mut state) as usize % disk.len();
                    let len = next_number(&mut state) as usize % 150_000;
                    let len = len.min(disk.len() - at);
                    let mut buf = vec![0x5a; len];
                    image.read_exact_at(&mut buf, at as u64).unwrap();
                    assert!(buf == disk[at..at + len], "{what}: {len} bytes at {at}");
                }
            });
        }
    });
    let mut by_data = vec![0; disk.len()];
    for range in data_ranges(image).unwrap() {
        let range = range.start as usize..range.end as usize;
        image
            .read_exact_at(&mut by_data[range.clone()], range.start as u64)
            .unwrap();
    }
    assert!(by_data == disk, "{what}: data outside of the ranges");
    assert!(image.read_exact_at(&mut [0; 2], image.len() - 1).is_err());
}

/// A folder with a raw disk in it.
struct Bench {
    folder: tempfile::TempDir,
    disk: Vec<u8>,
}

impl Bench {
    fn new(len: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = sample_disk(len);
        std::fs::write(folder.path().join("raw"), &disk).unwrap();
        Self { folder, disk }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Makes the image `name` of the raw disk.
    fn convert(&self, name: &str, more: &[&str], options: &str) -> String {
        let path = self.path(name);
        let mut args = vec!["convert", "-f", "raw", "-O", "qcow2"];
        args.extend(more);
        args.extend(["-o", options]);
        let raw = self.path("raw");
        args.extend([raw.as_str(), path.as_str()]);
        run("qemu-img", &args, "");
        path
    }

    /// What `qemu-img` reads from the image at `path`.
    fn expected(&self, path: &str) -> Vec<u8> {
        let out = self.path("expected");
        run("qemu-img", &["convert", "-O", "raw", path, &out], "");
        std::fs::read(out).unwrap()
    }
}

fn open(path: impl AsRef<Path>) -> Result<Arc<dyn ReadAt>> {
    Ok(open_disk_image(path, &Options::default())?.image)
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
                let path = bench.convert("image", more, &options);
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
        let path = bench.convert("image", &["-c"], &options);
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
        let path = bench.convert("image", &[], &options);
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
        let base = bench.convert("base", &["-c"], &options);
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
            let expected = bench.expected(path);
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
    assert_reads_as(&opened.image, &bench.expected(&path), "chain");
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
    let path = bench.convert("image", &[], "lazy_refcounts=on");
    run("qemu-img", &["snapshot", "-c", "before", &path], "");
    run("qemu-io", &["-f", "qcow2", &path], "write -P 1 0 300k\n");
    assert_reads_as(&open(&path).unwrap(), &bench.expected(&path), "snapshot");
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
        ("vhdx", "VHDX"),
        ("vpc", "VHD"),
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
    let base = bench.convert("base", &["-c"], "cluster_size=4096");
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
        let path = bench.convert("image", more, options);
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
        let path = bench.convert("image", more, options);
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
