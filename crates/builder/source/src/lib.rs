//! Opens an input and answers with a tree.
//!
//! What an input is, is said by its content, never by its name. Nothing is mounted and nothing is unpacked: the tree's files are ranges
//! of the input.
//!
//! * A disk image may hold several partitions ([`volume`]); the operating system's own `fstab` says how they make one tree (`assemble`,
//!   from the root file system on, which `root` finds by its content).
//! * [`media`]: an ISO that boots a live system, of ours or of another tool.
//! * [`folder`]: a folder of this machine.
//! * A tar is what `formats` makes of it.
//!
//! **Invariant:** whatever `fstab` would mount, or lies on a medium beside the root file system, and this crate leaves out is named in a
//! [`Warning`].
#![forbid(unsafe_code)]

mod assemble;
pub mod folder;
pub mod media;
mod root;
pub mod volume;
mod warning;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Content, DiskFile, Error, ReadAt, Result};
use formats::tar;
use tree::Tree;

pub use folder::Folder;
pub use media::{Media, RootOnMedia, SAVED_CONFIGS};
pub use volume::{Role, Volume};
pub use warning::Warning;

/// How an input is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the disk image is opened: what its backing files may be.
    pub disk_image: block::Options,
    /// The folder for the files without a name that compressed archives are unpacked to; the machine's folder for temporary files where
    /// none is given.
    pub temporary_folder: Option<PathBuf>,
}

/// An input that is open, and of which little was read.
#[derive(Debug)]
pub enum Input {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A tar, compressed or not.
    Tar(Arc<dyn ReadAt>),
    /// A disk image, an ISO, or a bare file system.
    Disk(Disk),
}

/// A disk image and what its partitions hold.
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
    /// What of the disk image is damaged and was read from a copy, in words.
    pub damage: Vec<String>,
}

impl Disk {
    /// The disk `image`, which came in the format of this name: what its partitions hold, without reading their files.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) where it has neither a partition table nor a file system that is known,
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where the partition table is damaged beyond use, and what reading answers.
    pub fn of(format: &'static str, image: Arc<dyn ReadAt>) -> Result<Self> {
        if let Some(volume) = volume::probe_whole(&image)? {
            return Ok(Self {
                format,
                image,
                table: None,
                volumes: vec![volume],
                damage: Vec::new(),
            });
        }
        partitioned(format, image)?.ok_or_else(|| {
            let message = "there is neither a partition table nor a file system that is known";
            Error::unsupported("reading the disk image", message)
        })
    }

    /// Whether the whole disk is an ISO 9660 file system, whatever partition table lies in it.
    #[must_use]
    pub fn is_iso(&self) -> bool {
        let identity = self.volumes.first().and_then(|volume| {
            let whole = volume.partition.is_none();
            volume.identity.as_ref().filter(|_| whole)
        });
        identity.is_some_and(|identity| identity.format == "iso9660")
    }
}

/// Where an operating system came from.
#[derive(Debug)]
pub enum Origin {
    /// The file systems of a disk.
    Disk(Disk),
    /// A folder of this machine.
    Folder(Folder),
    /// A tar of a root file system.
    Tar,
    /// A live medium.
    Media(Box<Media>),
}

/// An operating system as one tree.
#[derive(Debug)]
pub struct Source {
    /// Where it came from.
    pub origin: Origin,
    /// All its file systems as one tree; `/boot` of a live medium is in its place.
    pub tree: Tree<Content>,
    /// What was left out, or is not as it should be.
    pub warnings: Vec<Warning>,
}

/// Opens the input at `path` and finds out what it is, without reading its files.
///
/// # Errors
///
/// As [`open_disk`] where it is neither a folder nor a tar.
pub fn open_input(path: &Path, options: &Options) -> Result<Input> {
    if path.is_dir() {
        return Ok(Input::Folder(path.to_path_buf()));
    }
    let file: Arc<dyn ReadAt> = Arc::new(DiskFile::open(path)?);
    let named = |error: Error| error.in_file(path);
    if options.disk_image.format.is_none() && tar::probe(&file).map_err(named)?.is_some() {
        return Ok(Input::Tar(file));
    }
    open_disk(path, options).map(Input::Disk)
}

