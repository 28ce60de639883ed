//! squashfs 4.0: the compressed, read-only file system of live media, written and read.
//!
//! * [`probe`], [`image_len`] and [`read_tree`] read what any tool made, but for LZMA and LZO.
//! * [`Checked`] is a tree that fits, [`write`] makes the image of it on all cores, byte for byte the same each time.
//!
//! Times are whole seconds from 1970 to 2106 here, and xattrs are those of `user.`, `trusted.` and `security.`: what a tree has
//! beyond that is a [`Warning`].

mod checked;
mod codec;
mod data;
mod directory_reader;
mod directory_writer;
mod fields;
mod file;
mod format;
mod fragments;
mod image;
mod inode_reader;
mod inode_writer;
mod metadata_reader;
mod metadata_writer;
mod options;
mod reader;
mod same;
mod units;
mod worker;
mod writer;
mod xattr_reader;
mod xattr_sets;

pub use checked::Checked;
pub use codec::Compression;
pub use options::{Fragments, Loss, Options, Progress, Warning, Written};
pub use reader::{Places, image_len, probe, read_tree, read_tree_and_places};
pub use writer::write;
