//! What `liveos inspect` found, as a value. Its JSON is an interface: fields are added, never renamed.

mod iso;
pub(crate) mod text;

use std::path::Path;
use std::sync::Arc;

use block::partition::Scheme;
use block::{ReadAt as _, Result};
use inspect::Facts;
use serde::Serialize;
use source::{Disk, Input, Origin, Role, Source, Volume};

pub(crate) use iso::IsoReport;

/// An input: a disk image, an ISO, a tar, a folder.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The path that was given.
    pub(crate) path: String,
    /// The format: `folder`, `tar`, or that of the disk image: `raw`, `qcow2`.
    pub(crate) format: &'static str,
    /// The length of the disk, medium or file in bytes; 0 for a folder.
    pub(crate) len: u64,
    /// How many names a folder holds, itself included; `null` for other inputs.
    pub(crate) names: Option<u64>,
    /// The partition table; `null` where there is none.
    pub(crate) table: Option<TableReport>,
    /// The partitions, or the one file system of the whole disk.
    pub(crate) volumes: Vec<VolumeReport>,
    /// What is on an ISO; `null` for other disks.
    pub(crate) iso: Option<IsoReport>,
    /// The operating system; `null` where there is none.
    pub(crate) system: Option<Facts>,
    /// What is not as it should be, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// A partition table.
#[derive(Debug, Serialize)]
pub(crate) struct TableReport {
    /// `gpt` or `mbr`.
    pub(crate) scheme: &'static str,
    /// The disk's identifier.
    pub(crate) disk_id: String,
    /// The size of a sector in bytes.
    pub(crate) sector_size: u64,
}

/// A partition, or the whole disk.
#[derive(Debug, Serialize)]
pub(crate) struct VolumeReport {
    /// The number; 0 for the whole disk.
    pub(crate) index: u32,
    /// In bytes from the start of the disk.
    pub(crate) start: u64,
    /// In bytes.
    pub(crate) len: u64,
    /// The partition's type, as `lsblk` shows it.
    pub(crate) partition_type: String,
    /// PARTUUID.
    pub(crate) partition_uuid: String,
    /// PARTLABEL.
    pub(crate) partition_label: String,
    /// The file system's format; `null` where it is none that is known.
    pub(crate) file_system: Option<&'static str>,
    /// The file system's label.
    pub(crate) label: String,
    /// The file system's UUID.
    pub(crate) uuid: String,
    /// Where the operating system mounts it; `null` where it does not.
    pub(crate) mount_point: Option<String>,
}

impl Report {
    /// Looks at the file or folder at `path`.
    ///
    /// # Errors
    ///
    /// Whatever opening and reading answers. That a disk holds no operating system is no error but a warning.
    pub(crate) fn of(path: &Path, options: &source::Options) -> Result<Self> {
        let input = source::open_input(path, options)?;
        let mut report = Self::empty(path);
        let mut image = None;
        match &input {
            Input::Disk(disk) => {
                report.describe(disk);
                image = Some((Arc::clone(&disk.image), disk.is_iso()));
            }
            Input::Tar(file) => {
                report.format = "tar";
                report.len = file.len();
            }
            Input::Folder(_) => {}
        }
        match source::read(input, options).map_err(|error| error.in_file(path)) {
            Ok(source) => report.fill(source)?,
            Err(error) if error.kind() == block::Kind::NotFound && image.is_some() => {
                if let Some((image, true)) = image {
                    report.iso = Some(iso::of_image(&image)?);
                }
                report.warnings.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(report)
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.display().to_string(),
            format: "folder",
            len: 0,
            names: None,
            table: None,
            volumes: Vec::new(),
            iso: None,
            system: None,
            warnings: Vec::new(),
        }
    }

    /// Takes over what is known of `disk`.
    fn describe(&mut self, disk: &Disk) {
        self.format = disk.format;
        self.len = disk.image.len();
        self.table = disk.table.as_ref().map(table);
        self.volumes = disk.volumes.iter().map(volume).collect();
    }

    /// Takes over what was read.
    fn fill(&mut self, source: Source) -> Result<()> {
        match &source.origin {
            Origin::Disk(disk) => self.describe(disk),
            Origin::Tar => {}
            Origin::Folder(folder) => self.names = Some(folder.names),
            Origin::Media(media) => self.iso = Some(iso::of_media(media)?),
        }
        self.warnings = source.warnings.iter().map(ToString::to_string).collect();
        self.system = Some(inspect::facts(&source.tree)?);
        Ok(())
    }
}

fn table(table: &block::partition::Table) -> TableReport {
    TableReport {
        scheme: match table.scheme {
            Scheme::Gpt => "gpt",
            Scheme::Mbr => "mbr",
        },
        disk_id: table.disk_id.clone(),
        sector_size: table.sector_size,
    }
}

fn volume(volume: &Volume) -> VolumeReport {
    let partition = volume.partition.as_ref();
    let identity = volume.identity.as_ref();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    VolumeReport {
        index: volume.index(),
        start: partition.map_or(0, |partition| partition.start),
        len: volume.bytes.len(),
        partition_type: partition
            .map(|partition| partition.kind.to_string())
            .unwrap_or_default(),
        partition_uuid: text(partition.map(|partition| &partition.part_uuid)),
        partition_label: text(partition.map(|partition| &partition.label)),
        file_system: identity.map(|identity| identity.format),
        label: text(identity.map(|identity| &identity.label)),
        uuid: text(identity.map(|identity| &identity.uuid)),
        mount_point: match &volume.role {
            Role::Unused => None,
            Role::Root => Some("/".to_owned()),
            Role::MountedAt(path) => Some(path.clone()),
        },
    }
}
