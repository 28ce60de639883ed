//! A disk's partitions, whichever table lists them.

use std::fmt;
use std::sync::Arc;

use super::{Guid, gpt_read, mbr};
use crate::{ReadAt, Result, Window};

/// Which kind of table a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Mbr,
}

/// What a partition is for, as its table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// The type GUID.
    Gpt(Guid),
    /// The type byte.
    Mbr(u8),
}

impl fmt::Display for PartitionType {
    /// As `lsblk -o PARTTYPE` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(guid) => guid.fmt(f),
            Self::Mbr(byte) => write!(f, "{byte:#x}"),
        }
    }
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The number that Linux gives it: from 1 on; logical partitions of an MBR from 5 on.
    pub index: u32,
    /// Where it begins, in bytes from the start of the disk.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// What it is for.
    pub kind: PartitionType,
    /// PARTUUID as `blkid` prints it; empty for an MBR without an identifier.
    pub part_uuid: String,
    /// PARTLABEL; empty where there is none.
    pub label: String,
    /// GPT: the attribute bits. MBR: the boot indicator, 0x80 or 0.
    pub attributes: u64,
}

impl Partition {
    /// The partition's bytes on `disk`.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where `disk` ends before the partition does.
    pub fn open(&self, disk: Arc<dyn ReadAt>) -> Result<Window> {
        Window::new(disk, self.start, self.len)
            .map_err(|error| error.while_doing(format!("opening partition {}", self.index)))
    }

    /// The partition as far as it lies on a disk of `disk_len` bytes, with a warning where that is not all of it.
    pub(super) fn fit(mut self, disk_len: u64, warnings: &mut Vec<Warning>) -> Option<Self> {
        let available = disk_len.saturating_sub(self.start);
        if available == 0 {
            warnings.push(Warning::PartitionBeyondEnd { index: self.index });
            return None;
        }
        if self.len > available {
            warnings.push(Warning::PartitionCut {
                index: self.index,
                len: self.len,
                kept: available,
            });
            self.len = available;
        }
        Some(self)
    }
}

/// Something about a table that is not as it should be and did not stop the reading of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The first copy of a GPT is damaged; the one at the end of the disk was read.
    PrimaryDamaged {
        /// What is wrong with it.
        reason: String,
    },
    /// The copy of a GPT at the end of the disk is damaged or not there; the first was read.
    BackupDamaged {
        /// What is wrong with it.
        reason: String,
    },
    /// A GPT without the MBR entry that should protect it.
    NotProtected,
    /// A partition begins after the end of the disk and was left out.
    PartitionBeyondEnd {
        /// Its number.
        index: u32,
    },
    /// A partition reaches past the end of the disk and was shortened.
    PartitionCut {
        /// Its number.
        index: u32,
        /// The length that the table says, in bytes.
        len: u64,
        /// The length that is there, in bytes.
        kept: u64,
    },
    /// The last sector of a GPT partition comes before its first; it was left out.
    PartitionReversed {
        /// Its number.
        index: u32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrimaryDamaged { reason } => write!(
                f,
                "the GPT at the start of the disk is damaged ({reason}); its backup is used"
            ),
            Self::BackupDamaged { reason } => {
                write!(
                    f,
                    "the backup GPT at the end of the disk is damaged ({reason})"
                )
            }
            Self::NotProtected => f.write_str("the GPT has no protective MBR"),
            Self::PartitionBeyondEnd { index } => write!(
                f,
                "partition {index} begins after the end of the disk and is left out"
            ),
            Self::PartitionCut { index, len, kept } => write!(
                f,
                "partition {index} has {len} bytes and the disk ends after {kept} of them"
            ),
            Self::PartitionReversed { index } => write!(
                f,
                "the last sector of partition {index} comes before its first; it is left out"
            ),
        }
    }
}

/// The partition table of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which kind it is.
    pub scheme: Scheme,
    /// The size of the sectors that the table counts in, in bytes: 512 or 4096.
    pub sector_size: u64,
    /// The disk's identifier: the GUID, or eight hexadecimal digits; empty for an MBR without one.
    pub disk_id: String,
    /// The partitions in the order of their numbers; numbers may be missing.
    pub partitions: Vec<Partition>,
    /// What is not as it should be.
    pub warnings: Vec<Warning>,
}

impl Table {
    /// Reads the partition table of `source`; `None` where it has none (a file system without partitions, for instance).
    ///
    /// A disk is a GPT disk where its MBR has a protective entry, other entries (hybrid) or not, or where a valid GPT stands beside
    /// an MBR without partitions. Then the first GPT counts, or, where that is damaged, the backup in the last sector.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where both copies of a protected GPT are damaged, or a chain of logical partitions
    /// is; [`Kind::Limit`](crate::Kind::Limit) where a table is larger than any real one; what reading answers.
    pub fn read(source: &dyn ReadAt) -> Result<Option<Self>> {
        let mut sector = [0; 512];
        if source.len() < mbr::SECTOR {
            return Ok(None);
        }
        source.read_exact_at(&mut sector, 0)?;
        let primary = mbr::Primary::parse(&sector);
        let is_protective = primary.as_ref().is_some_and(mbr::Primary::is_protective);
        let has_partitions = primary.as_ref().is_some_and(mbr::Primary::has_partitions);
        if is_protective {
            return gpt_read::read(source).map(Some);
        }
        if let Some(primary) = primary.filter(|_| has_partitions) {
            let (partitions, warnings) = mbr::Reader::read(source, &primary)?;
            return Ok(Some(Self {
                scheme: Scheme::Mbr,
                sector_size: mbr::SECTOR,
                disk_id: match primary.disk_id {
                    0 => String::new(),
                    disk_id => format!("{disk_id:08x}"),
                },
                partitions,
                warnings,
            }));
        }
        gpt_read::read_unprotected(source)
    }
}
