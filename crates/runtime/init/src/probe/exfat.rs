//! exFAT, which large sticks come with. Source: Microsoft, exFAT file system specification, 3.1 (boot sector) and 7.3 (volume label).

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

const ENTRY: usize = 32;
/// How many bytes of the root directory are searched for the label, which programs write first.
const SEARCHED: usize = 16 * 1024;
const LABEL: u8 = 0x83;
/// The label's length in characters, at most.
const LABEL_LEN: u8 = 11;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let Some(boot) = bytes::<512>(device, 0)? else {
        return Ok(None);
    };
    if field::array(&boot, 3) != *b"EXFAT   " || field::array(&boot, 510) != [0x55, 0xaa] {
        return Ok(None);
    }
    let [a, b, c, d]: [u8; 4] = field::array(&boot, 100);
    let serial = format!("{d:02X}{c:02X}-{b:02X}{a:02X}");
    let label = label(device, &boot)?.unwrap_or_default();
    Ok(Some(Identity::new("exfat", [label], serial)))
}

/// The label in the first cluster of the root directory.
fn label(device: &dyn Bytes, boot: &[u8]) -> io::Result<Option<String>> {
    let sector = 1_u64.checked_shl(field::byte(boot, 108).into());
    let per_cluster = 1_u64.checked_shl(field::byte(boot, 109).into());
    let Some((sector, cluster)) = sector.and_then(|s| Some((s, s.checked_mul(per_cluster?)?)))
    else {
        return Ok(None);
    };
    let heap = u64::from(field::u32le(boot, 88)).checked_mul(sector);
    let before = u64::from(field::u32le(boot, 96).saturating_sub(2)).checked_mul(cluster);
    let Some(start) = heap.and_then(|heap| heap.checked_add(before?)) else {
        return Ok(None);
    };
    let len = cluster.min(device.len().saturating_sub(start));
    let mut entries = vec![0; usize::try_from(len).unwrap_or(SEARCHED).min(SEARCHED)];
    device.read_at(&mut entries, start)?;
    let (entries, _) = entries.as_chunks::<ENTRY>();
    let mut used = entries
        .iter()
        .take_while(|entry| field::byte(*entry, 0) != 0);
    let Some(entry) = used.find(|entry| field::byte(*entry, 0) == LABEL) else {
        return Ok(None);
    };
    let name: [u8; 22] = field::array(entry, 2);
    let (pairs, _) = name.as_chunks::<2>();
    let len = usize::from(field::byte(entry, 1).min(LABEL_LEN));
    let units = pairs.iter().take(len).map(|pair| u16::from_le_bytes(*pair));
    Ok(Some(String::from_utf16_lossy(&units.collect::<Vec<_>>())))
}
