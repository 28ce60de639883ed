//! A medium's bytes against what is implanted, and what is implanted from a medium's bytes.

use std::ops::Range;

use crate::field::{FRAGMENT_DIGITS, FRAGMENTS, SKIPPED};
use crate::stream::{Blank, Stream};
use crate::{
    Algorithm, Digest, Error, Fragments, Implanted, Isomd5sum, Mismatch, Partition, SECTOR, Style,
    Tagmedia,
};

/// What isomd5sum reads at once: a sum is taken at the end of the first piece that begins in the next fragment.
const PIECE: u64 = 16 * SECTOR;

/// How a check ended that found nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// All that is covered is what was written.
    Whole,
    /// The partition is; outside of it something was written later, as a partition table is when a partition is added.
    PartitionOnly,
}

/// The bytes of a medium on their way through one program's digests.
#[derive(Debug)]
struct Run {
    style: Style,
    whole: Stream,
    covered: u64,
    /// How many zeros come after what is covered.
    padded: u64,
    part: Option<(Stream, Range<u64>)>,
    /// How long a fragment is, and how many digits its sum has.
    fragment: Option<(u64, usize)>,
    /// The sums so far, each with the first byte that it does not cover.
    sums: Vec<(u64, String)>,
    at: u64,
}

impl Run {
    fn isomd5sum(volume_len: u64, skipped: u64, fragments: Option<u64>) -> Self {
        let covered = volume_len.saturating_sub(skipped.saturating_mul(SECTOR));
        let fragment = fragments.and_then(|count| {
            let len = covered.checked_div(count.saturating_add(1))?;
            let digits = FRAGMENT_DIGITS.checked_div(count)?;
            Some((len, usize::try_from(digits).ok()?))
        });
        Self {
            style: Style::Isomd5sum,
            whole: Stream::new(Algorithm::Md5, 0..covered, vec![Blank::field()]),
            covered,
            padded: 0,
            part: None,
            // isomd5sum itself cannot count shorter ones.
            fragment: fragment.filter(|(len, _)| *len >= PIECE),
            sums: Vec::new(),
            at: 0,
        }
    }

    fn tagmedia(
        volume_len: u64,
        pad: u64,
        signature: Option<Blank>,
        algorithm: Algorithm,
        part: Option<(Algorithm, Range<u64>)>,
    ) -> Self {
        let padded = pad.saturating_mul(SECTOR);
        let covered = volume_len.saturating_sub(padded);
        let mut blanks = vec![Blank::boot_sector(), Blank::field()];
        blanks.extend(signature);
        let part = part.map(|(algorithm, range)| {
            (Stream::new(algorithm, range.clone(), blanks.clone()), range)
        });
        Self {
            style: Style::Tagmedia,
            whole: Stream::new(algorithm, 0..covered, blanks),
            covered,
            padded,
            part,
            fragment: None,
            sums: Vec::new(),
            at: 0,
        }
    }

    /// How many bytes from the start it takes.
    fn len(&self) -> u64 {
        let part = self.part.as_ref().map_or(0, |(_, range)| range.end);
        self.covered.max(part)
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = PIECE.saturating_sub(self.at.checked_rem(PIECE).unwrap_or(0));
            let room = usize::try_from(room).unwrap_or(bytes.len());
            let (now, later) = bytes.split_at(match self.fragment {
                Some(_) => room.min(bytes.len()),
                None => bytes.len(),
            });
            self.whole.update(now);
            if let Some((part, _)) = &mut self.part {
                part.update(now);
            }
            let len = u64::try_from(now.len()).unwrap_or(u64::MAX);
            self.at = self.at.saturating_add(len);
            self.take_sum();
            bytes = later;
        }
    }

    /// Takes a sum where a piece has ended that began in a new fragment.
    fn take_sum(&mut self) {
        let Some((len, digits)) = self.fragment else {
            return;
        };
        let end = self.at.min(self.covered);
        let begun = end.saturating_sub(1).checked_div(PIECE).unwrap_or(0);
        let begun = begun.saturating_mul(PIECE);
        let is_end = self.at.checked_rem(PIECE) == Some(0) || self.at == self.covered;
        let fragment = begun.checked_div(len).unwrap_or(0);
        let known = u64::try_from(self.sums.len()).unwrap_or(u64::MAX);
        if !is_end || fragment <= known || self.at > self.covered.next_multiple_of(PIECE) {
            return;
        }
        let digest = self.whole.so_far();
        let digit = |byte: &u8| {
            let digits = format!("{byte:x}");
            digits.chars().next()
        };
        let sum = digest.bytes().iter().take(digits).filter_map(digit);
        self.sums.push((end, sum.collect()));
    }

    fn finish(mut self) -> Finished {
        self.whole.repeat(0, self.padded);
        Finished {
            whole: self.whole.finish(),
            part: self.part.map(|(part, _)| part.finish()),
            sums: self.sums,
        }
    }
}

