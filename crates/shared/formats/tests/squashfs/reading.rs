//! What the reader promises of images that we made ourselves.

use std::sync::Arc;

use block::ReadAt as _;
use formats::squashfs::{probe, read_tree};
use tree::Node;

use crate::compare::{assert_same, dump, read};
use crate::samples::{everything, image_of, noise, path, ways};

#[test]
fn a_tree_written_and_read_is_the_same_tree() {
    for options in ways() {
        let tree = everything(options.block_size as usize);
        let again = read(image_of(&tree, &options)).unwrap();
        assert_same(&dump(&again), &dump(&tree), options);
    }
}

#[test]
fn an_image_made_of_a_read_image_is_the_same_image() {
    let options = &ways()[0];
    let first = image_of(&everything(128 << 10), options);
    let second = image_of(&read(first.clone()).unwrap(), options);
    assert!(first == second);
}

#[test]
fn an_image_is_known_by_its_beginning() {
    let image = image_of(&everything(4096), &ways()[1]);
    let identity = probe(&image).unwrap().unwrap();
    assert_eq!(identity.format, "squashfs");
    assert_eq!((identity.label.as_str(), identity.uuid.as_str()), ("", ""));
    assert_eq!(probe(&image[..95].to_vec()).unwrap(), None);
    assert_eq!(probe(&noise(4096, 1)).unwrap(), None);
}

#[test]
fn every_range_of_a_file_reads_as_the_whole_does() {
    for options in ways() {
        let size = options.block_size as usize;
        let tree = read(image_of(&everything(size), &options)).unwrap();
        for name in [
            "/sizes/many",
            "/noise/over",
            "/sparse/mixed",
            "/sizes/under",
        ] {
            let content = tree.file(name).unwrap();
            let whole = content.read_all(64 << 20).unwrap();
            for start in [0, 1, size - 1, size, size + 1, size * 3 + 4] {
                for len in [0, 1, 77, size, size * 2 + 1] {
                    let Some(expected) = whole.get(start..start + len) else {
                        continue;
                    };
                    let mut found = vec![0xff; len];
                    content.read_exact_at(&mut found, start as u64).unwrap();
                    assert!(found == expected, "{name} {start} {len} {options:?}");
                }
            }
            let past = content.read_exact_at(&mut [0; 2], whole.len() as u64 - 1);
            assert_eq!(past.unwrap_err().kind(), block::Kind::Corrupt);
        }
    }
}

#[test]
fn blocks_of_zeros_are_holes() {
    let size = 16 << 10;
    let options = ways().pop().unwrap();
    let tree = read(image_of(&everything(size), &options)).unwrap();
    let mixed = tree.file("/sparse/mixed").unwrap();
    let size = size as u64;
    assert_eq!(mixed.next_data(0).unwrap(), Some(size * 3..size * 4));
    // What is after the last whole block is in a fragment, zeros or not.
    let tail = size * 9..size * 9 + 105;
    assert_eq!(mixed.next_data(size * 4).unwrap(), Some(tail));
    let large = tree.file("/sparse/large").unwrap();
    assert_eq!(large.next_data(0).unwrap(), None);
    assert_eq!(large.len(), size * 9);
}

#[test]
fn what_is_stored_uncompressed_is_read_where_it_lies() {
    let image = image_of(&everything(4096), &ways()[1]);
    let source: Arc<dyn block::ReadAt> = Arc::new(image);
    let tree = read_tree(Arc::clone(&source)).unwrap();
    let content = tree.file("/noise/exact").unwrap();
    let pieces: Vec<_> = content.pieces().collect();
    let [
        block::Piece::Range {
            source: found, len, ..
        },
    ] = pieces.as_slice()
    else {
        panic!("{pieces:?}");
    };
    assert_eq!((found.len(), *len), (source.len(), 4096));
}

#[test]
fn hard_links_stay_one_inode() {
    let tree = read(image_of(&everything(4096), &ways()[1])).unwrap();
    let id = tree.lookup(&path("/links/a")).unwrap();
    assert_eq!(tree.lookup(&path("/z")), Some(id));
    assert_eq!(tree.inode(id).names(), 3);
    assert!(matches!(tree.inode(id).node, Node::File(_)));
}

/// A source that counts how many bytes are read.
#[derive(Debug)]
struct Counted {
    bytes: Vec<u8>,
    read: std::sync::atomic::AtomicU64,
}

impl block::ReadAt for Counted {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> block::Result<()> {
        self.read
            .fetch_add(buf.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.bytes.read_exact_at(buf, offset)
    }
}

#[test]
fn threads_that_read_in_one_block_decompress_it_once() {
    let options = formats::squashfs::Options {
        block_size: 1 << 20,
        ..ways()[0]
    };
    let whole: Vec<u8> = noise(6 << 20, 3).iter().map(|byte| byte & 0x3f).collect();
    let mut tree = tree::Tree::new(tree::Metadata::with_permissions(0o755));
    let node = Node::File(block::Content::from_bytes(whole.as_slice()));
    let inode = tree::Inode::new(tree::Metadata::default(), node);
    tree.put(&path("/file"), inode).unwrap();
    let source = Arc::new(Counted {
        bytes: image_of(&tree, &options),
        read: std::sync::atomic::AtomicU64::new(0),
    });
    let tree = read_tree(source.clone()).unwrap();
    let content = tree.file("/file").unwrap();
    let piece = 64 << 10;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let whole = &whole;
            scope.spawn(move || {
                for (index, expected) in whole.chunks(piece).enumerate() {
                    if index % 8 == thread {
                        let mut found = vec![0; piece];
                        content
                            .read_exact_at(&mut found, (index * piece) as u64)
                            .unwrap();
                        assert!(found == expected, "{index}");
                    }
                }
            });
        }
    });
    let read = source.read.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read < source.bytes.len() as u64 + (64 << 10), "{read}");
}
