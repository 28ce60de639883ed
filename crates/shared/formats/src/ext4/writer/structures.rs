//! The bytes of single structures.

use super::super::checksum::crc32c;
use super::{BLOCK, BLOCK_LEN, EXTENTS, EXTRA_LEN, INODE_LEN};

/// Puts `bytes` at `at`, as far as they fit.
pub(super) fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, byte) in to.iter_mut().skip(at).zip(bytes) {
        *to = *byte;
    }
}

/// An inode whose blocks lie one behind the other.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) number: u32,
    pub(super) mode: u16,
    pub(super) links: u16,
    pub(super) block: u64,
    pub(super) blocks: u16,
}

impl Inode {
    /// The bytes, as the reader's `RawInode` has them. `seed` is what its checksum begins with.
    pub(super) fn encode(&self, time: u32, seed: u32) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(INODE_LEN).unwrap_or_default()];
        let len = u32::try_from(u64::from(self.blocks).saturating_mul(BLOCK)).unwrap_or(u32::MAX);
        // Counted in sectors of 512 bytes.
        let sectors = len / 512;
        let words = [
            (0x4, len),
            (0x8, time),
            (0xc, time),
            (0x10, time),
            (0x1c, sectors),
            (0x20, EXTENTS),
            (0x90, time),
        ];
        for (at, word) in words {
            put(&mut bytes, at, &word.to_le_bytes());
        }
        put(&mut bytes, 0x0, &self.mode.to_le_bytes());
        put(&mut bytes, 0x1a, &self.links.to_le_bytes());
        put(&mut bytes, 0x28, &extent_root(self.block, self.blocks));
        put(&mut bytes, 0x80, &EXTRA_LEN.to_le_bytes());
        let [a, b, c, d] = crc32c(seed, &bytes).to_le_bytes();
        put(&mut bytes, 0x7c, &[a, b]);
        put(&mut bytes, 0x82, &[c, d]);
        bytes
    }
}

/// `i_block` with one extent.
///
/// ```text
/// offset  size  name
///      0    12  eh_magic, eh_entries, eh_max, eh_depth, eh_generation
///     12    12  ee_block, ee_len, ee_start_hi, ee_start_lo
/// ```
pub(super) fn extent_root(block: u64, blocks: u16) -> [u8; 60] {
    let mut bytes = [0; 60];
    put(&mut bytes, 0, &[0x0a, 0xf3, 1, 0, 4, 0]);
    put(&mut bytes, 16, &blocks.to_le_bytes());
    let [a, b, c, d, e, f, ..] = block.to_le_bytes();
    put(&mut bytes, 18, &[e, f, a, b, c, d]);
    bytes
}

/// A block of a folder with these names; `seed` is what its checksum begins with. All that it has are folders.
///
/// ```text
/// offset  size  name (of an entry)
///      0     4  inode
///      4     2  length of the entry
///      6     1  length of the name
///      7     1  kind: 2 is a folder, 0xde the checksum at the block's end
///      8        name, filled to a multiple of 4
/// ```
pub(super) fn directory_block(names: &[(u32, &[u8])], seed: u32) -> Vec<u8> {
    const TAIL: usize = 12;
    let end = BLOCK_LEN.saturating_sub(TAIL);
    let mut bytes = Vec::new();
    for (number, (inode, name)) in names.iter().enumerate() {
        let own = name.len().next_multiple_of(4).saturating_add(8);
        let is_last = number.saturating_add(1) == names.len();
        let len = if is_last {
            end.saturating_sub(bytes.len())
        } else {
            own
        };
        let next = bytes.len().saturating_add(len);
        bytes.extend(inode.to_le_bytes());
        bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.push(2);
        bytes.extend_from_slice(name);
        bytes.resize(next, 0);
    }
    if names.is_empty() {
        bytes.extend([0; 4]);
        bytes.extend(u16::try_from(end).unwrap_or(u16::MAX).to_le_bytes());
        bytes.resize(end, 0);
    }
    let sum = crc32c(seed, &bytes);
    bytes.extend([0, 0, 0, 0, 12, 0, 0, 0xde]);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// The first block of an empty journal; numbers are big-endian.
///
/// ```text
/// offset  size  name
///      0    12  h_magic, h_blocktype (4, a superblock of version 2), h_sequence
///   0x0c    12  s_blocksize, s_maxlen, s_first
///   0x18     4  s_sequence
///   0x30    16  s_uuid
///   0x40     4  s_nr_users
/// ```
///
/// Source: Linux, `include/linux/jbd2.h`.
pub(super) fn journal_superblock(blocks: u16, uuid: &[u8; 16]) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_LEN];
    let words = [
        (0x0, 0xc03b_3998),
        (0x4, 4),
        (0xc, u32::try_from(BLOCK).unwrap_or_default()),
        (0x10, u32::from(blocks)),
        (0x14, 1),
        (0x18, 1),
        (0x40, 1),
    ];
    for (at, word) in words {
        put(&mut bytes, at, &word.to_be_bytes());
    }
    put(&mut bytes, 0x30, uuid);
    bytes
}
