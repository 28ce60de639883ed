//! The media check's table: one digest for each chunk of the medium, so that the check stops at the first bad place.
//!
//! ```text
//! liveos media check 2
//! algorithm blake3
//! chunk 1048576
//! covered 734003200
//! blank 0 32768
//! <64 hexadecimal digits, one line for each chunk>
//! ```
//!
//! Chunk `n` is the bytes from `n * chunk` on, of the medium itself and not of a file on it; the last one ends at `covered` and may be
//! short. Bytes of a blank (first byte, length) count as zeros: they change on a good medium. The table lies on the medium behind what
//! it covers ([`crate::media::CHECKSUMS`]). This module hashes nothing.
//!
//! Version 1 has no blanks; it is read and printed as it is.

use std::fmt::Write as _;

use crate::{Error, hex};

const WHAT: &str = "media check table";
const HEADER: &str = "liveos media check 2";
/// The first line of a table without blanks.
const HEADER_1: &str = "liveos media check 1";

/// What changes on a good medium of ours, as (first byte, length): the system area, where partition tables are, and the field of the
/// volume descriptor in which other programs implant their checksums. ECMA-119 6.2.1 and 8.4.32.
pub const BLANKS: [(u64, u64); 2] = [(0, 32768), (32768 + 883, 512)];

/// The most blanks of a table. More are refused.
pub const MAX_BLANKS: usize = 16;

/// The length of a digest in bytes.
pub const DIGEST_LEN: usize = 32;

/// The chunk that the builder uses, in bytes: a bad place is told to within 4 MiB, and a table for 8 GiB has 130 KiB.
pub const DEFAULT_CHUNK: u64 = 4 << 20;

/// The largest chunk that is read, in bytes, as a reader holds one in memory. Larger ones are refused.
pub const MAX_CHUNK: u64 = 64 << 20;

/// The longest table that is read, in bytes: over 4 TiB of media in the default chunks. Longer ones are refused.
pub const MAX_LEN: usize = 64 << 20;

/// How a chunk is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// BLAKE3 with its default 256-bit output and no key.
    Blake3,
}

/// The media check's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksums {
    /// How a chunk is hashed.
    pub algorithm: Algorithm,
    /// The length of every chunk but the last, in bytes: from 1 to [`MAX_CHUNK`].
    pub chunk: u64,
    /// How many bytes from the start of the medium are covered.
    pub covered: u64,
    /// What counts as zeros, as (first byte, length).
    pub blanks: Vec<(u64, u64)>,
    /// The digest of each chunk in the medium's order: `covered / chunk`, rounded up, of them.
    pub digests: Vec<[u8; DIGEST_LEN]>,
}

impl Checksums {
    /// Reads what [`print`](Self::print) wrote.
    ///
    /// # Errors
    ///
    /// Names the line where the header, a name or a number is not as above, the algorithm is unknown, the chunk is 0 or over
    /// [`MAX_CHUNK`], or a digest has not 64 hexadecimal digits; and where there are fewer or more digests than `covered` needs,
    /// or the text is longer than [`MAX_LEN`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LEN {
            let message = format!("{} bytes, and at most {MAX_LEN} are read", text.len());
            return Err(Error::whole(WHAT, message));
        }
        let mut lines = text.lines().enumerate().peekable();
        let mut next = || lines.next().map(|(_, line)| line);
        if !matches!(next(), Some(HEADER | HEADER_1)) {
            return Err(Error::line(WHAT, 0, format!("does not say {HEADER:?}")));
        }
        let algorithm = match field(next(), 1, "algorithm")? {
            "blake3" => Algorithm::Blake3,
            other => {
                return Err(Error::line(
                    WHAT,
                    1,
                    format!("the algorithm {other:?} is unknown"),
                ));
            }
        };
        let chunk = number(field(next(), 2, "chunk")?, 2)?;
        if chunk == 0 || chunk > MAX_CHUNK {
            return Err(Error::line(
                WHAT,
                2,
                format!("a chunk has 1 to {MAX_CHUNK} bytes"),
            ));
        }
        let covered = number(field(next(), 3, "covered")?, 3)?;
        let mut blanks = Vec::new();
        while let Some((index, line)) = lines.next_if(|(_, line)| line.starts_with("blank ")) {
            blanks.push(blank(line, index)?);
        }
        // Version 1 is what has none; one text is one value.
        if blanks.len() > MAX_BLANKS || text.starts_with(HEADER_1) != blanks.is_empty() {
            let message = format!("{} blanks in this version", blanks.len());
            return Err(Error::whole(WHAT, message));
        }
        let digests = lines
            .map(|(index, line)| {
                let message = "a digest has 64 hexadecimal digits";
                digest(line).ok_or_else(|| Error::line(WHAT, index, message))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let needed = covered.div_ceil(chunk);
        if u64::try_from(digests.len()) != Ok(needed) {
            let message = format!(
                "{} digests, and {covered} bytes need {needed}",
                digests.len()
            );
            return Err(Error::whole(WHAT, message));
        }
        Ok(Self {
            algorithm,
            chunk,
            covered,
            blanks,
            digests,
        })
    }

    /// The table as text, which [`parse`](Self::parse) reads back to an equal value.
    ///
    /// Its length in bytes follows from `chunk`, `covered` and the blanks alone, so that a writer can reserve the place before it has the digests.
    #[must_use]
    pub fn print(&self) -> String {
        let Algorithm::Blake3 = self.algorithm;
        let header = if self.blanks.is_empty() {
            HEADER_1
        } else {
            HEADER
        };
        let mut text = format!(
            "{header}\nalgorithm blake3\nchunk {}\ncovered {}\n",
            self.chunk, self.covered
        );
        // Writing to a string cannot fail.
        for (start, len) in &self.blanks {
            let _ = writeln!(text, "blank {start} {len}");
        }
        for digest in &self.digests {
            text.push_str(&hex::print(digest));
            text.push('\n');
        }
        text
    }

    /// Each chunk as (offset and length in bytes, digest), in the medium's order.
    pub fn chunks(&self) -> impl Iterator<Item = (u64, u64, &[u8; DIGEST_LEN])> {
        let (chunk, covered) = (self.chunk, self.covered);
        self.digests.iter().zip(0u64..).map(move |(digest, index)| {
            let offset = index.saturating_mul(chunk);
            (offset, covered.saturating_sub(offset).min(chunk), digest)
        })
    }
}

