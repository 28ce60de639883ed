//! Trees to write, with one of everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Content, MemoryTarget, Piece};
use formats::squashfs::{Checked, Compression, Fragments, Options, write};
use tree::{Device, Inode, InodeId, Metadata, Name, Node, Timestamp, Tree, TreePath};

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

pub(crate) fn metadata(permissions: u16, uid: u32, xattrs: &[(&str, &[u8])]) -> Metadata {
    let xattrs: BTreeMap<Box<[u8]>, Box<[u8]>> = xattrs
        .iter()
        .map(|(name, value)| (name.as_bytes().into(), Box::from(*value)))
        .collect();
    Metadata {
        permissions,
        uid,
        gid: uid + 1,
        mtime: Timestamp::from_seconds(1_700_000_000 + i64::from(uid)),
        xattrs: Arc::new(xattrs),
    }
}

/// Bytes that no compressor makes shorter, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| step()).collect()
}

/// Bytes that compress well, the same for the same seed.
pub(crate) fn text(len: usize, seed: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 64);
    let mut line = seed;
    while bytes.len() < len {
        bytes.extend_from_slice(
            format!("line {line} of a text, {}\n", line * 7919 % 1013).as_bytes(),
        );
        line += 1;
    }
    bytes.truncate(len);
    bytes
}

const SELINUX: &[(&str, &[u8])] = &[("security.selinux", b"system_u:object_r:bin_t:s0\0")];

/// A tree that is being put together.
pub(crate) struct Sample(pub(crate) Tree<Content>);

impl Sample {
    pub(crate) fn add(&mut self, at: &str, metadata: Metadata, node: Node<Content>) -> InodeId {
        self.0.put(&path(at), Inode::new(metadata, node)).unwrap()
    }

    pub(crate) fn file(&mut self, at: &str, permissions: u16, bytes: Vec<u8>) -> InodeId {
        let node = Node::File(Content::from_bytes(bytes));
        self.add(at, metadata(permissions, 1000, &[]), node)
    }

    fn sizes(&mut self, block_size: usize) {
        for (name, len) in [
            ("empty", 0),
            ("one", 1),
            ("under", block_size - 1),
            ("exact", block_size),
            ("over", block_size + 1),
            ("many", block_size * 5 + 77),
        ] {
            self.file(&format!("/sizes/{name}"), 0o644, text(len, len));
            self.file(&format!("/again/{name}"), 0o600, text(len, len));
            self.file(&format!("/noise/{name}"), 0o4755, noise(len, len as u64));
        }
        for name in [
            "ä",
            "é",
            "日本語",
            "with space",
            "zz",
            &"n".repeat(255),
            "-",
            "~",
        ] {
            self.file(&format!("/names/{name}"), 0o644, name.into());
        }
        for number in 0..3000 {
            let name = format!("/large/file-with-a-rather-long-name-{number:05}");
            self.file(&name, 0o640, text(number % 97, number));
        }
    }

    pub(crate) fn links(&mut self) {
        let id = self.file("/links/a", 0o6711, text(5000, 3));
        *self.0.metadata_mut(id) = metadata(0o6711, 70_000, SELINUX);
        let folder = self.0.lookup(&path("/links")).unwrap();
        let name = |name: &str| Name::new(name.as_bytes()).unwrap();
        self.0.link(folder, name("b"), id).unwrap();
        self.0.link(self.0.root(), name("z"), id).unwrap();
        let target = Node::Symlink(b"../anywhere".as_slice().into());
        self.add("/link", metadata(0o777, 5, SELINUX), target);
        let target = Node::Symlink(vec![b'x'; 4095].into());
        self.add("/long", metadata(0o777, 1000, &[]), target);
    }

    fn holes(&mut self, block_size: usize) {
        let hole = |len: usize| Piece::Hole { len: len as u64 };
        let mixed = vec![
            hole(block_size * 3 + 5),
            Piece::Bytes(text(100, 1).into()),
            hole(block_size * 4),
            Piece::Bytes(vec![0; block_size * 2].into()),
        ];
        let small = vec![hole(block_size / 2)];
        let large = vec![hole(block_size * 9)];
        for (name, pieces) in [("mixed", mixed), ("small", small), ("large", large)] {
            let node = Node::File(Content::new(pieces).unwrap());
            let at = format!("/sparse/{name}");
            self.add(&at, metadata(0o644, 1000, &[]), node);
        }
    }

    pub(crate) fn devices(&mut self) {
        let device = |major, minor| Device { major, minor };
        let plain = |permissions| metadata(permissions, 1000, &[]);
        let labelled = metadata(0o660, 5, SELINUX);
        let last = device(0xfff, 0xf_ffff);
        self.add("/dev/null", plain(0o666), Node::Character(device(1, 3)));
        self.add("/dev/big", plain(0o660), Node::Block(last));
        self.add("/dev/sda", labelled.clone(), Node::Block(device(8, 0)));
        self.add("/dev/fifo", labelled, Node::Fifo);
        self.add("/dev/socket", plain(0o1600), Node::Socket);
        self.add("/empty", plain(0o1777), Node::empty_directory());
    }

    pub(crate) fn xattrs(&mut self) {
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let rich: &[(&str, &[u8])] = &[
            ("security.capability", &capability),
            ("trusted.overlay.opaque", b"y"),
            ("user.empty", b""),
            ("user.large", &[7; 3000]),
        ];
        let id = self.file("/rich", 0o755, b"rich".to_vec());
        *self.0.metadata_mut(id) = metadata(0o755, 2, rich);
    }
}

/// A tree with every kind of node, sizes around a block's, holes, xattrs, hard links and a large folder.
pub(crate) fn everything(block_size: usize) -> Tree<Content> {
    let mut sample = Sample(Tree::new(metadata(0o755, 0, SELINUX)));
    sample.sizes(block_size);
    sample.links();
    sample.holes(block_size);
    sample.devices();
    sample.xattrs();
    sample.0
}

/// The image of `tree`.
pub(crate) fn image_of(tree: &Tree<Content>, options: &Options) -> Vec<u8> {
    let checked = Checked::new(tree, options.clone()).unwrap();
    let target = MemoryTarget::new();
    let written = write(&checked, &target, &|_| ()).unwrap();
    let bytes = target.into_bytes();
    assert_eq!(bytes.len() as u64, written.len);
    assert!(written.len <= checked.max_len(), "{written:?}");
    bytes
}

/// The options of every way to make an image.
pub(crate) fn ways() -> Vec<Options> {
    let way = |compression, block_size| Options {
        compression,
        block_size,
        ..Options::default()
    };
    vec![
        way(Compression::Zstd { level: 3 }, 128 << 10),
        way(Compression::Zstd { level: 12 }, 4 << 10),
        way(Compression::Gzip { level: 3 }, 1 << 20),
        way(Compression::Xz, 32 << 10),
        way(Compression::Lz4, 64 << 10),
        Options {
            fragments: Fragments::AllTails,
            exportable: false,
            ..way(Compression::Zstd { level: 1 }, 16 << 10)
        },
    ]
}
