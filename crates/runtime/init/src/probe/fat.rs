//! FAT12, FAT16 and FAT32, whose label lies in the root directory and (a copy, often old) in the boot sector: both count.
//!
//! Source: Microsoft, FAT specification of 2005, section 3 (boot sector) and 6 (directory).

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

const ENTRY: usize = 32;
/// How many bytes of the root directory are searched for a label, which programs write first.
const SEARCHED: usize = 16 * 1024;
const VOLUME_ID: u8 = 0x08;
const LONG_NAME: u8 = 0x0f;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let Some(boot) = bytes::<512>(device, 0)? else {
        return Ok(None);
    };
    if !is_fat(&boot) {
        return Ok(None);
    }
    let wide = field::u16le(&boot, 22) == 0;
    let extended = if wide { 66 } else { 38 };
    let (mut serial, mut label) = (String::new(), String::new());
    if matches!(field::byte(&boot, extended), 0x28 | 0x29) {
        let [a, b, c, d]: [u8; 4] = field::array(&boot, extended.saturating_add(1));
        serial = format!("{d:02X}{c:02X}-{b:02X}{a:02X}");
        label = name(&field::array(&boot, extended.saturating_add(5)));
    }
    let of_root = root_label(device, &boot, wide)?.unwrap_or_default();
    Ok(Some(Identity::new("vfat", [of_root, label], serial)))
}

/// The boot sector's own signs, and no number that is out of its range.
fn is_fat(boot: &[u8]) -> bool {
    let sector = field::u16le(boot, 11);
    let cluster = field::byte(boot, 13);
    let media = field::byte(boot, 21);
    let entries = field::u16le(boot, 17);
    let (fat16, fat32) = (field::u16le(boot, 22), field::u32le(boot, 36));
    field::array(boot, 510) == [0x55, 0xaa]
        && matches!(field::byte(boot, 0), 0xeb | 0xe9)
        && matches!(sector, 512 | 1024 | 2048 | 4096)
        && cluster.is_power_of_two()
        && field::u16le(boot, 14) > 0
        && matches!(field::byte(boot, 16), 1 | 2)
        && (media == 0xf0 || media >= 0xf8)
        && (field::u16le(boot, 19) != 0 || field::u32le(boot, 32) != 0)
        && if fat16 == 0 {
            fat32 > 0 && entries == 0
        } else {
            entries > 0
        }
}

/// The label in the first cluster of the root directory.
fn root_label(device: &dyn Bytes, boot: &[u8], wide: bool) -> io::Result<Option<String>> {
    let sector = u64::from(field::u16le(boot, 11));
    let sectors = if wide {
        field::u32le(boot, 36)
    } else {
        field::u16le(boot, 22).into()
    };
    let tables = u64::from(field::byte(boot, 16)).checked_mul(sectors.into());
    let reserved = u64::from(field::u16le(boot, 14));
    let Some(mut start) = tables
        .and_then(|t| t.checked_add(reserved))
        .and_then(|s| s.checked_mul(sector))
    else {
        return Ok(None);
    };
    let mut len = usize::from(field::u16le(boot, 17)).saturating_mul(ENTRY);
    if wide {
        let cluster = u64::from(field::byte(boot, 13)).saturating_mul(sector);
        let first = u64::from(field::u32le(boot, 44));
        let skipped = first.saturating_sub(2).checked_mul(cluster);
        let Some(at) = skipped.and_then(|s| start.checked_add(s)) else {
            return Ok(None);
        };
        start = at;
        len = usize::try_from(cluster).unwrap_or(SEARCHED);
    }
    let rest = usize::try_from(device.len().saturating_sub(start)).unwrap_or(SEARCHED);
    let mut entries = vec![0; len.min(SEARCHED).min(rest)];
    device.read_at(&mut entries, start)?;
    let (entries, _) = entries.as_chunks::<ENTRY>();
    let used = entries
        .iter()
        .take_while(|entry| field::byte(*entry, 0) != 0);
    let mut labels = used.filter(|entry| {
        let attributes = field::byte(*entry, 11);
        field::byte(*entry, 0) != 0xe5
            && attributes & VOLUME_ID != 0
            && attributes & LONG_NAME != LONG_NAME
    });
    Ok(labels.next().map(|entry| name(&field::array(entry, 0))))
}

/// A label; what the specification writes for none is none.
fn name(bytes: &[u8; 11]) -> String {
    if bytes == b"NO NAME    " {
        return String::new();
    }
    String::from_utf8_lossy(bytes).into_owned()
}
