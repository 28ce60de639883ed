//! The archives of an initramfs: newc, in a row, compressed or not.
//!
//! * `format`: the header of an entry;
//! * `writer`: a tree to one archive;
//! * `reader`: archives to a tree, as the kernel would unpack them one over the other;
//! * `segment`: where one archive ends and the next begins, and what it is compressed with;
//! * `spool`: where unpacked archives go.
//!
//! An archive holds no xattrs, no times before 1970 or finer than a second, and no file of 4 GiB: the writer says what it leaves out.

mod format;
mod reader;
mod segment;
mod spool;
mod writer;

pub use reader::{probe, read_tree, read_tree_in};
pub use segment::Compression;
pub use writer::{WriteOptions, Written, measure, write};

#[cfg(test)]
mod tests;
