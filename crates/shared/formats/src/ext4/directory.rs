//! The names in a folder.

use std::collections::BTreeMap;

use block::{Error, Result};
use tree::Name;

use super::checksum::crc32c;
use super::field::{Fields, index};
use super::file_system::FileSystem;
use super::format::{compat, flag, incompat};
use super::hash_index;
use super::inode::RawInode;
use super::run;

/// The length of an entry without its name: `inode`, `rec_len`, `name_len`, `file_type`.
const HEADER_LEN: usize = 8;
/// The length of the entry at the end of a block that holds its checksum (`struct ext4_dir_entry_tail`).
const TAIL_LEN: usize = 12;

/// A name and the inode that it leads to.
pub(super) type Entry = (Name, u32);

/// A part of a folder whose entries fill it exactly: a block, or an area of an inode.
struct Area<'a> {
    bytes: &'a [u8],
    /// Where it lies, in bytes.
    offset: u64,
    /// Whether it begins with `.` and `..`.
    first: bool,
}

/// The names in the folder `inode` without `.` and `..`, in the order of the medium; an index is checked and not needed.
///
/// `inline` is what the folder's xattr `system.data` holds, where the folder is inline.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where an entry breaks the rules of `__ext4_check_dir_entry()`, a checksum does not
/// match or a block is missing; [`Kind::Limit`](block::Kind::Limit).
pub(super) fn read(fs: &mut FileSystem, inode: &RawInode, inline: &[u8]) -> Result<Vec<Entry>> {
    let names = if inode.fresh {
        Vec::new()
    } else {
        stored(fs, inode, inline)?
    };
    let changes = fs.fast.names(inode.number);
    if changes.is_empty() {
        return Ok(names);
    }
    // As `ext4_fc_replay_link()` and `ext4_fc_replay_unlink()`: a name that is there already, or not any more, is no fault.
    let mut map: BTreeMap<Name, u32> = names.into_iter().collect();
    for (name, target) in changes {
        let name = Name::new(name).map_err(|error| {
            let message = "a fast commit changes what is no valid name";
            corrupt(inode, inode.offset, message).caused_by(error)
        })?;
        match target {
            Some(target) if *target == 0 || *target > fs.superblock.inodes_count => {
                let message = format!("a fast commit has a name lead to inode {target}");
                return Err(corrupt(inode, inode.offset, message));
            }
            Some(target) => {
                map.entry(name).or_insert(*target);
            }
            None => {
                map.remove(&name);
            }
        }
    }
    Ok(map.into_iter().collect())
}

/// The names in the folder's blocks, or in the inode.
fn stored(fs: &mut FileSystem, inode: &RawInode, inline: &[u8]) -> Result<Vec<Entry>> {
    let mut names = Vec::new();
    if inode.is_inline() {
        // The first four bytes are the number of the parent.
        let area = Area {
            bytes: inode.block_area().get(4..).unwrap_or_default(),
            offset: inode.block_area_offset().saturating_add(4),
            first: false,
        };
        entries(fs, inode, &area, &mut names)?;
        let rest = Area {
            bytes: inline,
            offset: inode.xattr_area().0,
            first: false,
        };
        entries(fs, inode, &rest, &mut names)?;
        return Ok(names);
    }
    let size = if fs.superblock.has_incompat(incompat::LARGEDIR) {
        inode.size()
    } else {
        inode.short_size()
    };
    let block_size = u64::from(fs.superblock.block_size);
    let blocks = size.checked_div(block_size).unwrap_or_default();
    if blocks == 0 || size.checked_rem(block_size) != Some(0) || blocks > 1 << 32 {
        return Err(inode.corrupt(0x4, format!("a folder of {size} bytes")));
    }
    let indexed = inode.has_flag(flag::INDEX) && fs.superblock.has_compat(compat::DIR_INDEX);
    let runs = run::of(fs, inode, blocks)?;
    for logical in 0..blocks {
        let Some(physical) = runs.physical(logical) else {
            return Err(inode.corrupt(0x4, format!("block {logical} of the folder is missing")));
        };
        let offset = physical.saturating_mul(block_size);
        let bytes = fs.block(offset)?;
        let area = Area {
            bytes: &bytes,
            offset,
            first: logical == 0,
        };
        if indexed && (logical == 0 || hash_index::is_node(&bytes)) {
            let block = hash_index::Block {
                bytes: &bytes,
                offset,
                root: logical == 0,
                blocks,
            };
            hash_index::check(fs, inode, &block)?;
        } else {
            check_checksum(fs, inode, &area)?;
        }
        entries(fs, inode, &area, &mut names)?;
    }
    Ok(names)
}

