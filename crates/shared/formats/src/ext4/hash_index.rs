//! The hash index of a folder: checked where it is there, never needed to find a name.

use block::{Error, Result};

use super::checksum::crc32c;
use super::field::Fields;
use super::file_system::FileSystem;
use super::inode::RawInode;

/// The length of an entry (`struct dx_entry`) and of the checksum behind them (`struct dx_tail`).
const ENTRY_LEN: usize = 8;
/// Where the entries of the root begin: behind `.`, `..` and `struct dx_root_info`.
const ROOT_ENTRIES: usize = 32;
/// Where the entries of a node begin: behind one empty folder entry.
const NODE_ENTRIES: usize = 8;
/// The most levels below the root, with the feature `large_dir`.
const MAX_LEVELS: u8 = 3;

/// One block of an index.
pub(super) struct Block<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it lies, in bytes.
    pub(super) offset: u64,
    /// Whether it is the folder's first block.
    pub(super) root: bool,
    /// How many blocks the folder has.
    pub(super) blocks: u64,
}

/// Whether a block that is not the first is a node of the index: one empty entry fills it.
pub(super) fn is_node(bytes: &[u8]) -> bool {
    let fields = Fields(bytes);
    let rec_len = usize::from(fields.u16(4));
    let whole =
        rec_len == bytes.len() || (bytes.len() == 65536 && (rec_len == 0 || rec_len == 65535));
    fields.u32(0) == 0 && fields.u16(6) == 0 && whole
}

/// Checks one block of the index of the folder `inode`.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where the file system has checksums; a warning where it has none, as Linux then reads
/// the folder without its index.
pub(super) fn check(fs: &mut FileSystem, inode: &RawInode, block: &Block<'_>) -> Result<()> {
    let checksums = fs.superblock.has_checksums();
    // Without checksums nothing tells an inner node from an empty leaf.
    if !checksums && !block.root {
        return Ok(());
    }
    match fault(inode, block, checksums) {
        None => Ok(()),
        Some(message) if checksums => {
            let what = format!("ext4 index of the folder in inode {}", inode.number);
            Err(Error::corrupt(what, message).at(block.offset))
        }
        Some(message) => {
            fs.warn(format!(
                "the index of the folder in ext4 inode {} was not used: {message}",
                inode.number
            ));
            Ok(())
        }
    }
}

/// What is wrong with the block. Source: `dx_probe()`, `ext4_dx_csum_verify()`.
fn fault(inode: &RawInode, block: &Block<'_>, checksums: bool) -> Option<&'static str> {
    let fields = Fields(block.bytes);
    let start = if block.root {
        ROOT_ENTRIES
    } else {
        NODE_ENTRIES
    };
    if block.root && (fields.u8(29) != 8 || fields.u8(30) > MAX_LEVELS || fields.u8(31) & 1 != 0) {
        return Some("its root has unknown fields");
    }
    let tail_len = if checksums { ENTRY_LEN } else { 0 };
    let room = block
        .bytes
        .len()
        .saturating_sub(start)
        .saturating_sub(tail_len)
        / ENTRY_LEN;
    let entries = block.bytes.get(start..).unwrap_or_default();
    let limit = usize::from(Fields(entries).u16(0));
    let count = usize::from(Fields(entries).u16(2));
    if limit != room || count > limit || count == 0 {
        return Some("it has more entries than room");
    }
    if checksums {
        let covered = start.saturating_add(count.saturating_mul(ENTRY_LEN));
        let sum = crc32c(inode.seed, block.bytes.get(..covered).unwrap_or_default());
        let tail = entries
            .get(limit.saturating_mul(ENTRY_LEN)..)
            .unwrap_or_default();
        let sum = crc32c(sum, tail.get(..4).unwrap_or_default());
        if crc32c(sum, &[0; 4]) != Fields(tail).u32(4) {
            return Some("its checksum does not match");
        }
    }
    let outside = entries
        .chunks_exact(ENTRY_LEN)
        .take(count)
        .any(|entry| u64::from(Fields(entry).u32(4) & 0x0fff_ffff) >= block.blocks);
    outside.then_some("it leads to a block outside the folder")
}
