//! Damaged file systems: an error with a place, or the same tree; never a panic, a hang or an endless allocation.

use std::collections::BTreeSet;
use std::sync::Arc;

use block::{Content, Kind, ReadAt, Result, read_vec};
use formats::ext4::Volume;
use tree::{Node, Tree};

use super::image::{Image, chain, need, run};
use super::{journal, populate};

/// Bytes of which some are changed.
#[derive(Debug)]
struct Damaged {
    bytes: Arc<Vec<u8>>,
    /// At each offset, what is flipped.
    flips: Vec<(u64, u8)>,
    len: u64,
}

impl ReadAt for Damaged {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        if offset + buf.len() as u64 > self.len {
            return Err(block::Error::corrupt("reading", "past the end").at(offset));
        }
        self.bytes.read_exact_at(buf, offset)?;
        for (at, flip) in &self.flips {
            if let Some(byte) = at
                .checked_sub(offset)
                .and_then(|at| buf.get_mut(at as usize))
            {
                *byte ^= flip;
            }
        }
        Ok(())
    }
}

/// An image in memory, with its tree as text.
struct Fixture {
    bytes: Arc<Vec<u8>>,
    text: String,
    image: Image,
}

/// The tree with where each file's content lies and what the small ones hold.
fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let head = content.len().min(64);
        let bytes = read_vec(content, 0, head, 64, "head");
        let bytes = bytes.map_or_else(|error| error.to_string(), |bytes| format!("{bytes:?}"));
        format!("{} {} {bytes}", content.len(), content.pieces().count())
    })
}

impl Fixture {
    fn new(image: Image) -> Self {
        let bytes = Arc::new(std::fs::read(&image.path).unwrap());
        let text = dump(&image.read().tree);
        Self { bytes, text, image }
    }

    fn filled(options: &[&str]) -> Self {
        let source = tempfile::tempdir().unwrap();
        populate::small(source.path());
        let mut options = options.to_vec();
        options.extend(["-d", source.path().to_str().unwrap()]);
        Self::new(Image::make(8, &options))
    }

    fn read(&self, flips: &[(u64, u8)], len: u64) -> Result<Volume> {
        formats::ext4::read(Arc::new(Damaged {
            bytes: self.bytes.clone(),
            flips: flips.to_vec(),
            len,
        }))
    }

    /// What `debugfs` answers.
    fn ask(&self, request: &str) -> String {
        run(
            "debugfs",
            &["-R", request, self.image.path.to_str().unwrap()],
        )
    }

    /// The numbers in what `debugfs` answers.
    fn numbers(&self, request: &str) -> Vec<u64> {
        let text = self.ask(request);
        text.split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect()
    }

    /// The offset of the inode of `path`.
    fn inode(&self, path: &str, block_size: u64) -> u64 {
        // "… located at block 13, offset 0x0100".
        let text = self.ask(&format!("imap {path}"));
        let block = text
            .split("block ")
            .last()
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        let offset = text.split("0x").last().unwrap().trim();
        block.parse::<u64>().unwrap() * block_size + u64::from_str_radix(offset, 16).unwrap()
    }
}

/// Flips each byte of `range` in three ways, and holds that every reading is an error with a place or the same tree. Answers with
/// the number of flips that were found.
fn flip_all(fixture: &Fixture, range: std::ops::Range<u64>, what: &str) -> usize {
    let len = fixture.bytes.len();
    let mut found = 0;
    for at in range {
        for flip in [0xff, 0x01, 0x80] {
            match fixture.read(&[(at, flip)], len) {
                // The end of a log and a damaged transaction cannot be told apart, so that is a warning.
                Ok(volume)
                    if volume
                        .warnings
                        .iter()
                        .any(|text| text.contains("does not match")) =>
                {
                    found += 1;
                }
                Ok(volume) => assert!(
                    dump(&volume.tree) == fixture.text,
                    "{what}: another tree with byte {at:#x} ^ {flip:#x}"
                ),
                Err(error) => {
                    found += 1;
                    let place = error.place();
                    assert!(
                        place.offset.is_some() || error.kind() != Kind::Corrupt,
                        "{what}: {at:#x} ^ {flip:#x}: {}",
                        chain(&error)
                    );
                }
            }
        }
    }
    found
}

