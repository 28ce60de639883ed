//! Whether data are what their tree says, on all cores.
//!
//! The tree comes first, from its top down: it has 1/127 of the data. What hangs on a damaged block of it counts as damaged without
//! being read, as the kernel would not hand it out either.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use block::{Error, ReadAt as _, Result};

use super::format::{BLOCK, BLOCK_LEN, DIGEST, PER_BLOCK, RootHash, digest};
use super::reader::Tree;

/// How many damaged places are named; where there are more, those that come first as they are met.
pub const MAX_DAMAGES: usize = 4096;

/// How many blocks of digests a thread takes at a time: 4 MiB of data.
const UNIT: u64 = 8;

/// A part of data with a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The data.
    Data,
    /// The tree.
    Tree,
}

/// A block that is damaged, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, in bytes from the start of the data.
    pub offset: u64,
    /// What it is a part of.
    pub part: Part,
    /// The data that cannot be read because of it, in bytes from their start.
    pub data: Range<u64>,
}

impl Tree {
    /// Compares all of the data with the tree, and the tree with `root_hash`: what is damaged, by offset; at most [`MAX_DAMAGES`].
    ///
    /// `threads` of 0 are all cores. `progress` is called with how many blocks of data are done, from any thread.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub fn check(
        &self,
        root_hash: RootHash,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Damage>> {
        let mut damages = BTreeMap::new();
        let unusable = self.check_tree(root_hash, &mut damages)?;
        if self.levels.is_empty() {
            progress(self.blocks);
            return Ok(damages.into_values().collect());
        }
        let check = Check {
            tree: self,
            unusable,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            damages: Mutex::new(damages),
            stop: AtomicBool::new(false),
            progress,
        };
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            some => some,
        };
        let results = std::thread::scope(|scope| {
            let started: Vec<_> = (0..threads).map(|_| scope.spawn(|| check.work())).collect();
            started
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(gave_up())))
                .collect::<Vec<Result<()>>>()
        });
        results.into_iter().collect::<Result<()>>()?;
        let damages = check.damages.into_inner().unwrap_or_default();
        Ok(damages.into_values().collect())
    }

    /// Checks the levels from the top down. Answers which blocks of the lowest cannot be used.
    fn check_tree(
        &self,
        root_hash: RootHash,
        damages: &mut BTreeMap<u64, Damage>,
    ) -> Result<BTreeSet<u64>> {
        let mut block = vec![0; BLOCK_LEN];
        let mut unusable = BTreeSet::new();
        // What the blocks of a level must be: of the top one block, with the root hash.
        let mut wanted = root_hash.0.to_vec();
        for (number, (start, count)) in self.levels.iter().enumerate().rev() {
            let mut level = Vec::new();
            let mut below = BTreeSet::new();
            for index in 0..*count {
                let offset = start.saturating_add(index.saturating_mul(BLOCK));
                self.source.read_exact_at(&mut block, offset)?;
                let lost = unusable.contains(&(index / PER_BLOCK));
                if !lost && Some(&digest(&self.salt, &block)[..]) != digest_at(&wanted, index) {
                    let data = self.data_below(number, index);
                    let part = Part::Tree;
                    damages.insert(offset, Damage { offset, part, data });
                    below.insert(index);
                } else if lost {
                    below.insert(index);
                }
                // The lowest level is read again with its data: it would not always fit into memory.
                if number > 0 {
                    level.extend_from_slice(&block);
                }
                if damages.len() >= MAX_DAMAGES {
                    return Ok(below);
                }
            }
            wanted = level;
            unusable = below;
        }
        if self.levels.is_empty() {
            self.source.read_exact_at(&mut block, 0)?;
            if digest(&self.salt, &block) != root_hash.0 {
                let (offset, part, data) = (0, Part::Data, 0..BLOCK);
                damages.insert(offset, Damage { offset, part, data });
            }
        }
        Ok(unusable)
    }

    /// The data that hang on block `index` of a level.
    fn data_below(&self, level: usize, index: u64) -> Range<u64> {
        let levels = u32::try_from(level).unwrap_or(u32::MAX).saturating_add(1);
        let each = PER_BLOCK.saturating_pow(levels);
        let first = index.saturating_mul(each).min(self.blocks);
        let end = first.saturating_add(each).min(self.blocks);
        first.saturating_mul(BLOCK)..end.saturating_mul(BLOCK)
    }
}

