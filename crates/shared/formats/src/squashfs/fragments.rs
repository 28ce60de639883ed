//! Gathering the ends of files into fragment blocks.

use std::collections::{BTreeMap, VecDeque};

use tree::InodeId;

use super::fields::{narrow, word};
use super::same::Digest;
use super::units::Tail;

/// How many units after it was closed a fragment block is written at the earliest. It is compressed before anything else, so it is
/// nearly always ready by then. The image depends on this number.
const LAG: u64 = 8;

/// Where the end of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which fragment block.
    pub(crate) index: u32,
    /// The offset in it, uncompressed.
    pub(crate) offset: u32,
}

/// The fragment block that is being filled, and those that are being compressed.
#[derive(Debug)]
pub(crate) struct Fragments {
    block_size: usize,
    open: Vec<u8>,
    /// The index of the open one.
    index: u32,
    /// Job numbers of the closed ones, and the unit before which each is written.
    sent: VecDeque<(u64, u64)>,
    units: u64,
    /// Which file had this length and digest first.
    known: BTreeMap<(usize, Digest), InodeId>,
    table: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Fragments {
    pub(crate) fn new(block_size: u32) -> Self {
        Self {
            block_size: narrow(u64::from(block_size)),
            open: Vec::new(),
            index: 0,
            sent: VecDeque::new(),
            units: 0,
            known: BTreeMap::new(),
            table: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The earlier file of the same content; where there is none, `tail` is the one for those to come.
    pub(crate) fn known(&mut self, digest: Option<Digest>, tail: &Tail<'_>) -> Option<InodeId> {
        let first = *self.known.entry((tail.len, digest?)).or_insert(tail.id);
        (first != tail.id).then_some(first)
    }

    /// What was gathered, where `len` more bytes do not fit into it.
    pub(crate) fn make_room(&mut self, len: usize) -> Option<Vec<u8>> {
        if self.open.len().saturating_add(len) <= self.block_size {
            return None;
        }
        self.take_open()
    }

    /// What was gathered; `None` where that is nothing.
    pub(crate) fn take_open(&mut self) -> Option<Vec<u8>> {
        if self.open.is_empty() {
            return None;
        }
        self.index = self.index.saturating_add(1);
        let next = self.spare.pop().unwrap_or_default();
        Some(std::mem::replace(&mut self.open, next))
    }

    /// Adds the end of a file.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Place {
        let offset = word(self.open.len());
        self.open.extend_from_slice(bytes);
        Place {
            index: self.index,
            offset,
        }
    }

    /// What was taken last is compressed as the job of this number.
    pub(crate) fn sent(&mut self, number: u64) {
        let due = self.units.saturating_add(LAG);
        self.sent.push_back((number, due));
    }

    /// One more unit is in the image.
    pub(crate) fn unit_done(&mut self) {
        self.units = self.units.saturating_add(1);
    }

    /// The job of the next fragment block, where it is to be written before the next unit.
    pub(crate) fn due(&self) -> Option<u64> {
        let (number, due) = self.sent.front()?;
        (*due <= self.units).then_some(*number)
    }

    /// The job of the next fragment block.
    pub(crate) fn next_sent(&self) -> Option<u64> {
        self.sent.front().map(|(number, _)| *number)
    }

    /// The next fragment block is written at byte `at` of the image; `gathered` is free again.
    pub(crate) fn placed(&mut self, at: u64, size: u32, mut gathered: Vec<u8>) {
        self.sent.pop_front();
        self.table.extend_from_slice(&at.to_le_bytes());
        self.table.extend_from_slice(&size.to_le_bytes());
        self.table.extend_from_slice(&0u32.to_le_bytes());
        gathered.clear();
        self.spare.push(gathered);
    }

    /// The fragment table's records.
    pub(crate) fn table(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.table)
    }

    /// How many fragment blocks were closed.
    pub(crate) fn count(&self) -> u32 {
        self.index
    }
}
