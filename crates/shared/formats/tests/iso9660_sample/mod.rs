//! A tree with all that is hard for ISO 9660, and writing it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    reason = "this is test code, outside of a test function"
)]

use std::path::Path;
use std::sync::Arc;

use block::{Content, DiskFile, MemoryTarget, ReadAt, WriteAt};
use formats::iso9660::{
    BiosBoot, BootInfo, EfiBoot, File, HybridKind, HybridMbr, Image, Options, Report, VolumeId,
};
use tree::{Device, Inode, Metadata, Name, Node, Timestamp, Tree, TreePath};

/// 2026-11-20 00:00:00 UTC.
pub(crate) const TIME: Timestamp = Timestamp::from_seconds(1_795_132_800);

pub(crate) fn path(text: impl AsRef<[u8]>) -> TreePath {
    TreePath::parse(text).unwrap()
}

pub(crate) fn metadata(permissions: u16) -> Metadata {
    let mut metadata = Metadata::with_permissions(permissions);
    metadata.mtime = TIME;
    metadata
}

pub(crate) fn put(tree: &mut Tree<File>, at: impl AsRef<[u8]>, permissions: u16, node: Node<File>) {
    let inode = Inode::new(metadata(permissions), node);
    tree.put(&path(at), inode).unwrap();
}

pub(crate) fn put_file(tree: &mut Tree<File>, at: impl AsRef<[u8]>, bytes: &[u8]) {
    let node = Node::File(File::Content(Content::from_bytes(bytes)));
    put(tree, at, 0o644, node);
}

/// `len` bytes that do not repeat.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| step()).collect()
}

/// Files of several lengths, long and odd names, links, devices, deep folders.
pub(crate) fn tree() -> Tree<File> {
    let mut tree = Tree::new(metadata(0o755));
    for len in [0, 1, 2047, 2048, 2049, 100_000] {
        put_file(&mut tree, format!("/files/{len}"), &noise(len as u64, len));
    }
    let id = tree.lookup(&path("/files/2049")).unwrap();
    let files = tree.lookup(&path("/files")).unwrap();
    tree.link(files, Name::new(b"hard-link").unwrap(), id)
        .unwrap();
    *tree.metadata_mut(id) = Metadata {
        uid: 1000,
        gid: 70_000,
        ..metadata(0o4755)
    };
    let mut long = vec![b'n'; 253];
    put_file(&mut tree, [b"/names/", &long[..]].concat(), b"long");
    long[252] = b'm';
    put_file(&mut tree, [b"/names/", &long[..]].concat(), b"long too");
    for len in [
        100, 120, 125, 126, 127, 128, 129, 130, 131, 132, 133, 160, 200, 240, 241, 250,
    ] {
        put_file(
            &mut tree,
            [b"/names/", &vec![b'z'; len][..]].concat(),
            &[0x55; 3],
        );
    }
    for name in [
        "README",
        "Readme",
        "readme",
        "ä😀.txt",
        "with space",
        ".hidden",
        "a.b.c",
        "dot.",
        "x;1",
    ] {
        put_file(&mut tree, format!("/names/{name}"), name.as_bytes());
    }
    put_file(&mut tree, b"/names/not-utf8-\xff\xfe", b"x");
    for number in 0..200 {
        put_file(
            &mut tree,
            format!("/many/a-name-that-is-the-same-for-long-{number}"),
            b"x",
        );
    }
    let deep: String = (0..30).map(|depth| format!("/deep-{depth}")).collect();
    put_file(&mut tree, format!("{deep}/file"), b"deep");
    put(&mut tree, "/empty", 0o1777, Node::empty_directory());
    put_special(&mut tree);
    tree
}

/// Links and devices.
fn put_special(tree: &mut Tree<File>) {
    let targets = [
        "target",
        "/",
        "/absolute/path",
        "../up/../and/./down",
        "a//b",
        "trailing/",
        "..",
        ".",
    ];
    for (number, target) in targets.into_iter().enumerate() {
        let node = Node::Symlink(target.as_bytes().into());
        put(tree, format!("/links/{number}"), 0o777, node);
    }
    let parts = vec!["a-part-of-thirty-characters...."; 30].join("/");
    put(
        tree,
        "/links/parts",
        0o777,
        Node::Symlink(parts.as_bytes().into()),
    );
    let component = "c".repeat(250);
    for (name, count) in [("one", 1), ("four", 4), ("sixteen", 16)] {
        let target = vec![component.as_str(); count].join("/");
        put(
            tree,
            format!("/links/{name}"),
            0o777,
            Node::Symlink(target.as_bytes().into()),
        );
    }
    let nodes = [
        ("null", Node::Character(Device { major: 1, minor: 3 })),
        (
            "disk",
            Node::Block(Device {
                major: 8,
                minor: 17,
            }),
        ),
        (
            "wide",
            Node::Block(Device {
                major: 259,
                minor: 70_000,
            }),
        ),
        ("fifo", Node::Fifo),
        ("socket", Node::Socket),
    ];
    for (name, node) in nodes {
        put(tree, format!("/dev/{name}"), 0o600, node);
    }
}

