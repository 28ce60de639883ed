//! The text of the field: words separated by semicolons, padded with blanks.
//!
//! ```text
//! ISO MD5SUM = <32 digits>;SKIPSECTORS = 15;RHLISOSTATUS=0;FRAGMENT SUMS = <60 digits>;FRAGMENT COUNT = 20;THIS IS NOT THE SAME AS …
//! pad=0;sha256sum=<64 digits>;partition=<first>,<how many>,<64 digits>;signature=<first>
//! ```
//!
//! Read as checkmedia does: names without regard to case, blanks around names and values do not count.
//!
//! Sources: isomd5sum 1.2.5 (`utilities.c`, `libimplantisomd5.c`), checkmedia 6.6 (`mediacheck.c`, `tagmedia`).

use std::fmt::Write as _;
use std::ops::Range;

use crate::digest::Digest;
use crate::stream::Blank;
use crate::{Algorithm, DESCRIPTOR_LEN, DISK_SECTOR, Error, FIELD_LEN, SECTOR};

/// How many digits all fragment sums have together.
pub(crate) const FRAGMENT_DIGITS: u64 = 60;
/// How many fragments `implantisomd5` makes.
pub(crate) const FRAGMENTS: u64 = 20;
/// How many sectors `implantisomd5` leaves out at the end: drives had trouble to read the last ones of burned discs.
pub(crate) const SKIPPED: u64 = 15;
/// Where the field lies in the descriptor.
const FIELD: Range<usize> = 883..883 + FIELD_LEN;
/// The sentence at the end of what `implantisomd5` writes.
const NOT_THE_SAME: &str = "THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!";

/// What is implanted in a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Implanted {
    /// The length of the volume in bytes.
    pub volume_len: u64,
    /// What isomd5sum reads.
    pub isomd5sum: Option<Isomd5sum>,
    /// What checkmedia reads.
    pub tagmedia: Option<Tagmedia>,
}

/// isomd5sum's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isomd5sum {
    /// An MD5.
    pub digest: Digest,
    /// How many sectors of 2048 bytes at the end are not covered; fewer than the volume has.
    pub skipped: u64,
    /// Sums of the first parts.
    pub fragments: Option<Fragments>,
}

/// Sums of an ever longer part from the start on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragments {
    /// How many there are: a divisor of 60 from 4 on.
    pub count: u64,
    /// Each one's first hexadecimal digits, 60 in all.
    pub sums: String,
}

/// checkmedia's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagmedia {
    /// Of the volume.
    pub digest: Digest,
    /// How many sectors of 2048 bytes at the end count as zeros; fewer than the volume has.
    pub pad: u64,
    /// Of the last partition by itself, which stays right when a partition is added.
    pub partition: Option<Partition>,
    /// The first of the four disk sectors of a signature, which is not verified here; what is behind its first 64 bytes counts as zeros.
    pub signature: Option<u64>,
}

/// A partition and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its first sector of 512 bytes.
    pub first: u64,
    /// How many of them it has, at least one.
    pub sectors: u64,
    /// Of its bytes.
    pub digest: Digest,
}

impl Partition {
    /// Its bytes.
    pub(crate) fn range(&self) -> Range<u64> {
        let start = self.first.saturating_mul(DISK_SECTOR);
        start..start.saturating_add(self.sectors.saturating_mul(DISK_SECTOR))
    }
}

impl Tagmedia {
    /// What counts as zeros for the signature.
    pub(crate) fn signature_blank(&self) -> Option<Blank> {
        let at = self.signature?.checked_mul(DISK_SECTOR)?;
        Some(Blank {
            range: at.checked_add(64)?..at.checked_add(SECTOR)?,
            fill: 0,
        })
    }
}

impl Implanted {
    /// Reads a primary volume descriptor; `None` where it has no checksum of either program, or is none.
    ///
    /// # Errors
    ///
    /// Names what is there and cannot be: a digest that is none, or more left out than the volume has.
    pub fn read(descriptor: &[u8; DESCRIPTOR_LEN]) -> Result<Option<Self>, Error> {
        if !descriptor.starts_with(b"\x01CD001") {
            return Ok(None);
        }
        let field = descriptor.get(FIELD).unwrap_or_default();
        let size = descriptor.get(80..84).and_then(|size| size.try_into().ok());
        let sectors = u64::from(u32::from_le_bytes(size.unwrap_or_default()));
        let text = String::from_utf8_lossy(field);
        let words = Words::split(&text);
        let isomd5sum = words.isomd5sum(sectors)?;
        let tagmedia = words.tagmedia(sectors)?;
        Ok((isomd5sum.is_some() || tagmedia.is_some()).then_some(Self {
            volume_len: sectors.saturating_mul(SECTOR),
            isomd5sum,
            tagmedia,
        }))
    }

