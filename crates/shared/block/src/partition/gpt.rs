//! GUID partition tables: their structures, and the bytes of a new one.
//!
//! Source: UEFI 2.10, chapter 5.3. Not read or written: the boot code in the MBR, and GPTs at other places than the first and the
//! last sector.

use super::Guid;
use crate::{Error, Result, WriteAt};

/// The first bytes of a header.
pub(super) const SIGNATURE: &[u8; 8] = b"EFI PART";
/// Revision 1.0, the only one.
const REVISION: u32 = 0x0001_0000;
/// The size of a header in revision 1.0.
pub(super) const HEADER_LEN: u32 = 92;
/// Where the header's own checksum stands.
pub(super) const HEADER_CRC: usize = 16;
/// The size of an entry, here and in every table in the field; the specification allows larger ones.
pub(super) const ENTRY_LEN: u32 = 128;
/// How many UTF-16 units a name may have.
pub const NAME_MAX: usize = 36;
/// How many entries we make: as all tools do, and the least that the specification allows.
pub const ENTRIES: u32 = 128;
/// The size of our table of entries, in bytes.
const TABLE_LEN: u64 = 16_384;

const WHAT: &str = "laying out a GPT";

/// One partition of a table to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// What it is for; [`Guid::UNUSED`] leaves the entry empty, so that the next partitions keep their numbers.
    pub type_guid: Guid,
    /// Its own identifier, PARTUUID.
    pub guid: Guid,
    /// The first sector.
    pub first_lba: u64,
    /// The last sector, which is part of it.
    pub last_lba: u64,
    /// Attribute bits.
    pub attributes: u64,
    /// PARTLABEL, of at most [`NAME_MAX`] UTF-16 units.
    pub name: String,
}

/// A table to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The disk's identifier.
    pub disk_guid: Guid,
    /// The partitions, numbered from 1 on; at most [`ENTRIES`].
    pub partitions: Vec<Partition>,
    /// The length of the disk in sectors; the backup stands in the last ones.
    pub total_sectors: u64,
    /// The size of a sector in bytes: 512 or 4096.
    pub sector_size: u64,
    /// The sector where the entries of the first copy begin; 2 unless something else stands there.
    pub entries_lba: u64,
}

/// Bytes and the sector where they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first sector.
    pub lba: u64,
    /// Whole sectors.
    pub bytes: Vec<u8>,
}

/// The bytes of a table. The MBR with its protective entry is the caller's: [`super::mbr::Entry::protective`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The first copy: the header in sector 1, then the entries.
    pub primary: [Extent; 2],
    /// The copy at the end: the entries, then the header in the last sector.
    pub backup: [Extent; 2],
    /// As in the layout, in bytes.
    pub sector_size: u64,
}

impl Encoded {
    /// Writes both copies to `disk`.
    ///
    /// # Errors
    ///
    /// What writing answers.
    pub fn write(&self, disk: &dyn WriteAt) -> Result<()> {
        for extent in self.primary.iter().chain(&self.backup) {
            disk.write_all_at(&extent.bytes, extent.lba.saturating_mul(self.sector_size))?;
        }
        Ok(())
    }
}

/// How many sectors the table of entries takes.
fn table_sectors(sector_size: u64) -> u64 {
    TABLE_LEN.div_ceil(sector_size.max(1))
}

/// How many sectors at the end of a disk belong to the backup: 33 of 512 bytes, 5 of 4096.
#[must_use]
pub fn backup_sectors(sector_size: u64) -> u64 {
    table_sectors(sector_size).saturating_add(1)
}

/// The bytes of both copies of the table.
///
/// # Errors
///
/// [`Kind::Limit`](crate::Kind::Limit) where there are too many partitions or a name is too long, and
/// [`Kind::Unsupported`](crate::Kind::Unsupported) where partitions overlap each other or the table, or the disk is too small.
pub fn encode(layout: &Layout) -> Result<Encoded> {
    if !matches!(layout.sector_size, 512 | 4096) {
        let message = format!("sectors of {} bytes", layout.sector_size);
        return Err(Error::unsupported(WHAT, message));
    }
    let places = Places::of(layout)?;
    check_partitions(layout, &places)?;
    let table = encode_entries(&layout.partitions)?;
    let table_crc = crc32fast::hash(&table);
    let header = |mine, other, entries| {
        let sector = encode_header(layout, &places, [mine, other, entries], table_crc);
        Extent {
            lba: mine,
            bytes: sector,
        }
    };
    let entries = |lba| Extent {
        lba,
        bytes: table.clone(),
    };
    Ok(Encoded {
        primary: [
            header(1, places.last_lba, layout.entries_lba),
            entries(layout.entries_lba),
        ],
        backup: [
            entries(places.backup_entries),
            header(places.last_lba, 1, places.backup_entries),
        ],
        sector_size: layout.sector_size,
    })
}

/// Where things are, in sectors.
struct Places {
    first_usable: u64,
    last_usable: u64,
    backup_entries: u64,
    last_lba: u64,
}

