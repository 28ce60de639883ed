//! The data of a tree cut into pieces of work, from nothing but lengths and holes: the same cuts whatever the number of threads.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use block::{Content, Piece, ReadAt as _, Result};
use tree::{InodeId, Node};

use super::checked::Checked;
use super::fields::{narrow, wide};
use super::options::Fragments;
use super::same::{Candidate, same_content};

/// About how much one piece of work reads, in bytes, where blocks are smaller.
const WORK: u64 = 128 << 10;
/// The most files in one batch: their results are small, and there are threads to feed.
const BATCH_FILES: usize = 256;

/// One step of writing the data, in the order of the image.
#[derive(Debug)]
pub(crate) enum Unit<'a> {
    /// A new file begins; its blocks follow.
    File(InodeId),
    /// Whole blocks of a hole, of the file that was begun last.
    Hole {
        /// How many.
        blocks: u64,
        /// How long that is, in bytes.
        len: u64,
    },
    /// Blocks of the file that was begun last, to be read and compressed.
    Run(Run<'a>),
    /// Ends of files, to be read.
    Batch(Vec<Tail<'a>>),
    /// The file has the content of another one, which came before.
    Same {
        /// This file.
        id: InodeId,
        /// The other one.
        original: InodeId,
    },
}

/// Consecutive blocks of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) id: InodeId,
    pub(crate) content: &'a Content,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// The end of a file, or a whole file shorter than a block, for a fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail<'a> {
    pub(crate) id: InodeId,
    pub(crate) content: &'a Content,
    pub(crate) offset: u64,
    pub(crate) len: usize,
    /// Whether another file has this length, so that its content may be the same.
    pub(crate) may_repeat: bool,
}

/// The units of a tree, one after another.
#[derive(Debug)]
pub(crate) struct Units<'a> {
    checked: &'a Checked<'a>,
    files: std::vec::IntoIter<(InodeId, &'a Content)>,
    block_size: u64,
    same: BTreeMap<InodeId, InodeId>,
    /// Lengths of small files that more than one has.
    repeated: BTreeSet<u64>,
    batch: Vec<Tail<'a>>,
    batch_len: u64,
    open: Option<Open<'a>>,
}

/// A file whose blocks are being cut.
#[derive(Debug)]
struct Open<'a> {
    id: InodeId,
    content: &'a Content,
    position: u64,
    /// Where its blocks end: the length, or where the tail begins.
    end: u64,
    /// The data at or after `position`, where it was asked for.
    data: Option<Range<u64>>,
}

impl<'a> Units<'a> {
    /// The units of `checked`. Longer files of equal length are compared here.
    pub(crate) fn new(checked: &'a Checked<'a>) -> Result<Self> {
        let block_size = u64::from(checked.options.block_size);
        let mut files = Vec::with_capacity(checked.files.len());
        for id in &checked.files {
            if let Node::File(content) = &checked.tree.inode(*id).node {
                files.push((*id, content));
            }
        }
        let (small, large): (Vec<_>, Vec<_>) = files
            .iter()
            .partition(|(_, content)| content.len() < block_size);
        let mut lengths = BTreeSet::new();
        let mut repeated = BTreeSet::new();
        for (_, content) in small {
            if !lengths.insert(content.len()) {
                repeated.insert(content.len());
            }
        }
        let large: Vec<_> = large
            .into_iter()
            .map(|(id, content)| Candidate { id, content })
            .collect();
        Ok(Self {
            checked,
            same: same_content(&large, checked.options.workers())
                .map_err(|(error, id)| checked.told(error, id))?,
            files: files.into_iter(),
            block_size,
            repeated,
            batch: Vec::new(),
            batch_len: 0,
            open: None,
        })
    }