/// What came of a [`Run`].
struct Finished {
    whole: Digest,
    part: Option<Digest>,
    sums: Vec<(u64, String)>,
}

/// A check on its way.
#[derive(Debug)]
pub struct Check {
    run: Run,
    digest: Digest,
    part: Option<Digest>,
    sums: String,
    /// How many sums are compared, and up to where all is well.
    compared: usize,
    good: u64,
}

impl Check {
    /// Every check that these checksums allow, the strongest digest first.
    #[must_use]
    pub fn all(implanted: &Implanted) -> Vec<Self> {
        let mut checks = Vec::new();
        if let Some(tags) = &implanted.tagmedia {
            let part = tags.partition.as_ref();
            let run = Run::tagmedia(
                implanted.volume_len,
                tags.pad,
                tags.signature_blank(),
                tags.digest.algorithm(),
                part.map(|part| (part.digest.algorithm(), part.range())),
            );
            checks.push(Self::new(
                run,
                tags.digest.clone(),
                part.map(|part| part.digest.clone()),
                "",
            ));
        }
        if let Some(md5) = &implanted.isomd5sum {
            let fragments = md5.fragments.as_ref();
            let count = fragments.map(|fragments| fragments.count);
            let run = Run::isomd5sum(implanted.volume_len, md5.skipped, count);
            let sums = fragments.map_or("", |fragments| fragments.sums.as_str());
            checks.push(Self::new(run, md5.digest.clone(), None, sums));
        }
        checks.sort_by_key(|check| std::cmp::Reverse(check.digest.algorithm()));
        checks
    }

    fn new(run: Run, digest: Digest, part: Option<Digest>, sums: &str) -> Self {
        Self {
            run,
            digest,
            part,
            sums: sums.to_owned(),
            compared: 0,
            good: 0,
        }
    }

    /// Whose checksum it is.
    #[must_use]
    pub fn style(&self) -> Style {
        self.run.style
    }

    /// By which algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.digest.algorithm()
    }

    /// How many bytes from the start of the medium it takes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.run.len()
    }

    /// Whether it takes none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next bytes of the medium, from its start on.
    ///
    /// # Errors
    ///
    /// As soon as a fragment is not what was written.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.run.update(bytes);
        while let Some((end, sum)) = self.run.sums.get(self.compared) {
            let from = self.compared.saturating_mul(sum.len());
            let wanted = self.sums.get(from..from.saturating_add(sum.len()));
            if wanted.is_some_and(|wanted| wanted != sum) {
                return Err(Mismatch {
                    within: self.good..*end,
                });
            }
            self.good = *end;
            self.compared = self.compared.saturating_add(1);
        }
        Ok(())
    }

    /// What it came to, after [`len`](Self::len) bytes.
    ///
    /// # Errors
    ///
    /// Where the digest is another one.
    pub fn finish(self) -> Result<Passed, Mismatch> {
        let within = self.good..self.run.covered;
        let finished = self.run.finish();
        if finished.whole == self.digest {
            return Ok(Passed::Whole);
        }
        match (finished.part, self.part) {
            (Some(now), Some(wanted)) if now == wanted => Ok(Passed::PartitionOnly),
            _ => Err(Mismatch { within }),
        }
    }
}

/// Which checksums to implant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Styles {
    /// None.
    #[default]
    None,
    /// isomd5sum's, with its fragment sums.
    Isomd5sum,
    /// checkmedia's, a SHA-256.
    Tagmedia,
    /// Both; isomd5sum's without fragment sums.
    Both,
}

/// One program's checksums on their way. Several can be made at the same time, each by a thread of its own.
#[derive(Debug)]
pub struct Making {
    run: Run,
    implanted: Implanted,
}

impl Making {
    /// What makes these styles of a volume of so many bytes; `partition` is its last one, as first sector of 512 bytes and how many,
    /// if it has any.
    #[must_use]
    pub fn new(styles: Styles, volume_len: u64, partition: Option<(u64, u64)>) -> Vec<Self> {
        let empty = |algorithm: Algorithm| algorithm.hasher().finish();
        let md5 = |fragments: Option<u64>| Implanted {
            volume_len,
            isomd5sum: Some(Isomd5sum {
                digest: empty(Algorithm::Md5),
                skipped: SKIPPED,
                fragments: fragments.map(|count| Fragments {
                    count,
                    sums: String::new(),
                }),
            }),
            tagmedia: None,
        };
        let tags = || Implanted {
            volume_len,
            isomd5sum: None,
            tagmedia: Some(Tagmedia {
                digest: empty(Algorithm::Sha256),
                pad: 0,
                partition: partition.map(|(first, sectors)| Partition {
                    first,
                    sectors,
                    digest: empty(Algorithm::Sha256),
                }),
                signature: None,
            }),
        };
        let parts = match styles {
            Styles::None => vec![],
            Styles::Isomd5sum => vec![md5(Some(FRAGMENTS))],
            Styles::Tagmedia => vec![tags()],
            Styles::Both => vec![md5(None), tags()],
        };
        parts.into_iter().map(Self::of).collect()
    }

