//! Block maps, the way of ext2 and ext3: twelve blocks named in the inode, then blocks of block numbers, up to three deep.

use block::{Error, Result};

use super::field::Fields;
use super::file_system::FileSystem;
use super::inode::RawInode;
use super::run::{Run, Runs};

/// How many blocks the inode names itself.
const DIRECT: usize = 12;

/// A walk through the map of one inode.
struct Walk<'a> {
    fs: &'a mut FileSystem,
    inode: &'a RawInode,
    runs: Runs,
    /// The first block behind the end of the file.
    end: u64,
}

/// The runs of the first `blocks` blocks of an inode with a block map.
pub(super) fn runs(fs: &mut FileSystem, inode: &RawInode, blocks: u64) -> Result<Runs> {
    let mut walk = Walk {
        fs,
        inode,
        runs: Runs::default(),
        end: blocks,
    };
    let mut logical = 0;
    for (position, number) in inode.block_area().chunks_exact(4).enumerate() {
        let level = position.saturating_sub(DIRECT.saturating_sub(1)).min(3);
        let at = inode
            .block_area_offset()
            .saturating_add(u64::try_from(position.saturating_mul(4)).unwrap_or_default());
        logical = walk.entry(Fields(number).u32(0), at, logical, level)?;
    }
    if logical < blocks {
        let message = format!("a file of {blocks} blocks, and a block map holds {logical}");
        return Err(inode.corrupt(0x4, message));
    }
    Ok(walk.runs)
}

impl Walk<'_> {
    /// How many blocks one entry stands for that has `level` blocks of numbers below it.
    fn span(&self, level: usize) -> u64 {
        let per_block = u64::from(self.fs.superblock.block_size / 4);
        (0..level).fold(1, |span: u64, _| span.saturating_mul(per_block))
    }

    /// Reads the entry `number`, which lies at `at` and begins with block `logical` of the file; answers with the block after it.
    /// `level` bounds how deep this goes.
    fn entry(&mut self, number: u32, at: u64, logical: u64, level: usize) -> Result<u64> {
        let after = logical.saturating_add(self.span(level));
        if number == 0 || logical >= self.end {
            return Ok(after);
        }
        let physical = u64::from(number);
        let Some(offset) = self.fs.superblock.block_offset(physical) else {
            let what = format!("ext4 block map of inode {}", self.inode.number);
            let message = format!("block {physical} is outside the file system");
            return Err(Error::corrupt(what, message).at(at));
        };
        let Some(below) = level.checked_sub(1) else {
            let run = Run {
                logical,
                physical,
                len: 1,
                written: true,
            };
            self.runs.push(self.fs, run)?;
            return Ok(after);
        };
        let numbers = self.fs.block(offset)?;
        let mut next = logical;
        for (position, entry) in (0_u64..).zip(numbers.chunks_exact(4)) {
            if next >= self.end {
                break;
            }
            let at = offset.saturating_add(position.saturating_mul(4));
            next = self.entry(Fields(entry).u32(0), at, next, below)?;
        }
        Ok(after)
    }
}
