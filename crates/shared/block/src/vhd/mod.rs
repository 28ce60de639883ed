//! Virtual PC's and Hyper-V's older disk images (VHD), fixed and dynamic, read.
//!
//! ```text
//! footer.rs   the last sector, of which a dynamic image has a copy at its start
//! header.rs   what only a dynamic image has: its table's place, the size of its blocks
//! image.rs    an image as a source of bytes
//! ```
//!
//! A fixed image is the disk itself with the footer behind it. A dynamic one has a table with the place of every block; before a
//! block stands a bitmap of the sectors that were written, which QEMU does not look at either: what was never written reads as what
//! is there, and programs put zeros there.
//!
//! Source: Microsoft, Virtual Hard Disk Image Format Specification, version 1.0 (2006); QEMU 7.2, `block/vpc.c`, for the size. Not
//! read: differencing images (refused with their parent's name), and the footers of 511 bytes of before 2004.

mod footer;
mod header;
mod image;

pub use image::Image;

/// Whether `source` is such an image: whether its first or last sector is a footer.
///
/// # Errors
///
/// What reading answers.
pub fn probe(source: &dyn crate::ReadAt) -> crate::Result<bool> {
    footer::is_there(source)
}
