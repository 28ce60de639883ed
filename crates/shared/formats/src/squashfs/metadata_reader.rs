//! Reading metadata blocks, and records of tables that are found through a list of their blocks.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use block::{Error, ReadAt as _, Result};

use super::fields::{Fields, narrow, wide};
use super::format::{METADATA_LEN, METADATA_RAW};
use super::image::Image;

/// How many decompressed blocks are kept: 4 MiB.
const KEPT: usize = 512;

/// The metadata blocks of an image, the latest of them kept.
pub(crate) struct MetadataReader<'a> {
    image: &'a Image,
    kept: BTreeMap<u64, Rc<Loaded>>,
    order: VecDeque<u64>,
}

/// One block.
struct Loaded {
    bytes: Vec<u8>,
    /// Where the next block begins, in bytes from the start of the image.
    next: u64,
}

/// A place in a chain of metadata blocks, which moves on as it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Where the block begins, in bytes from the start of the image.
    pub(crate) block: u64,
    /// The offset in what it holds.
    pub(crate) offset: usize,
    /// Where the table ends: no block begins there or after it.
    pub(crate) end: u64,
}

impl Cursor {
    /// The place of `reference` (block distance in the upper 48 bits, offset in the lower 16) in the table at `start`.
    pub(crate) fn new(start: u64, end: u64, reference: u64) -> Self {
        Self {
            block: start.saturating_add(reference >> 16),
            offset: narrow(reference & 0xffff),
            end,
        }
    }
}

impl<'a> MetadataReader<'a> {
    pub(crate) fn new(image: &'a Image) -> Self {
        Self {
            image,
            kept: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Reads `len` bytes; callers bound `len`.
    pub(crate) fn read(
        &mut self,
        cursor: &mut Cursor,
        len: usize,
        what: &'static str,
    ) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            if cursor.block >= cursor.end {
                return Err(Error::corrupt(what, "it reaches past its table").at(cursor.block));
            }
            let loaded = self.block(cursor.block, what)?;
            let available = loaded.bytes.get(cursor.offset..).ok_or_else(|| {
                Error::corrupt(what, "its offset is past the end of its block").at(cursor.block)
            })?;
            let take = available.len().min(len.saturating_sub(bytes.len()));
            bytes.extend_from_slice(available.get(..take).unwrap_or_default());
            cursor.offset = cursor.offset.saturating_add(take);
            if cursor.offset >= loaded.bytes.len() {
                cursor.block = loaded.next;
                cursor.offset = 0;
            }
        }
        Ok(bytes)
    }

    /// Reads record `index` of a table of records of `len` bytes (a divisor of 8192), whose list of blocks is at byte `list` of
    /// the image.
    pub(crate) fn record(
        &mut self,
        list: u64,
        index: u64,
        len: usize,
        what: &'static str,
    ) -> Result<Vec<u8>> {
        let at = index.saturating_mul(wide(len));
        let block = at >> METADATA_LEN.trailing_zeros();
        let entry = list.saturating_add(block.saturating_mul(8));
        if entry.saturating_add(8) > self.image.superblock.used {
            let message = format!("entry {index} is past the end of the table");
            return Err(Error::corrupt(what, message).at(list));
        }
        let mut place = [0; 8];
        self.image.source.read_exact_at(&mut place, entry)?;
        let mut cursor = Cursor {
            block: u64::from_le_bytes(place),
            offset: narrow(at & wide(METADATA_LEN).wrapping_sub(1)),
            end: self.image.superblock.used,
        };
        self.read(&mut cursor, len, what)
    }

    fn block(&mut self, at: u64, what: &'static str) -> Result<Rc<Loaded>> {
        if let Some(loaded) = self.kept.get(&at) {
            return Ok(Rc::clone(loaded));
        }
        let loaded = Rc::new(self.load(at, what)?);
        self.kept.insert(at, Rc::clone(&loaded));
        self.order.push_back(at);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
        Ok(loaded)
    }

    fn load(&self, at: u64, what: &'static str) -> Result<Loaded> {
        let mut header = [0; 2];
        self.image.source.read_exact_at(&mut header, at)?;
        let header = Fields::new(&header, what).u16()?;
        let len = usize::from(header & !METADATA_RAW);
        let start = at.saturating_add(2);
        let next = start.saturating_add(wide(len));
        if len == 0 || len > METADATA_LEN || next > self.image.superblock.used {
            let message = format!("a metadata block of {len} bytes, over 8192 or past the end");
            return Err(Error::corrupt(what, message).at(at));
        }
        let mut bytes = vec![0; len];
        self.image.source.read_exact_at(&mut bytes, start)?;
        if header & METADATA_RAW == 0 {
            let mut decoded = vec![0; METADATA_LEN];
            let len = self.image.decode(&bytes, &mut decoded);
            let len = len.map_err(|error| error.at(at))?;
            decoded.truncate(len);
            bytes = decoded;
        }
        if bytes.is_empty() {
            return Err(Error::corrupt(what, "a metadata block holds nothing").at(at));
        }
        Ok(Loaded { bytes, next })
    }
}

impl std::fmt::Debug for MetadataReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetadataReader")
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}
