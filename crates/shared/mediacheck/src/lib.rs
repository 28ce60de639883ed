//! Checksums of a whole ISO that are implanted in its primary volume descriptor, in the field that ISO 9660 leaves to applications.
//!
//! ```text
//! field    the text of the field: read and written, nothing hashed
//! digest   algorithms and their values
//! stream   a medium's bytes in order, as one of the programs hashes them: what changes later counts as blank
//! check    streams against a field; what a field is made of
//! ```
//!
//! Two programs implant, each in its own words:
//!
//! ```text
//!            isomd5sum 1.2                    checkmedia/tagmedia 6
//! digest     MD5                              MD5, SHA-1, SHA-224 to SHA-512
//! covers     the volume less 15 sectors       the volume less `pad` sectors, as many zeros after it; the last partition by itself
//! blank      the field                        the field and the first 512 bytes
//! early stop 20 sums of three digits          none that is read here
//! ```
//!
//! Both can stand in one field, where isomd5sum's words come first and have no fragment sums: checkmedia takes the last digest that it
//! finds, and would hold the fragments against that one.
//!
//! Against accidents only: whoever changes the medium can change the field.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing
    )
)]

mod check;
mod digest;
mod field;
mod stream;

use std::fmt;
use std::ops::Range;

pub use check::{Check, Making, Passed, Styles};
pub use digest::{Algorithm, Digest};
pub use field::{Fragments, Implanted, Isomd5sum, Partition, Tagmedia};

/// Where the primary volume descriptor lies, in bytes. ECMA-119 8.1.1; both programs look there.
pub const DESCRIPTOR_AT: u64 = 16 * SECTOR;
/// The length of the descriptor in bytes.
pub const DESCRIPTOR_LEN: usize = 2048;
/// Where the field lies, in bytes from the start of the medium. ECMA-119 8.4.32.
pub const FIELD_AT: u64 = DESCRIPTOR_AT + 883;
/// The length of the field in bytes.
pub const FIELD_LEN: usize = 512;

/// A sector of the ISO, in which `skip` and `pad` are counted.
const SECTOR: u64 = 2048;
/// A sector of a disk, in which partitions are counted.
const DISK_SECTOR: u64 = 512;

/// Who implanted a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `implantisomd5`.
    Isomd5sum,
    /// `tagmedia`.
    Tagmedia,
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Isomd5sum => "isomd5sum",
            Self::Tagmedia => "tagmedia",
        })
    }
}

/// What is in the field cannot be a checksum of this medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// One line, in lower case and without a full stop.
    pub message: String,
}

impl Error {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The medium is not what the field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The bytes among which at least one differs.
    pub within: Range<u64>,
}
