//! A partition behind all others, in a table that is there: as writes in an order that leaves a readable table after each.
//!
//! Of a GPT the copy at the end is written first, at the real end of the disk, then the first copy: a reader finds one of them whole
//! at any moment. Of an MBR one sector is written. What the MBR of a GPT disk has beside its protective entry stays.

use super::gpt_read::{checksum, entries, header};
use super::mbr::{self, Entry};
use super::{Guid, Scheme, Table, Warning, gpt};
use crate::field::{array, u32_le, u64_le};
use crate::{Error, Kind, ReadAt, Result};

/// Partitions begin and end at whole MiB, as all tools make them.
const ALIGNMENT: u64 = 1 << 20;

const WHAT: &str = "adding a partition";

/// A partition to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How much it must hold at least, in bytes; it gets all that is free.
    pub min_len: u64,
    /// Bytes from the start of the disk that are in use although no partition holds them.
    pub used_until: u64,
    /// GPT: its own identifier.
    pub guid: Guid,
    /// GPT: its name.
    pub name: String,
}

/// Bytes for a place on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The first byte.
    pub offset: u64,
    /// Whole sectors.
    pub bytes: Vec<u8>,
}

/// A partition that the writes add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    /// Its number.
    pub index: u32,
    /// Where it begins, in bytes from the start of the disk.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// What to write. Each write has to be on the medium before the next one begins.
    pub writes: Vec<Write>,
}

/// A partition of type Linux data on all that is free behind the last one; `None` where that is less than wished.
///
/// `sector_size` is the disk's own, in bytes: a table that counts in others is not seen by Linux.
///
/// # Errors
///
/// [`Kind::Unsupported`] where the disk has no table, one that counts in other sectors, or one whose first copy is damaged
/// (see [`repair`]); [`Kind::Limit`] where no entry is free; what [`Table::read`] answers.
pub fn append(disk: &dyn ReadAt, sector_size: u64, wish: &Wish) -> Result<Option<Addition>> {
    let unsupported = |message: String| Err(Error::unsupported(WHAT, message));
    let Some(table) = Table::read(disk)? else {
        return unsupported("the disk has no partition table".to_owned());
    };
    if table.sector_size != sector_size {
        let message = format!(
            "the table counts in sectors of {} bytes, and the disk has {sector_size}",
            table.sector_size
        );
        return unsupported(message);
    }
    for warning in &table.warnings {
        if let Warning::PrimaryDamaged { .. } | Warning::NotProtected = warning {
            return unsupported(warning.to_string());
        }
    }
    match table.scheme {
        Scheme::Mbr => append_mbr(disk, wish),
        Scheme::Gpt => append_gpt(disk, sector_size, wish),
    }
}

/// The writes that make the first copy of a GPT whole again from the one in the last sector; none where there is nothing to do.
///
/// That is what a power cut between the writes of [`append`] leaves.
///
/// # Errors
///
/// [`Kind::Unsupported`] where nothing says where the first copy's entries belong; what [`Table::read`] answers.
pub fn repair(disk: &dyn ReadAt, sector_size: u64) -> Result<Vec<Write>> {
    let damaged = |warning: &Warning| matches!(warning, Warning::PrimaryDamaged { .. });
    match Table::read(disk)? {
        Some(table) if table.warnings.iter().any(damaged) && table.sector_size == sector_size => {}
        _ => return Ok(Vec::new()),
    }
    let last = last_sector(disk, sector_size)?;
    let backup = header(disk, sector_size, last)?;
    let table = entries(disk, sector_size, &backup)?;
    let sectors = sectors_of(&table, sector_size);
    let place = match header(disk, sector_size, 1) {
        // Only its entries are not what it says.
        Ok(primary) if array::<16>(&primary, 56) == array::<16>(&backup, 56) => {
            u64_le(&primary, 72)
        }
        Err(error) if error.kind() == Kind::Io => return Err(error),
        _ => 2,
    };
    if place < 2 || place.saturating_add(sectors) > u64_le(&backup, 40) {
        let message = format!("there is no room for the first copy's entries in sector {place}");
        return Err(Error::unsupported(WHAT, message));
    }
    let primary = patched(&backup, &[(24, 1), (32, last), (72, place)], &table);
    Ok(vec![
        whole_sectors(place, table, sector_size),
        whole_sectors(1, primary, sector_size),
    ])
}

