//! Archives that are compressed.

use std::io::Write as _;
use std::sync::Arc;

use block::{Content, Kind, Piece, ReadAt};
use tree::{Inode, Metadata, Node, Tree, TreePath};

use super::super::{Compression, probe, read_tree, read_tree_in};
use super::round_trip::{archive, kinds};
use super::{dump, read};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn every_compression_is_read_in_one_part_or_several() {
    let tree = kinds();
    let bytes = archive(&tree);
    let (first, second) = bytes.split_at(700_000);
    for (name, compress) in [
        ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
        ("lz4", lz4),
        ("xz", xz),
        ("zstd", zst),
    ] {
        for packed in [
            compress(&bytes),
            [compress(first), compress(second)].concat(),
        ] {
            assert_eq!(Compression::of(&packed).unwrap().name(), name);
            let source: Arc<dyn ReadAt> = Arc::new(packed);
            assert_eq!(probe(&source).unwrap().unwrap().format, "tar", "{name}");
            assert_eq!(dump(&read_tree(source).unwrap()), dump(&tree), "{name}");
        }
    }
}

#[test]
fn compressions_that_are_not_read_are_named() {
    for (head, name) in [
        (&b"BZh91AY&SY"[..], "bzip2"),
        (b"\x5d\0\0\x80\0\xff\xff\xff\xff", "lzma"),
        (b"LZIP\x01\x0c", "lzip"),
        (b"\x89LZO\0\r\n\x1a\n", "lzop"),
        (b"\x1f\x9d\x90", "compress"),
    ] {
        let error = read(head).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(probe(&head.to_vec()).unwrap(), None);
    }
}

#[test]
fn a_compressed_archive_that_is_damaged_is_an_error_at_every_place() {
    let bytes = archive(&kinds());
    for compress in [gzip as fn(&[u8]) -> Vec<u8>, lz4, xz, zst] {
        let packed = compress(&bytes[..20_480]);
        let whole = read(&compress(&bytes[..20_480]));
        assert_eq!(
            whole.unwrap_err().kind(),
            Kind::Corrupt,
            "cut inside of a member"
        );
        for len in 6..packed.len() {
            if len % 37 == 0 || packed.len() - len < 9 {
                assert!(read(&packed[..len]).is_err(), "{len} of {}", packed.len());
            }
        }
    }
}

#[test]
fn what_was_unpacked_has_no_name_and_is_there_as_long_as_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let source: Arc<dyn ReadAt> = Arc::new(gzip(&archive(&kinds())));
    let tree = read_tree_in(source, folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(dump(&tree), dump(&kinds()));
}

#[test]
fn an_unusable_folder_for_temporary_files_is_named() {
    let source: Arc<dyn ReadAt> = Arc::new(gzip(&archive(&kinds())));
    let error = read_tree_in(source, "/nonexistent").unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("/nonexistent"), "{error}");
}

#[test]
fn zeros_of_a_compressed_archive_become_holes() {
    let mut tree = Tree::new(Metadata::default());
    let pieces = [
        Piece::Hole { len: 64 << 20 },
        Piece::Bytes((*b"end").into()),
    ];
    let content = Content::new(pieces).unwrap();
    let inode = Inode::new(Metadata::default(), Node::File(content));
    tree.put(&TreePath::parse("/file").unwrap(), inode).unwrap();
    let back = read(&zst(&archive(&tree))).unwrap();
    let content = back.file("/file").unwrap();
    // The file system for temporary files decides how large a hole has to be.
    assert!(content.next_data(1 << 20).unwrap().unwrap().start > 63 << 20);
    let mut end = [0; 3];
    content.read_exact_at(&mut end, 64 << 20).unwrap();
    assert_eq!(&end, b"end");
}
