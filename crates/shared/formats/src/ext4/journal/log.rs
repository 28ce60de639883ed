//! The blocks of the journal, by their number in it.

use std::sync::Arc;

use block::{Error, ReadAt, Result};

use super::super::field::index;
use super::super::run::Runs;

/// The journal's file as a ring of blocks.
#[derive(Debug)]
pub(super) struct Log {
    source: Arc<dyn ReadAt>,
    runs: Runs,
    block_size: u32,
    /// The first block of the ring and the one behind its last.
    ring: (u32, u32),
}

impl Log {
    pub(super) fn new(source: Arc<dyn ReadAt>, runs: Runs, block_size: u32) -> Self {
        Self {
            source,
            runs,
            block_size,
            ring: (0, u32::MAX),
        }
    }

    /// Says where the log lies in the journal.
    pub(super) fn set_ring(&mut self, first: u32, last: u32) {
        self.ring = (first, last);
    }

    /// How many blocks the log has.
    pub(super) fn len(&self) -> u32 {
        self.ring.1.saturating_sub(self.ring.0)
    }

    /// The block after `block` in the log.
    pub(super) fn after(&self, block: u32) -> u32 {
        let next = block.saturating_add(1);
        if next >= self.ring.1 {
            self.ring.0
        } else {
            next
        }
    }

    /// Where `block` lies in the file system, in bytes.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where the journal's file has a hole there.
    pub(super) fn offset(&self, block: u32) -> Result<u64> {
        let physical = self.runs.physical(u64::from(block)).ok_or_else(|| {
            Error::corrupt("ext4 journal", format!("its block {block} is missing"))
        })?;
        Ok(physical.saturating_mul(u64::from(self.block_size)))
    }

    /// Reads `block`.
    ///
    /// # Errors
    ///
    /// As [`offset`](Self::offset), and what reading answers.
    pub(super) fn read(&self, block: u32) -> Result<Vec<u8>> {
        self.read_at(self.offset(block)?)
    }

    /// Reads the block at `offset` in the file system.
    pub(super) fn read_at(&self, offset: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; index(self.block_size)];
        self.source.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}