    /// The next unit; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Unit<'a>>> {
        loop {
            if let Some(open) = &mut self.open {
                if open.position < open.end {
                    let id = open.id;
                    let unit = open.cut(self.block_size);
                    return unit.map(Some).map_err(|error| self.checked.told(error, id));
                }
                let (id, content, offset) = (open.id, open.content, open.end);
                self.open = None;
                if offset < content.len() {
                    self.add_tail(id, content, offset);
                }
            }
            if self.batch.len() >= BATCH_FILES || self.batch_len >= self.block_size.max(WORK) {
                return Ok(self.take_batch());
            }
            let Some((id, content)) = self.files.next() else {
                return Ok(self.take_batch());
            };
            if let Some(original) = self.same.get(&id) {
                return Ok(Some(Unit::Same {
                    id,
                    original: *original,
                }));
            }
            let len = content.len();
            if len >= self.block_size || only_holes(content) {
                let tail = match self.checked.options.fragments {
                    Fragments::AllTails if len >= self.block_size => {
                        len.checked_rem(self.block_size).unwrap_or_default()
                    }
                    _ => 0,
                };
                self.open = Some(Open {
                    id,
                    content,
                    position: 0,
                    end: len.saturating_sub(tail),
                    data: None,
                });
                return Ok(Some(Unit::File(id)));
            }
            self.add_tail(id, content, 0);
        }
    }

    fn add_tail(&mut self, id: InodeId, content: &'a Content, offset: u64) {
        let len = content.len().saturating_sub(offset);
        self.batch_len = self.batch_len.saturating_add(len);
        self.batch.push(Tail {
            id,
            content,
            offset,
            len: narrow(len),
            may_repeat: offset == 0 && self.repeated.contains(&len),
        });
    }

    fn take_batch(&mut self) -> Option<Unit<'a>> {
        self.batch_len = 0;
        let batch = std::mem::take(&mut self.batch);
        (!batch.is_empty()).then_some(Unit::Batch(batch))
    }
}

/// Whether a file has no data as far as its pieces say; empty files are such.
fn only_holes(content: &Content) -> bool {
    content
        .pieces()
        .all(|piece| matches!(piece, Piece::Hole { .. }) || piece.is_empty())
}

impl<'a> Open<'a> {
    /// The next hole or run.
    fn cut(&mut self, block_size: u64) -> Result<Unit<'a>> {
        let start = self.position;
        if !self.has_data(block_size)? {
            let next = self.data.as_ref().map_or(self.end, |data| data.start);
            // The block in which the data begins is no hole.
            let whole = next.saturating_sub(next.checked_rem(block_size).unwrap_or_default());
            self.position = if next >= self.end { self.end } else { whole };
            let len = self.position.saturating_sub(start);
            return Ok(Unit::Hole {
                blocks: len.div_ceil(block_size),
                len,
            });
        }
        let limit = start.saturating_add(WORK.max(block_size));
        while self.position < self.end.min(limit) && self.has_data(block_size)? {
            let next = self.position.saturating_add(block_size);
            self.position = next.min(self.end);
        }
        Ok(Unit::Run(Run {
            id: self.id,
            content: self.content,
            offset: start,
            len: narrow(self.position.saturating_sub(start)),
        }))
    }

    /// Whether the block at the position may hold anything but zeros. Where it does not, `data` is what comes after it.
    fn has_data(&mut self, block_size: u64) -> Result<bool> {
        if self
            .data
            .as_ref()
            .is_none_or(|data| data.end <= self.position)
        {
            let none = self.end..u64::MAX;
            self.data = Some(self.content.next_data(self.position)?.unwrap_or(none));
        }
        let block_end = self.position.saturating_add(block_size).min(self.end);
        Ok(self
            .data
            .as_ref()
            .is_some_and(|data| data.start < block_end))
    }
}

/// How much room the input of the largest unit takes, in bytes.
pub(crate) fn largest_unit(block_size: u32) -> usize {
    let size = u64::from(block_size).max(WORK);
    // A batch is closed once it is that long, so the last file of it may stand over.
    narrow(size.saturating_add(u64::from(block_size)))
}

/// The bytes that a batch reads.
pub(crate) fn batch_len(tails: &[Tail<'_>]) -> u64 {
    tails
        .iter()
        .fold(0, |sum, tail| sum.saturating_add(wide(tail.len)))
}
