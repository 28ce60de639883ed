//! What the partitions of a disk hold.

use std::sync::Arc;

use block::partition::{Guid, Partition, PartitionType, Table, mbr};
use block::{Content, Error, ReadAt, Result};
use formats::{Identity, ext4, fat, iso9660, squashfs};
use tree::Tree;

/// What a volume is in the operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not part of it, as far as is known.
    Unused,
    /// The root file system.
    Root,
    /// Mounted at this path.
    MountedAt(String),
}

/// A partition, or the whole disk where it has none.
#[derive(Clone, Debug)]
pub struct Volume {
    /// The partition; `None` for the whole disk.
    pub partition: Option<Partition>,
    /// The bytes.
    pub bytes: Arc<dyn ReadAt>,
    /// The file system; `None` where it is none that is known.
    pub identity: Option<Identity>,
    /// What it is in the operating system.
    pub role: Role,
}

impl Volume {
    /// The number of the partition, 0 for the whole disk.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.partition
            .as_ref()
            .map_or(0, |partition| partition.index)
    }

    /// Whether the partition table says that this is an EFI system partition.
    #[must_use]
    pub fn is_esp(&self) -> bool {
        self.partition
            .as_ref()
            .is_some_and(|partition| match partition.kind {
                PartitionType::Gpt(guid) => guid == Guid::ESP,
                PartitionType::Mbr(byte) => byte == mbr::TYPE_ESP,
            })
    }

    /// The volume in a few words: `partition 2 (ext4 "root")`.
    #[must_use]
    pub fn describe(&self) -> String {
        let what = match &self.identity {
            Some(identity) if identity.label.is_empty() => identity.format.to_owned(),
            Some(identity) => format!("{} \"{}\"", identity.format, identity.label),
            None => "no known file system".to_owned(),
        };
        match &self.partition {
            Some(partition) => format!("partition {} ({what})", partition.index),
            None => format!("the whole disk ({what})"),
        }
    }

    /// Reads the file system as a tree, with what a user should know about it: an unclean journal that was replayed, for instance.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) where it is none that is read here, and whatever reading answers.
    pub fn read(&self) -> Result<(Tree<Content>, Vec<String>)> {
        let bytes = Arc::clone(&self.bytes);
        let without_warnings = |tree| (tree, Vec::new());
        let read = match self.identity.as_ref().map(|identity| identity.format) {
            Some("ext4") => ext4::read(bytes).map(|volume| (volume.tree, volume.warnings)),
            Some("vfat") => fat::read_tree(bytes).map(without_warnings),
            Some("iso9660") => iso9660::read_tree(bytes).map(without_warnings),
            Some("squashfs") => squashfs::read_tree(bytes).map(without_warnings),
            Some(other) => Err(Error::unsupported(
                "reading a file system",
                format!("{other} is not read yet"),
            )),
            None => Err(Error::unsupported(
                "reading a file system",
                "it is none that is known",
            )),
        };
        read.map_err(|error| error.while_doing(format!("reading {}", self.describe())))
    }
}

/// What `bytes` hold; `None` where it is no file system that is known.
///
/// # Errors
///
/// Whatever reading answers.
pub fn identify(bytes: &dyn ReadAt) -> Result<Option<Identity>> {
    for probe in [ext4::probe, squashfs::probe, iso9660::probe, fat::probe] {
        if let Some(identity) = probe(bytes)? {
            return Ok(Some(identity));
        }
    }
    Ok(foreign(bytes))
}

/// File systems and containers that are known by name only, so that a message can name them.
fn foreign(bytes: &dyn ReadAt) -> Option<Identity> {
    const KNOWN: [(&str, u64, &[u8]); 6] = [
        ("xfs", 0, b"XFSB"),
        ("btrfs", 0x1_0040, b"_BHRfS_M"),
        ("LVM2 physical volume", 512 + 24, b"LVM2 001"),
        ("LUKS", 0, b"LUKS\xba\xbe"),
        ("swap", 4086, b"SWAPSPACE2"),
        ("erofs", 1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
    ];
    let has = |offset: u64, magic: &[u8]| {
        let mut found = vec![0; magic.len()];
        bytes.read_exact_at(&mut found, offset).is_ok() && found == magic
    };
    let (format, ..) = KNOWN
        .iter()
        .find(|(_, offset, magic)| has(*offset, magic))?;
    Some(Identity {
        format,
        label: String::new(),
        uuid: String::new(),
    })
}

/// The one file system of a disk without a partition table; `None` where there may be a table.
///
/// A FAT boot sector looks like an MBR and the other way round, so a FAT file system counts only where no table is found; a hybrid
/// ISO has a table and is an ISO all the same.
///
/// # Errors
///
/// Whatever reading answers.
pub fn probe_whole(image: &Arc<dyn ReadAt>) -> Result<Option<Volume>> {
    let Some(identity) = identify(&**image)? else {
        return Ok(None);
    };
    if identity.format == "vfat"
        && matches!(Table::read(&**image), Ok(Some(table)) if !table.partitions.is_empty())
    {
        return Ok(None);
    }
    let bytes = Arc::clone(image);
    Ok(Some(Volume {
        partition: None,
        bytes,
        identity: Some(identity),
        role: Role::Unused,
    }))
}

/// What each partition of `table` holds.
///
/// # Errors
///
/// Whatever reading answers.
pub fn probe_partitions(image: &Arc<dyn ReadAt>, table: &Table) -> Result<Vec<Volume>> {
    table
        .partitions
        .iter()
        .map(|partition| {
            let bytes: Arc<dyn ReadAt> = Arc::new(partition.open(Arc::clone(image))?);
            let identity = identify(&*bytes)?;
            Ok(Volume {
                partition: Some(partition.clone()),
                bytes,
                identity,
                role: Role::Unused,
            })
        })
        .collect()
}
