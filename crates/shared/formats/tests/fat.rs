//! FAT: what `mkfs.fat` and mtools make, read by us; what we make, checked by `fsck.fat` and read by mtools; and damaged ones.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "in a test, a failure is a panic and a skip is said"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::{Content, DiskFile, Kind, MemoryTarget, ReadAt, Result, Window};
use formats::fat::{Checked, Options, Size, probe, read_tree, write};
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

/// Whether `tool` can be run; a test that needs it fails without it where `CI` is set.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start reference tools, and read CI"
)]
fn need(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    assert!(found || std::env::var("CI").is_err(), "needs {tool}");
    if !found {
        eprintln!("SKIPPED: needs {tool}");
    }
    found
}

/// Runs `tool` and answers with what it printed.
#[expect(clippy::disallowed_methods, reason = "tests start reference tools")]
fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool)
        .args(args)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{tool} {args:?}: {printed}{errors}"
    );
    printed
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Files for every case of a name, and sizes about the bounds of clusters.
fn sample_files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = [
        ("EFI/BOOT/BOOTX64.EFI", 70_000),
        ("EFI/BOOT/grubx64.efi", 66_000),
        ("EFI/azurelinux/grub.cfg", 120),
        ("EFI/BOOT/mmx64.efi", 512),
        ("empty", 0),
        ("one", 1),
        (
            "A name with spaces, and quite a few more letters than thirteen.text",
            511,
        ),
        ("exactly13char", 2048),
        ("exactly13chars.and.twenty6", 2049),
        ("ümläut-€.txt", 4096),
        ("disc \u{1f4bf} beyond the plane.iso", 4097),
        ("README.TXT", 10),
        ("lower.txt", 11),
        (".hidden", 12),
        ("same-prefix-one", 13),
        ("same-prefix-two", 14),
        ("SAME-P~1", 15),
        ("no.final.dots.here", 16),
        (
            "loader/entries/0123456789abcdef0123456789abcdef-6.6.0-1.conf",
            300,
        ),
    ]
    .into_iter()
    .map(|(name, len)| (name.to_owned(), noise(len, 7 + len as u64)))
    .collect();
    files.push(("x".repeat(250), b"long".to_vec()));
    files.extend((0..300).map(|n| (format!("many/file-number-{n:03}.conf"), noise(n, 1))));
    files
}

/// Whether mtools writes the characters of a name as they are: it replaces some beyond Latin-1.
fn is_for_mtools(name: &str) -> bool {
    name.chars().all(|c| u32::from(c) < 0x100)
}

fn metadata(permissions: u16, seconds: i64) -> Metadata {
    Metadata {
        mtime: Timestamp::from_seconds(seconds),
        ..Metadata::with_permissions(permissions)
    }
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn tree_of(files: &[(String, Vec<u8>)]) -> Tree<Content> {
    let mut tree = Tree::new(metadata(0o755, 0));
    for (name, bytes) in files {
        let node = Node::File(Content::from_bytes(bytes.clone()));
        tree.put(
            &path(name),
            Inode::new(metadata(0o755, 1_600_000_000), node),
        )
        .unwrap();
    }
    tree
}

fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let digest = blake3::hash(&content.read_all(1 << 30).unwrap());
        format!("{} {}", content.len(), digest.to_hex())
    })
}

/// The lines of a dump without the times of folders, which tools set as they like, and without the root.
fn without_times(dump: &str) -> Vec<String> {
    let shorten = |line: &str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.remove(2);
        words.join(" ")
    };
    dump.lines().skip(1).map(shorten).collect()
}

/// Holds that two dumps are the same, and shows the first lines that are not.
fn assert_same(left: &[String], right: &[String], what: &str) {
    let differing = left.iter().zip(right).find(|(left, right)| left != right);
    assert_eq!(differing, None, "{what}");
    assert_eq!(left.len(), right.len(), "{what}");
}

fn image_of(checked: &Checked) -> Vec<u8> {
    let target = MemoryTarget::new();
    write(checked, &target).unwrap();
    let bytes = target.into_bytes();
    assert_eq!(bytes.len() as u64, checked.len());
    bytes
}

/// Writes to a new file, which takes no more space than what is not zeros.
fn write_file(checked: &Checked, path: &Path) -> Arc<dyn ReadAt> {
    let file = std::fs::File::create(path).unwrap();
    write(checked, &DiskFile::from_file(file, path).unwrap()).unwrap();
    assert_eq!(path.metadata().unwrap().len(), checked.len());
    Arc::new(DiskFile::open(path).unwrap())
}

