//! Writing a checked tree.

use block::{Content, ReadAt, Result, WriteAt};

use super::checked::{Chain, Checked};
use super::format::{FIRST_CLUSTER, Kind};
use super::layout::{SECTOR, TABLES};

/// How much of a file is copied at once.
const COPY_LEN: usize = 1 << 20;
/// The media descriptor of a disk that is not removed.
const MEDIA: u8 = 0xf8;
/// The sector where FAT32 keeps a copy of its first sectors.
const BACKUP_SECTOR: u64 = 6;
/// The sector where FAT32 keeps its count of free clusters.
const INFO_SECTOR: u64 = 1;
/// How many heads a disk has, for software that still asks.
const HEADS: u8 = 64;
/// What the boot sector does when firmware runs it: `int 0x18` (on to the next boot device), and an endless loop should that return.
const BOOT_CODE: [u8; 4] = [0xcd, 0x18, 0xeb, 0xfe];

/// Writes all of `checked` to `target`, whose first [`Checked::len`] bytes are its own. What holds zeros is not written, except at
/// the end, so that `target` becomes as long as the file system.
///
/// # Errors
///
/// What reading the files and writing answer.
pub fn write(checked: &Checked, target: &dyn WriteAt) -> Result<()> {
    let layout = &checked.layout;
    let last = checked.len().saturating_sub(SECTOR);
    target.write_all_at(&[0; 512], last)?;
    let boot = boot_sector(checked);
    target.write_all_at(&boot, 0)?;
    if layout.kind == Kind::Fat32 {
        let info = info_sector(checked);
        target.write_all_at(&info, INFO_SECTOR.saturating_mul(SECTOR))?;
        let backup = BACKUP_SECTOR.saturating_mul(SECTOR);
        target.write_all_at(&boot, backup)?;
        target.write_all_at(&info, backup.saturating_add(SECTOR))?;
    }
    let table = table(layout.kind, &checked.chains);
    for copy in 0..TABLES {
        let sector = copy
            .saturating_mul(layout.table_sectors)
            .saturating_add(layout.reserved);
        target.write_all_at(&table, sector.saturating_mul(SECTOR))?;
    }
    for (offset, bytes) in &checked.directories {
        target.write_all_at(bytes, *offset)?;
    }
    for (offset, content) in &checked.files {
        copy(content, target, *offset)?;
    }
    Ok(())
}

/// Copies the data of `content` to `offset`.
fn copy(content: &Content, target: &dyn WriteAt, offset: u64) -> Result<()> {
    let mut buf = Vec::new();
    let mut position = 0;
    while let Some(data) = content.next_data(position)? {
        position = data.start;
        while position < data.end {
            let rest = usize::try_from(data.end.saturating_sub(position)).unwrap_or(usize::MAX);
            buf.resize(rest.min(COPY_LEN), 0);
            content.read_exact_at(&mut buf, position)?;
            target.write_all_at(&buf, offset.saturating_add(position))?;
            position = position.saturating_add(ReadAt::len(&buf));
        }
    }
    Ok(())
}

/// The bytes of the table as far as it is not zeros. The first two entries hold the media descriptor, and that the file system was
/// closed cleanly.
fn table(kind: Kind, chains: &[Chain]) -> Vec<u8> {
    let (mask, end): (u32, u32) = match kind {
        Kind::Fat12 => (0xfff, 0xfff),
        Kind::Fat16 => (0xffff, 0xffff),
        Kind::Fat32 => (0x0fff_ffff, 0x0fff_ffff),
    };
    let reserved = [u32::MAX << 8 | u32::from(MEDIA), end].map(|entry| entry & mask);
    let chained = chains.iter().flat_map(|chain| {
        let last = chain.first.saturating_add(chain.count).saturating_sub(1);
        (chain.first..last)
            .map(|cluster| cluster.saturating_add(1))
            .chain([end])
    });
    let entries: Vec<u32> = reserved.into_iter().chain(chained).collect();
    match kind {
        Kind::Fat12 => entries.chunks(2).flat_map(pack_pair).collect(),
        Kind::Fat16 => entries
            .iter()
            .flat_map(|entry| u16::try_from(*entry).unwrap_or(u16::MAX).to_le_bytes())
            .collect(),
        Kind::Fat32 => entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect(),
    }
}

