//! What the ISO 9660 writer promises, seen through our own reader.

mod iso9660_sample;

use block::{Content, Kind, MemoryTarget, OffsetTarget, ReadAt as _, WriteAt as _};
use formats::iso9660::{
    BootInfo, File, Image, Options, Platform, VolumeId, boot_catalog, probe, read_tree,
};
use iso9660_sample::{
    TIME, add_boot, contents, dump, metadata, noise, options, path, put, put_file, source, tree,
    write_bytes,
};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use tree::{Node, Timestamp, Tree};

#[test]
fn a_tree_comes_back_as_it_was() {
    let tree = tree();
    let read = read_tree(source(write_bytes(&tree, &options()))).unwrap();
    assert_eq!(dump(&read), dump(&contents(&tree)));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (mut tree, mut options) = (tree(), options());
    add_boot(&mut tree, &mut options);
    assert!(write_bytes(&tree, &options) == write_bytes(&tree.clone(), &options));
    // And another volume has other identifiers.
    let other = Options {
        volume_id: VolumeId::new("OTHER").unwrap(),
        ..options.clone()
    };
    let guid = |options: &Options| write_bytes(&tree, options)[512 + 56..512 + 72].to_vec();
    assert_ne!(guid(&options), guid(&other));
}

#[test]
fn the_label_and_the_date_of_the_volume_are_its_identity() {
    let identity = probe(&write_bytes(&tree(), &options())).unwrap().unwrap();
    assert_eq!(identity.format, "iso9660");
    assert_eq!(identity.label, "LIVE-media_1.0");
    assert_eq!(identity.uuid, "2026-11-20-00-00-00-00");
    let long = "A-Label-of-thirty-two-characters";
    let options = Options::new(VolumeId::new(long).unwrap(), TIME);
    let identity = probe(&write_bytes(&tree(), &options)).unwrap().unwrap();
    assert_eq!(identity.label, long);
    assert_eq!(probe(&vec![0_u8; 100_000]).unwrap(), None);
    assert_eq!(probe(&Vec::<u8>::new()).unwrap(), None);
}

#[test]
fn late_files_are_written_straight_to_their_places() {
    let mut tree = tree();
    for (at, max_len) in [("/live/root.img", 10 << 30), ("/live/sums", 4096)] {
        put(&mut tree, at, 0o644, Node::File(File::Late { max_len }));
    }
    let mut options = options();
    add_boot(&mut tree, &mut options);
    options.late = vec![path("/live/root.img"), path("/live/sums")];
    let target = MemoryTarget::new();
    let mut image = Image::begin(&tree, &options, &target).unwrap();
    let payload = noise(9, 5001);
    for (at, len) in [("/live/root.img", 5001), ("/live/sums", 3)] {
        let offset = image.next_offset();
        assert_eq!(offset % 2048, 0);
        OffsetTarget::new(&target as &dyn block::WriteAt, offset)
            .write_all_at(&payload[..len], 0)
            .unwrap();
        let extent = image.place(&path(at), len as u64).unwrap();
        assert_eq!((extent.offset, extent.len), (offset, len as u64));
        assert_eq!(image.extent(&path(at)), Some(extent));
    }
    image.finish().unwrap();
    let read = read_tree(source(target.into_bytes())).unwrap();
    assert_eq!(
        read.file("/live/root.img").unwrap().read_all(9999).unwrap(),
        payload
    );
    assert_eq!(
        read.file("/live/sums").unwrap().read_all(9).unwrap(),
        payload[..3]
    );
}

