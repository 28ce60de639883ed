//! The header block.
//!
//! An archive is a row of members, each: a header of 512 bytes, content, zeros up to a multiple of 512. Two blocks of zeros end it.
//!
//! ```text
//! offset  size  name       meaning
//!      0   100  name       ended by a NUL where it is shorter
//!    100     8  mode       permissions, in octal digits as all numbers
//!    108     8  uid
//!    116     8  gid
//!    124    12  size       of the content in bytes
//!    136    12  mtime      seconds since 1970
//!    148     8  chksum     sum of the block's bytes, with this field as spaces
//!    156     1  typeflag
//!    157   100  linkname
//!    257     6  magic      "ustar\0" (POSIX) or "ustar " (GNU); anything else is v7, which ends here
//!    263     2  version
//!    265    32  uname
//!    297    32  gname
//!    329     8  devmajor
//!    337     8  devminor
//!    345   155  prefix     POSIX: goes before the name, with a slash between them
//!    386    96  sparse     GNU, type S: four times offset and length, 12 digits each
//!    482     1  isextended GNU, type S: whether a block with 21 more follows
//!    483    12  realsize   GNU, type S: the file's length with its holes
//! ```
//!
//! A number too large for its digits is written in base 256, with the highest bit set (GNU, star).
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar 1.34 manual, "Basic Tar Format". Not read: members that go on in
//! another volume.

use block::{Error, Result};

/// The unit of everything in an archive, in bytes.
pub(super) const BLOCK: usize = 512;
/// The same, for arithmetic on offsets.
pub(super) const BLOCK_LEN: u64 = 512;

/// The types of members.
pub(super) mod kind {
    pub(in crate::tar) const FILE: u8 = b'0';
    /// A file in archives older than the `0`.
    pub(in crate::tar) const OLD_FILE: u8 = 0;
    pub(in crate::tar) const HARD_LINK: u8 = b'1';
    pub(in crate::tar) const SYMLINK: u8 = b'2';
    pub(in crate::tar) const CHARACTER: u8 = b'3';
    pub(in crate::tar) const BLOCK: u8 = b'4';
    pub(in crate::tar) const DIRECTORY: u8 = b'5';
    pub(in crate::tar) const FIFO: u8 = b'6';
    /// A file that is not in pieces on its disk; to everybody else a file.
    pub(in crate::tar) const CONTIGUOUS: u8 = b'7';
    /// GNU: a folder, with the names of what was in it as its content.
    pub(in crate::tar) const DUMP_DIRECTORY: u8 = b'D';
    /// GNU: the link target of the next member.
    pub(in crate::tar) const LONG_LINK: u8 = b'K';
    /// GNU: the name of the next member.
    pub(in crate::tar) const LONG_NAME: u8 = b'L';
    /// GNU: the rest of a file that began in another volume.
    pub(in crate::tar) const MULTI_VOLUME: u8 = b'M';
    /// GNU: a file with holes.
    pub(in crate::tar) const SPARSE: u8 = b'S';
    /// GNU: the archive's label.
    pub(in crate::tar) const VOLUME_LABEL: u8 = b'V';
    /// pax: keys and values for the next member.
    pub(in crate::tar) const PAX: u8 = b'x';
    /// The same, as Solaris wrote it before it was standardised.
    pub(in crate::tar) const PAX_SOLARIS: u8 = b'X';
    /// pax: keys and values for all members that follow.
    pub(in crate::tar) const PAX_GLOBAL: u8 = b'g';
}

/// Which of the dialects a header is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Posix,
    Gnu,
}

/// A header block whose check sum is right.
#[derive(Clone, Debug)]
pub(super) struct Header {
    bytes: [u8; BLOCK],
    /// Where it lies in the archive.
    pub(super) offset: u64,
}

