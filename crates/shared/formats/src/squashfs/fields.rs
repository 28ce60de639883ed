//! Little-endian fields taken one after another from a structure, and conversions between widths that cannot go wrong.

use block::{Error, Result};

/// A cursor over the bytes of one structure.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// A cursor at the start of `bytes`; `what` names the structure in errors.
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| Error::corrupt(self.what, "it ends before its last field"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// The next two bytes.
    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// The next four bytes.
    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The next eight bytes.
    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

/// A length in memory as the 64 bits that formats count with. Every platform's `usize` fits.
pub(crate) fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A 64-bit length as one in memory; where memory could not hold it, a length that no slice has.
pub(crate) fn narrow(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// The lower 32 bits' worth of a length; what is larger (which callers exclude) is the largest.
pub(crate) fn word(len: impl TryInto<u32>) -> u32 {
    len.try_into().unwrap_or(u32::MAX)
}

/// The lower 16 bits' worth of a length; what is larger (which callers exclude) is the largest.
pub(crate) fn half(len: impl TryInto<u16>) -> u16 {
    len.try_into().unwrap_or(u16::MAX)
}
