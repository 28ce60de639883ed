//! Hostile ISOs: any bytes give a tree or an error with a place.
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

mod iso9660_sample;

use std::sync::Arc;

use block::{Content, Error, Kind, Result};
use formats::iso9660::{File, Image, boot_catalog, probe, read_tree};
use iso9660_sample::{
    add_boot, dump, metadata, noise, options, path, put, put_file, source, tree, write_bytes,
};
use tree::{Node, Tree};

/// A small ISO with everything in it once, and the end of its metadata.
fn small() -> (Vec<u8>, usize) {
    let mut tree = Tree::new(metadata(0o755));
    put_file(&mut tree, "/folder/file", &noise(1, 3000));
    put_file(
        &mut tree,
        [b"/folder/", &[b'l'; 200][..]].concat(),
        b"long name",
    );
    put(
        &mut tree,
        "/link",
        0o777,
        Node::Symlink(vec![b'/'; 300].into()),
    );
    put(&mut tree, "/fifo", 0o600, Node::Fifo);
    let mut options = options();
    add_boot(&mut tree, &mut options);
    let bytes = write_bytes(&tree, &options);
    let esp = boot_catalog(&bytes).unwrap()[1].offset;
    (bytes, usize::try_from(esp).unwrap())
}

/// Reads everything that there is to read.
fn read_all(bytes: &[u8]) -> Result<String> {
    let source = source(bytes.to_vec());
    probe(&source)?;
    boot_catalog(&source)?;
    let tree = read_tree(source)?;
    Ok(tree.dump(|content: &Content| format!("{:?}", block::ReadAt::len(content))))
}

fn assert_has_place(error: &Error) {
    assert!(!error.place().what.is_empty(), "{error:?}");
    assert!(
        matches!(
            error.kind(),
            Kind::Corrupt | Kind::Unsupported | Kind::Limit | Kind::NotFound
        ),
        "{error:?}"
    );
}

#[test]
fn every_flipped_byte_of_the_metadata_gives_a_tree_or_an_error() {
    let (bytes, end) = small();
    let good = read_all(&bytes).unwrap();
    let mut damaged = bytes[..].to_vec();
    let (mut errors, mut others) = (0, 0);
    // Nothing before the descriptors is read; and sectors without anything in them are skipped.
    for at in (16 * 2048..end).filter(|at| {
        let sector = &bytes[at / 2048 * 2048..][..2048];
        sector[at % 2048..].iter().any(|byte| *byte != 0)
    }) {
        for mask in [0x01, 0x80, 0xff] {
            damaged[at] ^= mask;
            match read_all(&damaged) {
                Ok(tree) if tree == good => {}
                Ok(_) => others += 1,
                Err(error) => {
                    errors += 1;
                    assert_has_place(&error);
                }
            }
            damaged[at] ^= mask;
        }
    }
    assert!(
        errors > 100 && others > 100,
        "{errors} errors, {others} other trees"
    );
}

#[test]
fn an_iso_that_is_cut_off_anywhere_gives_an_error_or_what_is_left() {
    let (bytes, esp) = small();
    let mut first_whole = None;
    for len in (0..bytes.len()).step_by(512) {
        match read_all(&bytes[..len]) {
            Ok(_) => _ = first_whole.get_or_insert(len),
            Err(error) => {
                assert_has_place(&error);
                assert_eq!(first_whole, None, "{len}");
            }
        }
    }
    // Files follow the ESP, and behind them is room for the partition table.
    assert!(first_whole.is_some_and(|len| len > esp + 300 * 512));
}

/// The first place of `what` after `from`.
fn find(bytes: &[u8], what: &[u8], from: usize) -> usize {
    let found = bytes[from..]
        .windows(what.len())
        .position(|window| window == what);
    from + found.unwrap()
}

#[test]
fn a_folder_in_itself_is_refused() {
    let mut tree = Tree::new(metadata(0o755));
    put_file(&mut tree, "/a/b/c", b"x");
    let mut bytes = write_bytes(&tree, &options());
    // The record of "B" in "A" leads to "A" itself.
    let root = 2048 * u32::from_le_bytes(bytes[32_768 + 158..][..4].try_into().unwrap()) as usize;
    let of_a = find(&bytes, b"\x01A", root) - 32;
    let of_b = find(&bytes, b"\x01B", of_a) - 32;
    let extent = bytes[of_a + 2..of_a + 18].to_vec();
    bytes[of_b + 2..of_b + 18].copy_from_slice(&extent);
    let error = read_tree(source(bytes)).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(
        error.to_string().contains("in more than one place"),
        "{error}"
    );
}

#[test]
fn a_continuation_that_leads_to_itself_is_refused() {
    let (mut bytes, _) = small();
    // An entry goes on in an area; let the area begin with the same entry.
    let entry = find(&bytes, b"CE\x1c\x01", 0);
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let area = number(entry + 4) * 2048 + number(entry + 12);
    let copy = bytes[entry..entry + 28].to_vec();
    bytes[area..area + 28].copy_from_slice(&copy);
    let error = read_tree(source(bytes)).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().contains("continuation"), "{error}");
}

