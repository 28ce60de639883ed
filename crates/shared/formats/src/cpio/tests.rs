//! Tests of the archives: round trips, the order of archives, damage.

use std::io::Write as _;
use std::sync::Arc;

use block::{Content, Kind, ReadAt};
use tree::{Device, Inode, Metadata, Node, Timestamp, Tree, TreePath};

use super::{Compression, WriteOptions, probe, read_tree, write};

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn file(bytes: &[u8]) -> Node<Content> {
    Node::File(Content::from_bytes(bytes))
}

/// A tree with every kind of node.
fn sample() -> Tree<Content> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let mut put = |name: &str, permissions, node| {
        let metadata = Metadata {
            uid: 1000,
            gid: 70_000,
            mtime: Timestamp::from_seconds(1_700_000_000),
            ..Metadata::with_permissions(permissions)
        };
        tree.put(&path(name), Inode::new(metadata, node)).unwrap()
    };
    put("/dir", 0o1777, Node::empty_directory());
    put(
        "/dir/char",
        0o600,
        Node::Character(Device { major: 5, minor: 1 }),
    );
    put(
        "/dir/block",
        0o660,
        Node::Block(Device {
            major: 259,
            minor: 300,
        }),
    );
    put("/dir/fifo", 0o644, Node::Fifo);
    put("/dir/socket", 0o644, Node::Socket);
    put("/dir/link", 0o777, Node::Symlink((*b"../a/b").into()));
    put("/empty", 0o644, file(b""));
    for len in 1..6 {
        put(&format!("/len{len}"), 0o4755, file(&vec![b'x'; len]));
    }
    let first = put("/hard1", 0o644, file(b"one content"));
    let dir = tree.resolve("/dir").unwrap().1;
    tree.link(dir, tree::Name::new(b"hard2").unwrap(), first)
        .unwrap();
    tree
}

fn archive(tree: &Tree<Content>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = write(tree, &WriteOptions::default(), &mut bytes).unwrap();
    assert_eq!(written.len, bytes.len() as u64);
    assert_eq!(bytes.len() % 512, 0);
    bytes
}

fn read(bytes: &[u8]) -> block::Result<Tree<Content>> {
    read_tree(Arc::new(bytes.to_vec()))
}

fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let bytes = content.read_all(1 << 20).unwrap();
        format!("{:?}", bytes.escape_ascii().to_string())
    })
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Zstd => zstd::encode_all(bytes, 3).unwrap(),
        Compression::Gzip => {
            let level = flate2::Compression::new(6);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4 => {
            let mut out = vec![2, 0x21, 0x4c, 0x18];
            let block = lz4_flex::block::compress(bytes);
            out.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
            out.extend(block);
            out
        }
        other => panic!("{other:?} is not written here"),
    }
}

#[test]
fn a_tree_reads_back_as_it_was_written() {
    let tree = sample();
    assert_eq!(dump(&read(&archive(&tree)).unwrap()), dump(&tree));
}

#[test]
fn two_writes_give_the_same_bytes() {
    assert_eq!(archive(&sample()), archive(&sample()));
}

#[test]
fn names_are_in_order_with_folders_first_and_inode_numbers_count_up() {
    let bytes = archive(&sample());
    let mut names = Vec::new();
    let mut at = 0;
    loop {
        let field = |offset: usize| {
            let digits = std::str::from_utf8(&bytes[at + offset..at + offset + 8]).unwrap();
            usize::from_str_radix(digits, 16).unwrap()
        };
        let name_len = field(94);
        let name = String::from_utf8(bytes[at + 110..at + 109 + name_len].to_vec()).unwrap();
        if name == "TRAILER!!!" {
            break;
        }
        names.push(format!("{} {name}", field(6)));
        at = (at + 110 + name_len).next_multiple_of(4) + field(54);
        at = at.next_multiple_of(4);
    }
    let expected = [
        "1 .",
        "2 dir",
        "3 dir/block",
        "4 dir/char",
        "5 dir/fifo",
        "6 dir/hard2",
        "7 dir/link",
        "8 dir/socket",
        "9 empty",
        "6 hard1",
        "10 len1",
        "11 len2",
        "12 len3",
        "13 len4",
        "14 len5",
    ];
    assert_eq!(names, expected);
}

