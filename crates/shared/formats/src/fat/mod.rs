//! FAT12, FAT16 and FAT32 with long names, read and written.
//!
//! ```text
//! format.rs   the boot sector, directory entries, times
//! name.rs     short and long names
//! table.rs    the file allocation table, read: chains of clusters
//! reader.rs   bytes to a tree
//! layout.rs   how large a new file system is, and where things stand in it
//! checked.rs  a tree that fits into one, by directory.rs and short_names.rs
//! writer.rs   a checked tree to bytes
//! ```
//!
//! FAT knows no owner, permissions, links or xattrs: what is read gets those that Linux shows by default (root's, 0755, 0555 where it
//! is read-only, times taken as UTC), and what is written loses them.

mod checked;
mod directory;
mod format;
mod layout;
mod name;
mod reader;
mod short_names;
mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use checked::{Checked, Options, Size};
pub use reader::{probe, read_tree};
pub use writer::write;
