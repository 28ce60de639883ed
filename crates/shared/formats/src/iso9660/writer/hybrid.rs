//! The partition tables by which firmware boots the ISO from a disk or USB stick.
//!
//! With an ESP the table is a GPT of up to three partitions, which cover the whole medium so that no tool takes a part of it for free:
//! the metadata before the ESP, the ESP, and the files after it. The MBR then has the protective entry, and where there is boot code
//! a second one that is active, of type 0 and of the first sector alone: some BIOSes start no disk without an active entry, while a
//! table with any other entry besides the protective one would be a hybrid MBR, which partitioning tools and Windows read
//! differently (`xorriso -boot_image any mbr_force_bootable=on` does the same). The ISO 9660 file system is that of the whole disk,
//! where Linux, `blkid` and udev find it.
//!
//! Without an ESP there is an MBR with one active partition, as `isohybrid` makes it.

use block::partition::{Guid, gpt, mbr};
use block::{Error, Result, WriteAt};

use super::super::format::{SECTOR_LEN, array, put};
use super::eltorito::GRUB_CORE_SECTORS;
use super::options::{Extent, HybridKind, HybridMbr};

/// The size of a sector here, whatever the disk's.
const SECTOR: u64 = 512;
/// What the length of a disk is a multiple of.
const CYLINDER: u64 = 1 << 20;
/// The first sector of the volume descriptors, before which the table itself lies.
const SYSTEM_AREA_END: u64 = 64;
/// Where both kinds of boot code have the place of the boot image.
const PLACE_AT: usize = 432;
/// Attributes of the partitions that are parts of ISO 9660: required by the platform (bit 0), read-only (60), not mounted by itself
/// (63). UEFI 2.10, 5.3.3, and the Discoverable Partitions Specification.
const ATTRIBUTES: u64 = (1 << 63) | (1 << 60) | 1;
/// The type that `isohybrid` gives its partition: hidden NTFS, which no system mounts.
const TYPE_ISOHYBRID: u8 = 0x17;

/// All that the tables depend on.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    /// The boot code and the extent of the boot image that it loads.
    pub(super) boot: Option<(&'a HybridMbr, Extent)>,
    pub(super) esp: Option<Extent>,
    /// The length of the ISO in bytes.
    pub(super) len: u64,
    /// A digest of what tells this ISO from others; the GUIDs are made of it.
    pub(super) seed: blake3::Hash,
}

impl Layout<'_> {
    /// The length of an ISO whose files end at byte `end`: with room for the tables that stand last, and where firmware sees a disk
    /// in it, whole cylinders of what old BIOSes take a USB stick for (64 heads of 32 sectors: 1 MiB, as `isohybrid` has it).
    pub(super) fn whole_len(end: u64, boot: Option<&HybridMbr>, esp: Option<Extent>) -> u64 {
        let (tail, unit) = match (boot, esp) {
            (_, Some(_)) => (gpt::backup_sectors(SECTOR).saturating_mul(SECTOR), CYLINDER),
            (Some(_), None) => (0, CYLINDER),
            (None, None) => (0, SECTOR_LEN),
        };
        end.saturating_add(tail).div_ceil(unit).saturating_mul(unit)
    }

    /// Writes the tables.
    pub(super) fn write(&self, target: &dyn WriteAt) -> Result<()> {
        if self.boot.is_none() && self.esp.is_none() {
            return Ok(());
        }
        target.write_all_at(&self.master_boot_record()?.encode(), 0)?;
        if let Some(esp) = self.esp {
            self.guid_table(esp)?.write(target)?;
        }
        Ok(())
    }

    fn master_boot_record(&self) -> Result<mbr::Record> {
        let total = self.len / SECTOR;
        let mut code = [0; 440];
        let mut disk_id = 0;
        if let Some((boot, extent)) = self.boot {
            (code, disk_id) = self.boot_code(boot, extent)?;
        }
        let none = mbr::Entry::default();
        let entries = match (self.esp, self.boot) {
            (Some(_), None) => [mbr::Entry::protective(total), none, none, none],
            (Some(_), Some(_)) => {
                let active = mbr::Entry {
                    bootable: true,
                    kind: 0,
                    start_lba: 0,
                    sectors: 1,
                };
                [mbr::Entry::protective(total), active, none, none]
            }
            (None, _) => {
                let whole = mbr::Entry {
                    bootable: true,
                    kind: TYPE_ISOHYBRID,
                    start_lba: 0,
                    sectors: u32::try_from(total).unwrap_or(u32::MAX),
                };
                [whole, none, none, none]
            }
        };
        Ok(mbr::Record {
            code,
            disk_id,
            entries,
        })
    }

    /// The boot code with the place of the boot image, and the disk's signature.
    fn boot_code(&self, boot: &HybridMbr, extent: Extent) -> Result<([u8; 440], u32)> {
        if boot.code.len() > 512 || boot.code.len() <= PLACE_AT.saturating_sub(1) {
            let message = format!(
                "it has {} bytes, and boot code has 432 to 512",
                boot.code.len()
            );
            return Err(Error::unsupported(
                "the boot code for the first sector",
                message,
            ));
        }
        let sector = extent.offset / SECTOR;
        let place = match boot.kind {
            // The code loads the core image, one sector before what the boot image's own list leads to.
            HybridKind::Grub2 => sector.saturating_add(GRUB_CORE_SECTORS).saturating_sub(1),
            HybridKind::Isolinux => sector,
        };
        let mut code = [0; 440];
        put(&mut code, 0, &boot.code);
        put(&mut code, PLACE_AT, &place.to_le_bytes());
        let [a, b, c, d, ..] = self.seed.as_bytes();
        Ok((code, u32::from_le_bytes([*a, *b, *c, *d])))
    }

    fn guid_table(&self, esp: Extent) -> Result<gpt::Encoded> {
        let total_sectors = self.len / SECTOR;
        let first = esp.offset / SECTOR;
        let after = first.saturating_add(esp.len.div_ceil(SECTOR));
        // From a sector of the ISO to a sector of the ISO.
        let rest = after.next_multiple_of(4);
        let end = total_sectors.saturating_sub(gpt::backup_sectors(SECTOR)) & !3;
        let part = |number, type_guid, sectors: std::ops::Range<u64>, name: &str| gpt::Partition {
            type_guid,
            guid: self.guid(number),
            first_lba: sectors.start,
            last_lba: sectors.end.saturating_sub(1),
            attributes: if type_guid == Guid::ESP {
                0
            } else {
                ATTRIBUTES
            },
            name: name.to_owned(),
        };
        let mut partitions = vec![
            part(
                "metadata",
                Guid::LINUX_DATA,
                SYSTEM_AREA_END..first,
                "ISO9660",
            ),
            part("esp", Guid::ESP, first..after, "ESP"),
        ];
        if rest < end {
            partitions.push(part("files", Guid::LINUX_DATA, rest..end, "ISO9660"));
        }
        gpt::encode(&gpt::Layout {
            disk_guid: self.guid("disk"),
            partitions,
            total_sectors,
            sector_size: SECTOR,
            entries_lba: 2,
        })
    }

    fn guid(&self, what: &str) -> Guid {
        let digest = blake3::keyed_hash(self.seed.as_bytes(), what.as_bytes());
        let (half, _) = digest.as_bytes().split_at(16);
        Guid::from_digest(array(half, 0).unwrap_or_default())
    }
}
