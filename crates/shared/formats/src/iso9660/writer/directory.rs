//! Directory records, packed into sectors.

use tree::InodeId;

use super::super::format::{
    MAX_SECTION, RECORD_HEADER, SECTOR, SECTOR_LEN, both16, both32, flag, put,
};
use super::options::Extent;
use super::plan::{Hierarchy, Target};

/// One directory record. ECMA-119 9.1.
#[derive(Debug)]
pub(in crate::iso9660) struct Record<'a> {
    pub(in crate::iso9660) identifier: &'a [u8],
    /// The first sector of the extent.
    pub(in crate::iso9660) lba: u32,
    /// The length of the extent in bytes.
    pub(in crate::iso9660) len: u32,
    pub(in crate::iso9660) flags: u8,
    pub(in crate::iso9660) date: [u8; 7],
    pub(in crate::iso9660) susp: &'a [u8],
}

impl Record<'_> {
    /// The length of a record with these fields.
    pub(in crate::iso9660) fn len(identifier: &[u8], susp: &[u8]) -> usize {
        fixed_len(identifier)
            .saturating_add(susp.len())
            .next_multiple_of(2)
    }

    /// The bytes:
    ///
    /// ```text
    ///  0   1  length of the record        18   7  date
    ///  1   1  length of attributes (0)    25   1  flags
    ///  2   8  extent, sector              26   2  interleave (0)
    /// 10   8  extent, bytes               28   4  volume sequence number (1)
    ///                                     32   1  length of the identifier, which follows
    /// ```
    pub(in crate::iso9660) fn encode(&self) -> Vec<u8> {
        let len = Self::len(self.identifier, self.susp);
        let mut bytes = vec![0; len];
        let as_byte = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
        put(&mut bytes, 0, &[as_byte(len)]);
        put(&mut bytes, 2, &both32(self.lba));
        put(&mut bytes, 10, &both32(self.len));
        put(&mut bytes, 18, &self.date);
        put(&mut bytes, 25, &[self.flags]);
        put(&mut bytes, 28, &both16(1));
        put(&mut bytes, 32, &[as_byte(self.identifier.len())]);
        put(&mut bytes, RECORD_HEADER, self.identifier);
        put(&mut bytes, fixed_len(self.identifier), self.susp);
        bytes
    }
}

/// The length of a record before its system use field, which begins at an even place.
pub(in crate::iso9660) fn fixed_len(identifier: &[u8]) -> usize {
    RECORD_HEADER
        .saturating_add(identifier.len())
        .next_multiple_of(2)
}

/// How many bytes records of these lengths take, in whole sectors; none crosses the end of one. ECMA-119 6.8.1.1.
pub(in crate::iso9660) fn packed_len(lengths: impl Iterator<Item = usize>) -> usize {
    let end = lengths.fold(0, |at: usize, len| start(at, len).saturating_add(len));
    end.next_multiple_of(SECTOR)
}

/// Where a record of `len` bytes begins that comes after byte `at`.
fn start(at: usize, len: usize) -> usize {
    if (at % SECTOR).saturating_add(len) > SECTOR {
        at.next_multiple_of(SECTOR)
    } else {
        at
    }
}

/// The records of the folder `number`, in whole sectors. `extent_of` knows where every file lies.
pub(super) fn encode(
    hierarchy: &Hierarchy,
    number: usize,
    extent_of: impl Fn(InodeId) -> Option<Extent>,
) -> Vec<u8> {
    let folder_record = |number: usize, identifier, susp| -> Option<Vec<u8>> {
        let target = hierarchy.folders.get(number)?;
        let record = Record {
            identifier,
            lba: target.lba,
            len: target.len(),
            flags: flag::DIRECTORY,
            date: target.date,
            susp,
        };
        Some(record.encode())
    };
    let Some(folder) = hierarchy.folders.get(number) else {
        return Vec::new();
    };
    let numbers = [number, folder.parent];
    let mut records: Vec<Vec<u8>> = Vec::new();
    for ((number, identifier), susp) in numbers.into_iter().zip([&[0u8], &[1u8]]).zip(&folder.dots)
    {
        records.extend(folder_record(number, identifier, susp));
    }
    for entry in &folder.entries {
        match entry.target {
            Target::Folder(number) => {
                records.extend(folder_record(number, &entry.identifier, &entry.susp));
            }
            Target::File { .. } | Target::Nothing => {
                let extent = extent_of(entry.id).unwrap_or(Extent { offset: 0, len: 0 });
                records.extend(sections(extent).map(|(lba, len, flags)| {
                    let record = Record {
                        identifier: &entry.identifier,
                        lba,
                        len,
                        flags,
                        date: entry.date,
                        susp: &entry.susp,
                    };
                    record.encode()
                }));
            }
        }
    }
    pack(&records)
}

pub(in crate::iso9660) fn pack(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; packed_len(records.iter().map(Vec::len))];
    let mut at: usize = 0;
    for record in records {
        at = start(at, record.len());
        put(bytes.get_mut(at..).unwrap_or_default(), 0, record);
        at = at.saturating_add(record.len());
    }
    bytes
}

/// The sector, length and flags of each record of a file; an empty file has one too.
fn sections(extent: Extent) -> impl Iterator<Item = (u32, u32, u8)> {
    let count = extent.len.div_ceil(MAX_SECTION).max(1);
    (0..count).map(move |number| {
        let start = number.saturating_mul(MAX_SECTION);
        let rest = extent.len.saturating_sub(start);
        // An empty file has no sector of its own.
        let lba = if extent.len == 0 {
            0
        } else {
            extent.offset.saturating_add(start) / SECTOR_LEN
        };
        let more = rest > MAX_SECTION;
        (
            u32::try_from(lba).unwrap_or(u32::MAX),
            u32::try_from(rest.min(MAX_SECTION)).unwrap_or(u32::MAX),
            if more { flag::MORE_SECTIONS } else { 0 },
        )
    })
}