fn append_gpt(disk: &dyn ReadAt, sector_size: u64, wish: &Wish) -> Result<Option<Addition>> {
    let primary = header(disk, sector_size, 1)?;
    let mut table = entries(disk, sector_size, &primary)?;
    let entry_len = usize::try_from(u32_le(&primary, 84)).unwrap_or(usize::MAX);
    let (index, used_end) = free_entry(&table, entry_len)?;

    let last = last_sector(disk, sector_size)?;
    let backup_entries = last.saturating_sub(sectors_of(&table, sector_size));
    // The old copy at the end of what was a smaller disk stays until both new ones are there.
    let old_backup = match u64_le(&primary, 32) {
        old if old < last => old.saturating_add(1),
        _ => 0,
    };
    let used = [used_end, old_backup, u64_le(&primary, 40)];
    let used = used.into_iter().max().unwrap_or_default();
    let used = used.saturating_mul(sector_size).max(wish.used_until);
    let end = backup_entries.saturating_mul(sector_size);
    let Some((start, len)) = free_range(used, end, wish.min_len) else {
        return Ok(None);
    };

    let [first_lba, next_lba] = [start, start.saturating_add(len)]
        .map(|byte| byte.checked_div(sector_size).unwrap_or_default());
    let entry = gpt::encode_entry(&gpt::Partition {
        type_guid: Guid::LINUX_DATA,
        guid: wish.guid,
        first_lba,
        last_lba: next_lba.saturating_sub(1),
        attributes: 0,
        name: wish.name.clone(),
    })?;
    let place = index.saturating_mul(entry_len);
    for (to, byte) in table.iter_mut().skip(place).zip(entry) {
        *to = byte;
    }
    let usable = (48, backup_entries.saturating_sub(1));
    let backup = [(24, last), (32, 1), usable, (72, backup_entries)];
    let backup = patched(&primary, &backup, &table);
    let first = patched(&primary, &[(32, last), usable], &table);
    let mut writes = vec![
        whole_sectors(backup_entries, table.clone(), sector_size),
        whole_sectors(last, backup, sector_size),
        whole_sectors(u64_le(&primary, 72), table, sector_size),
        whole_sectors(1, first, sector_size),
    ];
    writes.extend(protect(disk, sector_size, last)?);
    Ok(Some(Addition {
        index: number(index),
        start,
        len,
        writes,
    }))
}

/// The first entry behind all that are used, or else any that is free; and the sector behind all that are used.
fn free_entry(table: &[u8], entry_len: usize) -> Result<(usize, u64)> {
    let (mut behind, mut first_free, mut end) = (0, None, 0);
    let mut count: usize = 0;
    for (index, entry) in table.chunks_exact(entry_len).enumerate() {
        count = index.saturating_add(1);
        if Guid::from_bytes(array(entry, 0)) == Guid::UNUSED {
            first_free = first_free.or(Some(index));
        } else {
            behind = count;
            end = u64_le(entry, 40).saturating_add(1).max(end);
        }
    }
    let behind = (behind < count).then_some(behind);
    let index = behind
        .or(first_free)
        .ok_or_else(|| Error::limit(WHAT, "the table has no entry that is free"))?;
    Ok((index, end))
}

/// The protective entry as large as the disk, where only its size is another.
fn protect(disk: &dyn ReadAt, sector_size: u64, last: u64) -> Result<Option<Write>> {
    let (sector, record) = first_sector(disk)?;
    let is_protective = |entry: &Entry| entry.kind == mbr::TYPE_PROTECTIVE && entry.start_lba == 1;
    let Some(index) = record.entries.iter().position(is_protective) else {
        return Ok(None);
    };
    let others = record.entries.iter().enumerate();
    let others = others.filter(|(other, entry)| *other != index && entry.is_used());
    let overlaps = |entry: &Entry| {
        let old = record.entries.get(index).map_or(0, |entry| entry.sectors);
        u64::from(entry.start_lba) > u64::from(old)
    };
    if others.map(|(_, entry)| entry).any(overlaps) {
        return Ok(None);
    }
    let mut entry = record.entries.get(index).copied().unwrap_or_default();
    entry.sectors = u32::try_from(last).unwrap_or(u32::MAX);
    Ok(put_entry(sector, index, &entry, sector_size))
}