impl Header {
    /// Takes the block at `offset` for a header; `None` where it is all zeros.
    ///
    /// # Errors
    ///
    /// `Corrupt` where its check sum is wrong, which is also so for what is no archive.
    pub(super) fn parse(bytes: [u8; BLOCK], offset: u64) -> Result<Option<Self>> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Self { bytes, offset };
        if header.is_valid() {
            return Ok(Some(header));
        }
        let message = "the check sum is wrong, or this is no header";
        Err(Error::corrupt("tar header", message).at(offset))
    }

    /// Whether the check sum is right: of the bytes as unsigned numbers, or as signed ones, as some old programs did.
    fn is_valid(&self) -> bool {
        let Some(expected) = octal(self.field(148, 8)) else {
            return false;
        };
        if self
            .field(148, 8)
            .iter()
            .all(|byte| matches!(byte, 0 | b' '))
        {
            return false;
        }
        let [unsigned, signed] = sums(&self.bytes);
        i64::try_from(expected).is_ok_and(|expected| expected == unsigned || expected == signed)
    }

    /// The `len` bytes from `at` on.
    pub(super) fn field(&self, at: usize, len: usize) -> &[u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        rest.get(..len).unwrap_or_default()
    }

    /// The text from `at` on, which ends at a NUL or after `len` bytes.
    fn text(&self, at: usize, len: usize) -> &[u8] {
        until_nul(self.field(at, len))
    }

    /// The number in the `len` bytes from `at` on; 0 where they are empty.
    ///
    /// # Errors
    ///
    /// `Corrupt` where there is something else than a number.
    pub(super) fn number(&self, at: usize, len: usize, name: &str) -> Result<i64> {
        let field = self.field(at, len);
        let value = match field.first() {
            Some(first) if first & 0x80 != 0 => base256(field),
            _ => octal(field).and_then(|value| i64::try_from(value).ok()),
        };
        value.ok_or_else(|| {
            let message = format!("the {name} is \"{}\"", field.escape_ascii());
            Error::corrupt("tar header", message).at(self.offset)
        })
    }

    /// As [`number`](Self::number), where a negative one makes no sense.
    pub(super) fn unsigned(&self, at: usize, len: usize, name: &str) -> Result<u64> {
        let value = self.number(at, len, name)?;
        u64::try_from(value).map_err(|_| {
            let message = format!("the {name} is {value}");
            Error::corrupt("tar header", message).at(self.offset)
        })
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.field(257, 8) {
            b"ustar  \0" => Dialect::Gnu,
            [b'u', b's', b't', b'a', b'r', 0, ..] => Dialect::Posix,
            _ => Dialect::V7,
        }
    }

    pub(super) fn kind(&self) -> u8 {
        self.field(156, 1).first().copied().unwrap_or(0)
    }

    /// The length of the content in bytes, as this header says it.
    pub(super) fn size(&self) -> Result<u64> {
        self.unsigned(124, 12, "size")
    }

    /// The name, with its prefix.
    pub(super) fn name(&self) -> Vec<u8> {
        let prefix = match self.dialect() {
            // star has times in the last 24 bytes of the field, and says so at the end of the block.
            Dialect::Posix if self.field(508, 4) == b"tar\0" => self.text(345, 131),
            Dialect::Posix => self.text(345, 155),
            Dialect::V7 | Dialect::Gnu => &[],
        };
        let name = self.text(0, 100);
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(super) fn link_name(&self) -> &[u8] {
        self.text(157, 100)
    }
}

/// Both sums of a header's bytes, with the field of the sum itself as spaces: of unsigned and of signed bytes.
fn sums(bytes: &[u8; BLOCK]) -> [i64; 2] {
    let mut sums = [0_i64; 2];
    for (at, byte) in bytes.iter().enumerate() {
        let byte = if (148..156).contains(&at) {
            b' '
        } else {
            *byte
        };
        let [unsigned, signed] = &mut sums;
        *unsigned = unsigned.saturating_add(byte.into());
        *signed = signed.saturating_add(i8::from_ne_bytes([byte]).into());
    }
    sums
}

/// Sets the check sum of a header that is being written.
pub(super) fn seal(bytes: &mut [u8; BLOCK]) {
    let [sum, _] = sums(bytes);
    let digits = format!("{sum:06o}\0 ");
    if let Some(field) = bytes.get_mut(148..156) {
        field.copy_from_slice(digits.as_bytes());
    }
}

/// What comes before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, with spaces before it and a space or NUL behind it; 0 where there are no digits.
pub(super) fn octal(field: &[u8]) -> Option<u64> {
    let digits = until_nul(field).trim_ascii();
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit.into())
    })
}

/// A number in two's complement, big-endian, whose highest bit is set to tell it from digits and counts for nothing.
pub(super) fn base256(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    let is_negative = first & 0x40 != 0;
    let high = if is_negative { *first } else { first & 0x7f };
    let start = i64::from(i8::from_ne_bytes([high]));
    rest.iter().try_fold(start, |value, byte| {
        value.checked_mul(256)?.checked_add((*byte).into())
    })
}

/// How many zeros follow `len` bytes of content.
pub(super) fn padding(len: u64) -> u64 {
    BLOCK_LEN.saturating_sub(len % BLOCK_LEN) % BLOCK_LEN
}
