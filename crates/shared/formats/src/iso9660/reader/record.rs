//! Directory records.

use block::{Error, Result};

use super::super::format::{RECORD_HEADER, array, flag, le32};

/// A directory record as it stands. ECMA-119 9.1.
#[derive(Clone, Copy, Debug)]
pub(in crate::iso9660) struct Record<'a> {
    /// The first block of the extent, attributes included.
    block: u32,
    /// Blocks of attributes before the data.
    attributes: u8,
    /// The length of the data in bytes.
    pub(in crate::iso9660) len: u32,
    pub(in crate::iso9660) date: [u8; 7],
    flags: u8,
    /// File unit size and gap, of which interleaved files have one at least.
    interleave: [u8; 2],
    pub(in crate::iso9660) identifier: &'a [u8],
    /// The system use field, with the byte that pads a record.
    pub(in crate::iso9660) susp: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record that `bytes`, the rest of a sector, begins with. `None` at the zeros that end a sector.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where it is shorter than its fields or longer than the sector.
    pub(in crate::iso9660) fn parse(bytes: &'a [u8]) -> Result<Option<Self>> {
        let len = usize::from(bytes.first().copied().unwrap_or(0));
        if len == 0 {
            return Ok(None);
        }
        let corrupt = |message: &str| Error::corrupt("ISO 9660 directory record", message);
        let record = bytes
            .get(..len)
            .ok_or_else(|| corrupt("it reaches into the next sector"))?;
        let short = || corrupt("it is shorter than its fields");
        let id_len = usize::from(*record.get(32).ok_or_else(short)?);
        let id_end = RECORD_HEADER.saturating_add(id_len);
        let susp_at = id_end.next_multiple_of(2);
        Ok(Some(Self {
            block: le32(record, 2).ok_or_else(short)?,
            attributes: record.get(1).copied().unwrap_or(0),
            len: le32(record, 10).ok_or_else(short)?,
            date: array(record, 18).ok_or_else(short)?,
            flags: record.get(25).copied().unwrap_or(0),
            interleave: array(record, 26).ok_or_else(short)?,
            identifier: record.get(RECORD_HEADER..id_end).ok_or_else(short)?,
            susp: record.get(susp_at..).unwrap_or_default(),
        }))
    }

    /// The first block of the data.
    pub(in crate::iso9660) fn first_block(&self) -> u32 {
        self.block.saturating_add(self.attributes.into())
    }

    pub(in crate::iso9660) fn is_folder(&self) -> bool {
        self.flags & flag::DIRECTORY != 0
    }

    /// Whether it is a file that only belongs to another one (a resource fork); Linux does not show them.
    pub(in crate::iso9660) fn is_associated(&self) -> bool {
        self.flags & flag::ASSOCIATED != 0
    }

    /// Whether the next record is the next part of the same file.
    pub(in crate::iso9660) fn goes_on(&self) -> bool {
        self.flags & flag::MORE_SECTIONS != 0
    }

    pub(in crate::iso9660) fn is_interleaved(&self) -> bool {
        self.interleave != [0, 0]
    }

    /// Whether it is `.` or `..`.
    pub(in crate::iso9660) fn is_dot(&self) -> bool {
        matches!(self.identifier, [0 | 1])
    }
}