#[test]
fn ref_with_checksums_no_damaged_byte_of_a_structure_goes_unnoticed() {
    if !need(&["mke2fs", "debugfs"]) {
        return;
    }
    let fixture = Fixture::filled(&["-t", "ext4", "-b", "1024", "-O", "metadata_csum"]);
    let block = 1024;
    // All but the feature bits that say that there are checksums, and the magic, without which there is no ext4.
    let found = flip_all(&fixture, 1024..2048, "superblock");
    assert!(found >= 3 * 1024 - 8, "superblock: {found}");
    assert_eq!(flip_all(&fixture, 2048..2048 + 64, "group descriptor"), 192);
    for path in [
        "<2>",
        "/file-5000",
        "/deep",
        "/link-200",
        "/null",
        "/setuid",
    ] {
        let at = fixture.inode(path, block);
        assert_eq!(flip_all(&fixture, at..at + 256, path), 768, "{path}");
    }
    let of_folder = fixture.numbers("blocks /deep")[0] * block;
    assert_eq!(
        flip_all(&fixture, of_folder..of_folder + block, "folder"),
        3072
    );
    let acl = fixture.ask("stat /file-150");
    let acl = acl
        .split("File ACL: ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let acl = acl.parse::<u64>().unwrap() * block;
    assert!(acl > 0);
    assert_eq!(flip_all(&fixture, acl..acl + block, "xattr block"), 3072);
}

/// Offsets of blocks that begin with `magic`, aligned to `block`.
fn blocks_with(bytes: &[u8], magic: &[u8], block: usize) -> Vec<u64> {
    let found = bytes.chunks(block).enumerate();
    let found = found.filter(|(_, bytes)| bytes.starts_with(magic));
    found.map(|(number, _)| (number * block) as u64).collect()
}

#[test]
fn ref_with_checksums_no_damaged_byte_of_an_extent_block_goes_unnoticed() {
    if !need(&["mke2fs", "debugfs"]) {
        return;
    }
    let fixture = Fixture::filled(&["-t", "ext4", "-b", "1024", "-O", "metadata_csum"]);
    let nodes = blocks_with(&fixture.bytes, &[0x0a, 0xf3], 1024);
    assert!(!nodes.is_empty());
    for at in nodes.iter().take(2) {
        // The last bytes of a block are behind the checksum.
        let found = flip_all(&fixture, *at..*at + 1024, "extent block");
        assert!(found >= 3 * (12 + 84 * 12 + 4), "{found}");
    }
}

#[test]
fn ref_with_checksums_no_damaged_byte_of_the_journal_changes_the_tree() {
    if !need(&["mke2fs", "mount", "python3"]) {
        return;
    }
    let format = ["-t", "ext4", "-b", "1024", "-J", "size=1"];
    let image = journal::unclean(8, &format, "data=ordered", |folder| {
        std::fs::write(folder.join("file"), b"content").unwrap();
        for number in 0..30 {
            std::fs::create_dir(folder.join(format!("folder-{number}"))).unwrap();
        }
        journal::sync(folder);
        for number in 0..20 {
            std::fs::remove_dir(folder.join(format!("folder-{number}"))).unwrap();
        }
        journal::sync(folder);
        std::fs::write(folder.join("second"), b"content").unwrap();
        journal::sync(folder);
    });
    let fixture = Fixture::new(image);
    let blocks = blocks_with(&fixture.bytes, &[0xc0, 0x3b, 0x39, 0x98], 1024);
    let mut kinds = BTreeSet::new();
    for at in blocks {
        let kind = fixture.bytes[at as usize + 7];
        // A damaged header ends the log there, as for the kernel: what comes after is lost, and the tree is an older one.
        let skip = if kind == 4 { 0 } else { 12 };
        if kinds.insert(kind) {
            flip_all(
                &fixture,
                at + skip..at + 1024,
                &format!("journal block type {kind}"),
            );
        }
    }
    assert!(
        kinds.is_superset(&BTreeSet::from([1, 2, 4, 5])),
        "{kinds:?}"
    );
}

/// A small random number generator (xorshift64*), so that the damage is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }
}

/// Reads the damaged file system and a part of every file: nothing but that it ends is held.
fn survive(fixture: &Fixture, flips: &[(u64, u8)], len: u64) {
    let Ok(volume) = fixture.read(flips, len) else {
        return;
    };
    for entry in volume.tree.walk() {
        if let Node::File(content) = &entry.inode.node {
            let head = content.len().min(10_000);
            let mut buf = vec![0; head as usize];
            drop(content.read_exact_at(&mut buf, 0));
            drop(content.read_exact_at(&mut buf, content.len() - head));
        }
    }
}

#[test]
fn ref_without_checksums_any_damage_gives_a_tree_or_an_error() {
    if !need(&["mke2fs"]) {
        return;
    }
    for options in [
        &[
            "-t",
            "ext4",
            "-b",
            "1024",
            "-O",
            "^metadata_csum,inline_data,ea_inode",
        ][..],
        &["-t", "ext4", "-b", "4096", "-O", "^metadata_csum"],
        &["-t", "ext2", "-b", "1024"],
    ] {
        let fixture = Fixture::filled(options);
        let len = fixture.bytes.len();
        for at in (1024..2048 + 64).chain(fixture.inode("<2>", 1024)..0) {
            survive(&fixture, &[(at, 0xff)], len);
            survive(&fixture, &[(at, 0x01)], len);
        }
        // Metadata lies where the bytes are no zeros; damage there is the interesting one.
        let used: Vec<u64> = (0..len)
            .filter(|at| fixture.bytes[*at as usize] != 0)
            .take(200_000)
            .collect();
        let mut random = Random(0x6c69_7665);
        for _ in 0..3000 {
            let count = 1 + random.below(8);
            let flips: Vec<(u64, u8)> = (0..count)
                .map(|_| {
                    let at = used[random.below(used.len() as u64) as usize];
                    (at, 1 + random.below(255) as u8)
                })
                .collect();
            survive(&fixture, &flips, len);
        }
    }
}

#[test]
fn ref_a_file_system_that_is_cut_short_is_refused() {
    if !need(&["mke2fs"]) {
        return;
    }
    let fixture = Fixture::filled(&["-t", "ext4", "-b", "1024"]);
    let len = fixture.bytes.len();
    let places = (0..4096)
        .step_by(64)
        .chain((4096..len).step_by(50_021))
        .chain([len - 1]);
    for place in places {
        let error = fixture.read(&[], place).unwrap_err();
        let expected = if place < 2048 {
            Kind::NotFound
        } else {
            Kind::Corrupt
        };
        assert_eq!(error.kind(), expected, "{place}");
    }
}
