//! A medium's bytes in order on their way to a digest. What may change on a good medium counts as something fixed.

use std::ops::Range;

use crate::digest::{Algorithm, Digest, Hasher};
use crate::{FIELD_AT, FIELD_LEN};

/// Bytes that count as others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blank {
    pub(crate) range: Range<u64>,
    pub(crate) fill: u8,
}

impl Blank {
    /// The field itself.
    pub(crate) fn field() -> Self {
        let len = u64::try_from(FIELD_LEN).unwrap_or(0);
        Self {
            range: FIELD_AT..FIELD_AT.saturating_add(len),
            fill: b' ',
        }
    }

    /// The first sector of a disk, with its partition table.
    pub(crate) fn boot_sector() -> Self {
        Self {
            range: 0..512,
            fill: 0,
        }
    }
}

/// The digest of a range of the medium.
#[derive(Debug)]
pub(crate) struct Stream {
    hasher: Hasher,
    range: Range<u64>,
    /// In order, none over another.
    blanks: Vec<Blank>,
    at: u64,
}

impl Stream {
    pub(crate) fn new(algorithm: Algorithm, range: Range<u64>, mut blanks: Vec<Blank>) -> Self {
        blanks.sort_by_key(|blank| blank.range.start);
        Self {
            hasher: algorithm.hasher(),
            range,
            blanks,
            at: 0,
        }
    }

    /// The next bytes of the medium.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let start = self.at;
        let end = start.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.at = end;
        let mut at = start.max(self.range.start);
        let end = end.min(self.range.end);
        while at < end {
            let blank = self.blanks.iter().find(|blank| blank.range.end > at);
            let (stop, fill) = match blank {
                Some(blank) if blank.range.start <= at => (blank.range.end, Some(blank.fill)),
                Some(blank) => (blank.range.start, None),
                None => (end, None),
            };
            let stop = stop.min(end);
            match fill {
                None => {
                    let inside =
                        |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
                    let part = bytes.get(inside(at)..inside(stop));
                    self.hasher.update(part.unwrap_or_default());
                }
                Some(fill) => self.repeat(fill, stop.saturating_sub(at)),
            }
            at = stop;
        }
    }

    /// As many bytes of this value, which are not the medium's.
    pub(crate) fn repeat(&mut self, fill: u8, mut len: u64) {
        let some = [fill; 2048];
        while len > 0 {
            let part = usize::try_from(len).unwrap_or(some.len()).min(some.len());
            self.hasher.update(some.get(..part).unwrap_or_default());
            len = len.saturating_sub(u64::try_from(part).unwrap_or(u64::MAX));
        }
    }

    /// The digest of what came so far.
    pub(crate) fn so_far(&self) -> Digest {
        self.hasher.copy().finish()
    }

    pub(crate) fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(bytes: &[u8]) -> Digest {
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn pieces_of_any_length_give_the_digest_of_the_range_with_its_blanks() {
        let bytes: Vec<u8> = (0..100_000u32).map(|at| (at / 3) as u8).collect();
        let mut wanted = bytes.clone();
        wanted[..512].fill(0);
        wanted[FIELD_AT as usize..FIELD_AT as usize + FIELD_LEN].fill(b' ');
        wanted[70_000..73_000].fill(7);
        for range in [
            0..100_000,
            100..90_000,
            33_000..34_000,
            33_651..33_652,
            71_000..72_000,
            5..5,
        ] {
            let expected = digest_of(&wanted[range.start..range.end]);
            for step in [1, 511, 2048, 40_000, 100_000] {
                let blanks = vec![
                    Blank {
                        range: 70_000..73_000,
                        fill: 7,
                    },
                    Blank::field(),
                    Blank::boot_sector(),
                ];
                let range = range.start as u64..range.end as u64;
                let mut stream = Stream::new(Algorithm::Sha256, range.clone(), blanks);
                bytes.chunks(step).for_each(|piece| stream.update(piece));
                assert_eq!(stream.so_far(), expected, "{range:?} in pieces of {step}");
                assert_eq!(stream.finish(), expected);
            }
        }
    }

    #[test]
    fn bytes_that_are_not_the_mediums_come_after_them() {
        let mut stream = Stream::new(Algorithm::Sha256, 0..3, Vec::new());
        stream.update(b"abcdef");
        stream.repeat(0, 5000);
        let mut wanted = b"abc".to_vec();
        wanted.resize(5003, 0);
        assert_eq!(stream.finish(), digest_of(&wanted));
    }
}