fn options(size: Size) -> Options {
    Options {
        label: "LIVE ESP".to_owned(),
        serial: 0x1234_abcd,
        size,
        time: Timestamp::from_seconds(1_700_000_001),
    }
}

/// Sizes of each kind, and the kind that `fsck.fat` should name.
const SIZES: [(Size, u32); 8] = [
    (Size::Minimal, 12),
    (Size::Bytes(2 << 20), 12),
    (Size::Bytes((3 << 20) + 512), 12),
    (Size::Bytes(7 << 20), 12),
    (Size::Bytes(16 << 20), 16),
    (Size::Bytes(40 << 20), 16),
    (Size::Bytes(300 << 20), 16),
    (Size::Bytes(600 << 20), 32),
];

#[test]
fn what_was_written_reads_back() {
    let tree = tree_of(&sample_files());
    let folder = tempfile::tempdir().unwrap();
    for (size, _) in SIZES {
        let checked = Checked::new(&tree, &options(size)).unwrap();
        let image = write_file(&checked, &folder.path().join("image"));
        let identity = probe(&image).unwrap().unwrap();
        assert_eq!(identity.format, "vfat");
        assert_eq!(identity.label, "LIVE ESP");
        assert_eq!(identity.uuid, "1234-ABCD");
        let read = read_tree(image).unwrap();
        let (read_dump, tree_dump) = (dump(&read), dump(&tree));
        assert_same(
            &without_times(&read_dump),
            &without_times(&tree_dump),
            &format!("{size:?}"),
        );
        let file = read.lookup(&path("EFI/BOOT/grubx64.efi")).unwrap();
        assert_eq!(
            read.inode(file).metadata.mtime,
            Timestamp::from_seconds(1_600_000_000)
        );
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let files = sample_files();
    let mut backwards = files.clone();
    backwards.reverse();
    let image = |files: &[(String, Vec<u8>)]| {
        image_of(&Checked::new(&tree_of(files), &options(Size::Minimal)).unwrap())
    };
    assert!(image(&files) == image(&backwards));
}

#[test]
fn an_empty_tree_is_a_file_system_too() {
    let tree = Tree::new(metadata(0o755, 0));
    let options = Options::default();
    let image = image_of(&Checked::new(&tree, &options).unwrap());
    let image: Arc<dyn ReadAt> = Arc::new(image);
    let identity = probe(&image).unwrap().unwrap();
    assert_eq!((identity.label.as_str(), identity.uuid.as_str()), ("", ""));
    assert_eq!(dump(&read_tree(image).unwrap()).lines().count(), 1);
}

#[test]
fn what_fat_cannot_hold_is_refused_by_its_path() {
    let file = || Node::File(Content::default());
    let hole = block::Piece::Hole { len: 1 << 32 };
    let huge = Node::File(Content::new([hole]).unwrap());
    let rows: [(&[&str], Node<Content>); 9] = [
        (&["EFI/link"], Node::Symlink(Box::from(*b"x"))),
        (
            &["EFI/tty"],
            Node::Character(tree::Device { major: 1, minor: 2 }),
        ),
        (&["EFI/fifo"], Node::Fifo),
        (&["EFI/a:b"], file()),
        (&["EFI/dot."], file()),
        (&["EFI/space "], file()),
        (&["EFI/huge"], huge),
        (&["EFI/Same", "EFI/sAME"], file()),
        (&["EFI/stra\u{df}e", "EFI/STRASSE"], file()),
    ];
    for (paths, node) in rows {
        let mut tree = Tree::new(metadata(0o755, 0));
        for at in paths {
            tree.put(&path(at), Inode::new(metadata(0o644, 0), node.clone()))
                .unwrap();
        }
        let error = Checked::new(&tree, &Options::default()).unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Unsupported | Kind::Limit),
            "{error}"
        );
        let named = paths.iter().any(|path| error.to_string().contains(path));
        assert!(named, "{error}");
    }
}

