//! Fields of a structure, read with their bounds.

use std::fmt::Write as _;

/// `N` bytes at `at`; zeros where the structure is shorter, which the callers' sizes rule out.
pub(crate) fn array<const N: usize>(structure: &[u8], at: usize) -> [u8; N] {
    structure
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

pub(crate) fn byte(structure: &[u8], at: usize) -> u8 {
    let [byte] = array(structure, at);
    byte
}

pub(crate) fn u16le(structure: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(structure, at))
}

pub(crate) fn u32le(structure: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(structure, at))
}

pub(crate) fn u64le(structure: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(structure, at))
}

/// A text of `N` bytes that ends at its first zero.
pub(crate) fn text<const N: usize>(structure: &[u8], at: usize) -> String {
    let all: [u8; N] = array(structure, at);
    let upto = all.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(upto).into_owned()
}

/// A UUID whose bytes are in the order in which they are printed; nothing where all are zero.
pub(crate) fn uuid(structure: &[u8], at: usize) -> String {
    format_uuid(array(structure, at))
}

/// A GUID as EFI stores it: the first three groups are little-endian numbers.
pub(crate) fn guid(structure: &[u8], at: usize) -> String {
    let mut bytes: [u8; 16] = array(structure, at);
    for group in [0..4, 4..6, 6..8] {
        if let Some(group) = bytes.get_mut(group) {
            group.reverse();
        }
    }
    format_uuid(bytes)
}

fn format_uuid(bytes: [u8; 16]) -> String {
    if bytes == [0; 16] {
        return String::new();
    }
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