fn corrupt(inode: &RawInode, offset: u64, message: impl Into<String>) -> Error {
    Error::corrupt(format!("ext4 folder in inode {}", inode.number), message).at(offset)
}

/// Source: `ext4_dirblock_csum_verify()`.
fn check_checksum(fs: &FileSystem, inode: &RawInode, area: &Area<'_>) -> Result<()> {
    if !fs.superblock.has_checksums() {
        return Ok(());
    }
    let split = area.bytes.len().saturating_sub(TAIL_LEN);
    let (covered, tail) = area.bytes.split_at_checked(split).unwrap_or_default();
    let fields = Fields(tail);
    let at = area.offset.saturating_add(block::ReadAt::len(covered));
    if fields.u32(0) != 0 || fields.u16(4) != 12 || fields.u8(6) != 0 || fields.u8(7) != 0xde {
        return Err(corrupt(inode, at, "a block does not end with its checksum"));
    }
    if fields.u32(8) != crc32c(inode.seed, covered) {
        return Err(corrupt(inode, at, "the checksum of a block does not match"));
    }
    Ok(())
}

/// Adds the entries of `area` to `names`.
fn entries(
    fs: &FileSystem,
    inode: &RawInode,
    area: &Area<'_>,
    names: &mut Vec<Entry>,
) -> Result<()> {
    let mut rest = area.bytes;
    let mut position = 0_u64;
    let mut number = 0_u64;
    while !rest.is_empty() {
        let at = area.offset.saturating_add(position);
        let fields = Fields(rest);
        let target = fields.u32(0);
        let rec_len = record_len(fields.u16(4), area.bytes.len());
        let name_len = usize::from(fields.u8(6));
        let smallest = HEADER_LEN
            .saturating_add(name_len)
            .next_multiple_of(4)
            .max(12);
        if rec_len < smallest || !rec_len.is_multiple_of(4) || rec_len > rest.len() {
            let message = format!(
                "an entry of {rec_len} bytes with a name of {name_len}, and {} bytes are left",
                rest.len()
            );
            return Err(corrupt(inode, at, message));
        }
        if target > fs.superblock.inodes_count {
            return Err(corrupt(
                inode,
                at,
                format!("an entry leads to inode {target}"),
            ));
        }
        let (record, later) = rest.split_at_checked(rec_len).unwrap_or((rest, &[]));
        let end = HEADER_LEN.saturating_add(name_len);
        let name = record.get(HEADER_LEN..end).unwrap_or_default();
        let dots: &[u8] = if number == 0 { b"." } else { b".." };
        if area.first && number < 2 {
            if name != dots || (number == 0 && target != inode.number) {
                let message = "a folder does not begin with itself and its parent";
                return Err(corrupt(inode, at, message));
            }
        } else if target != 0 {
            let name = Name::new(name).map_err(|error| {
                corrupt(inode, at, "an entry has no valid name").caused_by(error)
            })?;
            names.push((name, target));
        }
        number = number.saturating_add(1);
        position = position.saturating_add(block::ReadAt::len(record));
        rest = later;
    }
    Ok(())
}

/// The length of an entry: blocks of 64 KiB cannot say theirs in 16 bits. Source: `ext4_rec_len_from_disk()`.
fn record_len(rec_len: u16, area_len: usize) -> usize {
    if area_len < 65536 {
        return usize::from(rec_len);
    }
    if rec_len == 0 || rec_len == u16::MAX {
        return area_len;
    }
    let rec_len = u32::from(rec_len);
    index((rec_len & 0xfffc) | ((rec_len & 3) << 16))
}