/// The three bytes of two entries of FAT12.
fn pack_pair(pair: &[u32]) -> [u8; 3] {
    let (low, high) = match pair {
        [low, high] => (*low, *high),
        [low] => (*low, 0),
        _ => (0, 0),
    };
    let [a, b, c, _] = (low | high << 12).to_le_bytes();
    [a, b, c]
}

/// How many sectors a track has: mtools 4 refuses a file system that is no whole number of tracks.
fn track_sectors(total: u64) -> u8 {
    let fits = |sectors: &u8| total.is_multiple_of((*sectors).into());
    [32, 16, 8, 4, 2].into_iter().find(fits).unwrap_or(1)
}

fn boot_sector(checked: &Checked) -> Vec<u8> {
    let layout = &checked.layout;
    // OK: the layout has held that these fit.
    let u16_of = |value: u64| u16::try_from(value).unwrap_or(0).to_le_bytes();
    let u32_of = |value: u64| u32::try_from(value).unwrap_or(0).to_le_bytes();
    let is_fat32 = layout.kind == Kind::Fat32;
    let is_small = !is_fat32 && layout.total < 0x1_0000;
    let mut bytes = Vec::with_capacity(512);
    let code_at: u8 = if is_fat32 { 90 } else { 62 };
    bytes.extend([0xeb, code_at.saturating_sub(2), 0x90]);
    bytes.extend(b"LIVEOS  ");
    bytes.extend(u16_of(SECTOR));
    bytes.push(layout.cluster_sectors);
    bytes.extend(u16_of(layout.reserved));
    bytes.push(2);
    bytes.extend(u16_of(layout.root_entries));
    bytes.extend(u16_of(if is_small { layout.total } else { 0 }));
    bytes.push(MEDIA);
    bytes.extend(u16_of(if is_fat32 { 0 } else { layout.table_sectors }));
    bytes.extend([track_sectors(layout.total), 0, HEADS, 0]);
    // The sectors before this file system, of which only DOS wants to know.
    bytes.extend([0; 4]);
    bytes.extend(u32_of(if is_small { 0 } else { layout.total }));
    if is_fat32 {
        bytes.extend(u32_of(layout.table_sectors));
        // Both tables are kept, version 0.0.
        bytes.extend([0; 4]);
        bytes.extend(FIRST_CLUSTER.to_le_bytes());
        bytes.extend(u16_of(INFO_SECTOR));
        bytes.extend(u16_of(BACKUP_SECTOR));
        bytes.extend([0; 12]);
    }
    bytes.extend([0x80, 0, 0x29]);
    bytes.extend(checked.serial.to_le_bytes());
    bytes.extend(checked.label);
    bytes.extend(match layout.kind {
        Kind::Fat12 => b"FAT12   ",
        Kind::Fat16 => b"FAT16   ",
        Kind::Fat32 => b"FAT32   ",
    });
    bytes.extend(BOOT_CODE);
    bytes.resize(510, 0);
    bytes.extend([0x55, 0xaa]);
    bytes
}

/// The sector with the number of free clusters and where to look for one.
fn info_sector(checked: &Checked) -> Vec<u8> {
    let used: u64 = checked
        .chains
        .iter()
        .map(|chain| u64::from(chain.count))
        .sum();
    let free = checked.layout.clusters.saturating_sub(used);
    let next = used.saturating_add(FIRST_CLUSTER.into());
    let mut bytes = Vec::with_capacity(512);
    bytes.extend(b"RRaA");
    bytes.resize(484, 0);
    bytes.extend(b"rrAa");
    bytes.extend(u32::try_from(free).unwrap_or(u32::MAX).to_le_bytes());
    let next = if free == 0 {
        u32::MAX
    } else {
        u32::try_from(next).unwrap_or(u32::MAX)
    };
    bytes.extend(next.to_le_bytes());
    bytes.resize(510, 0);
    bytes.extend([0x55, 0xaa]);
    bytes
}
