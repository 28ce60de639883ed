//! Damaged images: an error, or a tree; never a panic, a hang or a lot of memory.

use block::Kind;
use formats::squashfs::{Compression, Options};
use tree::{Metadata, Tree};

use crate::compare::{dump, read, try_dump};
use crate::samples::{Sample, image_of, text};

/// A small image whose metadata is short enough to be stored as it is, so that each flipped bit means something.
fn small() -> Vec<u8> {
    let mut sample = Sample(Tree::new(Metadata::with_permissions(0o755)));
    sample.file("/a/b/c", 0o644, text(10_000, 1));
    sample.file("/a/b/d", 0o644, text(100, 2));
    sample.links();
    sample.devices();
    sample.xattrs();
    let options = Options {
        block_size: 4096,
        compression: Compression::Lz4,
        ..Options::default()
    };
    image_of(&sample.0, &options)
}

/// Reads all of it. Answers whether that went well.
fn survives(image: Vec<u8>) -> bool {
    match read(image).and_then(|tree| try_dump(&tree)) {
        Ok(_) => true,
        Err(error) => {
            let kinds = [Kind::Corrupt, Kind::Unsupported, Kind::Limit];
            assert!(kinds.contains(&error.kind()), "{error}");
            false
        }
    }
}

#[test]
fn every_flipped_byte_is_an_error_or_a_tree() {
    let image = small();
    assert!(survives(image.clone()));
    let mut refused = 0;
    for at in 0..image.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = image.clone();
            damaged[at] ^= mask;
            refused += u32::from(!survives(damaged));
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn every_word_of_the_superblock_may_be_anything() {
    let image = small();
    for at in (0..96).step_by(4) {
        for value in [
            0,
            1,
            2,
            0x7fff_ffff,
            0x8000_0000,
            u32::MAX,
            image.len() as u32,
        ] {
            let mut damaged = image.clone();
            damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
            survives(damaged);
        }
    }
}

#[test]
fn a_truncated_image_is_refused_with_a_place() {
    let image = small();
    let used = u64::from_le_bytes(image[40..48].try_into().unwrap()) as usize;
    for len in (0..used).step_by(7) {
        let error = read(image[..len].to_vec()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{len}: {error}");
        assert!(error.place().offset.is_some(), "{len}: {error}");
    }
    assert_eq!(
        dump(&read(image[..used].to_vec()).unwrap()),
        dump(&read(image).unwrap())
    );
}

/// An image put together by hand, with metadata stored uncompressed, so that it can say anything.
struct Forged {
    inodes: Vec<u8>,
    folders: Vec<u8>,
    /// The offset of the root's inode.
    root: usize,
}

/// A metadata block that holds `bytes` as they are.
fn raw_block(bytes: &[u8]) -> Vec<u8> {
    let header = bytes.len() as u16 | 0x8000;
    [&header.to_le_bytes(), bytes].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Forged {
    /// A root folder with one name in it, whose inode is the first: `body` behind a header of type `kind`.
    fn new(name: &[u8], kind: u16, body: &[u8]) -> Self {
        let header = |kind: u16| {
            [kind, 0o755, 0, 0, 0, 0, 1, 0]
                .map(u16::to_le_bytes)
                .concat()
        };
        let mut inodes = header(kind);
        inodes.extend_from_slice(body);
        let root = inodes.len();
        let mut folders = words(&[0, 0, 1]);
        let entry = [0, 0, 2, name.len() as u16 - 1].map(u16::to_le_bytes);
        folders.extend(entry.concat());
        folders.extend_from_slice(name);
        inodes.extend(header(1));
        let size = folders.len() as u32 + 3;
        inodes.extend(words(&[0, 3, size, 3]));
        Self {
            inodes,
            folders,
            root,
        }
    }

    fn image(&self) -> Vec<u8> {
        let inodes = raw_block(&self.inodes);
        let folders = raw_block(&self.folders);
        let ids = raw_block(&[0; 4]);
        let inode_table = 96;
        let folder_table = inode_table + inodes.len() as u64;
        let ids_at = folder_table + folders.len() as u64;
        let id_table = ids_at + ids.len() as u64;
        let mut image = words(&[0x7371_7368, 2, 0, 4096, 0]);
        image.extend([1, 12, 0, 1, 4, 0].map(u16::to_le_bytes).concat());
        let none = u64::MAX;
        let places = [self.root as u64, id_table + 8, id_table, none, inode_table];
        image.extend(places.map(u64::to_le_bytes).concat());
        image.extend([folder_table, none, none].map(u64::to_le_bytes).concat());
        for part in [&inodes[..], &folders, &ids, &ids_at.to_le_bytes()] {
            image.extend_from_slice(part);
        }
        image
    }
}

/// The fields of a file of `len` bytes without blocks or fragment.
fn file_of(len: u32) -> Vec<u8> {
    words(&[0, u32::MAX, 0, len])
}

#[test]
fn a_forged_image_is_read_where_it_is_sound() {
    let tree = read(Forged::new(b"name", 2, &file_of(0)).image()).unwrap();
    assert_eq!(tree.list("/").next().unwrap().0.as_bytes(), b"name");
}

#[test]
fn a_folder_in_itself_is_refused() {
    let mut forged = Forged::new(b"name", 2, &file_of(0));
    forged.folders[12..14].copy_from_slice(&(forged.root as u16).to_le_bytes());
    let error = read(forged.image()).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("one name only"), "{cause}");
}

#[test]
fn names_that_lead_out_are_refused() {
    for bad in [&b"."[..], b"..", b"a/b", b"/", b"a\0b"] {
        let error = read(Forged::new(bad, 2, &file_of(0)).image()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{bad:?}");
    }
}

#[test]
fn a_name_twice_in_a_folder_is_refused() {
    let mut forged = Forged::new(b"name", 2, &file_of(0));
    let entry = forged.folders[12..].to_vec();
    forged.folders[0] = 1;
    forged.folders.extend(&entry);
    let size = forged.root + 16 + 8;
    forged.inodes[size] += entry.len() as u8;
    let error = read(forged.image()).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("exists already"), "{cause}");
}

#[test]
fn a_file_of_more_blocks_than_its_table_has_is_refused() {
    let error = read(Forged::new(b"name", 2, &file_of(u32::MAX)).image()).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[test]
fn a_file_of_more_blocks_than_any_image_has_is_refused_before_they_are_read() {
    let len = i64::MAX.to_le_bytes();
    let mut body = [words(&[0, 0]), len.to_vec(), words(&[0, 0, 1])].concat();
    body.extend(words(&[u32::MAX, 0, u32::MAX]));
    let error = read(Forged::new(b"name", 9, &body).image()).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
}

#[test]
fn blocks_fragments_and_symbolic_links_past_the_end_are_refused() {
    let block = [words(&[1 << 20, u32::MAX, 0, 4096]), words(&[100])].concat();
    let large = [words(&[96, u32::MAX, 0, 4096]), words(&[4097])].concat();
    let fragment = words(&[0, 0, 0, 10]);
    let target = words(&[1, 1 << 20]);
    let empty = words(&[1, 0]);
    for (kind, body) in [
        (2, block),
        (2, large),
        (2, fragment),
        (3, target),
        (3, empty),
    ] {
        let error = read(Forged::new(b"name", kind, &body).image()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{kind} {body:?}");
    }
    for kind in [0, 15, 0xffff] {
        let error = read(Forged::new(b"name", kind, &file_of(0)).image()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{kind}");
    }
}

#[test]
fn a_block_that_holds_less_than_the_file_says_is_an_error_when_it_is_read() {
    // The image's first bytes as a block: nothing that a decompressor knows.
    let body = [words(&[0, u32::MAX, 0, 4096]), words(&[96])].concat();
    let tree = read(Forged::new(b"name", 2, &body).image()).unwrap();
    assert_eq!(try_dump(&tree).unwrap_err().kind(), Kind::Corrupt);
    // The same uncompressed: 96 bytes for 4096.
    let body = [words(&[0, u32::MAX, 0, 4096]), words(&[96 | 1 << 24])].concat();
    let error = read(Forged::new(b"name", 2, &body).image()).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
}
