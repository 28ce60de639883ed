//! Changes of an ISO's metadata in places: what they become, what is refused, and any damage.
#![expect(
    clippy::unwrap_used,
    reason = "in a test a failure has to be loud, with its place"
)]

use std::sync::Arc;

use block::{Content, Kind, MemoryTarget};
use formats::iso9660::{Editor, Extent, File, Image, Options, Patch, VolumeId, probe, read_tree};
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

/// An ISO with these files, and a sector that is free at its end.
fn iso(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    for (name, bytes) in files {
        let content = File::Content(Content::from_bytes(*bytes));
        let inode = Inode::new(Metadata::with_permissions(0o644), Node::File(content));
        tree.put(&path(name), inode).unwrap();
    }
    let target = MemoryTarget::new();
    let options = Options::new(VolumeId::new("X").unwrap(), Timestamp::default());
    let image = Image::begin(&tree, &options, &target).unwrap();
    image.finish().unwrap();
    let mut bytes = target.into_bytes();
    bytes.extend([b'!'; 2048]);
    bytes
}

fn apply(bytes: &mut [u8], patches: &[Patch]) {
    for patch in patches {
        let at = patch.offset as usize;
        assert!(
            patch.bytes.len() <= 2048 - at % 2048,
            "a patch crosses a sector"
        );
        bytes[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
    }
}

fn read(bytes: &[u8], name: &str) -> Vec<u8> {
    let tree = read_tree(Arc::new(bytes.to_vec())).unwrap();
    tree.file(name).unwrap().read_all(1 << 20).unwrap()
}

const FILES: &[(&str, &[u8])] = &[
    ("/boot/grub/grub.cfg", b"menu"),
    ("/boot/vmlinuz", b"kernel"),
    ("/a name with blanks and UPPER case.text", b"long"),
    ("/empty", b""),
];

#[test]
fn a_file_is_put_elsewhere_and_nothing_else_changes() {
    let mut bytes = iso(FILES);
    let free = bytes.len() as u64 - 2048;
    for (name, _) in FILES {
        let mut editor = Editor::open(Arc::new(bytes.clone())).unwrap();
        let before = editor.extent(&path(name)).unwrap();
        editor
            .point(
                &path(name),
                Extent {
                    offset: free,
                    len: 5,
                },
            )
            .unwrap();
        let mut changed = bytes.clone();
        apply(&mut changed, &editor.patches().unwrap());
        assert_eq!(read(&changed, name), b"!!!!!");
        for (other, content) in FILES.iter().filter(|(other, _)| other != name) {
            assert_eq!(read(&changed, other), *content);
        }
        // Back again, the ISO is what it was.
        let mut editor = Editor::open(Arc::new(changed.clone())).unwrap();
        editor.point(&path(name), before).unwrap();
        apply(&mut changed, &editor.patches().unwrap());
        assert!(changed == bytes, "{name}");
    }
    bytes.truncate(40_000);
    assert!(probe(&bytes).unwrap().is_some());
}

#[test]
fn a_new_file_is_there_under_its_own_name_with_its_own_metadata() {
    let mut bytes = iso(FILES);
    let free = bytes.len() as u64 - 2048;
    let time = Timestamp::default();
    for name in ["/boot/zz.img", "/boot/Aa", "/.hidden", "/boot/grub/ä b.cfg"] {
        let mut editor = Editor::open(Arc::new(bytes.clone())).unwrap();
        editor
            .insert(
                &path(name),
                Extent {
                    offset: free,
                    len: 3,
                },
                time,
            )
            .unwrap();
        apply(&mut bytes, &editor.patches().unwrap());
        assert_eq!(read(&bytes, name), b"!!!");
    }
    for (name, content) in FILES {
        assert_eq!(read(&bytes, name), *content);
    }
    let tree = read_tree(Arc::new(bytes)).unwrap();
    let metadata = &tree.inode(tree.lookup(&path("/boot/Aa")).unwrap()).metadata;
    assert_eq!((metadata.permissions, metadata.uid), (0o644, 0));
}

#[test]
fn names_that_are_taken_folders_that_are_missing_and_full_folders_are_refused() {
    let bytes = iso(FILES);
    let place = Extent {
        offset: 2048,
        len: 1,
    };
    let time = Timestamp::default();
    let mut editor = Editor::open(Arc::new(bytes)).unwrap();
    for (name, kind) in [
        ("/boot/vmlinuz", Kind::Unsupported),
        ("/boot/VMLINUZ", Kind::Unsupported),
        ("/no/file", Kind::NotFound),
        ("/empty/file", Kind::NotFound),
        ("/", Kind::Unsupported),
    ] {
        let error = editor.insert(&path(name), place, time).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
    }
    assert_eq!(
        editor.extent(&path("/boot")).unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(
        editor.point(&path("/x"), place).unwrap_err().kind(),
        Kind::NotFound
    );
    let far = Extent {
        offset: u64::MAX - 4095,
        len: 1,
    };
    assert_eq!(
        editor.point(&path("/empty"), far).unwrap_err().kind(),
        Kind::Limit
    );
    assert_eq!(
        editor.patches().unwrap(),
        [],
        "what was refused changes nothing"
    );
    let mut added = 0;
    let error = loop {
        let name = format!("/boot/file-number-{added}");
        match editor.insert(&path(&name), place, time) {
            Ok(()) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::Limit);
    assert!((5..20).contains(&added), "{added}");
}

#[test]
fn no_damage_of_the_metadata_does_more_than_an_error() {
    let good = iso(FILES);
    let place = Extent {
        offset: good.len() as u64 - 2048,
        len: 1,
    };
    let work = |bytes: Vec<u8>| {
        let len = bytes.len() as u64;
        let Ok(mut editor) = Editor::open(Arc::new(bytes)) else {
            return;
        };
        // Errors are fine; what is answered must lie inside.
        let _ = editor.point(&path("/boot/grub/grub.cfg"), place);
        let _ = editor.insert(&path("/boot/new"), place, Timestamp::default());
        let _ = editor.set_volume_len(len);
        let _ = editor.set_application_use(400, b"note");
        for patch in editor.patches().unwrap_or_default() {
            assert!(patch.offset + patch.bytes.len() as u64 <= len);
        }
    };
    // Everything between the descriptors and the files, each byte in two ways.
    let end = good.len() - 3 * 2048;
    for at in (16 * 2048..end).filter(|at| good[*at] != 0 || at % 97 == 0) {
        for flip in [0x01, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            work(bad);
        }
    }
    for len in (0..good.len()).step_by(509) {
        work(good[..len].to_vec());
    }
}
