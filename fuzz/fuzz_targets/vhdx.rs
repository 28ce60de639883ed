//! Any bytes as a VHDX image, and as its structures with right checksums.
//!
//! The structures lie far from each other, and a checksum is not guessed. So the fuzzer's bytes are records, each a place (2 bytes, in
//! units of 4096) and 510 bytes, laid into a file of 8 MiB; after that both headers and both copies of the region table get their
//! checksums. A seed is made of an image by the same rule: a record for every 510 bytes at a multiple of 4096 that are not all zeros.
#![no_main]

use std::sync::Arc;

use block::vhdx::Image;
use libfuzzer_sys::fuzz_target;

const UNIT: usize = 4096;

fn structures(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 8 << 20];
    for record in bytes.chunks(512) {
        let Some((place, data)) = record.split_first_chunk() else {
            continue;
        };
        let at = usize::from(u16::from_le_bytes(*place)) % (file.len() / UNIT) * UNIT;
        file[at..at + data.len()].copy_from_slice(data);
    }
    file[..8].copy_from_slice(b"vhdxfile");
    for (at, len) in [(16, 1), (32, 1), (48, 16), (64, 16)] {
        let part = &mut file[at * UNIT..(at + len) * UNIT];
        part[4..8].fill(0);
        let sum = crc32c::crc32c(part);
        part[4..8].copy_from_slice(&sum.to_le_bytes());
    }
    file
}

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), Arc::new(structures(bytes))] {
        if let Ok(image) = Image::open(source) {
            let _ = liveos_fuzz::read_some(&image);
        }
    }
});