#[test]
fn late_files_keep_to_what_was_declared() {
    let mut tree = Tree::new(metadata(0o755));
    put(
        &mut tree,
        "/late",
        0o644,
        Node::File(File::Late { max_len: 10 }),
    );
    put_file(&mut tree, "/file", b"known");
    let target = MemoryTarget::new();
    let begin = |late: &[&str]| {
        let late = late.iter().map(path).collect();
        Image::begin(&tree, &Options { late, ..options() }, &target)
    };
    assert_eq!(begin(&[]).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(
        begin(&["/late", "/late"]).unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(
        begin(&["/late", "/file"]).unwrap_err().kind(),
        Kind::NotFound
    );
    let mut image = begin(&["/late"]).unwrap();
    assert_eq!(
        image.place(&path("/file"), 5).unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(
        image.place(&path("/late"), 11).unwrap_err().kind(),
        Kind::Limit
    );
    image.place(&path("/late"), 10).unwrap();
    assert_eq!(
        image.place(&path("/late"), 10).unwrap_err().kind(),
        Kind::NotFound
    );
    image.finish().unwrap();
    assert_eq!(
        begin(&["/late"]).unwrap().finish().unwrap_err().kind(),
        Kind::NotFound
    );
}

#[test]
fn both_firmwares_find_their_boot_images() {
    let (mut tree, mut options) = (tree(), options());
    add_boot(&mut tree, &mut options);
    let bytes = write_bytes(&tree, &options);
    let entries = boot_catalog(&bytes).unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (entries[0].platform, entries[0].load_sectors),
        (Platform::X86, 4)
    );
    assert_eq!(
        (entries[1].platform, entries[1].load_sectors),
        (Platform::Efi, 300)
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry.bootable && entry.emulation == 0)
    );
    let efi = noise(2, 300 * 512);
    assert_eq!(bytes[entries[1].offset as usize..][..efi.len()], efi);
    // The BIOS image is told its own place.
    let bios = &bytes[entries[0].offset as usize..][..30_001];
    let number = |at: usize| u32::from_le_bytes(bios[at..at + 4].try_into().unwrap());
    assert_eq!(number(8), 16);
    assert_eq!(u64::from(number(12)) * 2048, entries[0].offset);
    assert_eq!(number(16), 30_001);
    assert_eq!(u64::from(number(2548)) * 512, entries[0].offset + 5 * 512);
    assert_eq!(bytes[432..440], (entries[0].offset / 512 + 4).to_le_bytes());
    options.bios = None;
    let entries = boot_catalog(&write_bytes(&tree, &options)).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].platform, Platform::Efi);
    options.efi = None;
    assert_eq!(boot_catalog(&write_bytes(&tree, &options)).unwrap(), []);
}

#[test]
fn the_partition_table_has_the_esp_and_covers_the_rest() {
    let (mut tree, mut options) = (tree(), options());
    add_boot(&mut tree, &mut options);
    let bytes = write_bytes(&tree, &options);
    let esp = boot_catalog(&bytes).unwrap()[1];
    let table = block::partition::Table::read(&bytes).unwrap().unwrap();
    assert_eq!(table.warnings, []);
    let found: Vec<_> = table
        .partitions
        .iter()
        .map(|part| (part.index, part.label.as_str(), part.start, part.len))
        .collect();
    let end = bytes.len() as u64 - 36 * 512;
    let after = esp.offset + 300 * 512;
    assert_eq!(
        found,
        [
            (1, "ISO9660", 32_768, esp.offset - 32_768),
            (2, "ESP", esp.offset, 300 * 512),
            (3, "ISO9660", after, end - after),
        ]
    );
}

#[test]
fn what_iso_9660_cannot_hold_is_refused_by_name() {
    let refused = |tree: &Tree<File>, options: &Options| {
        Image::begin(tree, options, &MemoryTarget::new()).unwrap_err()
    };
    let mut tree = tree();
    let mut options = options();
    options.publisher = "p".repeat(129);
    assert_eq!(refused(&tree, &options).kind(), Kind::Limit);
    options.publisher = "pü".to_owned();
    assert_eq!(refused(&tree, &options).kind(), Kind::Unsupported);
    options.publisher.clear();
    add_boot(&mut tree, &mut options);
    let good = options.clone();
    options.efi.as_mut().unwrap().image = path("/nowhere");
    let error = refused(&tree, &options);
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("/nowhere"), "{error}");
    options.efi.as_mut().unwrap().image = path("/files");
    assert_eq!(refused(&tree, &options).kind(), Kind::Unsupported);
    options.efi.as_mut().unwrap().image = path("/boot/grub2/i386-pc/eltorito.img");
    assert_eq!(refused(&tree, &options).kind(), Kind::Unsupported);
    options = good.clone();
    options.bios.as_mut().unwrap().image = path("/files/2048");
    assert_eq!(refused(&tree, &options).kind(), Kind::Unsupported);
    options.bios.as_mut().unwrap().info = BootInfo::BootInfoTable;
    write_bytes(&tree, &options);
    let mut named = tree.clone();
    put_file(&mut named, "n".repeat(254), b"x");
    let error = refused(&named, &good);
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().contains("nnn"), "{error}");
    let target = "t".repeat(5000);
    put(
        &mut tree,
        "/link",
        0o777,
        Node::Symlink(target.as_bytes().into()),
    );
    assert_eq!(refused(&tree, &good).kind(), Kind::Limit);
}

#[test]
fn volume_identifiers_are_what_a_command_line_can_hold() {
    for good in ["CDROM", "Fedora-WS-Live-40-1-14", "a", "azl_3.0"] {
        assert_eq!(VolumeId::new(good).unwrap().as_str(), good);
    }
    let kind = |text: &str| VolumeId::new(text).unwrap_err().kind();
    assert_eq!(kind(&"x".repeat(33)), Kind::Limit);
    for bad in ["", "a b", "ä", "a/b", "a\n", "a\"b"] {
        assert_eq!(kind(bad), Kind::Unsupported, "{bad}");
    }
}