#[test]
fn options_that_cannot_be_are_refused() {
    let tree = tree_of(&sample_files());
    for label in ["twelve chars", "LIVEOS.ESP", "lower", "\u{dc}BER", " A"] {
        let options = Options {
            label: label.to_owned(),
            ..Options::default()
        };
        assert_eq!(
            Checked::new(&tree, &options).unwrap_err().kind(),
            Kind::Unsupported
        );
    }
    for (size, kind) in [
        (1000, Kind::Unsupported),
        (0, Kind::Limit),
        (100 << 10, Kind::Limit),
    ] {
        let error = Checked::new(&tree, &options(Size::Bytes(size))).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn ref_fsck_finds_no_fault_in_what_we_make_and_mtools_reads_it() {
    if !need("fsck.fat") || !need("mcopy") || !need("blkid") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let image_name = image.to_str().unwrap().to_owned();
    let files = sample_files();
    for (size, bits) in SIZES {
        let checked = Checked::new(&tree_of(&files), &options(size)).unwrap();
        write_file(&checked, &image);
        let report = run("fsck.fat", &["-n", "-v", &image_name]);
        assert!(
            report.contains(&format!("{bits} bit")),
            "{size:?}: {report}"
        );
        assert!(
            !report.contains("differ") && !report.contains("wrong"),
            "{report}"
        );
        let id = run(
            "blkid",
            &[
                "-p",
                "-o",
                "value",
                "-s",
                "VERSION",
                "-s",
                "LABEL",
                "-s",
                "UUID",
                &image_name,
            ],
        );
        assert_eq!(id, format!("LIVE ESP\n1234-ABCD\nFAT{bits}\n"));
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        run(
            "mcopy",
            &["-s", "-m", "-i", &image_name, "::/", out.to_str().unwrap()],
        );
        for (name, bytes) in files.iter().filter(|(name, _)| is_for_mtools(name)) {
            assert!(
                std::fs::read(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")) == *bytes,
                "{size:?}: {name}"
            );
        }
        std::fs::remove_dir_all(out).unwrap();
    }
}

/// Makes a file system with `mkfs.fat` and puts `files` into it with mtools.
fn mkfs(image: &Path, args: &[&str], kib: u32, files: &[(String, Vec<u8>)]) {
    let name = image.to_str().unwrap();
    let from = image.with_extension("from");
    for (file, bytes) in files {
        let file = from.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, bytes).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    let kib = kib.to_string();
    let all: Vec<&str> = args.iter().copied().chain(["-C", name, &kib]).collect();
    run("mkfs.fat", &all);
    for entry in std::fs::read_dir(&from).unwrap() {
        let entry = entry.unwrap().path();
        run(
            "mcopy",
            &["-s", "-m", "-i", name, entry.to_str().unwrap(), "::/"],
        );
    }
    std::fs::remove_dir_all(from).unwrap();
}

#[test]
fn ref_we_read_what_mkfs_and_mtools_made() {
    if !need("mkfs.fat") || !need("mcopy") || !need("blkid") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut files = sample_files();
    // mtools would ask what to do about the short name that it gave to another file.
    files.retain(|(name, _)| name != "SAME-P~1" && is_for_mtools(name));
    let expected = without_times(&dump(&tree_of(&files)));
    let matrix: [(&[&str], u32); 9] = [
        (&["-F", "12"], 4096),
        (&["-F", "12", "-s", "8", "-r", "112"], 8192),
        (&["-F", "16", "-s", "1"], 8192),
        (&["-F", "16", "-s", "4", "-f", "1", "-R", "9"], 40_000),
        (&["-F", "16", "-S", "4096"], 200_000),
        (&["-F", "32", "-s", "1"], 40_000),
        (&["-F", "32", "-s", "8"], 300_000),
        (&["-F", "32", "-S", "2048", "-s", "1"], 140_000),
        (&["-F", "32", "-a", "-R", "40"], 100_000),
    ];
    for (row, (args, kib)) in matrix.into_iter().enumerate() {
        let image = folder.path().join(format!("image{row}"));
        let args: Vec<&str> = args
            .iter()
            .copied()
            .chain(["-n", "A LABEL", "-i", "00c0ffee"])
            .collect();
        mkfs(&image, &args, kib, &files);
        let disk: Arc<dyn ReadAt> = Arc::new(DiskFile::open(&image).unwrap());
        let identity = probe(&disk).unwrap().unwrap();
        let name = image.to_str().unwrap();
        let theirs = run(
            "blkid",
            &["-p", "-o", "value", "-s", "LABEL", "-s", "UUID", name],
        );
        assert_eq!(format!("{}\n{}\n", identity.label, identity.uuid), theirs);
        let read = read_tree(disk).unwrap();
        assert_same(
            &without_times(&dump(&read)),
            &expected,
            &format!("{args:?}"),
        );
        let file = read.lookup(&path("one")).unwrap();
        assert_eq!(
            read.inode(file).metadata.mtime,
            Timestamp::from_seconds(1_600_000_000)
        );
        std::fs::remove_file(image).unwrap();
    }
}

#[test]
fn ref_removed_changed_and_scattered_files_are_read_as_mtools_reads_them() {
    if !need("mkfs.fat") || !need("mcopy") || !need("mattrib") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for bits in ["12", "16", "32"] {
        let image = folder.path().join(format!("image{bits}"));
        let name = image.to_str().unwrap();
        let mut files: Vec<_> = (0..60)
            .map(|n| (format!("file number {n}"), noise(3000 + n, 3)))
            .collect();
        mkfs(
            &image,
            &["-F", bits, "-s", "1"],
            match bits {
                "12" => 1800,
                "16" => 30_000,
                _ => 40_000,
            },
            &files,
        );
        for n in (0..60).step_by(2) {
            run("mdel", &["-i", name, &format!("::/file number {n}")]);
        }
        let mut index = 0;
        files.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        // Falls into the gaps.
        files.push(("Scattered".to_owned(), noise(60_000, 5)));
        std::fs::write(folder.path().join("Scattered"), &files.last().unwrap().1).unwrap();
        run(
            "mcopy",
            &[
                "-i",
                name,
                folder.path().join("Scattered").to_str().unwrap(),
                "::/",
            ],
        );
        run("mattrib", &["+r", "-i", name, "::/Scattered"]);
        let read = read_tree(Arc::new(DiskFile::open(&image).unwrap())).unwrap();
        let mut expected = tree_of(&files);
        let id = expected.lookup(&path("Scattered")).unwrap();
        expected.metadata_mut(id).permissions = 0o555;
        assert_eq!(
            without_times(&dump(&read)),
            without_times(&dump(&expected)),
            "FAT{bits}"
        );
        let content = read.file("Scattered").unwrap();
        assert_eq!(
            content.pieces().count() > 1,
            bits != "32",
            "FAT{bits}: mtools goes on after the last used cluster of FAT32"
        );
    }
}

/// Opens and reads all of a damaged file system.
fn read_damaged(bytes: Vec<u8>) -> Result<String> {
    let source: Arc<dyn ReadAt> = Arc::new(bytes);
    probe(&source)?;
    let tree = read_tree(source)?;
    let mut faults = Ok(());
    let text = tree.dump(|content| match content.read_all(1 << 30) {
        Ok(bytes) => blake3::hash(&bytes).to_hex().to_string(),
        Err(error) => {
            faults = Err(error);
            String::new()
        }
    });
    faults.map(|()| text)
}

fn has_place(error: &(dyn std::error::Error + 'static)) -> bool {
    let block_error = error.downcast_ref::<block::Error>();
    block_error
        .is_some_and(|error| error.place().offset.is_some() || !error.place().what.is_empty())
        || error.source().is_some_and(has_place)
}

#[test]
fn every_flipped_byte_of_the_structures_gives_an_answer() {
    let mut files = sample_files();
    files.truncate(20);
    let tree = tree_of(&files);
    for (size, root_at) in [(Size::Minimal, 0), (Size::Bytes(9 << 20), 0)] {
        let checked = Checked::new(&tree, &options(size)).unwrap();
        let whole = image_of(&checked);
        let same = read_damaged(whole.clone()).unwrap();
        let tables = 512..700;
        let root = whole
            .windows(11)
            .position(|bytes| bytes == b"LIVE ESP   ")
            .unwrap();
        let root = whole[root + 11..]
            .windows(11)
            .position(|b| b == b"LIVE ESP   ")
            .unwrap()
            + root
            + 11
            + root_at;
        let mut unchanged = 0;
        for at in (0..512).chain(tables).chain(root..root + 1200) {
            for flip in [0xff, 1, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                match read_damaged(bytes) {
                    Ok(text) => unchanged += usize::from(text == same),
                    Err(error) => assert!(has_place(&error), "byte {at}: {error}"),
                }
            }
        }
        assert!(
            unchanged > 500,
            "boot code and the like change nothing: {unchanged}"
        );
    }
}

#[test]
fn a_file_system_that_was_cut_off_is_an_error_or_the_same() {
    let mut files = sample_files();
    files.truncate(20);
    let checked = Checked::new(&tree_of(&files), &options(Size::Minimal)).unwrap();
    let whole = image_of(&checked);
    let same = read_damaged(whole.clone()).unwrap();
    for len in (0..whole.len()).step_by(1021) {
        match read_damaged(whole[..len].to_vec()) {
            Ok(text) => assert_eq!(text, same, "{len}"),
            Err(error) => assert!(has_place(&error), "{error}"),
        }
    }
}

/// A FAT16 file system with the folder `A` in cluster 2 and the file `A/B` in the clusters after it.
fn small() -> (Vec<u8>, usize, usize) {
    let files = [("A/B".to_owned(), noise(10_000, 1))];
    let checked = Checked::new(&tree_of(&files), &options(Size::Bytes(9 << 20))).unwrap();
    let image = image_of(&checked);
    let reserved = usize::from(image[14]) * 512;
    let table_len = usize::from(image[22]) * 512;
    (image, reserved, reserved + 2 * table_len + 512 * 32)
}

#[test]
fn chains_that_lead_nowhere_or_in_a_circle_are_refused() {
    let (whole, table, _) = small();
    // The file has the clusters 3 to 7; its third cluster is 5.
    for next in [0, 1, 2, 3, 5, 0xfff7, 0xfff0] {
        let mut image = whole.clone();
        image[table + 10..table + 12].copy_from_slice(&u16::to_le_bytes(next));
        let error = read_tree(Arc::new(image)).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{next}");
    }
    let mut image = whole;
    image[table + 10..table + 12].copy_from_slice(&[0xff, 0xff]);
    let error = read_tree(Arc::new(image)).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("ends before"), "{cause}");
}

#[test]
fn a_folder_that_is_in_itself_is_refused() {
    let (mut image, _, data) = small();
    // The entry of B, after those of `.` and `..`, becomes a folder in the cluster of A.
    let entry = data + 64;
    assert_eq!(image[entry], b'B');
    image[entry + 11] = 0x10;
    image[entry + 26..entry + 28].copy_from_slice(&[2, 0]);
    assert_eq!(
        read_tree(Arc::new(image)).unwrap_err().kind(),
        Kind::Corrupt
    );
}

#[test]
fn parts_of_a_long_name_that_do_not_belong_to_it_are_passed_over() {
    let files = [("a long name of two parts".to_owned(), Vec::new())];
    let checked = Checked::new(&tree_of(&files), &options(Size::Minimal)).unwrap();
    let whole = image_of(&checked);
    let first = whole.windows(2).rposition(|b| b == [0x42, b'f']).unwrap();
    let names = |image: Vec<u8>| -> Vec<String> {
        let tree = read_tree(Arc::new(image)).unwrap();
        let names = tree.list("/");
        names.map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(names(whole.clone()), ["a long name of two parts"]);
    // Another number, another checksum, a removed part.
    for (at, value) in [
        (0, 0x43),
        (13, 0),
        (32, 2),
        (32 + 13, 0),
        (0, 0xe5),
        (32, 0xe5),
    ] {
        let mut image = whole.clone();
        image[first + at] = value;
        assert_eq!(names(image), ["ALONGN~1"], "{at}");
    }
}

#[test]
fn a_root_folder_that_cannot_be_read_costs_the_label_only() {
    let (mut image, _, data) = small();
    image.truncate(data - 600);
    let source: Arc<dyn ReadAt> = Arc::new(image);
    let identity = probe(&source).unwrap().unwrap();
    assert_eq!(
        (identity.label.as_str(), identity.uuid.as_str()),
        ("", "1234-ABCD")
    );
    let error = read_tree(source).unwrap_err();
    assert!(error.place().offset.is_some(), "{error}");
}

#[test]
fn a_boot_sector_without_room_for_clusters_is_none() {
    let (mut image, _, _) = small();
    // All sectors belong to the tables.
    image[22..24].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(probe(&image).unwrap(), None);
    let error = read_tree(Arc::new(image)).unwrap_err();
    assert_eq!(
        (error.kind(), error.place().offset),
        (Kind::Corrupt, Some(0))
    );
}

#[test]
fn what_is_no_fat_is_said_to_be_none() {
    let (image, _, _) = small();
    for (at, value) in [(12, 3), (13, 3), (14, 0), (16, 0), (21, 0)] {
        let mut image = image.clone();
        image[at] = value;
        assert_eq!(probe(&image).unwrap(), None, "byte {at}");
    }
    assert_eq!(probe(&vec![0; 4096]).unwrap(), None);
    assert_eq!(probe(&vec![0xeb; 100]).unwrap(), None);
    let none = Window::new(Arc::new(vec![0; 9]), 0, 9).unwrap();
    assert_eq!(read_tree(Arc::new(none)).unwrap_err().kind(), Kind::Corrupt);
}
