//! The structures of FAT.
//!
//! Source: Microsoft, FAT32 File System Specification, version 1.03; for long names also Linux `Documentation/filesystems/vfat.rst`.
//! Not read: which FAT is the active one where they are not mirrored (the first one counts, as in Linux), access and creation times,
//! attributes but read-only. Not written: creation and access times.

use block::{Error, ReadAt, Result, read_vec};
use tree::Timestamp;

/// The size of a directory entry.
pub(super) const ENTRY_LEN: usize = 32;
/// How many entries a folder may have; beyond it is an error, as in Linux (`FAT_MAX_DIR_ENTRIES`).
pub(super) const MAX_ENTRIES: u64 = 65_536;
/// The number of the first cluster.
pub(super) const FIRST_CLUSTER: u32 = 2;

/// The label in the boot sector of a file system that has none.
pub(super) const NO_LABEL: &[u8; 11] = b"NO NAME    ";

/// Attribute bits of a directory entry.
pub(super) mod attribute {
    pub(in super::super) const READ_ONLY: u8 = 0x01;
    pub(in super::super) const VOLUME: u8 = 0x08;
    pub(in super::super) const DIRECTORY: u8 = 0x10;
    pub(in super::super) const ARCHIVE: u8 = 0x20;
    /// All of the lower four: a part of a long name.
    pub(in super::super) const LONG_NAME: u8 = 0x0f;
    /// The bits that are compared with [`LONG_NAME`].
    pub(in super::super) const LONG_NAME_MASK: u8 = 0x3f;
}

/// The `N` bytes from `at` on; zeros where `bytes` ends before.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

pub(super) fn u16_le(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(super) fn u32_le(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// How wide the entries of the table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fat12,
    Fat16,
    Fat32,
}

impl Kind {
    /// The most clusters that a file system of this kind has; with more it is of the next kind.
    pub(super) fn max_clusters(self) -> u32 {
        match self {
            Self::Fat12 => 4084,
            Self::Fat16 => 65_524,
            Self::Fat32 => 0x0fff_fff4,
        }
    }

    /// How many bytes the table of `clusters` clusters takes, with its two reserved entries.
    pub(super) fn table_len(self, clusters: u32) -> u64 {
        let entries = u64::from(clusters).saturating_add(FIRST_CLUSTER.into());
        match self {
            Self::Fat12 => entries.saturating_mul(3).div_ceil(2),
            Self::Fat16 => entries.saturating_mul(2),
            Self::Fat32 => entries.saturating_mul(4),
        }
    }
}

/// Where the root folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// In a place of its own of `len` bytes (FAT12, FAT16).
    Region { offset: u64, len: u64 },
    /// In a chain of clusters from this one on (FAT32).
    Cluster(u32),
}

/// What the boot sector says, checked.
///
/// ```text
/// offset  size  name
///      0     3  jump over this table
///     11     2  bytes in a sector
///     13     1  sectors in a cluster
///     14     2  reserved sectors, this one included
///     16     1  number of tables
///     17     2  entries of the root folder (FAT32: 0)
///     19     2  sectors, or 0
///     21     1  media descriptor
///     22     2  sectors of a table (FAT32: 0)
///     32     4  sectors, where the field above is 0
///     36        FAT12, FAT16: drive, reserved, signature (0x28, 0x29), serial at 39, label at 43, name of the kind at 54
///     36     4  FAT32: sectors of a table
///     44     4  FAT32: first cluster of the root folder
///     64        FAT32: drive, reserved, signature, serial at 67, label at 71, name of the kind at 82
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) kind: Kind,
    /// In bytes, a power of two.
    pub(super) cluster_len: u64,
    /// How many clusters there are, of what the table and the medium can hold.
    pub(super) clusters: u32,
    /// Where the first table begins, in bytes.
    pub(super) table_offset: u64,
    /// Where cluster 2 begins, in bytes.
    pub(super) data_offset: u64,
    pub(super) root: Root,
    /// 0 where there is none.
    pub(super) serial: u32,
}

impl Geometry {
    /// Reads the boot sector; `None` where it is none of FAT.
    pub(super) fn read(source: &dyn ReadAt) -> Result<Option<Self>> {
        if source.len() < 512 {
            return Ok(None);
        }
        let sector = read_vec(source, 0, 512, 512, "the FAT boot sector")?;
        Self::parse(&sector, source.len())
            .transpose()
            .map_err(|error: Error| error.at(0))
    }