#[test]
fn dates_outside_of_what_the_format_holds_are_the_nearest_ones() {
    let mut tree = tree();
    let id = tree.lookup(&path("/files/1")).unwrap();
    tree.metadata_mut(id).mtime = Timestamp::from_seconds(i64::MIN);
    let options = Options::new(
        VolumeId::new("X").unwrap(),
        Timestamp::from_seconds(i64::MAX),
    );
    let bytes = write_bytes(&tree, &options);
    assert_eq!(
        probe(&bytes).unwrap().unwrap().uuid,
        "2155-12-31-23-59-59-00"
    );
    let read = read_tree(source(bytes)).unwrap();
    let id = read.lookup(&path("/files/1")).unwrap();
    assert_eq!(read.inode(id).metadata.mtime.seconds, -2_208_988_800);
}

#[test]
fn a_large_sparse_file_is_several_extents_and_costs_no_space() {
    let len = (9_u64 << 30) + 12_345;
    let content = Content::new([
        block::Piece::Bytes(b"begin".to_vec().into()),
        block::Piece::Hole { len: len - 8 },
        block::Piece::Bytes(b"end".to_vec().into()),
    ])
    .unwrap();
    let mut tree = Tree::new(metadata(0o755));
    put(
        &mut tree,
        "/large",
        0o644,
        Node::File(File::Content(content)),
    );
    put_file(&mut tree, "/after", b"after");
    let file = tempfile::NamedTempFile::new().unwrap();
    iso9660_sample::write_file(&tree, &options(), file.path());
    let disk = std::sync::Arc::new(block::DiskFile::open(file.path()).unwrap());
    assert!(disk.len() > len);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&disk.file().metadata().unwrap());
    assert!(blocks < 4096, "{blocks}");
    let read = read_tree(disk).unwrap();
    let large = read.file("/large").unwrap();
    assert_eq!((large.len(), large.pieces().count()), (len, 3));
    let mut end = [0; 3];
    large.read_exact_at(&mut end, len - 3).unwrap();
    assert_eq!(&end, b"end");
    assert_eq!(read.file("/after").unwrap().read_all(9).unwrap(), b"after");
}

/// A name of any bytes, sometimes long, sometimes like many others.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(b'A'),
        Just(b'a'),
        Just(b'.'),
        Just(b';'),
        Just(b' '),
        1..=255_u8
    ];
    let name = prop_oneof![vec(byte.clone(), 1..6), vec(byte, 100..=253)];
    name.prop_map(|mut name| {
        name.iter_mut()
            .filter(|byte| **byte == b'/')
            .for_each(|byte| *byte = b'x');
        if matches!(name.as_slice(), b"." | b"..") {
            name.push(b'x');
        }
        name
    })
}

/// What a name leads to.
fn any_node() -> impl Strategy<Value = Node<File>> {
    let file = (0_usize..5000)
        .prop_map(|len| Node::File(File::Content(Content::from_bytes(noise(len as u64, len)))));
    let target = (any::<bool>(), vec(any_name(), 1..20)).prop_map(|(absolute, parts)| {
        let start: &[u8] = if absolute { b"/" } else { b"" };
        let mut target = [start, &parts.join(&b'/')].concat();
        target.truncate(4000);
        Node::Symlink(target.into())
    });
    let device = (0_u32..4096, 0_u32..1 << 20)
        .prop_filter("Linux cannot tell it from another", |(major, minor)| {
            *major > 0 || *minor < 256
        })
        .prop_map(|(major, minor)| Node::Block(tree::Device { major, minor }));
    prop_oneof![file, target, device, Just(Node::Fifo), Just(Node::Socket)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back_as_it_was(
        nodes in vec((vec(any_name(), 1..5), 0..0o10000_u16, any::<[u32; 2]>(), 0..4_000_000_000_i64, any_node()), 0..40)
    ) {
        let mut tree = Tree::new(metadata(0o755));
        for (parts, permissions, [uid, gid], seconds, node) in nodes {
            let at = path(parts.join(&b'/'));
            let inode = tree::Inode::new(
                tree::Metadata { uid, gid, mtime: Timestamp::from_seconds(seconds), ..metadata(permissions) },
                node,
            );
            // Where a file is in the way of a folder, there is one node less.
            _ = tree.put(&at, inode);
        }
        let mut options = options();
        add_boot(&mut tree, &mut options);
        options.bios = None;
        let read = read_tree(source(write_bytes(&tree, &options))).unwrap();
        prop_assert_eq!(dump(&read), dump(&contents(&tree)));
    }
}