    /// What makes the same checksums again of a medium that was changed.
    #[must_use]
    pub fn again(implanted: &Implanted) -> Vec<Self> {
        let isomd5sum = implanted.isomd5sum.is_some().then(|| Implanted {
            tagmedia: None,
            ..implanted.clone()
        });
        let tagmedia = implanted.tagmedia.is_some().then(|| Implanted {
            isomd5sum: None,
            ..implanted.clone()
        });
        isomd5sum
            .into_iter()
            .chain(tagmedia)
            .map(Self::of)
            .collect()
    }

    /// `implanted` has one style, with values that do not count.
    fn of(implanted: Implanted) -> Self {
        let len = implanted.volume_len;
        let run = match (&implanted.isomd5sum, &implanted.tagmedia) {
            (_, Some(tags)) => Run::tagmedia(
                len,
                tags.pad,
                tags.signature_blank(),
                tags.digest.algorithm(),
                tags.partition
                    .as_ref()
                    .map(|part| (part.digest.algorithm(), part.range())),
            ),
            (md5, None) => {
                let fragments = md5.as_ref().and_then(|md5| md5.fragments.as_ref());
                let skipped = md5.as_ref().map_or(SKIPPED, |md5| md5.skipped);
                Run::isomd5sum(len, skipped, fragments.map(|fragments| fragments.count))
            }
        };
        Self { run, implanted }
    }

