//! From an offset on the disk to where its bytes are, by the two levels of tables.

use std::sync::Arc;

use super::header::{Header, MAX_L1_LEN};
use crate::cache::Cache;
use crate::field::u64_be;
use crate::{Error, ReadAt, Result, read_vec};

/// The bits of an entry that are an offset in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// The bit of an L2 entry that says that the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// The bit of an L2 entry that says that the cluster reads as zeros.
const ZERO: u64 = 1;
/// How many 64-bit words of an L2 table are read and kept at once: 64 KiB, a whole table of the usual image.
const SLICE_WORDS: u64 = 8192;
/// How many of those are kept: 8 MiB, which cover 64 GiB of the usual image.
const CACHED_SLICES: usize = 128;
/// How many subclusters a cluster has, where it has them.
const SUBCLUSTERS: u64 = 32;

/// Where bytes of the disk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: zeros.
    Zeros,
    /// In the backing file at the same offset; zeros where there is none.
    Backing,
    /// In the file from `host` on.
    Data { host: u64 },
    /// In one compressed cluster, of up to `len` bytes from `host` on.
    Compressed { host: u64, len: u64 },
}

/// Bytes of the disk that are in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) place: Place,
    /// In bytes, at least 1.
    pub(super) len: u64,
}

impl Run {
    /// Takes in `next`, the bytes after these, where both are one run.
    fn merge(&mut self, next: Self) -> bool {
        let is_one = match (self.place, next.place) {
            (Place::Zeros, Place::Zeros) | (Place::Backing, Place::Backing) => true,
            (Place::Data { host }, Place::Data { host: after }) => {
                host.checked_add(self.len) == Some(after)
            }
            _ => false,
        };
        if is_one {
            self.len = self.len.saturating_add(next.len);
        }
        is_one
    }
}

/// The tables of an image.
#[derive(Debug)]
pub(super) struct Map {
    header: Header,
    source: Arc<dyn ReadAt>,
    /// The entries as they are on disk.
    l1: Vec<u64>,
    slices: Cache<Arc<[u64]>>,
}

