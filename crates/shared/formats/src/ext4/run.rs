//! Runs of blocks: what extent trees and block maps come to.

use std::collections::BTreeMap;

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
    let runs = if inode.has_flag(flag::EXTENTS) {
        extent::runs(fs, inode)?
    } else {
        block_map::runs(fs, inode, blocks)?
    };
    if fs.fast.ranges(inode.number).is_empty() {
        return Ok(runs);
    }
    replay(fs, inode, runs)
}

/// The runs with the ranges that fast commits changed. Source: `ext4_fc_replay_add_range()`, `ext4_fc_replay_del_range()`.
fn replay(fs: &mut FileSystem, inode: &RawInode, runs: Runs) -> Result<Runs> {
    let mut map: BTreeMap<u64, Run> = runs.0.into_iter().map(|run| (run.logical, run)).collect();
    for range in fs.fast.ranges(inode.number) {
        fs.runs.take(1)?;
        let end = range.logical.saturating_add(range.len);
        cut(&mut map, range.logical);
        cut(&mut map, end);
        let covered: Vec<u64> = map.range(range.logical..end).map(|(at, _)| *at).collect();
        for at in covered {
            map.remove(&at);
        }
        let Some((physical, written)) = range.place.filter(|_| range.len > 0) else {
            continue;
        };
        let last = physical.saturating_add(range.len.saturating_sub(1));
        let superblock = &fs.superblock;
        if superblock.block_offset(physical).is_none() || superblock.block_offset(last).is_none() {
            let message = format!(
                "a fast commit puts blocks {physical} to {last} into it, outside the file system"
            );
            return Err(inode.corrupt(0x28, message));
        }
        let run = Run {
            logical: range.logical,
            physical,
            len: range.len,
            written,
        };
        map.insert(range.logical, run);
    }
    Ok(Runs(map.into_values().collect()))
}

/// Cuts the run that reaches across block `at` of the file in two.
fn cut(map: &mut BTreeMap<u64, Run>, at: u64) {
    let Some((_, run)) = map.range_mut(..at).next_back() else {
        return;
    };
    let before = at.saturating_sub(run.logical);
    let after = run.len.saturating_sub(before);
    if after == 0 {
        return;
    }
    run.len = before;
    let rest = Run {
        logical: at,
        physical: run.physical.saturating_add(before),
        len: after,
        written: run.written,
    };
    map.insert(at, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs as (block of the file, block of the file system, length).
    fn cut_at(at: u64) -> Vec<(u64, u64, u64)> {
        let run = |logical, physical, len| Run {
            logical,
            physical,
            len,
            written: true,
        };
        let mut map = BTreeMap::from([(2, run(2, 100, 4)), (8, run(8, 200, 1))]);
        cut(&mut map, at);
        let runs = map.into_values();
        runs.map(|run| (run.logical, run.physical, run.len))
            .collect()
    }

    #[test]
    fn a_run_is_cut_where_it_reaches_across_and_nowhere_else() {
        for at in [0, 2, 6, 7, 8, 9, 100] {
            assert_eq!(cut_at(at), [(2, 100, 4), (8, 200, 1)], "{at}");
        }
        assert_eq!(cut_at(3), [(2, 100, 1), (3, 101, 3), (8, 200, 1)]);
        assert_eq!(cut_at(5), [(2, 100, 3), (5, 103, 1), (8, 200, 1)]);
    }
}