    /// Puts these values in the place of those of `before` into the field that those were read from; all else in it stays.
    ///
    /// Whether each was found there. Nothing is done where there is a signature, which signs the values.
    #[must_use]
    pub fn replace(&self, before: &Self, field: &mut [u8; FIELD_LEN]) -> bool {
        let values = |all: &Self| {
            let md5 = all.isomd5sum.iter();
            let sums = md5.flat_map(|md5| {
                let fragments = md5.fragments.as_ref();
                let sums = fragments.map(|fragments| fragments.sums.clone());
                [Some(md5.digest.to_string()), sums].into_iter().flatten()
            });
            let tags = all.tagmedia.iter().flat_map(|tags| {
                let part = tags.partition.as_ref().map(|part| part.digest.to_string());
                [Some(tags.digest.to_string()), part].into_iter().flatten()
            });
            sums.chain(tags).collect::<Vec<_>>()
        };
        let is_signed = before
            .tagmedia
            .as_ref()
            .is_some_and(|tags| tags.signature.is_some());
        let (old, new) = (values(before), values(self));
        let mut done = *field;
        let all = old.iter().zip(&new).all(|(old, new)| {
            let at = done
                .windows(old.len())
                .position(|text| text.eq_ignore_ascii_case(old.as_bytes()));
            let place = at.and_then(|at| done.get_mut(at..at.checked_add(new.len())?));
            place.is_some_and(|place| {
                place.copy_from_slice(new.as_bytes());
                true
            })
        });
        let is_done = all && !is_signed && old.len() == new.len();
        if is_done {
            *field = done;
        }
        is_done
    }

    /// The field with these words.
    ///
    /// # Errors
    ///
    /// Where they do not fit in it.
    pub fn print(&self) -> Result<[u8; FIELD_LEN], Error> {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if let Some(md5) = &self.isomd5sum {
            let _ = write!(
                text,
                "ISO MD5SUM = {};SKIPSECTORS = {};RHLISOSTATUS=0;",
                md5.digest, md5.skipped
            );
            let _ = match &md5.fragments {
                Some(fragments) => write!(
                    text,
                    "FRAGMENT SUMS = {};FRAGMENT COUNT = {};",
                    fragments.sums, fragments.count
                ),
                // isomd5sum takes 20 where it is not told.
                None => write!(text, "FRAGMENT COUNT = 0;"),
            };
            text.push_str(NOT_THE_SAME);
        }
        if let Some(tags) = &self.tagmedia {
            if !text.is_empty() {
                text.push(';');
            }
            let name = tags.digest.algorithm().name();
            let _ = write!(text, "pad={};{name}sum={}", tags.pad, tags.digest);
            if let Some(part) = &tags.partition {
                let _ = write!(
                    text,
                    ";partition={},{},{}",
                    part.first, part.sectors, part.digest
                );
            }
            if let Some(signature) = tags.signature {
                let _ = write!(text, ";signature={signature}");
            }
        }
        let mut field = [b' '; FIELD_LEN];
        match field.get_mut(..text.len()) {
            Some(place) => place.copy_from_slice(text.as_bytes()),
            None => {
                let message = format!("{} characters, and the field holds {FIELD_LEN}", text.len());
                return Err(Error::new(message));
            }
        }
        Ok(field)
    }
}

/// The words of a field: names in upper case, with their values.
struct Words<'a>(Vec<(String, &'a str)>);

