//! The master boot record: four entries in sector 0, and the chain of logical partitions.
//!
//! Sector addresses count sectors of 512 bytes. CHS fields are written for software that looks at them, never read.

use std::collections::BTreeSet;

use super::table::{Partition, PartitionType, Warning};
use crate::field::{u16_le, u32_le};
use crate::{Error, ReadAt, Result};

/// The size of the record, and of a sector here.
pub const SECTOR: u64 = 512;

/// The type byte of the entry that protects a GPT disk.
pub const TYPE_PROTECTIVE: u8 = 0xee;
/// The type byte of an EFI system partition.
pub const TYPE_ESP: u8 = 0xef;
/// The type byte of a Linux file system.
pub const TYPE_LINUX: u8 = 0x83;

/// The types of a container of logical partitions: CHS, LBA, and Linux's own (`is_extended_partition` of Linux's msdos.c).
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// How many records a chain of logical partitions may have; Linux ends at 256 partitions for a disk. Beyond it is an error.
const MAX_CHAIN: usize = 256;
/// Where the disk's identifier stands.
const DISK_ID: usize = 440;
/// Where the four entries of 16 bytes begin.
pub(super) const ENTRIES: usize = 446;
/// Where `55 aa` stands.
const SIGNATURE: usize = 510;

/// One entry of the table.
///
/// ```text
/// offset  size  name
///      0     1  boot indicator: 0x80 or 0
///      1     3  first sector, as cylinder, head and sector
///      4     1  type
///      5     3  last sector, as cylinder, head and sector
///      8     4  first sector
///     12     4  number of sectors
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Whether old firmware boots from it; some refuses a disk that has none.
    pub bootable: bool,
    /// The type byte; 0 is an entry that is not in use.
    pub kind: u8,
    /// The first sector, in 512-byte sectors.
    pub start_lba: u32,
    /// The number of 512-byte sectors.
    pub sectors: u32,
}

impl Entry {
    /// The entry of type 0xEE that keeps old software off a GPT disk of `total_sectors` sectors.
    ///
    /// Source: UEFI 2.10, 5.2.3.
    #[must_use]
    pub fn protective(total_sectors: u64) -> Self {
        Self {
            bootable: false,
            kind: TYPE_PROTECTIVE,
            start_lba: 1,
            sectors: u32::try_from(total_sectors.saturating_sub(1)).unwrap_or(u32::MAX),
        }
    }

    /// The 16 bytes of the entry, CHS fields for 255 heads and 63 sectors (what USB disks report) included.
    #[must_use]
    pub fn encode(&self) -> [u8; 16] {
        // An entry that is not in use has no CHS fields either: fdisk shows one that has.
        if *self == Self::default() {
            return [0; 16];
        }
        let last = u64::from(self.start_lba)
            .saturating_add(u64::from(self.sectors))
            .saturating_sub(1);
        let indicator = if self.bootable { 0x80 } else { 0 };
        let [h1, s1, c1] = chs(self.start_lba.into());
        let [h2, s2, c2] = chs(last);
        let [a, b, c, d] = self.start_lba.to_le_bytes();
        let [e, f, g, h] = self.sectors.to_le_bytes();
        [
            indicator, h1, s1, c1, self.kind, h2, s2, c2, a, b, c, d, e, f, g, h,
        ]
    }