impl Map {
    /// Reads the first level.
    pub(super) fn open(source: Arc<dyn ReadAt>, header: Header) -> Result<Self> {
        let len = header.l1_entries.saturating_mul(8);
        let bytes = read_vec(
            &source,
            header.l1_offset,
            len,
            MAX_L1_LEN,
            "the qcow2 L1 table",
        )?;
        Ok(Self {
            l1: words(&bytes).collect(),
            header,
            source,
            slices: Cache::new(CACHED_SLICES),
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Where the bytes from `offset` (before the end of the disk) on are, `limit` of them at most. The run may end before the place
    /// changes.
    pub(super) fn run(&self, offset: u64, limit: u64) -> Result<Run> {
        let coverage_bits = self.header.l2_coverage_bits();
        let index = offset >> coverage_bits;
        let l1_entry = |index| {
            usize::try_from(index)
                .ok()
                .and_then(|index| self.l1.get(index))
        };
        let table = l1_entry(index).copied().unwrap_or(0) & OFFSET;
        if table == 0 {
            let mut next = index.saturating_add(1);
            while next << coverage_bits < offset.saturating_add(limit)
                && l1_entry(next).is_some_and(|entry| entry & OFFSET == 0)
            {
                next = next.saturating_add(1);
            }
            let len = (next << coverage_bits).saturating_sub(offset);
            return Ok(Run {
                place: Place::Backing,
                len: len.min(limit),
            });
        }
        if table & self.cluster_mask() != 0 {
            let at = self
                .header
                .l1_offset
                .saturating_add(index.saturating_mul(8));
            return Err(Error::corrupt("a qcow2 L1 entry", "the L2 table is not aligned").at(at));
        }
        self.run_in_table(table, offset, limit)
    }

    /// As [`run`](Self::run), by the L2 table at `table`; ends at the end of the slice at the latest.
    fn run_in_table(&self, table: u64, offset: u64, limit: u64) -> Result<Run> {
        let words_each: u64 = if self.header.has_subclusters { 2 } else { 1 };
        let slice_words = SLICE_WORDS.min(words_each << self.header.l2_bits());
        let entry =
            (offset >> self.header.cluster_bits) & (1_u64 << self.header.l2_bits()).wrapping_sub(1);
        let word = entry.saturating_mul(words_each);
        let in_slice = word & slice_words.wrapping_sub(1);
        let slice_at = table.saturating_add(word.saturating_sub(in_slice).saturating_mul(8));
        let slice = self.slices.get(slice_at, || {
            let len = slice_words.saturating_mul(8);
            let bytes = read_vec(&self.source, slice_at, len, 65_536, "a qcow2 L2 table")?;
            Ok::<_, Error>(words(&bytes).collect::<Arc<[u64]>>())
        })?;
        let mut inside = offset & self.cluster_mask();
        let mut at = slice_at.saturating_add(in_slice.saturating_mul(8));
        let entries = slice.get(usize::try_from(in_slice).unwrap_or(usize::MAX)..);
        let step = usize::try_from(words_each).unwrap_or(1);
        let mut found: Option<Run> = None;
        for entry in entries.unwrap_or_default().chunks_exact(step) {
            // Subclusters of one cluster may be in different places.
            while inside < self.header.cluster_len() {
                if found.is_some_and(|run| run.len >= limit) {
                    break;
                }
                let next = self.decode(entry, inside, at)?;
                inside = inside.saturating_add(next.len);
                match &mut found {
                    None => found = Some(next),
                    Some(run) => {
                        if !run.merge(next) {
                            return Ok(clip(*run, limit));
                        }
                    }
                }
            }
            if found.is_some_and(|run| run.len >= limit) {
                break;
            }
            inside = 0;
            at = at.saturating_add(words_each.saturating_mul(8));
        }
        match found {
            Some(run) => Ok(clip(run, limit)),
            None => Err(Error::corrupt("a qcow2 L2 table", "it is too short").at(slice_at)),
        }
    }

    /// Where the bytes from `inside` on of the cluster of `entry` are, up to the end of the cluster or subcluster.
    fn decode(&self, entry: &[u64], inside: u64, at: u64) -> Result<Run> {
        let corrupt = |message: &str| Err(Error::corrupt("a qcow2 L2 entry", message).at(at));
        let word = entry.first().copied().unwrap_or(0);
        let rest = self.header.cluster_len().saturating_sub(inside);
        if word & COMPRESSED != 0 {
            let place = self.decode_compressed(word);
            return Ok(Run { place, len: rest });
        }
        let host = word & OFFSET;
        if host & self.cluster_mask() != 0 {
            return corrupt("the cluster is not aligned");
        }
        let data = Place::Data {
            host: host.saturating_add(inside),
        };
        if let Some(bitmap) = entry.get(1) {
            let sub_bits = self
                .header
                .cluster_bits
                .saturating_sub(SUBCLUSTERS.trailing_zeros());
            let index = inside >> sub_bits;
            let len = (index.saturating_add(1) << sub_bits).saturating_sub(inside);
            let is_allocated = (bitmap >> index) & 1 != 0;
            let is_zero = (bitmap >> SUBCLUSTERS >> index) & 1 != 0;
            let place = match (is_allocated, is_zero) {
                (true, true) => return corrupt("a subcluster is both data and zeros"),
                (true, false) if host == 0 => return corrupt("a subcluster is data of no cluster"),
                (true, false) => data,
                (false, true) => Place::Zeros,
                (false, false) => Place::Backing,
            };
            return Ok(Run { place, len });
        }
        let place = match (word & ZERO != 0, host) {
            (true, _) if self.header.version < 3 => return corrupt("zeros in a version 2 image"),
            (true, _) => Place::Zeros,
            (false, 0) => Place::Backing,
            (false, _) => data,
        };
        Ok(Run { place, len: rest })
    }

    /// A compressed cluster begins at any byte; its entry says how many sectors it touches besides the first.
    fn decode_compressed(&self, word: u64) -> Place {
        let bits = 62_u32.saturating_sub(self.header.cluster_bits.saturating_sub(8));
        let host = word & (1_u64 << bits).wrapping_sub(1);
        let sectors = ((word & COMPRESSED.wrapping_sub(1)) >> bits).saturating_add(1);
        let len = sectors.saturating_mul(512).saturating_sub(host & 511);
        Place::Compressed { host, len }
    }

    fn cluster_mask(&self) -> u64 {
        self.header.cluster_len().wrapping_sub(1)
    }
}

fn clip(run: Run, limit: u64) -> Run {
    Run {
        len: run.len.min(limit),
        ..run
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(|word| u64_be(word, 0))
}
