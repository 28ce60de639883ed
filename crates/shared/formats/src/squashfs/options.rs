//! What the maker of an image chooses, and what is told about it.

use block::{Error, Result};
use tree::TreePath;

use super::codec::Compression;
use super::format::{MAX_BLOCK, MIN_BLOCK};

/// How an image is made. The same options and the same tree make the same bytes, whatever `threads` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How blocks are compressed.
    pub compression: Compression,
    /// How much of a file is compressed at a time, in bytes: a power of two from 4096 to 1 MiB. Larger is smaller on the disk, and
    /// makes small reads slower.
    pub block_size: u32,
    /// How many threads read and compress; 0 takes as many as the machine has processors.
    pub threads: usize,
    /// The time that every inode gets, in seconds since 1970, instead of its own.
    pub all_times: Option<u32>,
    /// The time in the superblock, in seconds since 1970; without it, that of the newest inode.
    pub image_time: Option<u32>,
    /// Whether an export table is written, by which an inode is found by its number (NFS, overlayfs with `nfs_export`).
    pub exportable: bool,
    /// Which ends of files share blocks.
    pub fragments: Fragments,
}

/// Which ends of files share blocks with others (fragments).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragments {
    /// Files shorter than a block.
    SmallFiles,
    /// These, and what a longer file has after its last whole block.
    AllTails,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::Zstd { level: 3 },
            block_size: 128 << 10,
            threads: 0,
            all_times: None,
            image_time: None,
            exportable: true,
            fragments: Fragments::SmallFiles,
        }
    }
}

impl Options {
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for a level or block size that squashfs does not have.
    pub(crate) fn check(&self) -> Result<()> {
        self.compression.check()?;
        let size = self.block_size;
        if size.is_power_of_two() && (MIN_BLOCK..=MAX_BLOCK).contains(&size) {
            return Ok(());
        }
        let message =
            format!("the block size is a power of two from {MIN_BLOCK} to {MAX_BLOCK}, not {size}");
        Err(Error::unsupported("squashfs options", message))
    }

    /// How many threads work.
    pub(crate) fn workers(&self) -> usize {
        if self.threads > 0 {
            return self.threads;
        }
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

/// Something of the tree that the image does not hold as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The first path of the inode concerned.
    pub path: TreePath,
    /// What is lost.
    pub what: Loss,
}

/// What an image cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// An xattr whose prefix is not `user.`, `trusted.` or `security.`, with its name; POSIX ACLs are among them.
    Xattr(Box<[u8]>),
    /// A time before 1970 or after 2106, in seconds since 1970; the nearest that can be stored was taken.
    Time(i64),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = &self.path;
        match &self.what {
            Loss::Xattr(name) => write!(
                f,
                "{path}: squashfs cannot hold the xattr {}",
                name.escape_ascii()
            ),
            Loss::Time(seconds) => write!(
                f,
                "{path}: squashfs holds times from 1970 to 2106, not {seconds} seconds from 1970"
            ),
        }
    }
}

/// How far the writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of files are done.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The image's length in bytes, a multiple of 4096.
    pub len: u64,
    /// How many inodes the image has.
    pub inodes: u32,
    /// The bytes of all files, each name of a content counted once.
    pub content_len: u64,
    /// How many files share their blocks or fragment with an equal one.
    pub duplicates: u64,
    /// How many fragment blocks there are.
    pub fragments: u32,
    /// The length of all that is not the bytes of files: inodes, names, tables, padding.
    pub metadata_len: u64,
}