    /// Reads the 16 bytes of an entry. Any boot indicator but 0 counts as bootable.
    #[must_use]
    fn parse(bytes: &[u8]) -> Self {
        Self {
            bootable: bytes.first().is_some_and(|byte| *byte != 0),
            kind: bytes.get(4).copied().unwrap_or(0),
            start_lba: u32_le(bytes, 8),
            sectors: u32_le(bytes, 12),
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.kind != 0 && self.sectors != 0
    }

    fn is_extended(&self) -> bool {
        EXTENDED.contains(&self.kind)
    }
}

/// A sector's address as head, sector (with the cylinder's top bits) and cylinder; the largest where it does not fit.
fn chs(lba: u64) -> [u8; 3] {
    const HEADS: u64 = 255;
    const SECTORS: u64 = 63;
    let (track, sector) = (lba.wrapping_div(SECTORS), lba.wrapping_rem(SECTORS));
    let (cylinder, head) = (track.wrapping_div(HEADS), track.wrapping_rem(HEADS));
    let byte = |number: u64| u8::try_from(number & 0xff).unwrap_or(0);
    if cylinder > 1023 {
        return [0xfe, 0xff, 0xff];
    }
    let high = (cylinder >> 2) & 0xc0;
    [
        byte(head),
        byte(sector.wrapping_add(1) | high),
        byte(cylinder),
    ]
}

/// What sector 0 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The code that firmware runs, as far as it reaches before the disk's identifier.
    pub code: [u8; 440],
    /// The disk's identifier, from which PARTUUIDs are made.
    pub disk_id: u32,
    /// The four entries; those not in use are all zeros.
    pub entries: [Entry; 4],
}

impl Record {
    /// The 512 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; 512] {
        let mut bytes = [0; 512];
        let (code, rest) = bytes.split_at_mut(DISK_ID);
        code.copy_from_slice(&self.code);
        let entries = self.entries.iter().flat_map(Entry::encode);
        let values = self.disk_id.to_le_bytes().into_iter().chain([0, 0]);
        let values = values.chain(entries).chain([0x55, 0xaa]);
        for (to, value) in rest.iter_mut().zip(values) {
            *to = value;
        }
        bytes
    }
}

/// Sector 0 as far as it is a partition table.
pub(super) struct Primary {
    pub(super) disk_id: u32,
    pub(super) entries: [Entry; 4],
}

impl Primary {
    /// Reads sector 0; `None` where it is no partition table: no signature, a boot indicator that is neither 0 nor 0x80, or the
    /// boot sector of a file system without partitions, which carries the same signature.
    pub(super) fn parse(sector: &[u8]) -> Option<Self> {
        if u16_le(sector, SIGNATURE) != 0xaa55 || is_file_system(sector) {
            return None;
        }
        let table = sector.get(ENTRIES..SIGNATURE)?;
        let indicators_hold = table
            .chunks_exact(16)
            .all(|entry| matches!(entry.first(), Some(0 | 0x80)));
        let mut entries = [Entry::default(); 4];
        for (entry, bytes) in entries.iter_mut().zip(table.chunks_exact(16)) {
            *entry = Entry::parse(bytes);
        }
        let disk_id = u32_le(sector, DISK_ID);
        indicators_hold.then_some(Self { disk_id, entries })
    }

    pub(super) fn is_protective(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.kind == TYPE_PROTECTIVE)
    }

    pub(super) fn has_partitions(&self) -> bool {
        self.entries.iter().any(Entry::is_used)
    }
}

/// Whether the sector is the boot sector of FAT, exFAT or NTFS.
fn is_file_system(sector: &[u8]) -> bool {
    let text = |at: usize, text: &[u8]| sector.get(at..).is_some_and(|rest| rest.starts_with(text));
    let fat_name = text(54, b"FAT") || text(82, b"FAT32");
    let sector_size = u16_le(sector, 11);
    let fat_shape = matches!(sector_size, 512 | 1024 | 2048 | 4096) && u16_le(sector, 14) != 0;
    (fat_name && fat_shape) || text(3, b"NTFS    ") || text(3, b"EXFAT   ")
}

