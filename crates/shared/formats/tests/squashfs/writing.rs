//! What the writer promises.

use std::sync::atomic::{AtomicU64, Ordering};

use block::{Content, Kind, MemoryTarget, Piece};
use formats::squashfs::{Checked, Compression, Loss, Options, write};
use tree::{Device, Inode, Metadata, Node, Timestamp, Tree};

use crate::samples::{everything, image_of, metadata, noise, path, text, ways};

fn tree_with(at: &str, inode: Inode<Content>) -> Tree<Content> {
    let mut tree = Tree::new(metadata(0o755, 0, &[]));
    tree.put(&path(at), inode).unwrap();
    tree
}

fn plain(node: Node<Content>) -> Inode<Content> {
    Inode::new(Metadata::default(), node)
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for options in ways() {
        let tree = everything(options.block_size as usize);
        let with = |threads| Options {
            threads,
            ..options.clone()
        };
        let one = image_of(&tree, &with(1));
        for threads in [2, 3, 8] {
            assert!(
                image_of(&tree, &with(threads)) == one,
                "{threads} {options:?}"
            );
        }
    }
}

#[test]
fn equal_files_are_stored_once() {
    let mut tree = Tree::new(Metadata::default());
    let mut lens = Vec::new();
    for copies in 1..=3 {
        for (name, len) in [("small", 50_000), ("large", 900_000)] {
            let bytes = noise(len, len as u64);
            let inode = plain(Node::File(Content::from_bytes(bytes)));
            tree.put(&path(&format!("/{copies}/{name}")), inode)
                .unwrap();
        }
        lens.push(image_of(&tree, &Options::default()).len());
    }
    assert_eq!(lens[0], lens[2]);
}

#[test]
fn files_that_differ_in_one_byte_are_not_the_same() {
    let mut tree = Tree::new(Metadata::default());
    for (name, len) in [("small", 50_000), ("large", 900_000)] {
        for at in [usize::MAX, 0, len / 2, len - 1] {
            let mut bytes = text(len, 1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
            let inode = plain(Node::File(Content::from_bytes(bytes)));
            tree.put(&path(&format!("/{name}-{at}")), inode).unwrap();
        }
    }
    let again = crate::compare::read(image_of(&tree, &Options::default())).unwrap();
    crate::compare::assert_same(
        &crate::compare::dump(&again),
        &crate::compare::dump(&tree),
        (),
    );
}

/// A source that counts how much is read of it, and whose second MiB is a hole.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl block::ReadAt for Counted {
    fn len(&self) -> u64 {
        3 << 20
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> block::Result<()> {
        let end = offset + buf.len() as u64;
        assert!(end <= 1 << 20 || offset >= 2 << 20, "a hole is read");
        self.0.fetch_add(buf.len() as u64, Ordering::Relaxed);
        buf.fill(7);
        Ok(())
    }
    fn next_data(&self, offset: u64) -> block::Result<Option<std::ops::Range<u64>>> {
        Ok(match offset {
            0..0x10_0000 => Some(offset..1 << 20),
            0x10_0000..0x30_0000 => Some(offset.max(2 << 20)..3 << 20),
            _ => None,
        })
    }
}

#[test]
fn holes_are_never_read_and_data_is_read_once() {
    let source = std::sync::Arc::new(Counted::default());
    let content = Content::from_source(source.clone());
    let tree = tree_with("/sparse", plain(Node::File(content)));
    image_of(&tree, &Options::default());
    assert_eq!(source.0.load(Ordering::Relaxed), 2 << 20);
}

#[test]
fn what_cannot_be_stored_is_a_warning_with_its_path() {
    let metadata = Metadata {
        mtime: Timestamp::from_seconds(-5),
        ..metadata(
            0o755,
            0,
            &[("system.posix_acl_access", b"x"), ("user.a", b"b")],
        )
    };
    let tree = tree_with("/a", Inode::new(metadata, Node::Fifo));
    let checked = Checked::new(&tree, Options::default()).unwrap();
    let found: Vec<_> = checked
        .warnings()
        .iter()
        .map(|warning| &warning.what)
        .collect();
    let name: Box<[u8]> = b"system.posix_acl_access".as_slice().into();
    assert_eq!(found, [&Loss::Time(-5), &Loss::Xattr(name)]);
    assert!(
        checked
            .warnings()
            .iter()
            .all(|warning| warning.path == path("/a"))
    );
    assert_eq!(
        checked.warnings()[1].to_string(),
        "/a: squashfs cannot hold the xattr system.posix_acl_access"
    );
    let again = crate::compare::read(image_of(&tree, &Options::default())).unwrap();
    let id = again.lookup(&path("/a")).unwrap();
    assert_eq!(again.inode(id).metadata.mtime.seconds, 0);
    assert_eq!(again.inode(id).metadata.xattrs.len(), 1);
}

#[test]
fn what_no_image_can_hold_is_refused_with_its_path() {
    let device = |major, minor| Node::Character(Device { major, minor });
    let name: &[(&str, &[u8])] = &[("user.a", &[0; 65_537])];
    let cases = [
        plain(device(4096, 0)),
        plain(device(0, 1 << 20)),
        plain(Node::Symlink(Box::default())),
        plain(Node::Symlink(vec![b'x'; 4096].into())),
        plain(Node::File(
            Content::new([Piece::Hole { len: 1 << 50 }]).unwrap(),
        )),
        Inode::new(metadata(0, 0, name), Node::Fifo),
    ];
    for inode in cases {
        let text = format!("{inode:?}");
        let tree = tree_with("/here", inode);
        let error = Checked::new(&tree, Options::default()).unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Unsupported | Kind::Limit),
            "{text}"
        );
        assert!(error.to_string().starts_with("/here: "), "{error}");
    }
}