    /// Whether `sector` looks like a boot sector of FAT: the checks of Linux (`fat_read_bpb`), and a jump or signature.
    fn is_boot_sector(sector: &[u8]) -> bool {
        let is_marked = matches!(byte(sector, 0), 0xe9 | 0xeb) || u16_le(sector, 510) == 0xaa55;
        let sector_len = u16_le(sector, 11);
        is_marked
            && matches!(sector_len, 512 | 1024 | 2048 | 4096)
            && byte(sector, 13).is_power_of_two()
            && u16_le(sector, 14) != 0
            && byte(sector, 16) != 0
            && matches!(byte(sector, 21), 0xf0 | 0xf8..=0xff)
            && (u16_le(sector, 19) != 0 || u32_le(sector, 32) != 0)
            && (u16_le(sector, 22) != 0 || u32_le(sector, 36) != 0)
    }

    fn parse(sector: &[u8], source_len: u64) -> Option<Result<Self>> {
        if !Self::is_boot_sector(sector) {
            return None;
        }
        let corrupt = |message: String| Some(Err(Error::corrupt("the FAT boot sector", message)));
        let sector_len = u64::from(u16_le(sector, 11));
        let sectors = |count: u64| count.saturating_mul(sector_len);
        let (tables, root_entries) = (u64::from(byte(sector, 16)), u64::from(u16_le(sector, 17)));
        let is_fat32 = u16_le(sector, 22) == 0;
        let table_len = match u16_le(sector, 22) {
            0 => sectors(u32_le(sector, 36).into()),
            count => sectors(count.into()),
        };
        let total = match u16_le(sector, 19) {
            0 => sectors(u32_le(sector, 32).into()),
            count => sectors(count.into()),
        };
        let table_offset = sectors(u16_le(sector, 14).into());
        let root_offset = table_offset.saturating_add(table_len.saturating_mul(tables));
        let root_len = root_entries.saturating_mul(32).next_multiple_of(sector_len);
        let data_offset = root_offset.saturating_add(root_len);
        let cluster_len = sectors(byte(sector, 13).into());
        let data_len = total.saturating_sub(data_offset);
        let said = data_len.checked_div(cluster_len).unwrap_or(0);
        let kind = match said {
            _ if is_fat32 => Kind::Fat32,
            0..=4084 => Kind::Fat12,
            _ => Kind::Fat16,
        };
        // A table can be too short for the data, and a medium cut off: clusters beyond are not there.
        let bits = table_len.saturating_mul(8);
        let in_table = match kind {
            Kind::Fat12 => bits / 12,
            Kind::Fat16 => bits / 16,
            Kind::Fat32 => bits / 32,
        };
        let on_medium = source_len
            .saturating_sub(data_offset)
            .checked_div(cluster_len);
        let clusters = said
            .min(in_table.saturating_sub(FIRST_CLUSTER.into()))
            .min(on_medium.unwrap_or(0))
            .min(kind.max_clusters().into());
        if said == 0 || said > kind.max_clusters().into() {
            return corrupt(format!("it leaves room for {said} clusters"));
        }
        let (root, extended) = if is_fat32 {
            (Root::Cluster(u32_le(sector, 44)), 66)
        } else {
            let offset = root_offset;
            let len = root_entries.saturating_mul(32);
            (Root::Region { offset, len }, 38)
        };
        let has_serial = matches!(byte(sector, extended), 0x28 | 0x29);
        Some(Ok(Self {
            kind,
            cluster_len,
            clusters: u32::try_from(clusters).unwrap_or(0),
            table_offset,
            data_offset,
            root,
            serial: if has_serial {
                u32_le(sector, extended.saturating_add(1))
            } else {
                0
            },
        }))
    }

    /// Where `cluster` begins, in bytes; `None` where there is no such cluster.
    pub(super) fn offset(&self, cluster: u32) -> Option<u64> {
        let index = cluster.checked_sub(FIRST_CLUSTER)?;
        (index < self.clusters).then(|| {
            let inside = u64::from(index).saturating_mul(self.cluster_len);
            self.data_offset.saturating_add(inside)
        })
    }
}

/// A directory entry of 32 bytes.
///
/// ```text
/// offset  size  name
///      0    11  short name: 8 of the base, 3 of the extension
///     11     1  attributes
///     12     1  0x08: base in lower case, 0x10: extension in lower case (Windows NT)
///     20     2  first cluster, upper half
///     22     2  time of the last change
///     24     2  date of it
///     26     2  first cluster, lower half
///     28     4  length in bytes
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortEntry {
    pub(super) name: [u8; 11],
    pub(super) attributes: u8,
    pub(super) lower_case: u8,
    pub(super) time: u16,
    pub(super) date: u16,
    pub(super) cluster: u32,
    pub(super) len: u32,
}

