//! squashfs 4.0: the compressed, read-only file system of live media, written and read.
//!
//! * [`Checked`] is a tree that fits, [`write`] makes the image of it on all cores, byte for byte the same each time.
//!
//! Times are whole seconds from 1970 to 2106 here, and xattrs are those of `user.`, `trusted.` and `security.`: what a tree has
//! beyond that is a [`Warning`].

mod checked;
#[expect(dead_code, reason = "the reader comes next")]
mod codec;
mod data;
mod directory_writer;
#[expect(dead_code, reason = "the reader comes next")]
mod fields;
#[expect(dead_code, reason = "the reader comes next")]
mod format;
mod fragments;
mod inode_writer;
mod metadata_writer;
mod options;
mod same;
mod units;
mod worker;
mod writer;
mod xattr_sets;

pub use checked::Checked;
pub use codec::Compression;
pub use options::{Fragments, Loss, Options, Progress, Warning, Written};
pub use writer::write;