#[test]
fn options_that_squashfs_does_not_have_are_refused() {
    let tree = Tree::new(Metadata::default());
    let level = |compression| Options {
        compression,
        ..Options::default()
    };
    let size = |block_size| Options {
        block_size,
        ..Options::default()
    };
    for options in [
        level(Compression::Zstd { level: 0 }),
        level(Compression::Zstd { level: 23 }),
        level(Compression::Gzip { level: 13 }),
        size(2048),
        size(2 << 20),
        size(5000),
        size(0),
    ] {
        let error = Checked::new(&tree, options).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    }
}

#[test]
fn times_are_those_that_were_asked_for() {
    let tree = everything(4096);
    let options = Options {
        all_times: Some(86_400),
        image_time: Some(1),
        ..ways()[1].clone()
    };
    let image = image_of(&tree, &options);
    assert_eq!(image[8..12], 1u32.to_le_bytes());
    let again = crate::compare::read(image).unwrap();
    for entry in again.walk() {
        assert_eq!(entry.inode.metadata.mtime, Timestamp::from_seconds(86_400));
    }
    // Without a time of its own, an image has that of its newest inode.
    let image = image_of(&tree, &ways()[1]);
    assert_eq!(image[8..12], 1_700_070_000u32.to_le_bytes());
}

/// A source that fails at one place.
#[derive(Debug)]
struct Failing;

impl block::ReadAt for Failing {
    fn len(&self) -> u64 {
        5 << 20
    }
    fn read_exact_at(&self, _: &mut [u8], offset: u64) -> block::Result<()> {
        match offset < 3 << 20 {
            true => Ok(()),
            false => Err(block::Error::corrupt("a source", "broken").at(offset)),
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let content = Content::from_source(std::sync::Arc::new(Failing));
    let tree = tree_with("/some/file", plain(Node::File(content)));
    let checked = Checked::new(&tree, Options::default()).unwrap();
    let error = write(&checked, &MemoryTarget::new(), &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "storing /some/file");
    assert_eq!(error.kind(), Kind::Corrupt);
    let content = Content::new([Piece::Range {
        source: std::sync::Arc::new(Failing),
        offset: 4 << 20,
        len: 100,
    }]);
    let tree = tree_with("/small", plain(Node::File(content.unwrap())));
    let checked = Checked::new(&tree, Options::default()).unwrap();
    let error = write(&checked, &MemoryTarget::new(), &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "storing /small");
}

#[test]
fn a_file_that_cannot_be_compared_is_named() {
    let mut tree = Tree::new(Metadata::default());
    for name in ["/a", "/b"] {
        let content = Content::from_source(std::sync::Arc::new(Failing));
        let inode = plain(Node::File(content));
        tree.put(&path(name), inode).unwrap();
    }
    let options = Options {
        threads: 1,
        ..Options::default()
    };
    let checked = Checked::new(&tree, options).unwrap();
    let error = write(&checked, &MemoryTarget::new(), &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "storing /a");
}

/// A source with a bug.
#[derive(Debug)]
struct Panicking;

impl block::ReadAt for Panicking {
    fn len(&self) -> u64 {
        5 << 20
    }
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> block::Result<()> {
        panic!("a bug of a source, which this test expects")
    }
}

#[test]
fn a_bug_of_a_source_ends_the_work_with_its_panic() {
    let content = Content::from_source(std::sync::Arc::new(Panicking));
    let tree = tree_with("/some/file", plain(Node::File(content)));
    let run = std::panic::AssertUnwindSafe(|| image_of(&tree, &Options::default()));
    std::panic::catch_unwind(run).unwrap_err();
}

/// A target that is full from the start.
#[derive(Debug)]
struct Full;

impl block::WriteAt for Full {
    fn write_all_at(&self, _: &[u8], offset: u64) -> block::Result<()> {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(block::Error::io("writing", full).at(offset))
    }
}

#[test]
fn a_full_target_ends_the_work_with_its_error() {
    let tree = everything(128 << 10);
    let checked = Checked::new(&tree, Options::default()).unwrap();
    let error = write(&checked, &Full, &|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
}

#[test]
fn progress_ends_at_all_bytes() {
    let tree = everything(4096);
    let checked = Checked::new(&tree, ways()[1].clone()).unwrap();
    let (last, total) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |progress: formats::squashfs::Progress| {
        assert!(progress.done >= last.swap(progress.done, Ordering::Relaxed));
        total.store(progress.total, Ordering::Relaxed);
    };
    let written = write(&checked, &MemoryTarget::new(), &progress).unwrap();
    assert_eq!(last.into_inner(), written.content_len);
    assert_eq!(total.into_inner(), written.content_len);
}
