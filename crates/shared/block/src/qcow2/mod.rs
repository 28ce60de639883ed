//! QEMU's copy-on-write disk images, versions 2 and 3, read.
//!
//! ```text
//! header.rs   what the first cluster says
//! map.rs      guest offset -> where its bytes are, by the two levels of tables
//! codec.rs    compressed clusters
//! image.rs    an image and what lies under it, as a source of bytes
//! ```
//!
//! Source: QEMU `docs/interop/qcow2.rst`. Not read: snapshots and bitmaps (passed over); encrypted images, images whose data are in
//! another file, and images marked as corrupt (refused). Where a rule of the document and what QEMU 7.2 does differ, QEMU decides.

mod codec;
mod header;
mod image;
mod map;

pub use header::BackingFile;
pub use image::Image;

/// Whether `start`, the first bytes of a file, begin such an image (of any version).
#[must_use]
pub fn probe(start: &[u8]) -> bool {
    start.starts_with(&header::MAGIC)
}
