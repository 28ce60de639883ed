//! A partition's UUID and name, from the partition table of its disk.
//!
//! Source: UEFI 2.10, 5.3 (GPT); the MBR's UUID is its disk signature and the partition's number, as Linux (`block/partitions/msdos.c`)
//! and libblkid make it.

use std::io;

use super::{bytes, field};
use crate::system::Bytes;

/// What a partition table says of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partition {
    /// As `blkid` prints it, in lower case.
    pub(crate) uuid: String,
    /// Its name; empty where it has none, as always in an MBR.
    pub(crate) name: String,
}

/// The largest entry of a GPT that is read, in bytes; the specification's has 128.
const MAX_ENTRY: u32 = 4096;

/// What the table of `disk` says of the partition `number` (from 1), where a sector has `sector` bytes; `None` where there is no
/// such partition or no table.
pub(crate) fn identify(
    disk: &dyn Bytes,
    sector: u64,
    number: u32,
) -> io::Result<Option<Partition>> {
    let Some(index) = number.checked_sub(1) else {
        return Ok(None);
    };
    if let Some(header) = bytes::<512>(disk, sector)?
        && header.starts_with(b"EFI PART")
    {
        return gpt_entry(disk, sector, &header, index);
    }
    let Some(mbr) = bytes::<512>(disk, 0)? else {
        return Ok(None);
    };
    let signature = field::u32le(&mbr, 440);
    let valid = field::array(&mbr, 510) == [0x55, 0xaa] && signature != 0;
    Ok(valid.then(|| Partition {
        uuid: format!("{signature:08x}-{number:02x}"),
        name: String::new(),
    }))
}

fn gpt_entry(
    disk: &dyn Bytes,
    sector: u64,
    header: &[u8],
    index: u32,
) -> io::Result<Option<Partition>> {
    let (count, size) = (field::u32le(header, 80), field::u32le(header, 84));
    if index >= count || !(128..=MAX_ENTRY).contains(&size) {
        return Ok(None);
    }
    let at = field::u64le(header, 72)
        .checked_mul(sector)
        .zip(u64::from(index).checked_mul(size.into()))
        .and_then(|(table, entry)| table.checked_add(entry));
    let Some(at) = at else {
        return Ok(None);
    };
    let Some(entry) = bytes::<128>(disk, at)? else {
        return Ok(None);
    };
    let name: [u8; 72] = field::array(&entry, 56);
    let (pairs, _) = name.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    Ok(Some(Partition {
        uuid: field::guid(&entry, 16),
        name: String::from_utf16_lossy(&units),
    }))
}
