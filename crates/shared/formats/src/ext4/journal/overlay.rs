//! A source with the newer versions of blocks laid over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Error, ReadAt, Result};

use super::MAGIC;

/// Where the newer version of a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replayed {
    /// In bytes, in the source.
    pub(super) offset: u64,
    /// Whether the block begins with the journal's own magic, which the journal does not repeat.
    pub(super) escaped: bool,
}

/// Part of a range: all replayed or all not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Part {
    /// In bytes, in the overlay and in the source alike.
    pub(in super::super) offset: u64,
    /// In bytes; at most one block, where it is replayed.
    pub(in super::super) len: u64,
    pub(in super::super) replayed: bool,
}

/// The file system as it is with its journal replayed. Nothing is copied: the blocks are read from the journal.
#[derive(Debug)]
pub(in super::super) struct Overlay {
    source: Arc<dyn ReadAt>,
    block_size: u64,
    blocks: BTreeMap<u64, Replayed>,
}

impl Overlay {
    /// `blocks` by their number in the file system.
    pub(super) fn new(
        source: Arc<dyn ReadAt>,
        block_size: u32,
        blocks: BTreeMap<u64, Replayed>,
    ) -> Self {
        Self {
            source,
            block_size: u64::from(block_size),
            blocks,
        }
    }

    /// The range of `len` bytes from `offset` on, cut where replayed blocks begin and end.
    pub(in super::super) fn parts(&self, offset: u64, len: u64) -> Vec<Part> {
        let mut parts = Vec::new();
        let end = offset.saturating_add(len);
        let first = offset.checked_div(self.block_size).unwrap_or_default();
        let behind = end.div_ceil(self.block_size);
        let mut position = offset;
        let mut push = |start: u64, end: u64, replayed| {
            let len = end.saturating_sub(start);
            if len > 0 {
                parts.push(Part {
                    offset: start,
                    len,
                    replayed,
                });
            }
        };
        for (block, _) in self.blocks.range(first..behind) {
            let start = block.saturating_mul(self.block_size).max(position);
            let stop = block
                .saturating_add(1)
                .saturating_mul(self.block_size)
                .min(end);
            push(position, start, false);
            push(start, stop, true);
            position = stop;
        }
        push(position, end, false);
        parts
    }

    /// Fills `buf`, which lies inside one replayed block, from `offset` on.
    fn read_replayed(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let block = offset.checked_div(self.block_size).unwrap_or_default();
        let inside = offset.checked_rem(self.block_size).unwrap_or_default();
        let Some(replayed) = self.blocks.get(&block) else {
            return self.source.read_exact_at(buf, offset);
        };
        self.source
            .read_exact_at(buf, replayed.offset.saturating_add(inside))?;
        if replayed.escaped {
            let inside = usize::try_from(inside).unwrap_or(usize::MAX);
            let magic = MAGIC.to_be_bytes();
            let hidden = magic.get(inside..).unwrap_or_default();
            for (to, from) in buf.iter_mut().zip(hidden) {
                *to = *from;
            }
        }
        Ok(())
    }
}

impl ReadAt for Overlay {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let len = ReadAt::len(&*buf);
        if offset.checked_add(len).is_none_or(|end| end > self.len()) {
            let message = format!("{len} bytes reach past the end at byte {}", self.len());
            return Err(Error::corrupt("reading the ext4 file system", message).at(offset));
        }
        let mut rest = buf;
        for part in self.parts(offset, len) {
            let take = usize::try_from(part.len)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (now, later) = rest.split_at_mut(take);
            if part.replayed {
                self.read_replayed(now, part.offset)?;
            } else {
                self.source.read_exact_at(now, part.offset)?;
            }
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Overlay {
        // Blocks of 8 bytes: block 1 is in block 4, block 2 in block 3 without its magic.
        let mut bytes: Vec<u8> = (0..40).collect();
        bytes[24..28].fill(0);
        let blocks = BTreeMap::from([
            (
                1,
                Replayed {
                    offset: 32,
                    escaped: false,
                },
            ),
            (
                2,
                Replayed {
                    offset: 24,
                    escaped: true,
                },
            ),
        ]);
        Overlay::new(Arc::new(bytes), 8, blocks)
    }

    #[test]
    fn every_range_reads_as_the_newer_versions_say() {
        let mut whole: Vec<u8> = (0..40).collect();
        whole.copy_within(32..40, 8);
        whole[16..20].copy_from_slice(&MAGIC.to_be_bytes());
        whole[20..24].copy_from_slice(&[28, 29, 30, 31]);
        whole[24..28].fill(0);
        let overlay = sample();
        for start in 0..=40 {
            for end in start..=40 {
                let mut buf = vec![0xee; end - start];
                overlay.read_exact_at(&mut buf, start as u64).unwrap();
                assert_eq!(buf, whole[start..end], "{start}..{end}");
            }
        }
    }

    #[test]
    fn reading_past_the_end_is_refused() {
        assert!(sample().read_exact_at(&mut [0; 2], 39).is_err());
        assert!(sample().read_exact_at(&mut [0; 2], u64::MAX).is_err());
    }
}
