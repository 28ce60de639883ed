//! Where the bytes of a file lie: ranges of sources, holes, and bytes held in memory.

use std::ops::Range;
use std::sync::Arc;

use crate::read::check_range;
use crate::{Error, ReadAt, Result};

/// One run of a file's bytes.
#[derive(Clone, Debug)]
pub enum Piece {
    /// `len` zeros that no medium holds.
    Hole {
        /// In bytes.
        len: u64,
    },
    /// `len` bytes of `source` from `offset` on.
    Range {
        /// What they are read from, often a partition or a whole file system.
        source: Arc<dyn ReadAt>,
        /// In bytes from the start of `source`.
        offset: u64,
        /// In bytes.
        len: u64,
    },
    /// Bytes held in memory: what an inode holds inline, or what we made.
    Bytes(Arc<[u8]>),
}

impl Piece {
    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Hole { len } | Self::Range { len, .. } => *len,
            Self::Bytes(bytes) => ReadAt::len(&**bytes),
        }
    }

    /// Whether it holds no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The bytes of a file, by where they lie. Cloning copies no bytes.
///
/// The pieces stand in the file's order and leave no gap; the length is their sum.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Each piece with the file offset at which it begins.
    pieces: Arc<[(u64, Piece)]>,
    len: u64,
}

impl Content {
    /// A file of these pieces; empty ones are left out.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](crate::Kind::Limit) where the lengths add up to more than 2^63 - 1 bytes, which no file system holds.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Result<Self> {
        let mut len: u64 = 0;
        let mut placed = Vec::new();
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            let start = len;
            len = len
                .checked_add(piece.len())
                .filter(|len| i64::try_from(*len).is_ok())
                .ok_or_else(|| {
                    Error::limit(
                        "putting a file together",
                        "its length is over 2^63 - 1 bytes",
                    )
                })?;
            placed.push((start, piece));
        }
        Ok(Self {
            pieces: placed.into(),
            len,
        })
    }

    /// A file whose bytes are held in memory.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into();
        let len = ReadAt::len(&*bytes);
        let pieces: Arc<[_]> = if len == 0 {
            Arc::default()
        } else {
            Arc::from([(0, Piece::Bytes(bytes))])
        };
        Self { pieces, len }
    }

    /// A file whose bytes are all of `source`.
    #[must_use]
    pub fn from_source(source: Arc<dyn ReadAt>) -> Self {
        let len = source.len();
        Self {
            pieces: Arc::from([(
                0,
                Piece::Range {
                    source,
                    offset: 0,
                    len,
                },
            )]),
            len,
        }
    }

    /// The pieces in the file's order.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().map(|(_, piece)| piece)
    }

    /// All the bytes, for files that are small by their nature.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](crate::Kind::Limit) where the file is longer than `limit` bytes; what reading answers.
    pub fn read_all(&self, limit: usize) -> Result<Vec<u8>> {
        crate::read_vec(self, 0, self.len, limit, "reading a whole file")
    }

    /// The index of the piece that holds `offset`, which is under the length.
    fn index_of(&self, offset: u64) -> usize {
        self.pieces
            .partition_point(|(start, _)| *start <= offset)
            .saturating_sub(1)
    }
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.len, offset, buf.len(), "reading a file's content")?;
        let mut rest = buf;
        let mut position = offset;
        for (start, piece) in self.pieces.iter().skip(self.index_of(offset)) {
            if rest.is_empty() {
                break;
            }
            let inside = position.saturating_sub(*start);
            let available = piece.len().saturating_sub(inside);
            let take = usize::try_from(available)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (now, later) = rest.split_at_mut(take);
            match piece {
                Piece::Hole { .. } => now.fill(0),
                Piece::Range { source, offset, .. } => {
                    source.read_exact_at(now, offset.saturating_add(inside))?;
                }
                Piece::Bytes(bytes) => bytes.read_exact_at(now, inside)?,
            }
            position = position.saturating_add(ReadAt::len(&*now));
            rest = later;
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        if offset >= self.len {
            return Ok(None);
        }
        for (start, piece) in self.pieces.iter().skip(self.index_of(offset)) {
            let end = start.saturating_add(piece.len());
            let from = offset.max(*start);
            match piece {
                Piece::Hole { .. } => {}
                Piece::Bytes(_) => return Ok(Some(from..end)),
                Piece::Range {
                    source,
                    offset: base,
                    len,
                } => {
                    let inside = base.saturating_add(from.saturating_sub(*start));
                    let limit = base.saturating_add(*len);
                    // What lies past the end of the source is no hole: reading it has to say so.
                    let past_end = inside.max(source.len())..u64::MAX;
                    let found = source.next_data(inside)?.unwrap_or(past_end);
                    if found.start < limit {
                        let to_file = |at: u64| start.saturating_add(at.saturating_sub(*base));
                        return Ok(Some(to_file(found.start)..to_file(found.end.min(limit))));
                    }
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Content {
        let source: Arc<dyn ReadAt> = Arc::new(b"0123456789".to_vec());
        Content::new([
            Piece::Bytes(Arc::from(*b"ab")),
            Piece::Hole { len: 3 },
            Piece::Range {
                source,
                offset: 4,
                len: 2,
            },
        ])
        .unwrap()
    }

    #[test]
    fn every_range_reads_as_the_pieces_say() {
        let content = sample();
        let whole = b"ab\0\0\x0045";
        assert_eq!(content.read_all(100).unwrap(), whole);
        for start in 0..=whole.len() {
            for end in start..=whole.len() {
                let mut buf = vec![0xff; end - start];
                content.read_exact_at(&mut buf, start as u64).unwrap();
                assert_eq!(buf, whole[start..end]);
            }
        }
    }

    #[test]
    fn reading_past_the_end_is_refused_with_its_place() {
        let error = sample().read_exact_at(&mut [0; 4], 4).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Corrupt);
        assert_eq!(error.place().offset, Some(4));
    }

    #[test]
    fn what_a_source_is_too_short_for_is_no_hole() {
        let source: Arc<dyn ReadAt> = Arc::new(b"0123".to_vec());
        let range = |offset, len| Piece::Range {
            source: Arc::clone(&source),
            offset,
            len,
        };
        let content = Content::new([Piece::Hole { len: 2 }, range(8, 3)]).unwrap();
        assert_eq!(content.next_data(0).unwrap(), Some(2..5));
        let content = Content::new([range(2, 5)]).unwrap();
        assert_eq!(content.next_data(0).unwrap(), Some(0..2));
        assert_eq!(content.next_data(2).unwrap(), Some(2..5));
        assert!(content.read_exact_at(&mut [0; 3], 2).is_err());
    }

    #[test]
    fn holes_are_not_data() {
        let content = sample();
        assert_eq!(content.next_data(0).unwrap(), Some(0..2));
        assert_eq!(content.next_data(2).unwrap(), Some(5..7));
        assert_eq!(content.next_data(7).unwrap(), None);
    }
}
