//! dm-verity: a tree of digests behind a file system, with which the kernel checks every block as it is read.
//!
//! ```text
//! blocks of data          padded with zeros to a multiple of 4096
//! superblock              512 bytes in a block of its own
//! level n-1 … level 0     blocks of 128 digests: of the blocks of the level below, at the bottom of the data
//! ```
//!
//! The root hash, the digest of the top block, is not in there: whoever starts the system says it.
//!
//! * [`Hashing`] is a target that makes the tree of what goes through it.
//! * [`Tree`] is one that is there: its root hash, and whether the data are what it says.
//!
//! Written are version 1 with SHA-256, blocks of 4096 bytes and no salt: the same data have the same root hash. (A salt keeps somebody
//! from preparing collisions for many devices at once, and none are known.) Read is the same with any salt.

mod check;
mod format;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use check::{Damage, MAX_DAMAGES, Part};
pub use format::{BLOCK, RootHash, total_len};
pub use reader::Tree;
pub use writer::{Hashing, Written};