#[test]
fn times_are_clamped_and_lost_xattrs_counted() {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    for (name, seconds) in [("/old", -5), ("/new", 200), ("/far", i64::MAX)] {
        let mut metadata = Metadata::with_permissions(0o644);
        metadata.mtime = Timestamp::from_seconds(seconds);
        metadata.xattrs = Arc::new([((*b"user.a").into(), (*b"b").into())].into());
        tree.put(&path(name), Inode::new(metadata, file(b"")))
            .unwrap();
    }
    for (latest, expected) in [
        (None, [0, 200, i64::from(u32::MAX)]),
        (Some(100), [0, 100, 100]),
    ] {
        let options = WriteOptions {
            latest: latest.map(Timestamp::from_seconds),
        };
        let mut bytes = Vec::new();
        let written = write(&tree, &options, &mut bytes).unwrap();
        assert_eq!(written.without_xattrs, 3);
        let back = read(&bytes).unwrap();
        let times = ["/old", "/new", "/far"].map(|name| {
            let (_, id) = back.resolve(name).unwrap();
            back.inode(id).metadata.mtime.seconds
        });
        assert_eq!(times, expected);
    }
}

#[test]
fn a_file_of_4_gib_is_refused_with_its_path() {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let hole = Content::new([block::Piece::Hole { len: 1 << 32 }]).unwrap();
    let inode = Inode::new(Metadata::with_permissions(0o644), Node::File(hole));
    tree.put(&path("/large"), inode).unwrap();
    let mut nothing = std::io::sink();
    let error = write(&tree, &WriteOptions::default(), &mut nothing).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().contains("/large"), "{error}");
}

#[test]
fn every_compression_and_archives_in_a_row_are_read() {
    let mut first = Tree::new(Metadata::with_permissions(0o755));
    let microcode = Inode::new(Metadata::with_permissions(0o644), file(b"microcode"));
    first
        .put(&path("/kernel/x86/microcode/GenuineIntel.bin"), microcode)
        .unwrap();
    let second = archive(&sample());
    for compression in [
        Compression::Zstd,
        Compression::Gzip,
        Compression::Xz,
        Compression::Lz4,
    ] {
        let mut bytes = archive(&first);
        bytes.extend([0; 37]);
        bytes.extend(compressed(&second, compression));
        let found = probe(&bytes).unwrap().map(|identity| identity.format);
        assert_eq!(found, Some("cpio"));
        if compression != Compression::Lz4 {
            // An archive of lz4 blocks does not end but where the source does.
            bytes.extend(compressed(&archive(&first), compression));
        }
        let tree = read(&bytes).unwrap();
        assert!(
            tree.file("/kernel/x86/microcode/GenuineIntel.bin")
                .is_some()
        );
        assert_eq!(
            tree.file("/hard1").unwrap().read_all(100).unwrap(),
            b"one content"
        );
        let alone = probe(&compressed(&second, compression)).unwrap();
        assert!(alone.is_some(), "{compression:?}");
    }
}

#[test]
fn an_archive_that_hardly_gets_shorter_is_known_by_its_first_block() {
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
        state.to_be_bytes()[0]
    });
    let noise: Vec<u8> = noise.take(6 << 20).collect();
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let inode = Inode::new(Metadata::default(), file(&noise));
    tree.put(&path("noise"), inode).unwrap();
    let bytes = archive(&tree);
    for compression in [
        Compression::Gzip,
        Compression::Xz,
        Compression::Zstd,
        Compression::Lz4,
    ] {
        let found = probe(&compressed(&bytes, compression)).unwrap();
        assert!(found.is_some(), "{}", compression.name());
    }
}