/// Opens the disk image at `path` and finds out what its partitions hold, without reading their files.
///
/// # Errors
///
/// Whatever opening answers; [`Kind::Corrupt`](block::Kind::Corrupt) where the partition table is damaged beyond use.
pub fn open_disk(path: &Path, options: &Options) -> Result<Disk> {
    let opened = block::open_disk_image(path, &options.disk_image)?;
    let disk = Disk::of(opened.format.name(), opened.image);
    let disk = disk.map_err(|error| error.in_file(path))?;
    Ok(Disk {
        damage: opened.damage,
        ..disk
    })
}

/// The disk `image` by its partition table; `None` where there is none.
fn partitioned(format: &'static str, image: Arc<dyn ReadAt>) -> Result<Option<Disk>> {
    let Some(table) = block::partition::Table::read(&*image)? else {
        return Ok(None);
    };
    let volumes = volume::probe_partitions(&image, &table)?;
    Ok(Some(Disk {
        format,
        image,
        table: Some(table),
        volumes,
        damage: Vec::new(),
    }))
}

/// Reads the operating system in the input at `path` as one tree: a disk image, a live medium, a tar or a folder.
///
/// # Errors
///
/// As [`open_input`]; [`Kind::NotFound`](block::Kind::NotFound) where it holds no operating system,
/// [`Kind::Unsupported`](block::Kind::Unsupported) where it holds several, and whatever reading the file systems answers.
pub fn open(path: &Path, options: &Options) -> Result<Source> {
    read(open_input(path, options)?, options).map_err(|error| error.in_file(path))
}

/// Reads the operating system in an input that is open as one tree.
///
/// # Errors
///
/// As [`open`], but for those of opening.
pub fn read(input: Input, options: &Options) -> Result<Source> {
    let mut warnings = Vec::new();
    let temporary = options.temporary_folder.clone();
    let temporary = temporary.unwrap_or_else(std::env::temp_dir);
    let (origin, tree) = match input {
        Input::Folder(path) => {
            let (folder, tree) = folder::read(&path, &mut warnings)?;
            (Origin::Folder(folder), tree)
        }
        Input::Tar(file) => (Origin::Tar, read_tar(file, &temporary)?),
        Input::Disk(disk) if disk.is_iso() => match media::read(disk, &temporary, &mut warnings)? {
            media::Read::Live(media, tree) => (Origin::Media(media), tree),
            media::Read::NotLive(disk) => read_disk_under_iso(disk, &mut warnings)?,
        },
        Input::Disk(disk) => read_disk(disk, &mut warnings)?,
    };
    Ok(Source {
        origin,
        tree,
        warnings,
    })
}

fn read_tar(file: Arc<dyn ReadAt>, temporary: &Path) -> Result<Tree<Content>> {
    let tree = tar::read_tree_in(file, temporary)?;
    if root::holds_system(&tree) {
        return Ok(tree);
    }
    let message = if tree.file("manifest.json").is_some() || tree.file("oci-layout").is_some() {
        "it is the archive of a container image, which is not read yet"
    } else {
        "it has neither etc/os-release nor usr/lib/os-release, so it is no tar of a root file system"
    };
    Err(Error::not_found("reading the tar", message))
}

fn read_disk(mut disk: Disk, warnings: &mut Vec<Warning>) -> Result<(Origin, Tree<Content>)> {
    let damage = std::mem::take(&mut disk.damage);
    warnings.extend(damage.into_iter().map(Warning::DiskImage));
    if let Some(table) = &disk.table {
        let said = table.warnings.iter();
        warnings.extend(said.map(|warning| Warning::Table(warning.to_string())));
    }
    let tree = assemble::assemble(&mut disk.volumes, warnings)?;
    Ok((Origin::Disk(disk), tree))
}

/// Reads a disk with an ISO 9660 file system that is no live medium: a partition table may lie in it all the same, and the ISO be what an
/// earlier use left behind.
fn read_disk_under_iso(disk: Disk, warnings: &mut Vec<Warning>) -> Result<(Origin, Tree<Content>)> {
    warnings.extend(disk.damage.into_iter().map(Warning::DiskImage));
    let other = partitioned(disk.format, disk.image)?;
    let read = match other {
        Some(disk) => read_disk(disk, warnings),
        None => Err(Error::not_found("reading the partitions", "there are none")),
    };
    read.map_err(|error| match error.kind() {
        block::Kind::NotFound => {
            let message = "no file of the ISO is a root file system image, nor an initramfs that holds a whole system";
            Error::not_found("finding the operating system", message).caused_by(error)
        }
        _ => error,
    })
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
