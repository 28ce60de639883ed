//! Hyper-V's disk images (VHDX), fixed and dynamic, read.
//!
//! ```text
//! header.rs     the two headers, of which the newer one counts
//! log/          what was to be written when the image was last open, laid over the file in memory
//! region.rs     where the table of blocks and the metadata are
//! metadata.rs   the size of the disk, its sectors and its blocks
//! table.rs      guest offset -> where its bytes are
//! image.rs      an image as a source of bytes
//! ```
//!
//! ```text
//! file ── header ──▶ log ──▶ file with its log ── region, metadata, table ──▶ disk
//! ```
//!
//! The file itself is never written to: an image that was not closed is read as it would be after the log was replayed.
//!
//! Source: Microsoft, MS-VHDX, version 8.0. Where QEMU 7.2 does otherwise, QEMU decides, and the place says so. Not read: differencing
//! images (refused with their parent's name), and what an image calls required and this does not know (refused by its GUID).

mod header;
mod image;
mod log;
mod metadata;
mod region;
mod table;

pub use image::Image;

/// The first bytes of an image.
const MAGIC: &[u8; 8] = b"vhdxfile";
/// What everything outside of the log and the first MiB is aligned to, in bytes.
const ALIGNMENT: u64 = 1 << 20;

/// Whether `start`, the first bytes of a file, begin such an image.
#[must_use]
pub fn probe(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// The CRC-32C of a structure that has it at `field`, which counts as zeros.
fn checksum(bytes: &[u8], field: usize) -> u32 {
    let (before, rest) = bytes.split_at_checked(field).unwrap_or((bytes, &[]));
    let sum = crc32c::crc32c(before);
    let sum = crc32c::crc32c_append(sum, &[0; 4]);
    crc32c::crc32c_append(sum, rest.get(4..).unwrap_or_default())
}