impl<'a> Words<'a> {
    fn split(text: &'a str) -> Self {
        let text = text.trim_end_matches([' ', '\0']);
        let word = |word: &'a str| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            (name.trim().to_ascii_uppercase(), value.trim())
        };
        Self(text.split(';').map(word).collect())
    }

    /// The last value of a name, as checkmedia takes it.
    fn last(&self, name: &str) -> Option<&'a str> {
        let mut words = self.0.iter().rev();
        words
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let value = self.last(name)?;
        value
            .parse()
            .ok()
            .filter(|_| value.bytes().all(|b| b.is_ascii_digit()))
    }

    fn digest(&self, name: &str, algorithm: Algorithm) -> Result<Option<Digest>, Error> {
        let Some(value) = self.last(name) else {
            return Ok(None);
        };
        Digest::parse(value)
            .filter(|digest| digest.algorithm() == algorithm)
            .map(Some)
            .ok_or_else(|| Error::new(format!("{name} = {value:?} is no {}", algorithm.name())))
    }

    fn isomd5sum(&self, sectors: u64) -> Result<Option<Isomd5sum>, Error> {
        let Some(digest) = self.digest("ISO MD5SUM", Algorithm::Md5)? else {
            return Ok(None);
        };
        // isomd5sum itself refuses a field without it.
        let skipped = self
            .number("SKIPSECTORS")
            .filter(|skipped| *skipped < sectors);
        let skipped = skipped.ok_or_else(|| {
            let value = self.last("SKIPSECTORS").unwrap_or_default();
            Error::new(format!(
                "SKIPSECTORS = {value:?} of a volume of {sectors} sectors"
            ))
        })?;
        // Sums that cannot be used are none: the digest itself says the same, later.
        let sums = self.last("FRAGMENT SUMS");
        let sums = sums.filter(|sums| u64::try_from(sums.len()) == Ok(FRAGMENT_DIGITS));
        let count = self.number("FRAGMENT COUNT").unwrap_or(FRAGMENTS);
        let is_usable = count >= 4 && FRAGMENT_DIGITS.checked_rem(count) == Some(0);
        let fragments = sums.filter(|_| is_usable).map(|sums| Fragments {
            count,
            sums: sums.to_ascii_lowercase(),
        });
        Ok(Some(Isomd5sum {
            digest,
            skipped,
            fragments,
        }))
    }

    fn tagmedia(&self, sectors: u64) -> Result<Option<Tagmedia>, Error> {
        let mut strongest = None;
        for algorithm in Algorithm::ALL {
            let name = format!("{}SUM", algorithm.name().to_ascii_uppercase());
            strongest = self.digest(&name, algorithm)?.or(strongest);
        }
        let Some(digest) = strongest else {
            return Ok(None);
        };
        let pad = match self.last("PAD") {
            None => 0,
            Some(value) => self
                .number("PAD")
                .filter(|pad| *pad < sectors)
                .ok_or_else(|| {
                    Error::new(format!("pad={value:?} of a volume of {sectors} sectors"))
                })?,
        };
        let partition = match self.last("PARTITION") {
            None => None,
            Some(value) => {
                let wrong = || Error::new(format!("partition={value:?} is none of this volume"));
                let end = sectors.saturating_mul(SECTOR);
                let partition = partition(value).filter(|part| part.range().end <= end);
                Some(partition.ok_or_else(wrong)?)
            }
        };
        Ok(Some(Tagmedia {
            digest,
            pad,
            partition,
            signature: self.number("SIGNATURE").filter(|sector| *sector > 0),
        }))
    }
}

