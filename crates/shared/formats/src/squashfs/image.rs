//! An image that is being read: its superblock, decompressors that are used again, and a small cache of blocks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block::{Error, ReadAt, Result};

use super::codec::Decoder;
use super::fields::{narrow, wide};
use super::format::{BLOCK_RAW, SUPERBLOCK_LEN, Superblock};

/// How many bytes of decompressed blocks are kept, over all files of an image.
const CACHE: usize = 8 << 20;
/// The least number of blocks that are kept, whatever their size: each thread of a writer reads in a place of its own. With the largest
/// blocks that are 64 MiB.
const LEAST_BLOCKS: usize = 64;
/// The largest number of blocks that are kept: they are searched one after the other.
const MOST_BLOCKS: usize = 256;

/// A block in the cache; empty until it is decompressed.
type Slot = Arc<Mutex<Option<Arc<[u8]>>>>;

/// An image with what reading it needs, for all threads.
pub(crate) struct Image {
    pub(crate) source: Arc<dyn ReadAt>,
    pub(crate) superblock: Superblock,
    idle: Mutex<Vec<Decoder>>,
    /// Decompressed blocks by their place, the last used first.
    cache: Mutex<VecDeque<(u64, Slot)>>,
}

/// The place and size of a data or fragment block in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// In bytes from the start of the image.
    pub(crate) at: u64,
    /// The length as it is stored.
    pub(crate) len: usize,
    /// Whether it is stored uncompressed.
    pub(crate) raw: bool,
}

/// A lock whose data is whole whatever a thread did that held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Image {
    /// Reads the superblock of `source`.
    pub(crate) fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let what = "squashfs superblock";
        let len = wide(SUPERBLOCK_LEN);
        let bytes = block::read_vec(&source, 0, len, SUPERBLOCK_LEN, what)?;
        let superblock = Superblock::parse(&bytes, source.len())?;
        let decoder = Decoder::new(superblock.compressor)?;
        Ok(Self {
            source,
            superblock,
            idle: Mutex::new(vec![decoder]),
            cache: Mutex::default(),
        })
    }

    /// The largest length of a block of data, in bytes.
    pub(crate) fn block_size(&self) -> usize {
        narrow(u64::from(self.superblock.block_size))
    }

    /// Decodes `input` to `output`, and answers how long the result is.
    pub(crate) fn decode(&self, input: &[u8], output: &mut [u8]) -> Result<usize> {
        let idle = lock(&self.idle).pop();
        let mut decoder = match idle {
            Some(decoder) => decoder,
            None => Decoder::new(self.superblock.compressor)?,
        };
        let len = decoder.decode(input, output);
        lock(&self.idle).push(decoder);
        len
    }

    /// The place and size of the block that begins at `at` and has the size `word` in a table.
    pub(crate) fn stored(&self, at: u64, word: u32, what: &'static str) -> Result<Stored> {
        let raw = word & BLOCK_RAW != 0;
        let len = narrow(u64::from(word & !BLOCK_RAW));
        let end = at.checked_add(wide(len));
        if len > self.block_size() || end.is_none_or(|end| end > self.superblock.used) {
            let message = format!("a block of {len} bytes, over the block size or past the end");
            return Err(Error::corrupt(what, message).at(at));
        }
        Ok(Stored { at, len, raw })
    }

    /// Fills `buf`, which is as long as the block is, with it.
    pub(crate) fn read_block(&self, block: Stored, buf: &mut [u8]) -> Result<()> {
        if block.raw {
            if block.len != buf.len() {
                return Err(wrong_len(block, block.len, buf.len()));
            }
            return self.source.read_exact_at(buf, block.at);
        }
        let len = self.decode_block(block, buf)?;
        if len != buf.len() {
            return Err(wrong_len(block, len, buf.len()));
        }
        Ok(())
    }

    fn decode_block(&self, block: Stored, buf: &mut [u8]) -> Result<usize> {
        let mut input = vec![0; block.len];
        self.source.read_exact_at(&mut input, block.at)?;
        self.decode(&input, buf).map_err(|error| error.at(block.at))
    }

    /// The whole block, which is `len` bytes long or, for a fragment block, at most that.
    ///
    /// Of threads that ask for the same block at the same time, as those that write a file system out of an image in this image do, one
    /// decompresses it and the others wait.
    pub(crate) fn cached_block(&self, block: Stored, len: Length) -> Result<Arc<[u8]>> {
        let slot = self.slot(block.at);
        let mut place = lock(&slot);
        let bytes = match &*place {
            Some(bytes) => Arc::clone(bytes),
            None => Arc::clone(place.insert(self.load(block)?)),
        };
        drop(place);
        let found = <[u8]>::len(&bytes);
        match len {
            Length::Exactly(len) if len != found => Err(wrong_len(block, found, len)),
            _ => Ok(bytes),
        }
    }

    /// The place in the cache of the block at `at`, empty where it is new there.
    fn slot(&self, at: u64) -> Slot {
        let mut cache = lock(&self.cache);
        let index = cache.iter().position(|(known, _)| *known == at);
        let entry = index.and_then(|index| cache.remove(index));
        let (_, slot) = entry.unwrap_or_else(|| (at, Slot::default()));
        cache.push_front((at, Arc::clone(&slot)));
        let most = CACHE.checked_div(self.block_size()).unwrap_or(1);
        cache.truncate(most.clamp(LEAST_BLOCKS, MOST_BLOCKS));
        slot
    }

    fn load(&self, block: Stored) -> Result<Arc<[u8]>> {
        let mut bytes;
        if block.raw {
            bytes = vec![0; block.len];
            self.source.read_exact_at(&mut bytes, block.at)?;
        } else {
            bytes = vec![0; self.block_size()];
            let len = self.decode_block(block, &mut bytes)?;
            bytes.truncate(len);
        }
        Ok(bytes.into())
    }
}

/// What is known of a block's length before it is read, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// It is this.
    Exactly(usize),
    /// A fragment block: whatever it is, up to a block's.
    Any,
}

fn wrong_len(block: Stored, found: usize, expected: usize) -> Error {
    let message = format!("it holds {found} bytes, and the file has {expected} there");
    Error::corrupt("squashfs data block", message).at(block.at)
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("source", &self.source)
            .field("superblock", &self.superblock)
            .finish_non_exhaustive()
    }
}