impl Places {
    fn of(layout: &Layout) -> Result<Self> {
        let sectors = table_sectors(layout.sector_size);
        let places = layout.total_sectors.checked_sub(1).and_then(|last_lba| {
            let backup_entries = last_lba.checked_sub(sectors)?;
            Some(Self {
                first_usable: layout.entries_lba.checked_add(sectors)?,
                last_usable: backup_entries.checked_sub(1)?,
                backup_entries,
                last_lba,
            })
        });
        let fits =
            |places: &Self| layout.entries_lba >= 2 && places.first_usable <= places.last_usable;
        places.filter(fits).ok_or_else(|| {
            let (total, at) = (layout.total_sectors, layout.entries_lba);
            let message =
                format!("no room on {total} sectors with the entries from sector {at} on");
            Error::unsupported(WHAT, message)
        })
    }
}

/// Holds that partitions lie between the copies of the table and apart from each other.
fn check_partitions(layout: &Layout, places: &Places) -> Result<()> {
    if u64::try_from(layout.partitions.len()).unwrap_or(u64::MAX) > u64::from(ENTRIES) {
        let message = format!("{} partitions, at most {ENTRIES}", layout.partitions.len());
        return Err(Error::limit(WHAT, message));
    }
    let used = |partition: &&Partition| partition.type_guid != Guid::UNUSED;
    let mut sorted: Vec<&Partition> = layout.partitions.iter().filter(used).collect();
    sorted.sort_by_key(|partition| partition.first_lba);
    let mut free_from = places.first_usable;
    for partition in sorted {
        let (first, last) = (partition.first_lba, partition.last_lba);
        if first < free_from || last < first || last > places.last_usable {
            let message = format!(
                "partition \"{}\" has the sectors {first} to {last}, and {free_from} to {} are free",
                partition.name, places.last_usable
            );
            return Err(Error::unsupported(WHAT, message));
        }
        free_from = last.saturating_add(1);
    }
    Ok(())
}

/// The table of entries.
fn encode_entries(partitions: &[Partition]) -> Result<Vec<u8>> {
    let mut table = Vec::new();
    for partition in partitions {
        table.extend(encode_entry(partition)?);
    }
    table.resize(usize::try_from(TABLE_LEN).unwrap_or(usize::MAX), 0);
    Ok(table)
}

/// One entry.
///
/// ```text
/// offset  size  name (of an entry)
///      0    16  type GUID
///     16    16  partition GUID
///     32     8  first sector
///     40     8  last sector
///     48     8  attributes
///     56    72  name, UTF-16
/// ```
pub(super) fn encode_entry(partition: &Partition) -> Result<Vec<u8>> {
    let units: Vec<u16> = partition.name.encode_utf16().collect();
    let padding = NAME_MAX.checked_sub(units.len()).ok_or_else(|| {
        let message = format!(
            "the partition name \"{}\" has more than {NAME_MAX} UTF-16 units",
            partition.name.escape_debug()
        );
        Error::limit(WHAT, message)
    })?;
    let mut entry = Vec::new();
    entry.extend(partition.type_guid.to_bytes());
    entry.extend(partition.guid.to_bytes());
    entry.extend(partition.first_lba.to_le_bytes());
    entry.extend(partition.last_lba.to_le_bytes());
    entry.extend(partition.attributes.to_le_bytes());
    let name = units.into_iter().chain(std::iter::repeat_n(0, padding));
    entry.extend(name.flat_map(u16::to_le_bytes));
    Ok(entry)
}

/// The sector of a header that stands in sector `mine`, whose copy stands in `other` and whose entries begin in `entries`.
///
/// ```text
/// offset  size  name
///      0     8  signature "EFI PART"
///      8     4  revision
///     12     4  header size
///     16     4  CRC-32 of the header, this field taken as 0
///     20     4  reserved
///     24     8  the sector of this header
///     32     8  the sector of the other one
///     40     8  first usable sector
///     48     8  last usable sector
///     56    16  disk GUID
///     72     8  first sector of the entries
///     80     4  number of entries
///     84     4  size of an entry
///     88     4  CRC-32 of the entries
/// ```
fn encode_header(
    layout: &Layout,
    places: &Places,
    [mine, other, entries]: [u64; 3],
    table_crc: u32,
) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(SIGNATURE);
    header.extend(REVISION.to_le_bytes());
    header.extend(HEADER_LEN.to_le_bytes());
    header.extend([0; 8]);
    header.extend(mine.to_le_bytes());
    header.extend(other.to_le_bytes());
    header.extend(places.first_usable.to_le_bytes());
    header.extend(places.last_usable.to_le_bytes());
    header.extend(layout.disk_guid.to_bytes());
    header.extend(entries.to_le_bytes());
    header.extend(ENTRIES.to_le_bytes());
    header.extend(ENTRY_LEN.to_le_bytes());
    header.extend(table_crc.to_le_bytes());
    let crc = crc32fast::hash(&header).to_le_bytes();
    let field = header.iter_mut().skip(HEADER_CRC);
    field.zip(crc).for_each(|(to, byte)| *to = byte);
    header.resize(usize::try_from(layout.sector_size).unwrap_or(0), 0);
    header
}