    /// How many bytes from the start of the medium it takes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.run.len()
    }

    /// Whether it takes none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next bytes of the medium, from its start on.
    pub fn update(&mut self, bytes: &[u8]) {
        self.run.update(bytes);
    }

    /// What all of them came to together, as a field's value.
    ///
    /// # Errors
    ///
    /// Where the volume is shorter than what isomd5sum leaves out at its end.
    pub fn finish(all: Vec<Self>) -> Result<Option<Implanted>, Error> {
        let mut sum: Option<Implanted> = None;
        for one in all {
            let mut implanted = one.implanted;
            if one.run.covered == 0 {
                return Err(Error::new(format!(
                    "a volume of {} bytes is too short",
                    implanted.volume_len
                )));
            }
            let finished = one.run.finish();
            if let Some(md5) = &mut implanted.isomd5sum {
                md5.digest = finished.whole.clone();
                let sums: String = finished.sums.into_iter().map(|(_, sum)| sum).collect();
                // A volume that is too short for fragments has none.
                let is_whole = u64::try_from(sums.len()) == Ok(FRAGMENT_DIGITS);
                md5.fragments = md5
                    .fragments
                    .take()
                    .filter(|_| is_whole)
                    .map(|fragments| Fragments { sums, ..fragments });
            }
            if let Some(tags) = &mut implanted.tagmedia {
                tags.digest = finished.whole;
                if let Some((part, digest)) = tags.partition.as_mut().zip(finished.part) {
                    part.digest = digest;
                }
            }
            match &mut sum {
                None => sum = Some(implanted),
                Some(sum) => {
                    sum.isomd5sum = sum.isomd5sum.take().or(implanted.isomd5sum);
                    sum.tagmedia = sum.tagmedia.take().or(implanted.tagmedia);
                }
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DESCRIPTOR_AT, DESCRIPTOR_LEN, FIELD_AT, FIELD_LEN};

    const STYLES: [Styles; 3] = [Styles::Isomd5sum, Styles::Tagmedia, Styles::Both];
    /// Where the partition of the medium begins and how many sectors of 512 bytes it has.
    const PART: (u64, u64) = (400, 3000);

    /// A volume of so many sectors.
    fn volume(sectors: u32) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..sectors * 2048).map(|at| (at / 77) as u8).collect();
        let at = DESCRIPTOR_AT as usize;
        bytes[at..at + 7].copy_from_slice(b"\x01CD001\x01");
        bytes[at + 80..at + 84].copy_from_slice(&sectors.to_le_bytes());
        bytes[at + 84..at + 88].copy_from_slice(&sectors.to_be_bytes());
        bytes[FIELD_AT as usize..FIELD_AT as usize + FIELD_LEN].fill(b' ');
        bytes
    }

    fn implanted(bytes: &[u8]) -> Implanted {
        let descriptor = &bytes[DESCRIPTOR_AT as usize..][..DESCRIPTOR_LEN];
        Implanted::read(descriptor.try_into().unwrap())
            .unwrap()
            .unwrap()
    }

    fn implant(bytes: &mut [u8], mut making: Vec<Making>) -> Implanted {
        for one in &mut making {
            let len = one.len() as usize;
            bytes[..len]
                .chunks(10_007)
                .for_each(|piece| one.update(piece));
        }
        let made = Making::finish(making).unwrap().unwrap();
        bytes[FIELD_AT as usize..][..FIELD_LEN].copy_from_slice(&made.print().unwrap());
        made
    }

    fn medium(styles: Styles) -> Vec<u8> {
        let mut bytes = volume(1000);
        let made = implant(&mut bytes, Making::new(styles, 2_048_000, Some(PART)));
        assert_eq!(implanted(&bytes), made);
        bytes
    }

    fn run(mut check: Check, bytes: &[u8]) -> Result<Passed, Mismatch> {
        for piece in bytes[..check.len() as usize].chunks(50_000) {
            check.update(piece)?;
        }
        check.finish()
    }

    #[test]
    fn what_was_implanted_passes() {
        for styles in STYLES {
            let bytes = medium(styles);
            let checks = Check::all(&implanted(&bytes));
            assert_eq!(checks.len(), 1 + usize::from(styles == Styles::Both));
            for check in checks {
                assert_eq!(run(check, &bytes), Ok(Passed::Whole), "{styles:?}");
            }
        }
        let both = Check::all(&implanted(&medium(Styles::Both)));
        assert_eq!(both[0].style(), Style::Tagmedia, "the strongest is first");
    }

    #[test]
    fn one_changed_byte_is_found_by_each() {
        // In the descriptor but not its field, in front of the partition, in it, and the last one that isomd5sum covers.
        for at in [32768 + 40, 100_000, 500_000, 985 * 2048 - 1] {
            for styles in STYLES {
                let mut bytes = medium(styles);
                bytes[at] ^= 1;
                for check in Check::all(&implanted(&bytes)) {
                    let style = check.style();
                    let result = run(check, &bytes);
                    let outside = !(PART.0 * 512..(PART.0 + PART.1) * 512).contains(&(at as u64));
                    match style {
                        Style::Tagmedia if outside => assert_eq!(result, Ok(Passed::PartitionOnly)),
                        _ => {
                            let within = result.unwrap_err().within;
                            assert!(within.contains(&(at as u64)), "{at} {style} {within:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_bad_fragment_is_told_before_the_end() {
        let mut bytes = medium(Styles::Isomd5sum);
        bytes[150_000] ^= 1;
        let mut check = Check::all(&implanted(&bytes)).remove(0);
        let mismatch = bytes.chunks(2048).try_for_each(|piece| check.update(piece));
        let within = mismatch.unwrap_err().within;
        assert!(
            within.contains(&150_000) && within.end < 400_000,
            "{within:?}"
        );
    }

    #[test]
    fn what_is_blank_may_change() {
        let bytes = medium(Styles::Tagmedia);
        let mut changed = bytes.clone();
        changed[..512].fill(9);
        let check = Check::all(&implanted(&bytes)).remove(0);
        assert_eq!(run(check, &changed), Ok(Passed::Whole));
        // isomd5sum covers the first sector.
        let bytes = medium(Styles::Isomd5sum);
        let mut changed = bytes.clone();
        changed[..512].fill(9);
        assert!(run(Check::all(&implanted(&bytes)).remove(0), &changed).is_err());
    }

    #[test]
    fn a_changed_medium_gets_the_same_kinds_again() {
        for styles in STYLES {
            let original = medium(styles);
            let mut bytes = original.clone();
            bytes[700_000] ^= 1;
            let before = implanted(&bytes);
            implant(&mut bytes, Making::again(&before));
            for check in Check::all(&implanted(&bytes)) {
                assert_eq!(run(check, &bytes), Ok(Passed::Whole), "{styles:?}");
            }
            bytes[700_000] ^= 1;
            implant(&mut bytes, Making::again(&before));
            assert_eq!(bytes, original, "{styles:?}");
        }
    }

    #[test]
    fn a_volume_that_is_too_short_for_fragments_has_none() {
        let mut bytes = volume(300);
        let made = implant(&mut bytes, Making::new(Styles::Isomd5sum, 300 * 2048, None));
        assert_eq!(made.isomd5sum.unwrap().fragments, None);
        let check = Check::all(&implanted(&bytes)).remove(0);
        assert_eq!(run(check, &bytes), Ok(Passed::Whole));
        let making = Making::new(Styles::Isomd5sum, 15 * 2048, None);
        assert!(Making::finish(making).is_err());
        assert_eq!(Making::finish(Vec::new()).unwrap(), None);
    }
}
