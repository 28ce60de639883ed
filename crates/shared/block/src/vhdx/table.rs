//! Guest offset -> where its bytes are: the block allocation table.
//!
//! An entry has 8 bytes: the state in its lowest 3 bits, the place in whole MiB in its highest 44. After as many entries as 2^23 sectors
//! have blocks comes one for a bitmap of those sectors, which only differencing images need.

use std::sync::Arc;

use super::ALIGNMENT;
use super::metadata::Metadata;
use super::region::Region;
use crate::cache::Cache;
use crate::field::u64_le;
use crate::mapped::{Place, Run};
use crate::{Error, ReadAt, Result, read_vec};

/// How many entries are read and kept at once: 64 KiB, for at least 8 GiB of the disk.
const SLICE: u64 = 8192;
/// How many of those are kept: 8 MiB.
const CACHED_SLICES: usize = 128;

const WHAT: &str = "the VHDX block table";

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    metadata: Metadata,
    region: Region,
    /// How many blocks stand between the entries of bitmaps.
    chunk: u64,
    /// How many entries the disk needs.
    entries: u64,
    slices: Cache<Arc<[u64]>>,
}

impl Table {
    pub(super) fn new(metadata: Metadata, region: Region) -> Result<Self> {
        let sectors = metadata.sector_size.saturating_mul(1 << 23);
        let chunk = sectors >> metadata.block_size.trailing_zeros();
        let blocks = metadata.disk_len.div_ceil(metadata.block_size);
        let bitmaps = blocks.saturating_sub(1).checked_div(chunk).unwrap_or(0);
        let entries = blocks.saturating_add(bitmaps);
        if entries.saturating_mul(8) > region.len {
            let message = format!(
                "it has {} bytes, and the disk needs {entries} entries",
                region.len
            );
            return Err(Error::corrupt(WHAT, message).at(region.offset));
        }
        Ok(Self {
            metadata,
            region,
            chunk,
            entries,
            slices: Cache::new(CACHED_SLICES),
        })
    }

    pub(super) fn disk_len(&self) -> u64 {
        self.metadata.disk_len
    }

    /// Where the bytes from `offset` (before the end of the disk) on are, `limit` of them at most. Ends with what one read of the table
    /// says at the latest.
    pub(super) fn run(&self, source: &dyn ReadAt, offset: u64, limit: u64) -> Result<Run> {
        let size = self.metadata.block_size;
        // The size of a block is a power of two.
        let inside = offset & size.saturating_sub(1);
        let mut block = offset >> size.trailing_zeros();
        let slice_index = self.entry_of(block) / SLICE;
        let slice = self.slice(source, slice_index)?;
        let mut found: Option<Run> = None;
        loop {
            let entry = self.entry_of(block);
            let in_slice = usize::try_from(entry % SLICE).unwrap_or(usize::MAX);
            let is_enough = found.is_some_and(|run| run.len >= limit);
            if is_enough || entry >= self.entries || entry / SLICE != slice_index {
                break;
            }
            let value = slice.get(in_slice).copied().unwrap_or(0);
            let place = self.decode(source, value, [block, entry])?;
            found = Some(match (found, place) {
                (None, Place::Zeros) => Run {
                    place,
                    len: size.saturating_sub(inside),
                },
                (None, Place::Data { host }) => Run {
                    place: Place::Data {
                        host: host.saturating_add(inside),
                    },
                    len: size.saturating_sub(inside),
                },
                (Some(run), place) if continues(run, place) => Run {
                    len: run.len.saturating_add(size),
                    ..run
                },
                (Some(_), _) => break,
            });
            block = block.saturating_add(1);
        }
        let run = found.ok_or_else(|| Error::corrupt(WHAT, "it ends before the disk does"))?;
        Ok(Run {
            len: run.len.min(limit),
            ..run
        })
    }

    /// The entry of a block, past those of bitmaps.
    fn entry_of(&self, block: u64) -> u64 {
        block.saturating_add(block.checked_div(self.chunk).unwrap_or(0))
    }

    fn slice(&self, source: &dyn ReadAt, index: u64) -> Result<Arc<[u64]>> {
        self.slices.get(index, || {
            let first = index.saturating_mul(SLICE);
            let count = self.entries.saturating_sub(first).min(SLICE);
            let at = self.region.offset.saturating_add(first.saturating_mul(8));
            let bytes = read_vec(source, at, count.saturating_mul(8), 64 << 10, WHAT)?;
            Ok(bytes
                .chunks_exact(8)
                .map(|entry| u64_le(entry, 0))
                .collect())
        })
    }

    /// Where the block is of which the entry has this value.
    fn decode(&self, source: &dyn ReadAt, value: u64, [block, entry]: [u64; 2]) -> Result<Place> {
        let at = self.region.offset.saturating_add(entry.saturating_mul(8));
        let corrupt = |message: String| Err(Error::corrupt(WHAT, message).at(at));
        match value & 7 {
            // Not present, undefined, zero, unmapped, and unmapped as drafts of the format had it: QEMU reads zeros from all of them.
            0 | 1 | 2 | 3 | 5 => Ok(Place::Zeros),
            6 => {
                let host = value & !ALIGNMENT.saturating_sub(1);
                // Of the last block, only what is in the disk has to be there.
                let before = block.saturating_mul(self.metadata.block_size);
                let rest = self.metadata.disk_len.saturating_sub(before);
                let end = host.saturating_add(self.metadata.block_size.min(rest));
                if host < ALIGNMENT || end > source.len() {
                    return corrupt(format!(
                        "a block at byte {host}, of a file of {} bytes",
                        source.len()
                    ));
                }
                Ok(Place::Data { host })
            }
            7 => corrupt("a block is in part in a parent, and there is none".to_owned()),
            other => corrupt(format!("a block has the state {other}")),
        }
    }
}

/// Whether a block in `place` goes on where `run` ends.
fn continues(run: Run, place: Place) -> bool {
    match (run.place, place) {
        (Place::Zeros, Place::Zeros) => true,
        (Place::Data { host }, Place::Data { host: next }) => {
            host.checked_add(run.len) == Some(next)
        }
        _ => false,
    }
}
