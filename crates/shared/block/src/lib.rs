//! Bytes at an offset: what every reader of a format reads from, and every writer writes to.
//!
//! * [`ReadAt`] and [`WriteAt`] are the two doors; files, memory, windows and disk image formats stand behind them.
//! * [`Content`] says where the bytes of a file lie, so that a tree can be built and written again without a copy.
//! * [`Error`] is the one error type of everything that handles bytes from outside.
//!
//! This crate knows nothing of file systems.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing
    )
)]

mod cache;
mod content;
mod disk_image;
mod error;
mod field;
mod file;
mod mapped;
mod memory;
pub mod partition;
pub mod qcow2;
mod read;
pub mod vhd;
pub mod vhdx;
mod window;

pub use content::{Content, Piece};
pub use disk_image::{BackingFiles, DiskFormat, DiskImage, Options, open_disk_image};
pub use error::{Error, Kind, Place, Result};
pub use file::DiskFile;
pub use memory::MemoryTarget;
pub use read::{ReadAt, WriteAt, read_vec};
pub use window::{OffsetTarget, Window};