/// Collects the partitions of a disk without GPT.
pub(super) struct Reader<'a> {
    source: &'a dyn ReadAt,
    disk_id: u32,
    partitions: Vec<Partition>,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    /// Reads the partitions that `primary`, sector 0 of `source`, leads to.
    pub(super) fn read(
        source: &'a dyn ReadAt,
        primary: &Primary,
    ) -> Result<(Vec<Partition>, Vec<Warning>)> {
        let mut reader = Self {
            source,
            disk_id: primary.disk_id,
            partitions: Vec::new(),
            warnings: Vec::new(),
        };
        for (index, entry) in (1..).zip(&primary.entries) {
            if entry.is_used() && !entry.is_extended() {
                reader.push(index, entry, 0);
            }
        }
        let mut next_index = 5;
        for entry in &primary.entries {
            if entry.is_used() && entry.is_extended() {
                reader.read_chain(entry.start_lba, &mut next_index)?;
            }
        }
        Ok((reader.partitions, reader.warnings))
    }

    /// Follows the records of logical partitions from sector `first` on: the first entries of each are partitions (counted from
    /// that record), an extended one leads to the next record (counted from `first`).
    fn read_chain(&mut self, first: u32, next_index: &mut u32) -> Result<()> {
        const WHAT: &str = "the chain of logical partitions";
        let mut seen = BTreeSet::new();
        let mut at = u64::from(first);
        loop {
            let offset = at.saturating_mul(SECTOR);
            if !seen.insert(at) {
                return Err(Error::corrupt(WHAT, "it leads in a circle").at(offset));
            }
            if seen.len() > MAX_CHAIN {
                let message = format!("it has more than {MAX_CHAIN} records");
                return Err(Error::limit(WHAT, message).at(offset));
            }
            let mut sector = [0; 512];
            self.source
                .read_exact_at(&mut sector, offset)
                .map_err(|error| error.while_doing(WHAT))?;
            if u16_le(&sector, SIGNATURE) != 0xaa55 {
                return Err(Error::corrupt(WHAT, "a record has no signature").at(offset));
            }
            let mut next = None;
            for bytes in sector
                .get(ENTRIES..SIGNATURE)
                .unwrap_or_default()
                .chunks_exact(16)
            {
                let entry = Entry::parse(bytes);
                if !entry.is_used() {
                } else if entry.is_extended() {
                    next = next.or(Some(u64::from(entry.start_lba)));
                } else {
                    self.push(*next_index, &entry, at);
                    *next_index = next_index.saturating_add(1);
                }
            }
            let Some(next) = next else {
                return Ok(());
            };
            at = u64::from(first).saturating_add(next);
        }
    }

    /// Adds the partition `entry`, whose sectors count from `base`.
    fn push(&mut self, index: u32, entry: &Entry, base: u64) {
        let start = base.saturating_add(entry.start_lba.into());
        let part_uuid = if self.disk_id == 0 {
            String::new()
        } else {
            format!("{:08x}-{index:02x}", self.disk_id)
        };
        let partition = Partition {
            index,
            start: start.saturating_mul(SECTOR),
            len: u64::from(entry.sectors).saturating_mul(SECTOR),
            kind: PartitionType::Mbr(entry.kind),
            part_uuid,
            label: String::new(),
            attributes: if entry.bootable { 0x80 } else { 0 },
        };
        let fitted = partition.fit(self.source.len(), &mut self.warnings);
        self.partitions.extend(fitted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chs_fields_count_63_sectors_and_255_heads_and_saturate() {
        assert_eq!(chs(0), [0, 1, 0]);
        assert_eq!(chs(2048), [32, 33, 0]);
        assert_eq!(chs(63 * 255 * 300), [0, 0x41, 44]);
        assert_eq!(chs(63 * 255 * 1024), [0xfe, 0xff, 0xff]);
    }

    #[test]
    fn a_record_stands_where_firmware_looks_for_it() {
        let mut entries = [Entry::default(); 4];
        entries[1] = Entry {
            bootable: true,
            kind: TYPE_ESP,
            start_lba: 64,
            sectors: 100,
        };
        let record = Record {
            code: [0x90; 440],
            disk_id: 0x1234_5678,
            entries,
        };
        let bytes = record.encode();
        assert_eq!(bytes[439..446], [0x90, 0x78, 0x56, 0x34, 0x12, 0, 0]);
        assert_eq!(bytes[446..462], [0; 16]);
        assert_eq!(bytes[462..478], entries[1].encode());
        assert_eq!(bytes[510..], [0x55, 0xaa]);
        assert_eq!(Primary::parse(&bytes).unwrap().entries, entries);
    }
}
