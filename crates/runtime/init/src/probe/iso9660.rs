//! ISO 9660, with Joliet's volume identifier as a second label.
//!
//! Source: ECMA-119 8.4 and 8.5 (volume descriptors, from sector 16 on, 2048 bytes each). The UUID is the date of modification, or where
//! that is not set the date of creation, as libblkid 2.38 makes it.

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

const SECTOR: u64 = 2048;
const FIRST: u64 = 16;
/// How many volume descriptors are looked at. Media have three or four; what follows is not looked at.
const MAX_DESCRIPTORS: u64 = 32;

const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const TERMINATOR: u8 = 255;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let mut primary = None;
    let mut joliet = None;
    for sector in FIRST..FIRST.saturating_add(MAX_DESCRIPTORS) {
        let Some(block) = bytes::<2048>(device, sector.saturating_mul(SECTOR))? else {
            break;
        };
        if field::array(&block, 1) != *b"CD001" {
            break;
        }
        match field::byte(&block, 0) {
            PRIMARY if primary.is_none() => {
                let id: [u8; 32] = field::array(&block, 40);
                let label = String::from_utf8_lossy(&id).into_owned();
                let uuid = date(&block, 830).or_else(|| date(&block, 813));
                primary = Some((label, uuid.unwrap_or_default()));
            }
            SUPPLEMENTARY if joliet.is_none() && is_joliet(&block) => {
                let id: [u8; 32] = field::array(&block, 40);
                let (pairs, _) = id.as_chunks::<2>();
                let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
                joliet = Some(String::from_utf16_lossy(&units));
            }
            TERMINATOR => break,
            _ => {}
        }
    }
    Ok(primary.map(|(label, uuid)| {
        let labels = std::iter::once(label).chain(joliet);
        Identity::new("iso9660", labels, uuid)
    }))
}

fn is_joliet(block: &[u8]) -> bool {
    matches!(&field::array::<3>(block, 88), b"%/@" | b"%/C" | b"%/E")
}

/// A date of 16 digits and the offset from Greenwich; `None` where it is not set or no date.
fn date(block: &[u8], at: usize) -> Option<String> {
    let digits: [u8; 16] = field::array(block, at);
    if !digits.iter().all(u8::is_ascii_digit) || digits == [b'0'; 16] {
        return None;
    }
    let text = str::from_utf8(&digits).ok()?;
    let (year, mut rest) = text.split_at_checked(4)?;
    let mut date = year.to_owned();
    while let Some((pair, after)) = rest.split_at_checked(2) {
        date.push('-');
        date.push_str(pair);
        rest = after;
    }
    Some(date)
}
