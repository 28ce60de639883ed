//! What is written is read again, with everything that an archive holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Content, Kind};
use tree::{Device, Inode, Metadata, Name, Node, Timestamp, Tree, TreePath};

use super::super::{WriteOptions, write};
use super::{dump, listing, read};

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn file(bytes: &[u8]) -> Node<Content> {
    Node::File(Content::from_bytes(bytes))
}

/// A tree that is being made.
struct Sample(Tree<Content>);

impl Sample {
    fn put(&mut self, name: &str, metadata: Metadata, node: Node<Content>) {
        self.0.put(&path(name), Inode::new(metadata, node)).unwrap();
    }

    /// With metadata that a plain header holds.
    fn plain(&mut self, name: &str, node: Node<Content>) {
        self.put(name, metadata(), node);
    }
}

fn metadata() -> Metadata {
    Metadata {
        uid: 1000,
        gid: 70_000,
        mtime: Timestamp::from_seconds(1_700_000_000),
        ..Metadata::with_permissions(0o4644)
    }
}

/// A tree with every kind of node that an archive holds.
pub(super) fn kinds() -> Tree<Content> {
    let mut sample = Sample(Tree::new(Metadata::with_permissions(0o755)));
    let mut sticky = metadata();
    sticky.permissions = 0o1777;
    sample.put("/dir", sticky, Node::empty_directory());
    let device = |major, minor| Device { major, minor };
    sample.plain("/dir/char", Node::Character(device(5, 1)));
    sample.plain("/dir/block", Node::Block(device(259, 1_048_575)));
    sample.plain("/dir/fifo", Node::Fifo);
    sample.plain("/dir/link", Node::Symlink((*b"../a/b").into()));
    for len in [0, 1, 511, 512, 513, 1 << 20] {
        sample.plain(&format!("/len{len}"), file(&vec![b'x'; len]));
    }
    let mut tree = sample.0;
    let first = Inode::new(metadata(), file(b"one content"));
    let first = tree.put(&path("/hard1"), first).unwrap();
    let dir = tree.resolve("/dir").unwrap().1;
    for name in ["hard2", &"h".repeat(200)] {
        let name = Name::new(name.as_bytes()).unwrap();
        tree.link(dir, name, first).unwrap();
    }
    tree
}

/// A tree of what a plain header does not hold.
pub(super) fn extremes() -> Tree<Content> {
    let mut sample = Sample(Tree::new(Metadata::with_permissions(0o755)));
    let mut put = |name: &str, change: &dyn Fn(&mut Metadata)| {
        let mut changed = metadata();
        change(&mut changed);
        sample.put(name, changed, file(b"content"));
    };
    for (name, seconds, nanoseconds) in [
        ("/before", -2, 250_000_000),
        ("/fine", 1, 999_999_999),
        ("/late", 1 << 33, 0),
    ] {
        let time = Timestamp {
            seconds,
            nanoseconds,
        };
        put(name, &|metadata| metadata.mtime = time);
    }
    put("/owners", &|metadata| {
        metadata.uid = u32::MAX;
        metadata.gid = 1 << 21;
    });
    put("/xattrs", &|metadata| {
        metadata.xattrs = Arc::new(BTreeMap::from([
            (
                (*b"security.capability").into(),
                (*b"\x01\0\0\x02\n=\xff").into(),
            ),
            ((*b"user.a=b%3D").into(), (*b"").into()),
        ]));
    });
    put("/\u{e4}\u{2713}", &|_| {});
    put(&format!("/{}", "n".repeat(255)), &|_| {});
    put(&vec!["deep"; 60].join("/"), &|_| {});
    let lengths = [90, 97, 98, 99, 100, 101, 155];
    for len in lengths {
        put(
            &format!("/{}/{}", "p".repeat(len), "q".repeat(len)),
            &|_| {},
        );
    }
    for len in lengths {
        let below = Node::empty_directory();
        sample.plain(&format!("/{}", "d".repeat(len)), below);
        let target = Node::Symlink(vec![b't'; len].into());
        sample.plain(&format!("/s{len}"), target);
    }
    let target = Node::Symlink(vec![0xff; 300].into());
    sample.plain("/target", target);
    let mut tree = sample.0;
    let name = Name::new(&[0xfe; 200]).unwrap();
    let inode = Inode::new(metadata(), file(b"bytes"));
    tree.add(tree.root(), name, inode).unwrap();
    tree
}

pub(super) fn archive(tree: &Tree<Content>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = write(tree, &WriteOptions::default(), &mut bytes).unwrap();
    assert_eq!(written.len, bytes.len() as u64);
    assert_eq!(bytes.len() % 10_240, 0);
    bytes
}

#[test]
fn a_tree_reads_back_as_it_was_written() {
    for tree in [kinds(), extremes()] {
        assert_eq!(dump(&read(&archive(&tree)).unwrap()), dump(&tree));
    }
}

#[test]
fn two_writes_give_the_same_bytes() {
    assert_eq!(archive(&kinds()), archive(&kinds()));
}

#[test]
fn sockets_are_counted_and_late_times_cut() {
    let mut tree = Tree::new(Metadata::default());
    let mut metadata = Metadata::with_permissions(0o644);
    metadata.mtime = Timestamp::from_seconds(200);
    tree.put(&path("/file"), Inode::new(metadata.clone(), file(b"")))
        .unwrap();
    tree.put(&path("/socket"), Inode::new(metadata, Node::Socket))
        .unwrap();
    let options = WriteOptions {
        latest: Some(Timestamp::from_seconds(100)),
    };
    let mut bytes = Vec::new();
    let written = write(&tree, &options, &mut bytes).unwrap();
    assert_eq!(written.sockets, 1);
    let back = read(&bytes).unwrap();
    assert_eq!(listing(&back), "/file=");
    let (_, id) = back.resolve("/file").unwrap();
    assert_eq!(back.inode(id).metadata.mtime.seconds, 100);
}

#[test]
fn a_device_number_that_no_header_holds_is_refused_with_its_path() {
    let mut tree = Tree::new(Metadata::default());
    let device = Device {
        major: 1 << 21,
        minor: 0,
    };
    let inode = Inode::new(Metadata::default(), Node::Block(device));
    tree.put(&path("/dev/far"), inode).unwrap();
    let error = write(&tree, &WriteOptions::default(), &mut std::io::sink()).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().contains("/dev/far"), "{error}");
}
