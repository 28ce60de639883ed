//! Opens an input and answers with a tree.
//!
//! A disk image may hold several partitions; the operating system's own `fstab` says how they make one tree. Nothing is mounted and
//! nothing is unpacked: the tree's files are ranges of the input.
//!
//! * [`volume`]: what the partitions of the input hold.
//! * [`root`]: which of them is the root file system, found by its content.
//! * [`assemble`]: the others, laid over the root where `fstab` mounts them.
//!
//! **Invariant:** whatever `fstab` would mount and this crate leaves out is named in a [`Warning`].
#![forbid(unsafe_code)]

mod assemble;
mod root;
pub mod volume;
mod warning;

use std::path::Path;
use std::sync::Arc;

use block::{Content, Error, ReadAt, Result};
use tree::Tree;

pub use volume::{Role, Volume};
pub use warning::Warning;

/// How an input is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the disk image is opened: what its backing files may be.
    pub disk_image: block::Options,
}

/// An input: its disk image and what the partitions hold.
#[derive(Debug)]
pub struct Disk {
    /// The name of the disk image's format: `raw`, `qcow2`.
    pub format: &'static str,
    /// The bytes of the disk.
    pub image: Arc<dyn ReadAt>,
    /// The partition table; `None` where a file system begins at the first byte.
    pub table: Option<block::partition::Table>,
    /// What the partitions hold, or the one file system of the whole disk.
    pub volumes: Vec<Volume>,
}

/// An operating system as one tree.
#[derive(Debug)]
pub struct Source {
    /// The disk that it comes from.
    pub disk: Disk,
    /// All its file systems as one tree.
    pub tree: Tree<Content>,
    /// What was left out, or is not as it should be.
    pub warnings: Vec<Warning>,
}

/// Opens the disk image at `path` and finds out what its partitions hold, without reading their files.
///
/// # Errors
///
/// Whatever opening answers; [`Kind::Corrupt`](block::Kind::Corrupt) where the partition table is damaged beyond use.
pub fn open_disk(path: &Path, options: &Options) -> Result<Disk> {
    let opened = block::open_disk_image(path, &options.disk_image)?;
    let image = opened.image;
    let probed = volume::probe_whole(&image).map_err(|error| error.in_file(path))?;
    let (table, volumes) = match probed {
        Some(volume) => (None, vec![volume]),
        None => {
            let table = block::partition::Table::read(&*image)
                .map_err(|error| error.in_file(path))?
                .ok_or_else(|| {
                    let message =
                        "there is neither a partition table nor a file system that is known";
                    Error::unsupported("reading the disk image", message).in_file(path)
                })?;
            let volumes = volume::probe_partitions(&image, &table)?;
            (Some(table), volumes)
        }
    };
    Ok(Disk {
        format: opened.format.name(),
        image,
        table,
        volumes,
    })
}

/// Reads the operating system on the disk image at `path` as one tree.
///
/// # Errors
///
/// As [`open_disk`]; [`Kind::NotFound`](block::Kind::NotFound) where no partition holds an operating system,
/// [`Kind::Unsupported`](block::Kind::Unsupported) where several do, and whatever reading the file systems answers.
pub fn open(path: &Path, options: &Options) -> Result<Source> {
    read(open_disk(path, options)?).map_err(|error| error.in_file(path))
}

/// Reads the operating system on a disk that is open as one tree.
///
/// # Errors
///
/// As [`open`], but for those of opening.
pub fn read(mut disk: Disk) -> Result<Source> {
    let mut warnings = Vec::new();
    if let Some(table) = &disk.table {
        warnings.extend(
            table
                .warnings
                .iter()
                .map(|warning| Warning::Table(warning.to_string())),
        );
    }
    let tree = assemble::assemble(&mut disk.volumes, &mut warnings)?;
    Ok(Source {
        disk,
        tree,
        warnings,
    })
}