fn append_mbr(disk: &dyn ReadAt, wish: &Wish) -> Result<Option<Addition>> {
    let (sector, record) = first_sector(disk)?;
    let used = record.entries.iter().rposition(Entry::is_used);
    let behind = used.map_or(0, |last| last.saturating_add(1));
    let free = record.entries.iter().position(|entry| !entry.is_used());
    let index = if behind < record.entries.len() {
        behind
    } else {
        free.ok_or_else(|| Error::limit(WHAT, "the table has no entry that is free"))?
    };
    let ends = record.entries.iter().filter(|entry| entry.is_used());
    let ends = ends.map(|e| u64::from(e.start_lba).saturating_add(e.sectors.into()));
    let end = ends.max().unwrap_or_default().saturating_mul(mbr::SECTOR);
    // Sectors have numbers of 32 bits.
    let limit = u64::from(u32::MAX).saturating_mul(mbr::SECTOR);
    let free_end = disk.len().min(limit);
    let Some((start, len)) = free_range(end.max(wish.used_until), free_end, wish.min_len) else {
        return Ok(None);
    };
    let sectors = |bytes: u64| {
        let sectors = bytes.checked_div(mbr::SECTOR).unwrap_or_default();
        u32::try_from(sectors).unwrap_or(u32::MAX)
    };
    let entry = Entry {
        bootable: false,
        kind: mbr::TYPE_LINUX,
        start_lba: sectors(start),
        sectors: sectors(len),
    };
    Ok(Some(Addition {
        index: number(index),
        start,
        len,
        writes: put_entry(sector, index, &entry, mbr::SECTOR)
            .into_iter()
            .collect(),
    }))
}

/// The first whole sector of the disk as a record, with its bytes.
fn first_sector(disk: &dyn ReadAt) -> Result<(Vec<u8>, mbr::Primary)> {
    let len = if disk.len() < 4096 { mbr::SECTOR } else { 4096 };
    let sector = crate::read_vec(disk, 0, len, 4096, WHAT)?;
    match mbr::Primary::parse(&sector) {
        Some(record) => Ok((sector, record)),
        None => Err(Error::unsupported(WHAT, "sector 0 is no partition table")),
    }
}

/// The first sector with this entry; `None` where it has it already.
fn put_entry(mut sector: Vec<u8>, index: usize, entry: &Entry, sector_size: u64) -> Option<Write> {
    sector.truncate(usize::try_from(sector_size).unwrap_or(512));
    let before = sector.clone();
    let place = mbr::ENTRIES.saturating_add(index.saturating_mul(16));
    for (to, byte) in sector.iter_mut().skip(place).zip(entry.encode()) {
        *to = byte;
    }
    (sector != before).then_some(Write {
        offset: 0,
        bytes: sector,
    })
}

/// Whole MiB between two bytes: where they begin and how many bytes; `None` where they are fewer than `min_len`.
fn free_range(from: u64, to: u64, min_len: u64) -> Option<(u64, u64)> {
    let start = from.checked_next_multiple_of(ALIGNMENT)?;
    let len = to.checked_sub(start)?;
    let len = len.checked_sub(len.checked_rem(ALIGNMENT)?)?;
    (len > 0 && len >= min_len).then_some((start, len))
}

/// A header with other numbers at some places, for this table of entries.
fn patched(header: &[u8], numbers: &[(usize, u64)], table: &[u8]) -> Vec<u8> {
    let mut header = header.to_vec();
    let mut put = |at: usize, bytes: &[u8]| {
        for (to, byte) in header.iter_mut().skip(at).zip(bytes) {
            *to = *byte;
        }
    };
    for (at, number) in numbers {
        put(*at, &number.to_le_bytes());
    }
    put(88, &crc32fast::hash(table).to_le_bytes());
    let sum = checksum(&header).to_le_bytes();
    let field = header.iter_mut().skip(gpt::HEADER_CRC);
    field.zip(sum).for_each(|(to, byte)| *to = byte);
    header
}

fn whole_sectors(lba: u64, mut bytes: Vec<u8>, sector_size: u64) -> Write {
    let len = sectors_of(&bytes, sector_size).saturating_mul(sector_size);
    bytes.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
    Write {
        offset: lba.saturating_mul(sector_size),
        bytes,
    }
}

fn sectors_of(bytes: &[u8], sector_size: u64) -> u64 {
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    len.div_ceil(sector_size.max(1))
}

fn last_sector(disk: &dyn ReadAt, sector_size: u64) -> Result<u64> {
    let sectors = disk.len().checked_div(sector_size).unwrap_or_default();
    sectors
        .checked_sub(1)
        .ok_or_else(|| Error::unsupported(WHAT, "the disk is empty"))
}

/// The number of a partition whose entry is at this index.
fn number(index: usize) -> u32 {
    u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX)
}
