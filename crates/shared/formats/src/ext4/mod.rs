//! ext2, ext3 and ext4, read without a mount; and new, empty ones ([`create`]).
//!
//! ```text
//! superblock ─ group ─ inode ─┬─ run: extent | block_map ─ content of files
//!      │                      ├─ directory, hash_index    ─ names
//!   journal (replayed into    └─ xattr, acl
//!   an overlay in memory)
//! ```
//!
//! Everything that `mke2fs` makes and made is read; `format.rs` lists the little that is not. Checksums are verified wherever the
//! file system has them. A journal that was not replayed is: nothing is written, newer versions of blocks are read from the journal,
//! and fast commits take effect as inodes and folders are read. The one thing easily got wrong: a file's blocks can be among the newer
//! ones, so its pieces are cut there.

mod acl;
mod block_map;
mod checksum;
mod directory;
mod extent;
mod field;
mod file_system;
mod format;
mod group;
mod hash_index;
mod inode;
mod journal;
mod medium;
mod reader;
mod run;
mod superblock;
mod writer;
mod xattr;

use std::sync::Arc;

use block::{Content, ReadAt, Result};
use tree::Tree;

use crate::Identity;
pub use writer::{LABEL_MAX, MIN_LEN, Wish, create};

/// A file system that was read.
#[derive(Debug)]
pub struct Volume {
    /// Its label and UUID.
    pub identity: Identity,
    /// Its files; `lost+found` is among them.
    pub tree: Tree<Content>,
    /// What a user should know: one full sentence's worth each, in the order in which they were met.
    pub warnings: Vec<String>,
}

/// The identity of the ext2, ext3 or ext4 file system of `source` (`"ext4"` for all three); `None` where there is none.
///
/// Reads 1024 bytes and looks at few of them: reading the tree may still find that it is damaged.
///
/// # Errors
///
/// What reading `source` answers.
pub fn probe(source: &dyn ReadAt) -> Result<Option<Identity>> {
    superblock::probe(source)
}

/// The files of the file system of `source`. Their content stays where it is: it refers to `source`.
///
/// What [`read`] would warn of is not told.
///
/// # Errors
///
/// As [`read`].
pub fn read_tree(source: Arc<dyn ReadAt>) -> Result<Tree<Content>> {
    Ok(read(source)?.tree)
}

/// The file system of `source`: its files, and what was noticed on the way.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where there is no file system; [`Kind::Corrupt`](block::Kind::Corrupt) where a
/// structure breaks the format's rules or its checksum does not match; [`Kind::Unsupported`](block::Kind::Unsupported) where it
/// needs what is not read (an encrypted file, an external journal that holds something, a feature not known);
/// [`Kind::Limit`](block::Kind::Limit) where it is beyond one of the limits of this reader.
pub fn read(source: Arc<dyn ReadAt>) -> Result<Volume> {
    reader::read(source)
}
