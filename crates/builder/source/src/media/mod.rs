//! Live media as input: ISOs of ours and of other tools.
//!
//! * [`root`]: the root file system, found by its content; the places where tools put it only give the order.
//! * [`full_os`]: the root file system that is an initramfs.
//! * [`boot`]: media keep `/boot` outside of the root file system; here it is put back, so that the tree is like that of a disk.
//! * [`esp`]: the EFI programs, which lie in a folder of the medium or in a boot image.

mod boot;
mod esp;
mod full_os;
mod root;

use std::path::Path;

use block::{Content, Error, Result};
use formats::iso9660;
use tree::{Tree, TreePath};

use crate::{Disk, Warning};

pub use boot::MediaKernel;

use contract::media::MAX_SAVED_CONFIGS;
pub use contract::media::SAVED_CONFIGS;

/// A live medium.
#[derive(Debug)]
pub struct Media {
    /// The bytes that it lies in.
    pub disk: Disk,
    /// The volume identifier.
    pub volume_id: String,
    /// All files of the medium.
    pub tree: Tree<Content>,
    /// Where its root file system was found.
    pub root: RootOnMedia,
    /// The kernels on the medium that have a version, by their path.
    pub kernels: Vec<MediaKernel>,
    /// Whether the medium's `/boot` is that of the system: then the tree has all of it, the boot configuration too. Media of other tools
    /// keep kernels elsewhere and have a boot configuration that only fits themselves.
    pub has_system_boot: bool,
    /// The bytes of [`SAVED_CONFIGS`], where it is there.
    pub saved: Option<Vec<u8>>,
}

/// Where on a medium the root file system is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootOnMedia {
    /// In a squashfs image.
    Squashfs {
        /// The image on the medium.
        path: TreePath,
        /// The file system image inside of it that holds the root; `None` where squashfs itself does.
        nested: Option<TreePath>,
    },
    /// In a file system image that lies on the medium as it is.
    FileSystem {
        /// The image on the medium.
        path: TreePath,
        /// Its format.
        format: &'static str,
    },
    /// In the initramfs: all of it is the root file system.
    FullOs {
        /// The initramfs on the medium.
        path: TreePath,
    },
}

impl RootOnMedia {
    /// The file on the medium that holds the root file system.
    #[must_use]
    pub fn path(&self) -> &TreePath {
        match self {
            Self::Squashfs { path, .. } | Self::FileSystem { path, .. } | Self::FullOs { path } => {
                path
            }
        }
    }
}

/// What reading a disk as a live medium gives.
#[derive(Debug)]
pub(crate) enum Read {
    /// It is one, and its root file system with `/boot` is this.
    Live(Box<Media>, Tree<Content>),
    /// It is none.
    NotLive(Disk),
}

/// Reads the ISO 9660 file system of the whole `disk` as a live medium; `temporary` is the folder for what has to be unpacked.
///
/// # Errors
///
/// [`Kind::Unsupported`](block::Kind::Unsupported) where it is one of a kind that is not read, by name; whatever reading its file systems
/// answers.
pub(crate) fn read(disk: Disk, temporary: &Path, warnings: &mut Vec<Warning>) -> Result<Read> {
    let tree = iso9660::read_tree(std::sync::Arc::clone(&disk.image))?;
    let Some(found) = root::find(&tree, temporary)? else {
        return Ok(Read::NotLive(disk));
    };
    let root::Found {
        root,
        tree: mut system,
        said,
    } = found;
    let damage = disk.damage.iter().cloned();
    warnings.extend(damage.map(Warning::DiskImage));
    warnings.extend(said.into_iter().map(Warning::Media));
    let filled = boot::fill(&mut system, &tree, &root, warnings)?;
    esp::fill(&mut system, &tree, &disk.image, warnings)?;
    let volume_id = iso9660::probe(&*disk.image)?
        .map(|identity| identity.label)
        .unwrap_or_default();
    let saved = saved(&tree)?;
    let media = Media {
        disk,
        volume_id,
        tree,
        root,
        kernels: filled.kernels,
        has_system_boot: filled.has_system_boot,
        saved,
    };
    Ok(Read::Live(Box::new(media), system))
}

/// The bytes of the saved settings.
fn saved(tree: &Tree<Content>) -> Result<Option<Vec<u8>>> {
    let bytes = tree
        .file(SAVED_CONFIGS)
        .map(|content| content.read_all(MAX_SAVED_CONFIGS));
    bytes
        .transpose()
        .map_err(|error| error.while_doing(format!("reading {SAVED_CONFIGS} of the medium")))
}

/// The error of a tree that could not take what a medium has.
fn misplaced(error: tree::Error) -> Error {
    Error::corrupt("putting the medium's files into the root file system", "").caused_by(error)
}