#[test]
fn lengths_that_the_image_does_not_have_cost_no_memory() {
    let (bytes, _) = small();
    let root = 2048 * u32::from_le_bytes(bytes[32_768 + 158..][..4].try_into().unwrap()) as usize;
    // The root's length in its descriptor, and the boot folder's in the root.
    for at in [32_768 + 166, find(&bytes, b"\x04BOOT", root) - 32 + 10] {
        let mut damaged = bytes.clone();
        damaged[at..at + 4].fill(0xff);
        let error = read_tree(source(damaged)).unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Limit | Kind::Corrupt),
            "{error}"
        );
    }
}

#[test]
fn names_that_would_leave_the_tree_are_refused() {
    for name in ["..", "a/b", "."] {
        let mut tree = Tree::new(metadata(0o755));
        let same_length = "x".repeat(name.len());
        put_file(&mut tree, format!("/{same_length}"), b"x");
        let mut bytes = write_bytes(&tree, &options());
        let entry = find(
            &bytes,
            &[b"NM", &[5 + name.len() as u8, 1, 0][..]].concat(),
            0,
        );
        bytes[entry + 5..entry + 5 + name.len()].copy_from_slice(name.as_bytes());
        let error = read_tree(source(bytes)).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{name}");
    }
}

#[test]
fn the_same_name_twice_is_refused() {
    let mut tree = Tree::new(metadata(0o755));
    put_file(&mut tree, "/one", b"x");
    put_file(&mut tree, "/two", b"x");
    let mut bytes = write_bytes(&tree, &options());
    let entry = find(&bytes, b"NM\x08\x01\0two", 0);
    bytes[entry + 5..entry + 8].copy_from_slice(b"one");
    let error = read_tree(source(bytes)).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("exists"), "{error}");
}

#[test]
fn ways_to_store_a_file_that_are_not_read_are_named() {
    let mut tree = Tree::new(metadata(0o755));
    put_file(&mut tree, "/file", b"x");
    let bytes = write_bytes(&tree, &options());
    let time = find(&bytes, b"TF\x0c\x01", find(&bytes, b"FILE.;1", 0));
    for (signature, word) in [(b"ZF", "zisofs"), (b"SF", "sparse")] {
        let mut damaged = bytes.clone();
        damaged[time..time + 2].copy_from_slice(signature);
        let error = read_tree(source(damaged)).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(
            error.to_string().contains("file") && cause.contains(word),
            "{error} {cause}"
        );
    }
}

#[test]
fn folders_deeper_than_a_path_can_name_are_refused() {
    let deep = |count: usize| {
        let mut tree = Tree::new(metadata(0o755));
        let mut at = tree.root();
        for _ in 0..count {
            let folder = tree::Inode::new(metadata(0o755), Node::empty_directory());
            at = tree
                .add(at, tree::Name::new(b"d").unwrap(), folder)
                .unwrap();
        }
        read_tree(source(write_bytes(&tree, &options())))
    };
    assert!(deep(2048).is_ok());
    assert_eq!(deep(2049).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn more_folders_than_path_tables_number_are_refused() {
    let mut tree: Tree<File> = Tree::new(metadata(0o755));
    for number in 0..65_535 {
        let folder = tree::Inode::new(metadata(0o755), Node::empty_directory());
        let name = tree::Name::new(format!("{number}").as_bytes()).unwrap();
        tree.add(tree.root(), name, folder).unwrap();
    }
    let target = block::MemoryTarget::new();
    let error = Image::begin(&tree, &options(), &target).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    tree.remove_path(&path("/0"));
    write_bytes(&tree, &options());
}

#[test]
fn a_target_that_fails_is_an_error_of_the_writer() {
    #[derive(Debug)]
    struct Full;
    impl block::WriteAt for Full {
        fn write_all_at(&self, _: &[u8], offset: u64) -> Result<()> {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            Err(Error::io("writing the test", full).at(offset))
        }
    }
    let error = Image::begin(&tree(), &options(), &Full).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    let empty: Tree<File> = Tree::new(metadata(0o755));
    let error = Image::begin(&empty, &options(), &Full)
        .unwrap()
        .finish()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
}

#[test]
fn a_source_that_fails_is_an_error_that_names_the_file() {
    let mut tree = Tree::new(metadata(0o755));
    let short: Arc<dyn block::ReadAt> = Arc::new(vec![0; 10]);
    let piece = block::Piece::Range {
        source: short,
        offset: 0,
        len: 20,
    };
    let content = Content::new([piece]).unwrap();
    put(
        &mut tree,
        "/broken",
        0o644,
        Node::File(File::Content(content)),
    );
    let target = block::MemoryTarget::new();
    let error = Image::begin(&tree, &options(), &target).unwrap_err();
    assert!(error.to_string().contains("/broken"), "{error}");
}

#[test]
fn reading_twice_is_the_same() {
    let bytes = write_bytes(&tree(), &options());
    let read = || read_tree(source(bytes.clone())).unwrap();
    assert_eq!(dump(&read()), dump(&read()));
    assert!(read().lookup(&path("/empty")).is_some());
}
