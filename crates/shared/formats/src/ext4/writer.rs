//! An empty ext4 file system: a small `mkfs.ext4`.
//!
//! Each block group holds its own bitmaps and inode table (no `flex_bg`); what only zeros would be written to is marked as not in use
//! yet, so that a large one is made in seconds. The superblock at the start is written last: until then there is no file system.

use block::{Error, Result, WriteAt};

use super::checksum::crc32c;
use super::format::{SUPERBLOCK_OFFSET, compat, flag, incompat, ro_compat};
use geometry::Geometry;
use structures::{Inode, directory_block, extent_root, journal_superblock, put};

mod geometry;
mod structures;

/// The length of a block in bytes.
pub(super) const BLOCK: u64 = 4096;
/// The length of a block in bytes, in memory.
const BLOCK_LEN: usize = 4096;
/// The shortest file system that is made, in bytes: its smallest journal has 4 MiB, and a program wants room too.
pub const MIN_LEN: u64 = 16 << 20;
/// The length of a label in bytes.
pub const LABEL_MAX: usize = 16;
/// The inode of the journal.
const JOURNAL_INODE: u32 = 8;
/// The inode of the folder `lost+found`, the first that is not reserved.
const LOST_FOUND_INODE: u32 = 11;
/// How many inodes are in use.
const USED_INODES: u32 = 11;
/// The length of an inode in bytes.
pub(super) const INODE_LEN: u64 = 256;
/// How many bytes an inode has beyond the first 128 that are fields.
const EXTRA_LEN: u16 = 32;
/// How many blocks `lost+found` has, so that a repair needs no free ones.
const LOST_FOUND_BLOCKS: u16 = 4;
/// How many bytes of zeros are written at once.
const ZEROS: usize = 1 << 20;

const WHAT: &str = "making an ext4 file system";

/// What a new file system is to be. The same wish gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The length of the device in bytes; what is no whole block at its end stays unused.
    pub len: u64,
    /// At most [`LABEL_MAX`] bytes.
    pub label: String,
    /// Its identifier.
    pub uuid: [u8; 16],
    /// When it was made, in seconds since 1970.
    pub time: u32,
}

/// Writes an empty file system to `target`: a root folder with `lost+found` in it, and a journal.
///
/// # Errors
///
/// [`Kind::Limit`](block::Kind::Limit) where the label or the length is beyond what is made; what writing answers.
///
/// Source: as in `format.rs`; e2fsprogs 1.47 for what its `mke2fs` leaves unwritten and its `e2fsck` asks for.
pub fn create(target: &dyn WriteAt, wish: &Wish) -> Result<()> {
    if wish.label.len() > LABEL_MAX {
        let message = format!("the label \"{}\" has over {LABEL_MAX} bytes", wish.label);
        return Err(Error::limit(WHAT, message));
    }
    let geometry = Geometry::of(wish.len).ok_or_else(|| {
        let message = format!("on {} bytes: at least {MIN_LEN} are needed", wish.len);
        Error::limit(WHAT, message)
    })?;
    let maker = Maker {
        target,
        wish,
        seed: crc32c(!0, &wish.uuid),
        geometry,
    };
    maker.write()
}

struct Maker<'a> {
    target: &'a dyn WriteAt,
    wish: &'a Wish,
    /// What all checksums but the superblock's begin with.
    seed: u32,
    geometry: Geometry,
}

