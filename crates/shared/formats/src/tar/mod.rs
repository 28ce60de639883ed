//! Tar archives, of every kind that is met: v7, ustar, GNU and pax, compressed or not.
//!
//! * `format`: the header block and its numbers;
//! * `pax`: extended headers, a row of keys and values;
//! * `acl`: POSIX ACLs, which archives hold as text;
//! * `sparse`: the four ways to write down the holes of a file;
//! * `member`: one file of an archive, out of all the headers that speak of it;
//! * `compression`: what an archive is compressed with, and unpacking it;
//! * `unpack`: where a member goes in the tree;
//! * `reader`: an archive to a tree;
//! * `writer`: a tree to an archive.
//!
//! Owners are taken by number; the names of users and groups that an archive holds are those of the machine that made it.

mod acl;
mod compression;
mod format;
mod member;
mod pax;
mod reader;
mod sparse;
mod unpack;
mod writer;

pub use compression::Compression;
pub use reader::{probe, read_tree, read_tree_in};
pub use writer::{WriteOptions, Written, write};

#[cfg(test)]
mod tests;
