//! Reading a GUID partition table, from whichever of its copies is whole.

use super::Guid;
use super::gpt::{ENTRY_LEN, HEADER_CRC, HEADER_LEN, NAME_MAX, SIGNATURE};
use super::table::{Partition, PartitionType, Scheme, Table, Warning};
use crate::field::{array, u16_le, u32_le, u64_le};
use crate::{Error, Kind, ReadAt, Result, read_vec};

/// The sizes of a sector that disks have; a table does not say which it counts in, so that both are tried.
const SECTOR_SIZES: [u64; 2] = [512, 4096];
/// How large a table of entries may be: 32 768 entries of the usual size. Beyond it is an error; real tables have 16 KiB.
const MAX_TABLE_LEN: usize = 4 << 20;

/// One copy of a table, whose checksums hold.
struct Copy {
    other_lba: u64,
    disk_guid: Guid,
    entry_len: usize,
    entries: Vec<u8>,
}

/// Reads the table of a disk whose MBR says that it has one.
pub(super) fn read(source: &dyn ReadAt) -> Result<Table> {
    let sizes = ordered_sizes(source)?;
    let mut reasons = Vec::new();
    for size in sizes {
        match Copy::read(source, size, 1) {
            Ok(copy) => {
                let mut warnings = Vec::new();
                if let Some(reason) = copy.backup_fault(source, size)? {
                    warnings.push(Warning::BackupDamaged { reason });
                }
                return Ok(copy.into_table(source, size, warnings));
            }
            Err(error) if error.kind() == Kind::Io => return Err(error),
            Err(error) => reasons.push(error),
        }
    }
    // The sector size that was likelier gave the first reason.
    reasons.truncate(1);
    let Some(primary) = reasons.pop() else {
        return Err(Error::corrupt("the GPT", "it cannot be read"));
    };
    for size in sizes {
        let last = source
            .len()
            .checked_div(size)
            .unwrap_or(0)
            .saturating_sub(1);
        match Copy::read(source, size, last) {
            Ok(copy) => {
                let reason = primary.to_string();
                return Ok(copy.into_table(source, size, vec![Warning::PrimaryDamaged { reason }]));
            }
            Err(error) if error.kind() == Kind::Io => return Err(error),
            Err(_) => {}
        }
    }
    let kind = primary.kind();
    let message = "the table at the start is damaged, and there is none at the end";
    let offset = primary.place().offset.unwrap_or_default();
    Err(Error::new(kind, "the GPT", message)
        .at(offset)
        .caused_by(primary))
}

/// Reads the table of a disk whose MBR says nothing; `None` where the first copy is not there and whole.
pub(super) fn read_unprotected(source: &dyn ReadAt) -> Result<Option<Table>> {
    for size in SECTOR_SIZES {
        match Copy::read(source, size, 1) {
            Ok(copy) => {
                let warnings = vec![Warning::NotProtected];
                return Ok(Some(copy.into_table(source, size, warnings)));
            }
            Err(error) if error.kind() == Kind::Io => return Err(error),
            Err(_) => {}
        }
    }
    Ok(None)
}

/// The sizes of a sector, the one at which a signature is found first.
fn ordered_sizes(source: &dyn ReadAt) -> Result<[u64; 2]> {
    let [small, large] = SECTOR_SIZES;
    let mut signature = [0; 8];
    if source.len() >= large.saturating_mul(2) {
        source.read_exact_at(&mut signature, large)?;
        let at_large = signature == *SIGNATURE;
        source.read_exact_at(&mut signature, small)?;
        if at_large && signature != *SIGNATURE {
            return Ok([large, small]);
        }
    }
    Ok(SECTOR_SIZES)
}

impl Copy {
    /// Reads the copy whose header is in sector `lba`, and holds its checksums.
    fn read(source: &dyn ReadAt, sector_size: u64, lba: u64) -> Result<Self> {
        let header = header(source, sector_size, lba)?;
        Self::read_entries(source, sector_size, &header)
    }

    /// Reads the entries that `header` leads to.
    fn read_entries(source: &dyn ReadAt, sector_size: u64, header: &[u8]) -> Result<Self> {
        let entry_len = u32_le(header, 84);
        Ok(Self {
            other_lba: u64_le(header, 32),
            disk_guid: Guid::from_bytes(array(header, 56)),
            entry_len: usize::try_from(entry_len).unwrap_or(usize::MAX),
            entries: entries(source, sector_size, header)?,
        })
    }

