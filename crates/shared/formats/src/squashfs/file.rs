//! The content of a file of an image: decompressed as it is read, or where it lies where nothing is compressed.

use std::ops::Range;
use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result};

use super::fields::{narrow, wide};
use super::image::{Image, Length, Stored};
use super::inode_reader::FileBody;

/// How many blocks there are between two whose places are known.
const STRIDE: usize = 32;

/// The structure's name in errors.
const WHAT: &str = "squashfs file";

/// A fragment of a file: its block, and the offset in it.
type Fragment = (Stored, usize);

/// A file whose blocks are decompressed as they are read.
#[derive(Debug)]
struct Compressed {
    image: Arc<Image>,
    len: u64,
    sizes: Box<[u32]>,
    /// Where each block of a number that [`STRIDE`] divides begins, in bytes from the start of the image.
    starts: Box<[u64]>,
    fragment: Option<Fragment>,
}

/// The content of the file `body`; `fragment` is its fragment block and the offset in that.
pub(crate) fn content_of(
    image: &Arc<Image>,
    body: FileBody,
    fragment: Option<Fragment>,
) -> Result<Content> {
    let mut at = body.start;
    let mut starts = Vec::new();
    let mut plain = fragment.is_none_or(|(block, _)| block.raw);
    for (index, size) in body.sizes.iter().enumerate() {
        if index.checked_rem(STRIDE) == Some(0) {
            starts.push(at);
        }
        if *size != 0 {
            let block = image.stored(at, *size, WHAT)?;
            plain &= block.raw;
            at = at.saturating_add(wide(block.len));
        }
    }
    let file = Compressed {
        image: Arc::clone(image),
        len: body.len,
        sizes: body.sizes.into(),
        starts: starts.into(),
        fragment,
    };
    file.check_fragment()?;
    if plain {
        return file.plain();
    }
    Ok(Content::from_source(Arc::new(file)))
}

impl Compressed {
    fn block_size(&self) -> u64 {
        wide(self.image.block_size())
    }

    /// How many bytes are in the fragment: what is after the blocks.
    fn tail_len(&self) -> usize {
        let blocks = wide(self.sizes.len()).saturating_mul(self.block_size());
        narrow(self.len.saturating_sub(blocks))
    }

    fn check_fragment(&self) -> Result<()> {
        let Some((block, offset)) = self.fragment else {
            return Ok(());
        };
        let most = match block.raw {
            true => block.len,
            false => self.image.block_size(),
        };
        if offset.saturating_add(self.tail_len()) > most {
            let message = "the file's end is past the end of its fragment block";
            return Err(Error::corrupt(WHAT, message).at(block.at));
        }
        Ok(())
    }

    /// The length of block `index`.
    fn block_len(&self, index: usize) -> usize {
        let before = wide(index).saturating_mul(self.block_size());
        narrow(self.len.saturating_sub(before).min(self.block_size()))
    }

    /// Where block `index` is; `None` where it is all zeros or in the fragment.
    fn stored(&self, index: usize) -> Result<Option<Stored>> {
        let Some(size) = self.sizes.get(index).filter(|size| **size != 0) else {
            return Ok(None);
        };
        let group = index.checked_div(STRIDE).unwrap_or_default();
        let mut at = self.starts.get(group).copied().unwrap_or_default();
        let from = group.saturating_mul(STRIDE);
        for size in self.sizes.get(from..index).unwrap_or_default() {
            let size = size & !super::format::BLOCK_RAW;
            at = at.saturating_add(u64::from(size));
        }
        self.image.stored(at, *size, WHAT).map(Some)
    }