impl Maker<'_> {
    fn write(&self) -> Result<()> {
        let geometry = &self.geometry;
        // What was there before is no file system from here on.
        self.put_block(0, &[0; BLOCK_LEN])?;
        self.write_journal()?;
        self.write_folders()?;
        self.write_inodes()?;
        let mut descriptors = Vec::new();
        for group in 0..geometry.groups {
            descriptors.extend(self.write_group(group)?);
        }
        let table_len = geometry.descriptor_blocks.saturating_mul(BLOCK);
        descriptors.resize(usize::try_from(table_len).unwrap_or(usize::MAX), 0);
        for group in (0..geometry.groups).rev() {
            if !geometry.has_superblock(group) {
                continue;
            }
            let first = geometry.first_block(group);
            self.put_block(first.saturating_add(1), &descriptors)?;
            // The one at the start has the boot sector's place before it.
            let before = if group == 0 { SUPERBLOCK_OFFSET } else { 0 };
            let mut bytes = vec![0; usize::try_from(before).unwrap_or_default()];
            bytes.extend(self.superblock(group));
            bytes.resize(BLOCK_LEN, 0);
            self.put_block(first, &bytes)?;
        }
        Ok(())
    }

    fn put_block(&self, block: u64, bytes: &[u8]) -> Result<()> {
        self.target.write_all_at(bytes, block.saturating_mul(BLOCK))
    }

    /// The journal's superblock, and zeros: whatever lay there must not look like a journal's blocks.
    fn write_journal(&self) -> Result<()> {
        let first = self.geometry.journal_block;
        let blocks = u64::from(self.geometry.journal_blocks);
        let zeros = vec![0; ZEROS];
        let (mut at, end) = (
            first.saturating_mul(BLOCK),
            first.saturating_add(blocks).saturating_mul(BLOCK),
        );
        while at < end {
            let rest = usize::try_from(end.saturating_sub(at)).unwrap_or(ZEROS);
            let piece = zeros.get(..rest.min(ZEROS)).unwrap_or_default();
            self.target.write_all_at(piece, at)?;
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        let superblock = journal_superblock(self.geometry.journal_blocks, &self.wish.uuid);
        self.put_block(first, &superblock)
    }

    /// The blocks of the root folder and of `lost+found`.
    fn write_folders(&self) -> Result<()> {
        const ROOT: u32 = super::format::ROOT_INODE;
        let block = self.geometry.root_block;
        let root = [
            (ROOT, &b"."[..]),
            (ROOT, b".."),
            (LOST_FOUND_INODE, b"lost+found"),
        ];
        self.put_block(block, &directory_block(&root, self.inode_seed(ROOT)))?;
        let seed = self.inode_seed(LOST_FOUND_INODE);
        let own = [(LOST_FOUND_INODE, &b"."[..]), (ROOT, b"..")];
        for number in 0..u64::from(LOST_FOUND_BLOCKS) {
            let names: &[(u32, &[u8])] = if number == 0 { &own } else { &[] };
            let place = block.saturating_add(1).saturating_add(number);
            self.put_block(place, &directory_block(names, seed))?;
        }
        Ok(())
    }

    /// The block of the inode table with the inodes that are in use.
    fn write_inodes(&self) -> Result<()> {
        let geometry = &self.geometry;
        let folder = |number, links, block, blocks: u16| Inode {
            number,
            mode: if number == LOST_FOUND_INODE {
                0o40700
            } else {
                0o40755
            },
            links,
            block,
            blocks,
        };
        let used = [
            folder(super::format::ROOT_INODE, 3, geometry.root_block, 1),
            Inode {
                number: JOURNAL_INODE,
                mode: 0o100_600,
                links: 1,
                block: geometry.journal_block,
                blocks: geometry.journal_blocks,
            },
            folder(
                LOST_FOUND_INODE,
                2,
                geometry.root_block.saturating_add(1),
                LOST_FOUND_BLOCKS,
            ),
        ];
        let mut table = vec![0; BLOCK_LEN];
        for inode in used {
            let index = u64::from(inode.number.saturating_sub(1)).saturating_mul(INODE_LEN);
            let bytes = inode.encode(self.wish.time, self.inode_seed(inode.number));
            put(
                &mut table,
                usize::try_from(index).unwrap_or(BLOCK_LEN),
                &bytes,
            );
        }
        self.put_block(geometry.inode_table(0), &table)
    }

    /// What the checksums of an inode and of its blocks begin with; its generation is 0.
    fn inode_seed(&self, number: u32) -> u32 {
        crc32c(crc32c(self.seed, &number.to_le_bytes()), &[0; 4])
    }

    /// Writes the bitmaps of a group where they are looked at, and answers with its descriptor.
    ///
    /// ```text
    /// offset  size  name
    ///      0    12  block of the block bitmap, of the inode bitmap, of the inode table (upper halves at 0x20)
    ///   0x0c     8  free blocks, free inodes, folders, flags
    ///   0x18     4  checksums of the bitmaps (upper halves at 0x38)
    ///   0x1c     2  inodes at the end of the table that were never in use
    ///   0x1e     2  checksum
    /// ```
    fn write_group(&self, group: u64) -> Result<Vec<u8>> {
        /// The bitmap of inodes, and that of blocks, is not written yet.
        const INODE_UNINIT: u16 = 1;
        const BLOCK_UNINIT: u16 = 2;
        let geometry = &self.geometry;
        let is_first = group == 0;
        let is_last = group.saturating_add(1) == geometry.groups;
        let used_inodes = if is_first { USED_INODES } else { 0 };
        let free_inodes = geometry.inodes_per_group.saturating_sub(used_inodes);
        let (mut flags, mut sums) = (0, [0; 2]);
        if is_first || is_last {
            let bitmap = bits(geometry.used_blocks(group), geometry.blocks_of(group));
            self.put_block(geometry.block_bitmap(group), &bitmap)?;
            sums[0] = crc32c(self.seed, &bitmap);
        } else {
            flags |= BLOCK_UNINIT;
        }
        if is_first {
            let inodes = geometry.inodes_per_group;
            let bitmap = bits(used_inodes.into(), inodes.into());
            self.put_block(geometry.inode_bitmap(group), &bitmap)?;
            let counted = usize::try_from(inodes / 8).unwrap_or_default();
            sums[1] = crc32c(self.seed, bitmap.get(..counted).unwrap_or(&bitmap));
        } else {
            flags |= INODE_UNINIT;
        }
        let mut bytes = vec![0; 64];
        let places = [
            (0x0, 0x20, geometry.block_bitmap(group)),
            (0x4, 0x24, geometry.inode_bitmap(group)),
            (0x8, 0x28, geometry.inode_table(group)),
        ];
        for (low, high, block) in places {
            let [a, b, c, d, e, f, g, h] = block.to_le_bytes();
            put(&mut bytes, low, &[a, b, c, d]);
            put(&mut bytes, high, &[e, f, g, h]);
        }
        let folders = if is_first { 2 } else { 0 };
        let counts = [
            (0xc, geometry.free_blocks(group)),
            (0xe, u64::from(free_inodes)),
            (0x10, folders),
            (0x12, u64::from(flags)),
            (0x18, u64::from(sums[0] & 0xffff)),
            (0x1a, u64::from(sums[1] & 0xffff)),
            (0x1c, u64::from(free_inodes)),
            (0x38, u64::from(sums[0] >> 16)),
            (0x3a, u64::from(sums[1] >> 16)),
        ];
        for (at, count) in counts {
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            put(&mut bytes, at, &count.to_le_bytes());
        }
        let number = u32::try_from(group).unwrap_or(u32::MAX).to_le_bytes();
        let sum = crc32c(crc32c(self.seed, &number), &bytes);
        let [a, b, ..] = sum.to_le_bytes();
        put(&mut bytes, 0x1e, &[a, b]);
        Ok(bytes)
    }

    /// The superblock, as the copy in `group` has it.
    fn superblock(&self, group: u64) -> Vec<u8> {
        /// The identifier's bytes begin the hash of names too: any will do.
        const HASH_SEED: usize = 0xec;
        let mut bytes = vec![0; 1024];
        for (at, word) in self.words() {
            put(&mut bytes, at, &word.to_le_bytes());
        }
        let halves = [
            // No count of mounts after which it is to be checked.
            (0x36, u16::MAX),
            (0x38, super::format::MAGIC),
            // Clean; and goes on where a fault is found.
            (0x3a, 1),
            (0x3c, 1),
            (0x58, u16::try_from(INODE_LEN).unwrap_or_default()),
            (0x5a, u16::try_from(group).unwrap_or(u16::MAX)),
            (0xfe, 64),
            (0x15c, EXTRA_LEN),
            (0x15e, EXTRA_LEN),
        ];
        for (at, half) in halves {
            put(&mut bytes, at, &half.to_le_bytes());
        }
        put(&mut bytes, 0x68, &self.wish.uuid);
        put(&mut bytes, 0x78, self.wish.label.as_bytes());
        put(&mut bytes, HASH_SEED, &self.wish.uuid);
        // Half MD4; the journal's inode is copied below; CRC-32C.
        for (at, byte) in [(0xfc, 1), (0xfd, 1), (0x175, 1)] {
            put(&mut bytes, at, &[byte]);
        }
        let geometry = &self.geometry;
        let journal = u64::from(geometry.journal_blocks);
        put(
            &mut bytes,
            0x10c,
            &extent_root(geometry.journal_block, geometry.journal_blocks),
        );
        let len = journal.saturating_mul(BLOCK);
        put(
            &mut bytes,
            0x10c_usize.saturating_add(64),
            &low_half(len).to_le_bytes(),
        );
        let sum = crc32c(!0, bytes.get(..0x3fc).unwrap_or(&bytes));
        put(&mut bytes, 0x3fc, &sum.to_le_bytes());
        bytes
    }

    /// The fields of the superblock that have four bytes.
    fn words(&self) -> Vec<(usize, u32)> {
        let geometry = &self.geometry;
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let free: u64 = (0..geometry.groups).map(|g| geometry.free_blocks(g)).sum();
        let inodes = u64::from(geometry.inodes_per_group).saturating_mul(geometry.groups);
        let time = self.wish.time;
        vec![
            (0x0, number(inodes)),
            (0x4, low_half(geometry.blocks)),
            (0xc, low_half(free)),
            (0x10, number(inodes.saturating_sub(USED_INODES.into()))),
            // 1024 shifted by 2, for blocks and for clusters.
            (0x18, 2),
            (0x1c, 2),
            (0x20, number(geometry::BLOCKS_PER_GROUP)),
            (0x24, number(geometry::BLOCKS_PER_GROUP)),
            (0x28, geometry.inodes_per_group),
            (0x30, time),
            (0x40, time),
            // Revision 1.
            (0x4c, 1),
            (0x54, super::format::GOOD_OLD_FIRST_INODE),
            (
                0x5c,
                compat::HAS_JOURNAL | compat::EXT_ATTR | compat::DIR_INDEX,
            ),
            (
                0x60,
                incompat::FILETYPE | incompat::EXTENTS | incompat::SIXTY_FOUR_BIT,
            ),
            (0x64, RO_COMPAT),
            (0xe0, JOURNAL_INODE),
            // Access control lists and user attributes are on.
            (0x100, 0xc),
            (0x108, time),
            (0x150, number(geometry.blocks >> 32)),
            (0x158, number(free >> 32)),
            // Names are hashed with signed bytes.
            (0x160, 1),
        ]
    }
}

/// The lower four bytes of a number.
fn low_half(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What only a writer must know.
const RO_COMPAT: u32 = ro_compat::SPARSE_SUPER
    | ro_compat::LARGE_FILE
    | ro_compat::HUGE_FILE
    | ro_compat::DIR_NLINK
    | ro_compat::EXTRA_ISIZE
    | ro_compat::METADATA_CSUM;

/// A bitmap whose first `used` bits are set, and those behind the first `all`, which stand for nothing.
fn bits(used: u64, all: u64) -> Vec<u8> {
    let bit = |position: u64| position < used || position >= all;
    let byte = |first: u64| {
        (0..8_u32).fold(0_u8, |byte, shift| {
            let set = bit(first.saturating_add(shift.into()));
            byte | u8::from(set).checked_shl(shift).unwrap_or_default()
        })
    };
    (0..BLOCK)
        .map(|index| byte(index.saturating_mul(8)))
        .collect()
}

/// The flag of everything whose blocks are extents.
const EXTENTS: u32 = flag::EXTENTS;
