//! File systems and archives, one folder each, all built alike: `format.rs` (the structures and constants of the specification),
//! `reader.rs` (bytes to a tree), `writer.rs` (a checked tree to bytes), and tests.
//!
//! Every reader takes any bytes: it answers with a value or an error with a place, never with a panic, an endless loop or an
//! allocation that the input chose.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing
    )
)]

pub mod cpio;
pub mod ext4;
pub mod fat;
pub mod iso9660;
pub mod squashfs;
mod stream;
pub mod tar;
pub mod verity;

/// What a file system or archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The format: `"ext4"`, `"vfat"`, `"iso9660"`, `"squashfs"`, ….
    pub format: &'static str,
    /// Its label; bytes that are no UTF-8 became U+FFFD. Empty where it has none.
    pub label: String,
    /// Its UUID as `blkid` of util-linux prints it; empty where it has none.
    pub uuid: String,
}