    /// A file of which nothing is compressed, as ranges of the image.
    fn plain(self) -> Result<Content> {
        let mut pieces = Vec::new();
        for index in 0..self.sizes.len() {
            let len = self.block_len(index);
            match self.stored(index)? {
                None => add_piece(&mut pieces, &self.image, None, wide(len)),
                Some(block) if block.len == len => {
                    add_piece(&mut pieces, &self.image, Some(block.at), wide(len));
                }
                Some(block) => {
                    let message = format!("a block of {} bytes instead of {len}", block.len);
                    return Err(Error::corrupt(WHAT, message).at(block.at));
                }
            }
        }
        if let Some((block, offset)) = self.fragment {
            let at = block.at.saturating_add(wide(offset));
            add_piece(&mut pieces, &self.image, Some(at), wide(self.tail_len()));
        }
        Content::new(pieces)
    }

    /// Fills `buf` from the block `index` on, from its byte `inside` on.
    fn read_in_block(&self, index: usize, inside: usize, buf: &mut [u8]) -> Result<()> {
        let (block, len, inside) = match (self.stored(index)?, self.fragment) {
            (Some(block), _) => (block, Length::Exactly(self.block_len(index)), inside),
            (None, Some((block, offset))) if index >= self.sizes.len() => {
                (block, Length::Any, inside.saturating_add(offset))
            }
            _ => {
                buf.fill(0);
                return Ok(());
            }
        };
        match len {
            Length::Exactly(len) if len == buf.len() => self.image.read_block(block, buf),
            _ => {
                let bytes = self.image.cached_block(block, len)?;
                let end = inside.saturating_add(buf.len());
                let found = bytes.get(inside..end).ok_or_else(|| {
                    let message = format!("it holds {} bytes, and {end} are needed", bytes.len());
                    Error::corrupt("squashfs fragment block", message).at(block.at)
                })?;
                buf.copy_from_slice(found);
                Ok(())
            }
        }
    }
}

/// Appends a range of the image, or a hole, joined with the last piece where they touch.
fn add_piece(pieces: &mut Vec<Piece>, image: &Image, at: Option<u64>, len: u64) {
    match (pieces.last_mut(), at) {
        (Some(Piece::Hole { len: last }), None) => *last = last.saturating_add(len),
        (
            Some(Piece::Range {
                offset, len: last, ..
            }),
            Some(at),
        ) if offset.saturating_add(*last) == at => *last = last.saturating_add(len),
        (_, None) => pieces.push(Piece::Hole { len }),
        (_, Some(offset)) => pieces.push(Piece::Range {
            source: Arc::clone(&image.source),
            offset,
            len,
        }),
    }
}

impl ReadAt for Compressed {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(wide(buf.len()));
        if end.is_none_or(|end| end > self.len) {
            let message = format!("{} bytes from here reach past the end", buf.len());
            return Err(Error::corrupt(WHAT, message).at(offset));
        }
        let mut rest = buf;
        let mut position = offset;
        while !rest.is_empty() {
            let index = position.checked_div(self.block_size()).unwrap_or_default();
            let inside = position.checked_rem(self.block_size()).unwrap_or_default();
            let index = narrow(index);
            let room = self.block_len(index).saturating_sub(narrow(inside));
            let (now, later) = rest.split_at_mut(room.min(rest.len()));
            self.read_in_block(index, narrow(inside), now)?;
            position = position.saturating_add(wide(now.len()));
            rest = later;
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        if offset >= self.len {
            return Ok(None);
        }
        let block_size = self.block_size();
        let first = narrow(offset.checked_div(block_size).unwrap_or_default());
        let rest = self.sizes.get(first..).unwrap_or_default();
        let has_tail = self.fragment.is_some();
        let zeros = rest.iter().take_while(|size| **size == 0).count();
        let start = first.saturating_add(zeros);
        if start >= self.sizes.len() && !has_tail {
            return Ok(None);
        }
        let rest = self.sizes.get(start..).unwrap_or_default();
        let data = rest.iter().take_while(|size| **size != 0).count();
        let end = start.saturating_add(data);
        let end = match end >= self.sizes.len() {
            true if has_tail => self.len,
            _ => wide(end).saturating_mul(block_size).min(self.len),
        };
        let start = wide(start).saturating_mul(block_size).max(offset);
        Ok(Some(start..end))
    }
}
