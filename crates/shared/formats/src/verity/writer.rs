//! A target that makes the tree of what goes through it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use block::{Error, Result, WriteAt};

use super::format::{BLOCK, BLOCK_LEN, DIGEST, PER_BLOCK, RootHash, Superblock, digest, levels};

/// How many blocks may be begun and not whole; a writer that jumps about more than this gets an error.
const MAX_BEGUN: usize = 64;
/// The first step of the tree that is written at once, in bytes.
const WHAT: &str = "making the hash tree";

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length in bytes of the data and the tree.
    pub len: u64,
    /// The root hash.
    pub root_hash: RootHash,
}

/// A target that hands everything on to another one and makes the digest of every block on the way.
///
/// Each byte is written once, in any order that leaves few blocks unfinished. The digests are in memory until the end: 1/128 of the data.
#[derive(Debug)]
pub struct Hashing<'a> {
    target: &'a dyn WriteAt,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The digests of blocks, by number; `None` for one that is not whole yet.
    digests: Vec<Option<[u8; DIGEST]>>,
    /// Blocks that are not whole, with how many bytes of them were written.
    begun: BTreeMap<u64, (Vec<u8>, usize)>,
}

impl<'a> Hashing<'a> {
    /// A target that hands on to `target`, at whose first byte the data begin.
    pub fn new(target: &'a dyn WriteAt) -> Self {
        Self {
            target,
            state: Mutex::default(),
        }
    }

    /// Writes the tree behind data of `len` bytes, all of which were written.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where a byte of the data was not written, or there are none; what writing answers.
    pub fn finish(self, len: u64) -> Result<Written> {
        let Self { target, state } = self;
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let padding = len.next_multiple_of(BLOCK).saturating_sub(len);
        if padding > 0 {
            let zeros = vec![0; usize::try_from(padding).unwrap_or_default()];
            target.write_all_at(&zeros, len)?;
            state.note(&zeros, len)?;
        }
        let blocks = len.div_ceil(BLOCK);
        let digests = state.finish(blocks)?;
        write_tree(target, blocks, digests)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteAt for Hashing<'_> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.target.write_all_at(buf, offset)?;
        self.lock().note(buf, offset)
    }
}

impl State {
    /// Takes note of `buf` written at `offset`, block by block.
    fn note(&mut self, mut buf: &[u8], mut offset: u64) -> Result<()> {
        while !buf.is_empty() {
            let inside = usize::try_from(offset % BLOCK).unwrap_or_default();
            let room = BLOCK_LEN.saturating_sub(inside).min(buf.len());
            let (now, later) = buf.split_at(room);
            let block = offset / BLOCK;
            if now.len() == BLOCK_LEN {
                self.whole(block, now)?;
            } else {
                self.part(block, inside, now)?;
            }
            offset = offset.saturating_add(u64::try_from(room).unwrap_or(u64::MAX));
            buf = later;
        }
        Ok(())
    }

    /// A block that is whole.
    fn whole(&mut self, block: u64, bytes: &[u8]) -> Result<()> {
        let index = usize::try_from(block).unwrap_or(usize::MAX);
        if self.digests.len() <= index {
            let more = index.saturating_sub(self.digests.len()).saturating_add(1);
            let room = self.digests.try_reserve(more);
            room.map_err(|error| Error::limit(WHAT, "the digests").caused_by(error))?;
            self.digests.resize(index.saturating_add(1), None);
        }
        match self.digests.get_mut(index) {
            Some(slot) if slot.is_none() && !self.begun.contains_key(&block) => {
                *slot = Some(digest(&[], bytes));
                Ok(())
            }
            _ => Err(twice(block)),
        }
    }

    /// A part of a block.
    fn part(&mut self, block: u64, inside: usize, bytes: &[u8]) -> Result<()> {
        let begun = self.begun.len();
        let new = || (vec![0; BLOCK_LEN], 0);
        let (content, seen) = self.begun.entry(block).or_insert_with(new);
        *seen = seen.saturating_add(bytes.len());
        if *seen > BLOCK_LEN {
            return Err(twice(block));
        }
        let end = inside.saturating_add(bytes.len());
        if let Some(place) = content.get_mut(inside..end) {
            place.copy_from_slice(bytes);
        }
        if *seen == BLOCK_LEN {
            let whole = std::mem::take(content);
            self.begun.remove(&block);
            return self.whole(block, &whole);
        }
        if begun > MAX_BEGUN {
            let message = format!("more than {MAX_BEGUN} blocks were begun and are not whole");
            return Err(Error::limit(WHAT, message));
        }
        Ok(())
    }

    /// The digests of all blocks.
    fn finish(self, blocks: u64) -> Result<Vec<[u8; DIGEST]>> {
        let digests = self.digests.into_iter().collect::<Option<Vec<_>>>();
        let is_all = |digests: &Vec<_>| u64::try_from(digests.len()) == Ok(blocks);
        digests
            .filter(|digests| is_all(digests) && !digests.is_empty() && self.begun.is_empty())
            .ok_or_else(|| Error::corrupt(WHAT, "not all of the data was written"))
    }
}

fn twice(block: u64) -> Error {
    Error::corrupt(WHAT, "written twice").at(block.saturating_mul(BLOCK))
}

/// Writes the superblock and all levels, the highest first.
fn write_tree(target: &dyn WriteAt, blocks: u64, digests: Vec<[u8; DIGEST]>) -> Result<Written> {
    let mut made: Vec<Vec<u8>> = Vec::new();
    let mut below = digests;
    for _ in levels(blocks) {
        let per_block = usize::try_from(PER_BLOCK).unwrap_or(BLOCK_LEN);
        let len = below.len().div_ceil(per_block).saturating_mul(BLOCK_LEN);
        let mut level = Vec::with_capacity(len);
        below
            .iter()
            .for_each(|digest| level.extend_from_slice(digest));
        level.resize(len, 0);
        below = level
            .chunks(BLOCK_LEN)
            .map(|block| digest(&[], block))
            .collect();
        made.push(level);
    }
    let root_hash = RootHash(below.first().copied().unwrap_or_default());
    let superblock = Superblock {
        uuid: uuid(root_hash),
        blocks,
        salt: Vec::new(),
    };
    let mut at = blocks.saturating_mul(BLOCK);
    for part in [superblock.to_block()].iter().chain(made.iter().rev()) {
        target.write_all_at(part, at)?;
        at = at.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
    }
    Ok(Written { len: at, root_hash })
}

/// A UUID that follows from the root hash.
///
/// Source: RFC 9562, 5.8 (version 8, whose other bits are the maker's).
fn uuid(root_hash: RootHash) -> [u8; 16] {
    let mut uuid = [0; 16];
    for (byte, from) in uuid.iter_mut().zip(root_hash.0) {
        *byte = from;
    }
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}
