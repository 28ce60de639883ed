//! The holes of a file: its data stand one after the other in the archive, and a map says where each of them belongs.
//!
//! * **Old GNU** (type `S`): the map is in the header, and in blocks behind it.
//! * **0.0 and 0.1** (pax): the map is in the extended header, as repeated keys or as one list.
//! * **1.0** (pax): the map is lines of decimal digits before the data, filled up to a block.
//!
//! Source: GNU tar 1.34 manual, "Storing Sparse Files".

use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result};

use super::format::{BLOCK, BLOCK_LEN, Header, base256, octal};
use super::pax::{Extended, number};

/// In how many pieces a file may be: a disk image of 1 TiB with a hole after every MiB. More are refused.
const MAX_PIECES: usize = 1 << 20;

const WHAT: &str = "the map of a tar member with holes";

/// Where the data of a file belong, in the order in which they stand in the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    /// Offset in the file and length, both in bytes.
    pieces: Vec<(u64, u64)>,
}

impl Map {
    fn push(&mut self, offset: u64, len: u64, at: u64) -> Result<()> {
        if self.pieces.len() >= MAX_PIECES {
            let message = format!("the file is in more than {MAX_PIECES} pieces");
            return Err(Error::limit(WHAT, message).at(at));
        }
        self.pieces.push((offset, len));
        Ok(())
    }

    /// The map in the header of a type `S` member, and in the blocks behind it. Answers with it and with where the data begin.
    pub(super) fn read_old(header: &Header, source: &dyn ReadAt) -> Result<(Self, u64)> {
        let mut map = Self::default();
        let mut next = header.offset.saturating_add(BLOCK_LEN);
        map.add_old(header.field(386, 96), header.offset)?;
        let mut is_extended = header.field(482, 1) != [0];
        while is_extended {
            let mut block = [0; BLOCK];
            source
                .read_exact_at(&mut block, next)
                .map_err(|error| error.while_doing(WHAT))?;
            let (entries, rest) = block.split_at_checked(504).unwrap_or_default();
            map.add_old(entries, next)?;
            is_extended = rest.first().is_some_and(|byte| *byte != 0);
            next = next.saturating_add(BLOCK_LEN);
        }
        Ok((map, next))
    }

    fn add_old(&mut self, entries: &[u8], at: u64) -> Result<()> {
        for entry in entries.chunks_exact(24) {
            let (offset, len) = entry.split_at_checked(12).unwrap_or_default();
            if len.first() == Some(&0) {
                break;
            }
            let (Some(offset), Some(len)) = (old_number(offset), old_number(len)) else {
                let message = format!("\"{}\" are no numbers", entry.escape_ascii());
                return Err(Error::corrupt(WHAT, message).at(at));
            };
            self.push(offset, len, at)?;
        }
        Ok(())
    }

    /// The map that an extended header holds; `None` where it holds none.
    pub(super) fn read_extended(extended: &Extended, at: u64) -> Result<Option<Self>> {
        let odd = || Error::corrupt(WHAT, "it is no list of offsets and lengths").at(at);
        let numbers: Vec<u64> = match extended.get("GNU.sparse.map") {
            Some(list) => {
                let numbers = list.split(|byte| *byte == b',').map(number);
                numbers.collect::<Option<_>>().ok_or_else(odd)?
            }
            None if extended.map.is_empty() => return Ok(None),
            None => extended.map.clone(),
        };
        let mut map = Self::default();
        for pair in numbers.chunks(2) {
            let [offset, len] = pair else {
                return Err(odd());
            };
            map.push(*offset, *len, at)?;
        }
        Ok(Some(map))
    }

    /// The map before the data of a member in format 1.0, which begin at `start` and end at `end`. Answers with it and with where what
    /// follows it begins.
    pub(super) fn read_lines(source: &dyn ReadAt, start: u64, end: u64) -> Result<(Self, u64)> {
        let mut lines = Lines {
            source,
            next: start,
            end,
            block: [0; BLOCK],
            used: BLOCK,
        };
        let count = lines.number()?;
        let mut map = Self::default();
        for _ in 0..count {
            let offset = lines.number()?;
            let len = lines.number()?;
            map.push(offset, len, start)?;
        }
        Ok((map, lines.next))
    }

    /// The file of `len` bytes whose data are the `stored` bytes of `source` from `at` on.
    ///
    /// # Errors
    ///
    /// `Corrupt` where pieces overlap, reach past the end of the file, or are more than what is stored.
    pub(super) fn content(
        &self,
        source: &Arc<dyn ReadAt>,
        [at, stored]: [u64; 2],
        len: u64,
    ) -> Result<Content> {
        let corrupt = |message: &str| Error::corrupt(WHAT, message).at(at);
        let mut pieces = Vec::new();
        let mut position = 0_u64;
        let mut used = 0_u64;
        for (offset, piece) in &self.pieces {
            let hole = offset
                .checked_sub(position)
                .ok_or_else(|| corrupt("pieces of the file overlap"))?;
            position = offset
                .checked_add(*piece)
                .filter(|end| *end <= len)
                .ok_or_else(|| corrupt("a piece reaches past the end of the file"))?;
            pieces.push(Piece::Hole { len: hole });
            pieces.push(Piece::Range {
                source: Arc::clone(source),
                offset: at.saturating_add(used),
                len: *piece,
            });
            used = used.saturating_add(*piece);
        }
        if used > stored {
            return Err(corrupt("the pieces are longer than what is stored"));
        }
        pieces.push(Piece::Hole {
            len: len.saturating_sub(position),
        });
        Content::new(pieces)
    }
}

fn old_number(field: &[u8]) -> Option<u64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => u64::try_from(base256(field)?).ok(),
        _ => octal(field),
    }
}

/// Lines of digits, read by blocks.
struct Lines<'a> {
    source: &'a dyn ReadAt,
    /// Where the block after this one is.
    next: u64,
    end: u64,
    block: [u8; BLOCK],
    /// How many bytes of the block were taken.
    used: usize,
}

impl Lines<'_> {
    fn number(&mut self) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                byte if digits.len() < 20 => digits.push(byte),
                _ => break,
            }
        }
        number(&digits).ok_or_else(|| {
            let message = format!("\"{}\" is no number", digits.escape_ascii());
            Error::corrupt(WHAT, message).at(self.next.saturating_sub(BLOCK_LEN))
        })
    }

    fn byte(&mut self) -> Result<u8> {
        if self.used >= BLOCK {
            let next = self.next.saturating_add(BLOCK_LEN);
            if next > self.end {
                return Err(Error::corrupt(WHAT, "it does not end").at(self.next));
            }
            self.source
                .read_exact_at(&mut self.block, self.next)
                .map_err(|error| error.while_doing(WHAT))?;
            self.next = next;
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or(0);
        self.used = self.used.saturating_add(1);
        Ok(byte)
    }
}