#[test]
fn what_is_no_initramfs_is_not_taken_for_one() {
    for bytes in [
        Vec::new(),
        b"0707".to_vec(),
        vec![0; 4096],
        compressed(b"something else", Compression::Zstd),
        compressed(b"something else", Compression::Gzip),
        vec![0x1f, 0x8b],
    ] {
        assert_eq!(probe(&bytes).unwrap(), None);
    }
}

#[test]
fn a_later_archive_lies_over_the_earlier_ones() {
    let mut upper = Tree::new(Metadata::with_permissions(0o700));
    for (name, node) in [
        ("/empty", file(b"now full")),
        ("/dir", file(b"a folder with something in it stays")),
        ("/hard1", Node::Symlink((*b"x").into())),
    ] {
        let inode = Inode::new(Metadata::with_permissions(0o600), node);
        upper.put(&path(name), inode).unwrap();
    }
    let mut bytes = archive(&sample());
    bytes.extend(archive(&upper));
    let tree = read(&bytes).unwrap();
    assert_eq!(tree.inode(tree.root()).metadata.permissions, 0o700);
    assert_eq!(tree.file("/empty").unwrap().len(), 8);
    assert!(tree.list("/dir").count() > 3);
    assert_eq!(tree.file("/dir/hard2").unwrap().len(), 11);
    let id = tree.lookup(&path("/hard1")).unwrap();
    assert!(matches!(tree.inode(id).node, Node::Symlink(_)));
}

#[test]
fn paths_that_lead_out_or_too_deep_are_refused() {
    let entry = |name: &str| {
        let len = name.len() + 1;
        let mut bytes = format!("070701{:08x}{:08x}", 1, 0o100_644).into_bytes();
        bytes.extend(format!("{:064x}{:016x}", 0, 0).bytes().take(72));
        bytes.extend(format!("{len:08x}{:08x}", 0).bytes());
        assert_eq!(bytes.len(), 110);
        bytes.extend(name.bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    assert!(read(&entry("a/b")).unwrap().file("/a/b").is_some());
    let error = read(&entry("../a")).unwrap_err();
    assert_eq!(
        (error.kind(), error.place().offset),
        (Kind::Corrupt, Some(0))
    );
    let deep = read(&entry(&"a/".repeat(200))).unwrap_err();
    assert_eq!(deep.kind(), Kind::Limit);
    let old = read(b"070707000000").unwrap_err();
    assert_eq!(old.kind(), Kind::Corrupt);
    let mut portable = entry("a");
    portable[5] = b'7';
    assert_eq!(read(&portable).unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(read(b"BZh9").unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn an_archive_that_is_compressed_twice_is_refused() {
    let twice = compressed(
        &compressed(&archive(&sample()), Compression::Zstd),
        Compression::Gzip,
    );
    let error = read(&twice).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn a_wrong_check_sum_is_found() {
    let mut bytes = archive(&sample());
    let at = bytes
        .windows(5)
        .position(|window| window == b"len5\0")
        .unwrap()
        - 110;
    bytes[at + 5] = b'2';
    let right = format!("{:08x}", u32::from(b'x') * 5);
    bytes[at + 102..at + 110].copy_from_slice(right.as_bytes());
    assert!(read(&bytes).is_ok());
    bytes[at + 109] ^= 1;
    let error = read(&bytes).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(error.place().offset, Some(at as u64));
}

#[test]
fn any_damage_gives_a_tree_or_an_error_with_a_place() {
    let plain = archive(&sample());
    let check = |bytes: &[u8]| {
        if let Err(error) = read(bytes) {
            assert!(!error.place().what.is_empty());
        }
        probe(&bytes.to_vec()).unwrap();
    };
    for bytes in [
        plain.clone(),
        compressed(&plain, Compression::Zstd),
        compressed(&plain, Compression::Lz4),
    ] {
        for len in (0..bytes.len()).step_by(3) {
            check(&bytes[..len]);
        }
        for at in 0..bytes.len() {
            for value in [0, b'f', 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                check(&damaged);
            }
        }
    }
}