fn digest_at(digests: &[u8], index: u64) -> Option<&[u8]> {
    let at = usize::try_from(index).ok()?.checked_mul(DIGEST)?;
    digests.get(at..at.checked_add(DIGEST)?)
}

fn gave_up() -> Error {
    Error::corrupt("comparing data with their hash tree", "a thread gave up")
}

/// The work that threads share.
struct Check<'a> {
    tree: &'a Tree,
    unusable: BTreeSet<u64>,
    /// The next block of the lowest level that nobody took.
    next: AtomicU64,
    done: AtomicU64,
    damages: Mutex<BTreeMap<u64, Damage>>,
    stop: AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Check<'_> {
    fn work(&self) -> Result<()> {
        let lowest = self.tree.levels.first();
        let (start, count) = lowest.copied().unwrap_or_default();
        let len = BLOCK_LEN.saturating_mul(usize::try_from(PER_BLOCK).unwrap_or_default());
        let (mut digests, mut data) = (vec![0; BLOCK_LEN], vec![0; len]);
        while !self.stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(UNIT, Ordering::Relaxed);
            if first >= count {
                return Ok(());
            }
            for index in first..first.saturating_add(UNIT).min(count) {
                if !self.unusable.contains(&index) {
                    let at = start.saturating_add(index.saturating_mul(BLOCK));
                    let read = self.tree.source.read_exact_at(&mut digests, at);
                    let compared = read.and_then(|()| self.compare(index, &digests, &mut data));
                    if compared.is_err() {
                        self.stop.store(true, Ordering::Relaxed);
                    }
                    compared?;
                }
                let range = self.tree.data_below(0, index);
                let blocks = range.end.saturating_sub(range.start) / BLOCK;
                let before = self.done.fetch_add(blocks, Ordering::Relaxed);
                (self.progress)(before.saturating_add(blocks));
            }
        }
        Ok(())
    }

    /// Compares the data below a block of digests.
    fn compare(&self, index: u64, digests: &[u8], buffer: &mut [u8]) -> Result<()> {
        let range = self.tree.data_below(0, index);
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default();
        let data = buffer.get_mut(..len).unwrap_or_default();
        if self.tree.source.read_exact_at(data, range.start).is_err() {
            return self.compare_each(&range, digests);
        }
        let blocks = data.chunks(BLOCK_LEN).zip(digests.chunks(DIGEST));
        let mut offset = range.start;
        for (block, wanted) in blocks {
            if digest(&self.tree.salt, block) != *wanted {
                self.found(offset);
            }
            offset = offset.saturating_add(BLOCK);
        }
        Ok(())
    }

    /// The same where not all of it can be read: what cannot is damaged.
    fn compare_each(&self, range: &Range<u64>, digests: &[u8]) -> Result<()> {
        let mut block = vec![0; BLOCK_LEN];
        let mut offset = range.start;
        for wanted in digests.chunks(DIGEST) {
            if offset >= range.end {
                break;
            }
            let read = self.tree.source.read_exact_at(&mut block, offset);
            if read.is_err() || digest(&self.tree.salt, &block) != *wanted {
                self.found(offset);
            }
            offset = offset.saturating_add(BLOCK);
        }
        Ok(())
    }

    fn found(&self, offset: u64) {
        let damage = Damage {
            offset,
            part: Part::Data,
            data: offset..offset.saturating_add(BLOCK),
        };
        if let Ok(mut damages) = self.damages.lock() {
            damages.insert(offset, damage);
            self.stop
                .fetch_or(damages.len() >= MAX_DAMAGES, Ordering::Relaxed);
        }
    }
}