    /// What is wrong with the backup that this first copy names, if anything.
    fn backup_fault(&self, source: &dyn ReadAt, sector_size: u64) -> Result<Option<String>> {
        match Self::read(source, sector_size, self.other_lba) {
            Err(error) if error.kind() == Kind::Io => Err(error),
            Err(error) => Ok(Some(error.to_string())),
            Ok(other) if other.entries == self.entries && other.disk_guid == self.disk_guid => {
                Ok(None)
            }
            Ok(_) => Ok(Some("it differs from the first".to_owned())),
        }
    }

    fn into_table(
        self,
        source: &dyn ReadAt,
        sector_size: u64,
        mut warnings: Vec<Warning>,
    ) -> Table {
        let mut partitions = Vec::new();
        for (index, entry) in (1..).zip(self.entries.chunks_exact(self.entry_len)) {
            let type_guid = Guid::from_bytes(array(entry, 0));
            if type_guid == Guid::UNUSED {
                continue;
            }
            let (first, last) = (u64_le(entry, 32), u64_le(entry, 40));
            let Some(sectors) = last.checked_sub(first).map(|n| n.saturating_add(1)) else {
                warnings.push(Warning::PartitionReversed { index });
                continue;
            };
            let partition = Partition {
                index,
                start: first.saturating_mul(sector_size),
                len: sectors.saturating_mul(sector_size),
                kind: PartitionType::Gpt(type_guid),
                part_uuid: Guid::from_bytes(array(entry, 16)).to_string(),
                label: name(entry.get(56..).unwrap_or_default()),
                attributes: u64_le(entry, 48),
            };
            partitions.extend(partition.fit(source.len(), &mut warnings));
        }
        Table {
            scheme: Scheme::Gpt,
            sector_size,
            disk_id: self.disk_guid.to_string(),
            partitions,
            warnings,
        }
    }
}

/// The bytes of the header in sector `lba`, whose checksum holds.
pub(super) fn header(source: &dyn ReadAt, sector_size: u64, lba: u64) -> Result<Vec<u8>> {
    const WHAT: &str = "the GPT header";
    let offset = lba.saturating_mul(sector_size);
    let corrupt = |message: &str| Err(Error::corrupt(WHAT, message).at(offset));
    let sector = read_vec(source, offset, sector_size, 4096, WHAT)?;
    if !sector.starts_with(SIGNATURE) {
        return corrupt("there is no signature");
    }
    let header_len = u32_le(&sector, 12);
    let bytes = usize::try_from(header_len)
        .ok()
        .and_then(|len| sector.get(..len));
    let Some(bytes) = bytes.filter(|_| header_len >= HEADER_LEN) else {
        return corrupt("its length is not between 92 bytes and a sector");
    };
    if checksum(bytes) != u32_le(bytes, HEADER_CRC) {
        return corrupt("its checksum is wrong");
    }
    if u64_le(bytes, 24) != lba {
        return corrupt("it says that it stands in another sector");
    }
    Ok(bytes.to_vec())
}

/// What the checksum of a header has to be.
pub(super) fn checksum(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let (before, rest) = header.split_at_checked(HEADER_CRC).unwrap_or((header, &[]));
    hasher.update(before);
    hasher.update(&[0; 4]);
    hasher.update(rest.get(4..).unwrap_or_default());
    hasher.finalize()
}

/// The bytes of the entries that `header` leads to, whose checksum holds.
pub(super) fn entries(source: &dyn ReadAt, sector_size: u64, header: &[u8]) -> Result<Vec<u8>> {
    const WHAT: &str = "the GPT entries";
    let offset = u64_le(header, 72).saturating_mul(sector_size);
    let (count, entry_len) = (u32_le(header, 80), u32_le(header, 84));
    if entry_len < ENTRY_LEN || entry_len.checked_rem(8) != Some(0) {
        let message = format!("entries of {entry_len} bytes");
        return Err(Error::corrupt(WHAT, message).at(offset));
    }
    let len = u64::from(count).saturating_mul(entry_len.into());
    let entries = read_vec(source, offset, len, MAX_TABLE_LEN, WHAT)?;
    if crc32fast::hash(&entries) != u32_le(header, 88) {
        return Err(Error::corrupt(WHAT, "their checksum is wrong").at(offset));
    }
    Ok(entries)
}

/// The name that begins with `bytes`; what is no UTF-16 becomes U+FFFD.
fn name(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).take(NAME_MAX);
    let units = units
        .map(|unit| u16_le(unit, 0))
        .take_while(|unit| *unit != 0);
    let chars = char::decode_utf16(units);
    chars
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
