//! A partition of the boot disk: found by its label, or made behind all others.

use block::partition::{Guid, Table, Warning, Wish, append, repair};
use contract::label;

use super::super::find::node;
use super::disk::{Disk, Part, doing};
use super::{Job, Trouble};
use crate::disks::Disk as Writable;

impl Job<'_, '_> {
    /// The partition of `disk` whose file system, or encrypted volume, has one of these labels. Those of other disks never count.
    pub(super) fn labelled(&mut self, disk: &Disk, labels: &[&str]) -> Option<Part> {
        self.mend_table(disk);
        let parts = self.parts(&disk.name);
        parts.into_iter().find(|part| {
            let device = node(&part.name);
            let labels_of = match self.identity(&device) {
                Some(identity) => identity.labels,
                None => self.encrypted_label(&device).into_iter().collect(),
            };
            let has = |wanted: &&str| labels_of.iter().any(|l| label::matches(wanted, l));
            labels.iter().any(has)
        })
    }

    /// What a power cut left half done is done: the first copy of the table, and partitions that the kernel could not see.
    fn mend_table(&mut self, disk: &Disk) {
        let path = node(&disk.name);
        let mended = self.boot.system.open_to_write(&path).map_err(doing(&path));
        let mended = mended.and_then(|opened| mend(&*opened, disk.sector_size));
        match mended {
            Ok(None) => {}
            Ok(Some(table)) => {
                self.boot
                    .step(&format!("mended the partition table of {path}"));
                let known = self.parts(&disk.name);
                for part in table.partitions {
                    if !known.iter().any(|it| it.start == part.start) {
                        let range = (part.start, part.len);
                        // One that overlaps another is refused, and not needed.
                        let _ = self.boot.system.add_partition(&path, part.index, range);
                    }
                }
            }
            Err(trouble) => self.boot.warn(&format!("{path}: {trouble}")),
        }
    }

    /// Makes a partition of all that is free behind the others, with a file system of this label in it.
    pub(super) fn new_partition(&mut self, disk: &Disk, label: &str) -> Result<Part, Trouble> {
        let path = node(&disk.name);
        if self.request.layer.read_only {
            return Err(format!("{path} has no partition labelled {label}"));
        }
        let guid = self
            .boot
            .system
            .random()
            .map_err(doing("no random bytes"))?;
        let opened = self.boot.system.open_to_write(&path);
        let opened = opened.map_err(doing(&path))?;
        let wish = Wish {
            min_len: self.least_len(),
            used_until: self.used_by_medium(),
            guid: Guid::from_digest(guid),
            name: label.to_owned(),
        };
        let added = append(&*opened, disk.sector_size, &wish);
        let added = added.map_err(|error| format!("{path}: {}", chain(&error)))?;
        let added = added.ok_or_else(|| {
            let mib = wish.min_len >> 20;
            format!("{path} has no {mib} MiB free behind its last partition")
        })?;
        self.boot.step(&format!(
            "making a partition of {} MiB on {path}, with {}",
            added.len >> 20,
            self.wish.file_system.name()
        ));
        // The file system first: a partition that is in the table is whole.
        let device = self.boot.system.attach_part(&path, added.start, added.len);
        let device = device.map_err(doing(&format!("a loop device on {path}")))?;
        let made = self.create(&device, label);
        let detached = self.boot.system.detach_loop(&device);
        made?;
        detached.map_err(doing(&device))?;
        for write in &added.writes {
            opened
                .write_all_at(&write.bytes, write.offset)
                .map_err(|error| format!("{path}: {}", chain(&error)))?;
            opened.sync().map_err(doing(&path))?;
        }
        let range = (added.start, added.len);
        let known = self.boot.system.add_partition(&path, added.index, range);
        known.map_err(doing(&format!("partition {} of {path}", added.index)))?;
        let parts = self.parts(&disk.name);
        let part = parts.into_iter().find(|part| part.start == added.start);
        part.ok_or_else(|| format!("the new partition of {path} did not appear"))
    }

    /// How many bytes at the start of the disk the medium has, whatever the table says.
    fn used_by_medium(&self) -> u64 {
        /// The field `volume space size` of the primary volume descriptor, in blocks of 2048 bytes.
        const BLOCKS: u64 = 16 * 2048 + 80;
        if self.medium.identity.kind != "iso9660" {
            return 0;
        }
        let mut blocks = [0; 4];
        let opened = self.boot.system.open(&self.medium.path());
        let read = opened.and_then(|it| it.read_at(&mut blocks, BLOCKS));
        match read {
            Ok(()) => u64::from(u32::from_le_bytes(blocks)).saturating_mul(2048),
            Err(_) => 0,
        }
    }
}

/// Makes the table whole where one of its copies is not; the table, where there was something to do.
fn mend(disk: &dyn Writable, sector_size: u64) -> Result<Option<Table>, Trouble> {
    let trouble = |error: block::Error| chain(&error);
    let table = Table::read(disk).map_err(trouble)?;
    let is_damage = |warning: &Warning| matches!(warning, Warning::PrimaryDamaged { .. });
    let Some(table) = table.filter(|table| table.warnings.iter().any(is_damage)) else {
        return Ok(None);
    };
    for write in repair(disk, sector_size).map_err(trouble)? {
        disk.write_all_at(&write.bytes, write.offset)
            .map_err(trouble)?;
        disk.sync().map_err(doing("writing the partition table"))?;
    }
    Ok(Some(table))
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