/// `<first sector>,<how many>,<digest>`.
fn partition(value: &str) -> Option<Partition> {
    let mut parts = value.splitn(3, ',');
    let mut number = || parts.next()?.parse::<u32>().ok().map(u64::from);
    let (first, sectors) = (number()?, number().filter(|sectors| *sectors > 0)?);
    Some(Partition {
        first,
        sectors,
        digest: Digest::parse(parts.next()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A descriptor of 1000 sectors with this text.
    pub(crate) fn descriptor(text: &str) -> [u8; DESCRIPTOR_LEN] {
        let mut bytes = [0; DESCRIPTOR_LEN];
        bytes[..7].copy_from_slice(b"\x01CD001\x01");
        bytes[80..84].copy_from_slice(&1000u32.to_le_bytes());
        bytes[FIELD].fill(b' ');
        bytes[883..883 + text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    fn read(text: &str) -> Result<Option<Implanted>, Error> {
        Implanted::read(&descriptor(text))
    }

    const MD5: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn what_each_program_writes_is_read_and_printed_as_it_was() {
        let sums = "0123456789".repeat(6);
        let isomd5sum = format!(
            "ISO MD5SUM = {MD5};SKIPSECTORS = 15;RHLISOSTATUS=0;FRAGMENT SUMS = {sums};FRAGMENT COUNT = 20;\
             THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!"
        );
        let sha = MD5.repeat(2);
        let tagmedia = format!("pad=150;sha256sum={sha};partition=64,3000,{sha}");
        for text in [&isomd5sum, &tagmedia] {
            let implanted = read(text).unwrap().unwrap();
            assert_eq!(implanted.volume_len, 2_048_000);
            assert_eq!(implanted.print().unwrap(), descriptor(text)[FIELD]);
        }
        let both = Implanted {
            isomd5sum: read(&isomd5sum)
                .unwrap()
                .unwrap()
                .isomd5sum
                .map(|md5| Isomd5sum {
                    fragments: None,
                    ..md5
                }),
            ..read(&tagmedia).unwrap().unwrap()
        };
        let text = both.print().unwrap();
        let mut bytes = descriptor("");
        bytes[FIELD].copy_from_slice(&text);
        assert_eq!(Implanted::read(&bytes).unwrap(), Some(both));
    }

    #[test]
    fn values_are_replaced_and_all_other_words_stay() {
        let text = format!(
            "check=1;MD5SUM={};pad=3;x=y;RHLISOSTATUS=1",
            MD5.to_uppercase()
        );
        let before = read(&text).unwrap().unwrap();
        let mut after = before.clone();
        after.tagmedia.as_mut().unwrap().digest = Digest::parse(&"0".repeat(32)).unwrap();
        let mut field: [u8; FIELD_LEN] = descriptor(&text)[FIELD].try_into().unwrap();
        assert!(after.replace(&before, &mut field));
        let wanted = text.replace(&MD5.to_uppercase(), &"0".repeat(32));
        assert_eq!(field, descriptor(&wanted)[FIELD]);
        // Those that are not there, and those that are signed, stay.
        assert!(!after.replace(&before, &mut field));
        assert_eq!(field, descriptor(&wanted)[FIELD]);
        let signed = read(&format!("{text};signature=100")).unwrap().unwrap();
        let mut field: [u8; FIELD_LEN] = descriptor(&text)[FIELD].try_into().unwrap();
        assert!(!after.replace(&signed, &mut field));
    }

    #[test]
    fn names_are_read_as_checkmedia_reads_them() {
        let implanted = read(&format!(
            " Md5Sum = {MD5} ; PAD=2;check=1; sha1sum={MD5}01234567"
        ));
        let tags = implanted.unwrap().unwrap().tagmedia.unwrap();
        assert_eq!(tags.digest.algorithm(), Algorithm::Sha1);
        assert_eq!((tags.pad, tags.partition), (2, None));
    }

    #[test]
    fn a_field_of_anything_else_is_none() {
        for text in ["", "Linux", "MKISOFS=1;x", ";;;=;=="] {
            assert_eq!(read(text).unwrap(), None, "{text}");
        }
        let mut no_descriptor = descriptor(&format!("md5sum={MD5}"));
        no_descriptor[1] = b'X';
        assert_eq!(Implanted::read(&no_descriptor).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_is_refused_and_not_taken_for_no_checksum() {
        for text in [
            "md5sum=",
            "md5sum=12",
            &format!("sha1sum={MD5}"),
            &format!("ISO MD5SUM = {MD5}"),
            &format!("ISO MD5SUM = {MD5};SKIPSECTORS = 1000"),
            &format!("ISO MD5SUM = {MD5};SKIPSECTORS = -1"),
            &format!("ISO MD5SUM = {MD5}0;SKIPSECTORS = 15"),
            &format!("md5sum={MD5};pad=1000"),
            &format!("md5sum={MD5};pad=x"),
            &format!("md5sum={MD5};partition=1,2"),
            &format!("md5sum={MD5};partition=3999,2,{MD5}"),
            &format!("md5sum={MD5};partition=4294967295,4294967295,{MD5}"),
            &format!("md5sum={MD5};partition=0,0,{MD5}"),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_an_error(text in "((ISO MD5SUM|md5sum|pad|partition|SKIPSECTORS|FRAGMENT SUMS|FRAGMENT COUNT|signature) ?= ?[0-9a-f,]{0,64};?){0,6}") {
            let text: String = text.chars().take(FIELD_LEN).collect();
            if let Ok(Some(implanted)) = read(&text) {
                let _ = implanted.print();
            }
        }
    }
}