/// Makes zeros of the bytes of `chunk`, which lies at `offset` of the medium, that are in a blank.
pub fn blank_out(blanks: &[(u64, u64)], chunk: &mut [u8], offset: u64) {
    let place = |at: u64| {
        let inside = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
        inside.min(chunk.len())
    };
    let ranges: Vec<_> = blanks
        .iter()
        .map(|(start, len)| place(*start)..place(start.saturating_add(*len)))
        .collect();
    for range in ranges {
        chunk.get_mut(range).unwrap_or_default().fill(0);
    }
}

/// `blank <first byte> <length>`.
fn blank(line: &str, index: usize) -> Result<(u64, u64), Error> {
    let wrong = || Error::line(WHAT, index, "a blank is its first byte and its length");
    let (start, len) = field(Some(line), index, "blank")?
        .split_once(' ')
        .ok_or_else(wrong)?;
    let (start, len) = (number(start, index)?, number(len, index)?);
    if len == 0 || start.checked_add(len).is_none() {
        return Err(wrong());
    }
    Ok((start, len))
}

fn field<'a>(line: Option<&'a str>, index: usize, name: &str) -> Result<&'a str, Error> {
    line.and_then(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .ok_or_else(|| Error::line(WHAT, index, format!("does not say {name}")))
}

fn number(value: &str, index: usize) -> Result<u64, Error> {
    value
        .parse()
        .ok()
        .filter(|_| value.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| Error::line(WHAT, index, format!("{value:?} is not a number of bytes")))
}

fn digest(line: &str) -> Option<[u8; DIGEST_LEN]> {
    hex::parse(line)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table() -> Checksums {
        Checksums {
            algorithm: Algorithm::Blake3,
            chunk: 1000,
            covered: 2500,
            blanks: vec![(0, 20), (700, 512)],
            digests: vec![[0; 32], [0xab; 32], [0xff; 32]],
        }
    }

    #[test]
    fn what_is_printed_reads_back_equal() {
        assert_eq!(Checksums::parse(&table().print()).unwrap(), table());
        let mut first_version = table();
        first_version.blanks.clear();
        let text = first_version.print();
        assert!(text.starts_with("liveos media check 1\n"));
        assert_eq!(Checksums::parse(&text).unwrap(), first_version);
    }

    #[test]
    fn blanks_are_zeros_in_whichever_chunk_they_lie() {
        let bytes = [7; 2500];
        let mut whole = bytes;
        blank_out(&table().blanks, &mut whole, 0);
        let mut expected = bytes;
        expected[..20].fill(0);
        expected[700..1212].fill(0);
        assert_eq!(whole, expected);
        let mut pieces = bytes;
        for (index, piece) in pieces.chunks_mut(1000).enumerate() {
            blank_out(&table().blanks, piece, index as u64 * 1000);
        }
        assert_eq!(pieces, expected);
        blank_out(&[(u64::MAX, 1), (5, u64::MAX)], &mut pieces, 2495);
        assert!(pieces.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_chunks_cover_the_medium_without_a_gap() {
        let chunks: Vec<_> = table().chunks().map(|(at, len, _)| (at, len)).collect();
        assert_eq!(chunks, [(0, 1000), (1000, 1000), (2000, 500)]);
    }

    #[test]
    fn damaged_tables_are_refused() {
        let good = table().print();
        let zeros = "0".repeat(64);
        for (from, to) in [
            ("check 2", "check 3"),
            ("check 2", "check 1"),
            ("blank 0 20\nblank 700 512\n", ""),
            ("blank 0 20", "blank 0"),
            ("blank 0 20", "blank 0 0"),
            ("blank 0 20", "blank 1 18446744073709551615"),
            ("blank 0 20", "blank  0 20"),
            ("blake3", "md5"),
            ("chunk 1000", "chunk 0"),
            ("chunk 1000", "chunk +1000"),
            ("chunk 1000", "chunk 67108865"),
            ("chunk 1000", "chunk 1001x"),
            ("covered 2500", "covered 3001"),
            ("covered 2500", "covered 2000"),
            ("covered 2500", "covered 99999999999999999999"),
            ("covered 2500", "coverd 2500"),
            ("abab", "abxb"),
            ("abab", "aba"),
            (&zeros, ""),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(Checksums::parse(&bad).is_err(), "{from} -> {to}");
        }
        for cut in 0..good.len() - 1 {
            assert!(Checksums::parse(&good[..cut]).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_an_error(tail in "(algorithm blake3\n|chunk [0-9]{1,20}\n|covered [0-9]{1,20}\n|blank [0-9]{1,20} [0-9]{1,20}\n|[0-9a-f]{60,66}\n){0,6}") {
            if let Ok(table) = Checksums::parse(&format!("{HEADER}\n{tail}")) {
                prop_assert_eq!(table.chunks().map(|(_, len, _)| len).sum::<u64>(), table.covered);
            }
        }
    }

    #[test]
    fn the_length_does_not_depend_on_the_digests() {
        let mut other = table();
        other.digests = vec![[7; 32]; 3];
        assert_eq!(other.print().len(), table().print().len());
    }
}
