//! Where everything of a new file system lies.
//!
//! ```text
//! group 0:  superblock │ descriptors │ block bitmap │ inode bitmap │ inode table │ journal │ root │ lost+found │ free
//! others:  (superblock │ descriptors │)block bitmap │ inode bitmap │ inode table │ free
//! ```

use super::{BLOCK, INODE_LEN, LOST_FOUND_BLOCKS, MIN_LEN};

/// As many as a bitmap of one block has bits.
pub(super) const BLOCKS_PER_GROUP: u64 = BLOCK * 8;
/// How many descriptors of 64 bytes a block holds.
const DESCRIPTORS_PER_BLOCK: u64 = BLOCK / 64;
/// The most groups that are made, so that their descriptors leave room in group 0: 16 TiB, far beyond any stick. What is behind that
/// stays unused.
const MAX_GROUPS: u64 = 1 << 17;
/// How much must be free in the last group, in blocks, for it to be made at all: as in `mke2fs`.
const LEAST_FREE: u64 = 50;
/// From this many blocks on (8 GiB) there is an inode for 32 KiB, below for 16 KiB: tables that nobody fills cost their writing.
const LARGE: u64 = 1 << 21;

#[derive(Debug)]
pub(super) struct Geometry {
    pub(super) blocks: u64,
    pub(super) groups: u64,
    pub(super) inodes_per_group: u32,
    pub(super) descriptor_blocks: u64,
    pub(super) journal_block: u64,
    pub(super) journal_blocks: u16,
    /// Behind it lies `lost+found`.
    pub(super) root_block: u64,
}

impl Geometry {
    /// The layout on `len` bytes; `None` where they are too few.
    pub(super) fn of(len: u64) -> Option<Self> {
        if len < MIN_LEN {
            return None;
        }
        let blocks = (len / BLOCK).min(MAX_GROUPS.saturating_mul(BLOCKS_PER_GROUP));
        let inodes_per_group: u32 = if blocks < LARGE { 8192 } else { 4096 };
        let groups = blocks.div_ceil(BLOCKS_PER_GROUP);
        let journal_blocks = match blocks {
            0..0x2_0000 => 1024,
            0x2_0000..0x10_0000 => 4096,
            _ => 8192,
        };
        let mut geometry = Self {
            blocks,
            groups,
            inodes_per_group,
            descriptor_blocks: groups.div_ceil(DESCRIPTORS_PER_BLOCK),
            journal_block: 0,
            journal_blocks,
            root_block: 0,
        };
        let last = groups.saturating_sub(1);
        let needed = geometry.overhead(last).saturating_add(LEAST_FREE);
        if last > 0 && geometry.blocks_of(last) < needed {
            geometry.groups = last;
            geometry.blocks = last.saturating_mul(BLOCKS_PER_GROUP);
            geometry.descriptor_blocks = last.div_ceil(DESCRIPTORS_PER_BLOCK);
        }
        geometry.journal_block = geometry.overhead(0);
        geometry.root_block = geometry
            .journal_block
            .saturating_add(geometry.journal_blocks.into());
        (geometry.used_blocks(0) < geometry.blocks_of(0)).then_some(geometry)
    }

    /// How many blocks a group has.
    pub(super) fn blocks_of(&self, group: u64) -> u64 {
        self.blocks
            .saturating_sub(self.first_block(group))
            .min(BLOCKS_PER_GROUP)
    }

    /// The first block of a group.
    pub(super) fn first_block(&self, group: u64) -> u64 {
        group.saturating_mul(BLOCKS_PER_GROUP)
    }

    /// Whether a group has a copy of the superblock: 0, 1, and the powers of 3, 5 and 7.
    pub(super) fn has_superblock(&self, group: u64) -> bool {
        let is_power = |base: u64| {
            let mut power = base;
            while power < group {
                power = power.saturating_mul(base);
            }
            power == group
        };
        group <= 1 || [3, 5, 7].into_iter().any(is_power)
    }

    /// How many blocks of a group are structures of the file system.
    fn overhead(&self, group: u64) -> u64 {
        self.before_bitmaps(group)
            .saturating_add(2)
            .saturating_add(self.table_blocks())
    }

    fn before_bitmaps(&self, group: u64) -> u64 {
        if self.has_superblock(group) {
            self.descriptor_blocks.saturating_add(1)
        } else {
            0
        }
    }

    fn table_blocks(&self) -> u64 {
        u64::from(self.inodes_per_group).saturating_mul(INODE_LEN) / BLOCK
    }

    /// How many blocks of a group are in use: the first ones.
    pub(super) fn used_blocks(&self, group: u64) -> u64 {
        let files = if group == 0 {
            let folders = u64::from(LOST_FOUND_BLOCKS).saturating_add(1);
            folders.saturating_add(self.journal_blocks.into())
        } else {
            0
        };
        self.overhead(group).saturating_add(files)
    }

    pub(super) fn free_blocks(&self, group: u64) -> u64 {
        self.blocks_of(group)
            .saturating_sub(self.used_blocks(group))
    }

    pub(super) fn block_bitmap(&self, group: u64) -> u64 {
        self.first_block(group)
            .saturating_add(self.before_bitmaps(group))
    }

    pub(super) fn inode_bitmap(&self, group: u64) -> u64 {
        self.block_bitmap(group).saturating_add(1)
    }

    pub(super) fn inode_table(&self, group: u64) -> u64 {
        self.block_bitmap(group).saturating_add(2)
    }
}
