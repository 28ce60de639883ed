//! An image's structures, found and changed.

use std::sync::Arc;

use block::vhdx::Image;
use block::{ReadAt as _, Result};

use crate::disk::Bench;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
/// Where the headers and the copies of the region table are.
pub(crate) const HEADERS: [usize; 2] = [64 * KIB, 128 * KIB];
pub(crate) const REGIONS: [usize; 2] = [192 * KIB, 256 * KIB];
/// The first bytes of the GUIDs of both regions, and of metadata items.
pub(crate) const BAT: [u8; 4] = 0x2dc2_7766_u32.to_le_bytes();
pub(crate) const METADATA: [u8; 4] = 0x8b7c_a206_u32.to_le_bytes();
pub(crate) const FILE_PARAMETERS: [u8; 4] = 0xcaa1_6737_u32.to_le_bytes();
pub(crate) const DISK_SIZE: [u8; 4] = 0x2fa5_4224_u32.to_le_bytes();
pub(crate) const LOGICAL_SECTOR: [u8; 4] = 0x8141_bf1d_u32.to_le_bytes();
pub(crate) const DISK_ID: [u8; 4] = 0xbeca_12ab_u32.to_le_bytes();

pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Image> {
    Image::open(Arc::new(bytes.to_vec()))
}

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<u8>> {
    let image = from_bytes(bytes)?;
    // Damage to the size of the disk makes no test slow.
    let len = image.len().min(16 << 20) as usize;
    let mut disk = vec![0x5a; len];
    image.read_exact_at(&mut disk, 0)?;
    Ok(disk)
}

/// An image of the bench's disk, as bytes.
pub(crate) fn sample(bench: &Bench, options: &str) -> Vec<u8> {
    let path = bench.convert("image", "vhdx", &["-o", options]);
    std::fs::read(path).unwrap()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Sets the checksum of a structure, which all have behind their signature.
pub(crate) fn seal(bytes: &mut [u8]) {
    put(bytes, 4, &[0; 4]);
    let sum = crc32c::crc32c(bytes);
    put(bytes, 4, &sum.to_le_bytes());
}

/// Changes both headers.
pub(crate) fn change_headers(bytes: &mut [u8], change: impl Fn(&mut [u8])) {
    for at in HEADERS {
        let header = &mut bytes[at..at + 4096];
        change(header);
        seal(header);
    }
}

/// Changes both copies of the region table.
pub(crate) fn change_regions(bytes: &mut [u8], change: impl Fn(&mut [u8])) {
    for at in REGIONS {
        let table = &mut bytes[at..at + 64 * KIB];
        change(table);
        seal(table);
    }
}

/// Where the entry of `guid` is in the table of `count` entries of 32 bytes from `first` on.
pub(crate) fn entry(bytes: &[u8], first: usize, guid: [u8; 4]) -> usize {
    let mut places = (first..).step_by(32).take(10);
    places.find(|at| bytes[*at..*at + 4] == guid).unwrap()
}

/// Where the region is.
pub(crate) fn region(bytes: &[u8], guid: [u8; 4]) -> usize {
    let entry = entry(bytes, REGIONS[0] + 16, guid);
    u64_at(bytes, entry + 16) as usize
}

/// Where the entry of a metadata item is.
pub(crate) fn item_entry(bytes: &[u8], guid: [u8; 4]) -> usize {
    entry(bytes, region(bytes, METADATA) + 32, guid)
}

/// Where a metadata item is.
pub(crate) fn item(bytes: &[u8], guid: [u8; 4]) -> usize {
    let entry = item_entry(bytes, guid);
    region(bytes, METADATA) + u32_at(bytes, entry + 16) as usize
}
