//! Runs of blocks: what extent trees and block maps come to.

use block::Result;

use super::file_system::FileSystem;
use super::format::flag;
use super::inode::RawInode;
use super::{block_map, extent};

/// Blocks of a file that lie one after the other. All fields are in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first one, in the file.
    pub(super) logical: u64,
    /// The first one, in the file system.
    pub(super) physical: u64,
    pub(super) len: u64,
    /// Whether the blocks hold something: allocated and never written ones read as zeros.
    pub(super) written: bool,
}

/// The runs of a file in its order. What is in none of them reads as zeros.
#[derive(Debug, Default)]
pub(super) struct Runs(pub(super) Vec<Run>);

impl Runs {
    /// Adds `run` at the end, as a part of the last one where it continues that.
    pub(super) fn push(&mut self, fs: &mut FileSystem, run: Run) -> Result<()> {
        if let Some(last) = self.0.last_mut()
            && last.logical.checked_add(last.len) == Some(run.logical)
            && last.physical.checked_add(last.len) == Some(run.physical)
            && last.written == run.written
        {
            last.len = last.len.saturating_add(run.len);
            return Ok(());
        }
        fs.runs.take(1)?;
        self.0.push(run);
        Ok(())
    }

    /// The block in which block `logical` of the file lies; `None` in a hole.
    pub(super) fn physical(&self, logical: u64) -> Option<u64> {
        let after = self.0.partition_point(|run| run.logical <= logical);
        let run = self.0.get(after.checked_sub(1)?)?;
        let inside = logical.checked_sub(run.logical)?;
        (inside < run.len && run.written).then(|| run.physical.saturating_add(inside))
    }
}

/// The runs of the first `blocks` blocks of `inode`; there may be some behind them.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt), [`Kind::Limit`](block::Kind::Limit), and what reading answers.
pub(super) fn of(fs: &mut FileSystem, inode: &RawInode, blocks: u64) -> Result<Runs> {
    if inode.has_flag(flag::EXTENTS) {
        extent::runs(fs, inode)
    } else {
        block_map::runs(fs, inode, blocks)
    }
}
