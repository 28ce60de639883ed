//! A file tree as a value: names, metadata, xattrs and hard links, generic in where content is.
//!
//! A [`Tree`] is a set of [`Inode`]s and the names that lead to them. A file with two names is one inode with two names, as on a
//! disk. `C` says where the bytes of a regular file are (the builder: ranges of a disk image); the tree never looks into it.
//!
//! **Invariants**, held by every method: a folder has exactly one name (so walks end), a name holds 1 to 255 bytes without `/` or
//! NUL and is neither `.` nor `..`, and the names of a folder are in byte order (so outputs do not depend on the input's order).
//!
//! This crate does no I/O and knows no format.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing
    )
)]

mod dump;
mod edit;
mod error;
mod inode;
mod name;
mod path;
mod tree;
mod walk;

pub use error::{Error, Result};
pub use inode::{Device, Inode, Metadata, Node, Timestamp, Xattrs, mode};
pub use name::{Name, TreePath};
pub use tree::{InodeId, Tree};
pub use walk::Entry;