pub(crate) fn options() -> Options {
    Options::new(VolumeId::new("LIVE-media_1.0").unwrap(), TIME)
}

/// Adds boot images of the right shape, that boot nothing, and says so in the options.
pub(crate) fn add_boot(tree: &mut Tree<File>, options: &mut Options) {
    put_file(tree, "/boot/grub2/i386-pc/eltorito.img", &noise(1, 30_001));
    put_file(tree, "/boot/grub2/efiboot.img", &noise(2, 300 * 512));
    options.bios = Some(BiosBoot {
        image: path("/boot/grub2/i386-pc/eltorito.img"),
        load_sectors: 4,
        info: BootInfo::Grub2,
        mbr: Some(HybridMbr {
            code: noise(3, 512),
            kind: HybridKind::Grub2,
        }),
    });
    options.efi = Some(EfiBoot {
        image: path("/boot/grub2/efiboot.img"),
    });
}

/// Writes a tree without late files.
pub(crate) fn write(tree: &Tree<File>, options: &Options, target: &dyn WriteAt) -> Report {
    Image::begin(tree, options, target)
        .unwrap()
        .finish()
        .unwrap()
}

pub(crate) fn write_bytes(tree: &Tree<File>, options: &Options) -> Vec<u8> {
    let target = MemoryTarget::new();
    let report = write(tree, options, &target);
    let bytes = target.into_bytes();
    assert_eq!(report.len, bytes.len() as u64);
    bytes
}

/// Writes a tree to a new file.
pub(crate) fn write_file(tree: &Tree<File>, options: &Options, at: &Path) -> Report {
    let file = std::fs::File::create(at).unwrap();
    let target = DiskFile::from_file(file, at).unwrap();
    write(tree, options, &target)
}

pub(crate) fn source(bytes: Vec<u8>) -> Arc<dyn ReadAt> {
    Arc::new(bytes)
}

/// A dump with the digest of every file.
pub(crate) fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let bytes = content.read_all(1 << 30).unwrap();
        format!("{} {}", bytes.len(), blake3::hash(&bytes))
    })
}

/// The same tree with plain contents, to be dumped or written.
pub(crate) fn contents(tree: &Tree<File>) -> Tree<Content> {
    map(tree, |file| match file {
        File::Content(content) => content.clone(),
        File::Late { .. } => Content::default(),
    })
}

pub(crate) fn files(tree: &Tree<Content>) -> Tree<File> {
    map(tree, |content| File::Content(content.clone()))
}

fn map<A, B>(tree: &Tree<A>, content: impl Fn(&A) -> B) -> Tree<B> {
    let root = tree.inode(tree.root());
    let mut made = Tree::new(root.metadata.clone());
    let mut ids = std::collections::BTreeMap::from([(tree.root(), made.root())]);
    for entry in tree.walk().skip(1) {
        let parent = made.lookup(&entry.path.parent().unwrap()).unwrap();
        let name = Name::new(entry.path.file_name().unwrap()).unwrap();
        if let Some(id) = ids.get(&entry.id) {
            made.link(parent, name, *id).unwrap();
            continue;
        }
        let node = match &entry.inode.node {
            Node::Directory(_) => Node::empty_directory(),
            Node::File(file) => Node::File(content(file)),
            Node::Symlink(target) => Node::Symlink(target.clone()),
            Node::Character(device) => Node::Character(*device),
            Node::Block(device) => Node::Block(*device),
            Node::Fifo => Node::Fifo,
            Node::Socket => Node::Socket,
        };
        let inode = Inode::new(entry.inode.metadata.clone(), node);
        ids.insert(entry.id, made.add(parent, name, inode).unwrap());
    }
    made
}
