//! NTFS, which Windows puts on disks: a place for an ISO file.
//!
//! Source: Linux, `fs/ntfs3/ntfs.h`: `struct NTFS_BOOT`, `struct MFT_REC`, `struct ATTRIB`; the label is the attribute 0x60 of the record 3.

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

/// The record of `$Volume`.
const VOLUME: u64 = 3;
/// How much of a record is read; the label lies within it, whatever the record's size.
const RECORD: usize = 1024;
/// The attribute with the label, and the one behind all others.
const NAME: u32 = 0x60;
const END: u32 = 0xffff_ffff;
/// The longest label, in bytes (128 UTF-16 units).
const LABEL: usize = 256;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let Some(boot) = bytes::<512>(device, 0)? else {
        return Ok(None);
    };
    if field::array(&boot, 3) != *b"NTFS    " || field::array(&boot, 510) != [0x55, 0xaa] {
        return Ok(None);
    }
    let serial = format!("{:016X}", field::u64le(&boot, 72));
    let label = label(device, &boot)?.unwrap_or_default();
    Ok(Some(Identity::new("ntfs3", [label], serial)))
}

fn label(device: &dyn Bytes, boot: &[u8]) -> io::Result<Option<String>> {
    let Some(at) = place(boot) else {
        return Ok(None);
    };
    let Some(record) = bytes::<RECORD>(device, at)? else {
        return Ok(None);
    };
    if !record.starts_with(b"FILE") {
        return Ok(None);
    }
    let mut at = usize::from(field::u16le(&record, 20));
    while let Some(attribute) = record.get(at..).filter(|rest| rest.len() >= 24) {
        let (kind, len) = (field::u32le(attribute, 0), field::u32le(attribute, 4));
        let is_resident = field::byte(attribute, 8) == 0;
        if kind == NAME && is_resident {
            let len = usize::try_from(field::u32le(attribute, 16)).unwrap_or(LABEL);
            let from = usize::from(field::u16le(attribute, 20));
            let text = attribute.get(from..).unwrap_or_default();
            let (pairs, _) = text.get(..len.min(LABEL)).unwrap_or(text).as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            return Ok(Some(String::from_utf16_lossy(&units)));
        }
        let step = usize::try_from(len).unwrap_or_default();
        if kind == END || step < 24 {
            break;
        }
        at = at.saturating_add(step);
    }
    Ok(None)
}

/// Where the record of `$Volume` is, in bytes.
fn place(boot: &[u8]) -> Option<u64> {
    let sector = u64::from(field::u16le(boot, 11));
    // Numbers beyond 0x80 are a negative power of two, as is the size of a record that is smaller than a cluster.
    let power = |value: u8| 1_u64.checked_shl(u32::from(value.wrapping_neg()));
    let per_cluster = match field::byte(boot, 13) {
        few @ 0..=0x80 => u64::from(few),
        many => power(many)?,
    };
    let cluster = sector.checked_mul(per_cluster)?;
    let record = match field::byte(boot, 64) {
        clusters @ 0..=0x7f => cluster.checked_mul(clusters.into())?,
        many => power(many)?,
    };
    let table = field::u64le(boot, 48).checked_mul(cluster)?;
    table.checked_add(record.checked_mul(VOLUME)?)
}