impl ShortEntry {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let high = u32::from(u16_le(bytes, 20));
        Self {
            name: array(bytes, 0),
            attributes: byte(bytes, 11),
            lower_case: byte(bytes, 12),
            time: u16_le(bytes, 22),
            date: u16_le(bytes, 24),
            cluster: high << 16 | u32::from(u16_le(bytes, 26)),
            len: u32_le(bytes, 28),
        }
    }

    pub(super) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        let [low0, low1, high0, high1] = self.cluster.to_le_bytes();
        let fields = [self.attributes, self.lower_case]
            .into_iter()
            .chain([0; 7])
            .chain([high0, high1])
            .chain(self.time.to_le_bytes())
            .chain(self.date.to_le_bytes())
            .chain([low0, low1])
            .chain(self.len.to_le_bytes());
        for (to, value) in bytes.iter_mut().zip(self.name.into_iter().chain(fields)) {
            *to = value;
        }
        // Offset 13 to 19 are the times of creation and last access, which are not written.
        bytes
    }
}

/// Days from 1970-01-01 to 1980-01-01, the first day of FAT.
const DAYS_TO_1980: i64 = 3652;
/// Days from 1980-01-01 to 2107-12-31, the last day of FAT.
const LAST_DAY: i64 = 46_750;
const SECONDS_IN_DAY: i64 = 86_400;
/// The days before each month in a year that is no leap year.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// The point in time of a FAT date and time, taken as UTC; a month or day of 0 counts as 1, as in Linux.
pub(super) fn timestamp(date: u16, time: u16) -> Timestamp {
    let (date, time) = (i64::from(date), i64::from(time));
    let (year, month, day) = (date >> 9, (date >> 5 & 15).max(1), (date & 31).max(1));
    // 1980 is a leap year, and 2100 the only fourth year of FAT's that is none.
    let leap_days = year.saturating_add(3) / 4;
    let month_index = usize::try_from(month).unwrap_or(1).saturating_sub(1);
    let before = DAYS_BEFORE.get(month_index).copied().unwrap_or(334);
    let is_leap = year & 3 == 0 && year != 120;
    let days = year
        .saturating_mul(365)
        .saturating_add(leap_days)
        .saturating_sub(i64::from(year > 120))
        .saturating_add(before)
        .saturating_add(i64::from(is_leap && month > 2))
        .saturating_add(day)
        .saturating_sub(1)
        .saturating_add(DAYS_TO_1980);
    let seconds = (time >> 11)
        .saturating_mul(3600)
        .saturating_add((time >> 5 & 63).saturating_mul(60))
        .saturating_add((time & 31).saturating_mul(2));
    Timestamp::from_seconds(days.saturating_mul(SECONDS_IN_DAY).saturating_add(seconds))
}

/// The FAT date and time of a point in time, rounded down to two seconds; times before 1980 and after 2107 become the first and the
/// last that there are.
pub(super) fn date_and_time(at: Timestamp) -> (u16, u16) {
    let first = DAYS_TO_1980.saturating_mul(SECONDS_IN_DAY);
    let since = at.seconds.saturating_sub(first);
    let last = LAST_DAY
        .saturating_mul(SECONDS_IN_DAY)
        .saturating_add(SECONDS_IN_DAY - 1);
    let since = since.clamp(0, last);
    let (mut days, seconds) = (since / SECONDS_IN_DAY, since % SECONDS_IN_DAY);
    let mut year: i64 = 0;
    let is_leap = |year: i64| year & 3 == 0 && year != 120;
    loop {
        let len = if is_leap(year) { 366 } else { 365 };
        if days < len {
            break;
        }
        days = days.saturating_sub(len);
        year = year.saturating_add(1);
    }
    let start =
        |month: usize, before: i64| before.saturating_add(i64::from(is_leap(year) && month >= 2));
    let months = DAYS_BEFORE.iter().enumerate();
    let mut found = months.map(|(month, before)| (month, start(month, *before)));
    let (month, before) = found.rfind(|(_, before)| *before <= days).unwrap_or((0, 0));
    let month = i64::try_from(month).unwrap_or(0).saturating_add(1);
    let day = days.saturating_sub(before).saturating_add(1);
    let date = year << 9 | month << 5 | day;
    let time = (seconds / 3600) << 11 | (seconds / 60 % 60) << 5 | (seconds % 60 / 2);
    (
        u16::try_from(date).unwrap_or(0x21),
        u16::try_from(time).unwrap_or(0),
    )
}
