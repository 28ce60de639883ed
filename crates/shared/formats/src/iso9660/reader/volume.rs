//! The set of volume descriptors.

use block::{Error, ReadAt, Result};

use super::super::format::{
    EL_TORITO_ID, FIRST_DESCRIPTOR, JOLIET_ESCAPES, SECTOR, SECTOR_LEN, STANDARD_ID, array,
    descriptor_type, le16, le32,
};
use super::record::Record;

/// The most descriptors of a set that are read; none in use has ten. What follows them is not seen.
const MAX_DESCRIPTORS: u64 = 64;

/// One view of a volume, as its primary or a supplementary descriptor says.
#[derive(Clone, Debug)]
pub(in crate::iso9660) struct Volume {
    /// The volume identifier as it stands, with its padding.
    pub(in crate::iso9660) id: [u8; 32],
    /// The size of a logical block, the unit of every extent: 512, 1024 or 2048 bytes.
    pub(in crate::iso9660) block_len: u64,
    /// The root's extent: its first block and its length in bytes.
    pub(in crate::iso9660) root: (u32, u32),
    /// The root's date.
    pub(in crate::iso9660) date: [u8; 7],
    /// Creation and modification of the volume.
    pub(in crate::iso9660) dates: [[u8; 17]; 2],
}

/// What the set of descriptors says.
#[derive(Clone, Debug)]
pub(in crate::iso9660) struct Descriptors {
    pub(in crate::iso9660) primary: Volume,
    pub(in crate::iso9660) joliet: Option<Volume>,
    /// The sector of the El Torito boot catalog.
    pub(in crate::iso9660) boot_catalog: Option<u32>,
}

/// Reads the set; `None` where the source is no ISO 9660.
pub(in crate::iso9660) fn read(source: &dyn ReadAt) -> Result<Option<Descriptors>> {
    let mut primary = None;
    let mut joliet = None;
    let mut boot_catalog = None;
    for number in 0..MAX_DESCRIPTORS {
        let offset = FIRST_DESCRIPTOR
            .saturating_add(number)
            .saturating_mul(SECTOR_LEN);
        let Some(sector) = sector(source, offset)? else {
            break;
        };
        if sector.get(1..6) != Some(STANDARD_ID) {
            break;
        }
        match sector.first().copied() {
            Some(descriptor_type::BOOT)
                if sector
                    .get(7..)
                    .is_some_and(|rest| rest.starts_with(EL_TORITO_ID)) =>
            {
                boot_catalog = boot_catalog.or(le32(&sector, 71));
            }
            Some(descriptor_type::PRIMARY) if primary.is_none() => {
                primary = Some(volume(&sector).map_err(|error| error.at(offset))?);
            }
            Some(descriptor_type::SUPPLEMENTARY) if joliet.is_none() && is_joliet(&sector) => {
                joliet = Some(volume(&sector).map_err(|error| error.at(offset))?);
            }
            Some(descriptor_type::TERMINATOR) => break,
            _ => {}
        }
    }
    Ok(primary.map(|primary| Descriptors {
        primary,
        joliet,
        boot_catalog,
    }))
}

/// The sector at `offset`; `None` past the end.
fn sector(source: &dyn ReadAt, offset: u64) -> Result<Option<Vec<u8>>> {
    if offset.saturating_add(SECTOR_LEN) > source.len() {
        return Ok(None);
    }
    let mut sector = vec![0; SECTOR];
    source.read_exact_at(&mut sector, offset)?;
    Ok(Some(sector))
}

fn is_joliet(sector: &[u8]) -> bool {
    sector.get(88..91).is_some_and(|escape| {
        JOLIET_ESCAPES
            .iter()
            .any(|joliet| joliet.as_slice() == escape)
    })
}

/// Reads a primary or supplementary descriptor; offsets as ECMA-119 8.4 has them, less one.
fn volume(sector: &[u8]) -> Result<Volume> {
    let what = "ISO 9660 volume descriptor";
    let cut = || Error::corrupt(what, "it is cut off");
    let block_len = le16(sector, 128).ok_or_else(cut)?;
    if !matches!(block_len, 512 | 1024 | 2048) {
        let message = format!("blocks of {block_len} bytes, where 512, 1024 and 2048 exist");
        return Err(Error::corrupt(what, message));
    }
    let root = Record::parse(sector.get(156..190).ok_or_else(cut)?)?
        .ok_or_else(|| Error::corrupt(what, "it has no root folder"))?;
    Ok(Volume {
        id: array(sector, 40).ok_or_else(cut)?,
        block_len: block_len.into(),
        root: (root.first_block(), root.len),
        date: root.date,
        dates: [
            array(sector, 813).ok_or_else(cut)?,
            array(sector, 830).ok_or_else(cut)?,
        ],
    })
}
