//! The El Torito boot catalog, read.

use block::{Error, ReadAt, Result, read_vec};

use super::super::format::{SECTOR, SECTOR_LEN, le16, le32};

/// The most bytes of a catalog that are read. What follows is not seen; catalogs in use have a few entries of 32 bytes.
const MAX_CATALOG: usize = 8 * SECTOR;

/// What firmware an entry of a boot catalog is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// A BIOS.
    X86,
    /// UEFI.
    Efi,
    /// Anything else, by its number.
    Other(u8),
}

/// One boot image of a boot catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// What firmware it is for.
    pub platform: Platform,
    /// Whether it can be booted from.
    pub bootable: bool,
    /// 0 without emulation, 1 to 3 for a floppy, 4 for a disk.
    pub emulation: u8,
    /// How many sectors of 512 bytes the firmware loads; UEFI takes 0 and 1 for all up to the end.
    pub load_sectors: u16,
    /// Where the image begins, in bytes from the start of the ISO.
    pub offset: u64,
}

/// Reads the boot catalog; nothing where there is none.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where the catalog is damaged or lies past the end; what reading answers.
///
/// Source: El Torito 1.0, figures 2 to 6.
pub fn boot_catalog(source: &dyn ReadAt) -> Result<Vec<BootEntry>> {
    let Some(lba) = super::volume::read(source)?.and_then(|volumes| volumes.boot_catalog) else {
        return Ok(Vec::new());
    };
    let offset = u64::from(lba).saturating_mul(SECTOR_LEN);
    let len = source
        .len()
        .saturating_sub(offset)
        .min(SECTOR_LEN.saturating_mul(8));
    if len < SECTOR_LEN {
        let message = "it lies past the end";
        return Err(Error::corrupt("El Torito boot catalog", message).at(offset));
    }
    let bytes = read_vec(source, offset, len, MAX_CATALOG, "El Torito boot catalog")?;
    parse(&bytes).map_err(|error| error.at(offset))
}

fn parse(bytes: &[u8]) -> Result<Vec<BootEntry>> {
    let mut lines = bytes.chunks_exact(32);
    let validation = lines.next().unwrap_or_default();
    let sum = validation.chunks_exact(2).fold(0_u16, |sum, word| {
        sum.wrapping_add(le16(word, 0).unwrap_or(0))
    });
    if validation.first() != Some(&1) || validation.get(30..) != Some(&[0x55, 0xaa]) || sum != 0 {
        let message = "its validation entry has another header or checksum";
        return Err(Error::corrupt("El Torito boot catalog", message));
    }
    let platform = platform(validation.get(1).copied().unwrap_or(0));
    let mut found: Vec<BootEntry> = lines
        .next()
        .map(|line| entry(platform, line))
        .into_iter()
        .collect();
    // The section that entries belong to: its platform, and how many are left.
    let mut section: Option<(Platform, u16)> = None;
    let mut is_last = false;
    for line in lines {
        match (section, line.first()) {
            // Extensions of an entry hold nothing that is used here.
            (Some(_), Some(0x44)) => {}
            (Some((platform, left)), Some(_)) if left > 0 => {
                found.push(entry(platform, line));
                section = Some((platform, left.saturating_sub(1)));
            }
            (_, Some(0x90 | 0x91)) if !is_last => {
                is_last = line.first() == Some(&0x91);
                let of = self::platform(line.get(1).copied().unwrap_or(0));
                section = Some((of, le16(line, 2).unwrap_or(0)));
            }
            _ => break,
        }
    }
    Ok(found)
}

fn platform(number: u8) -> Platform {
    match number {
        0 => Platform::X86,
        0xef => Platform::Efi,
        other => Platform::Other(other),
    }
}

fn entry(platform: Platform, line: &[u8]) -> BootEntry {
    BootEntry {
        platform,
        bootable: line.first() == Some(&0x88),
        emulation: line.get(1).copied().unwrap_or(0) & 0x0f,
        load_sectors: le16(line, 6).unwrap_or(0),
        offset: u64::from(le32(line, 8).unwrap_or(0)).saturating_mul(SECTOR_LEN),
    }
}
