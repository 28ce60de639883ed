//! Block group descriptors: where each group's inode table lies.

use block::{Error, ReadAt, Result, read_vec};

use super::checksum::{crc16, crc32c, crc32c_without};
use super::field::Fields;
use super::format::{incompat, ro_compat};
use super::superblock::Superblock;

/// How many descriptor blocks are read at once.
const BATCH: u64 = 64;

/// The offset in bytes of the inode table of each group, every descriptor checked.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where a checksum does not match or a table lies outside the file system.
pub(super) fn read_all(source: &dyn ReadAt, superblock: &Superblock) -> Result<Vec<u64>> {
    let per_block = per_block(superblock);
    let mut tables = Vec::new();
    let mut group = 0;
    while group < superblock.groups_count {
        let block = group.checked_div(per_block).unwrap_or_default();
        // Up to `first_meta_group` the descriptor blocks lie one after the other.
        let batch = if block.saturating_add(BATCH) <= first_meta_block(superblock) {
            BATCH
        } else {
            1
        };
        let count = per_block
            .saturating_mul(batch)
            .min(superblock.groups_count.saturating_sub(group));
        let (offset, bytes) = descriptors(source, superblock, block, count)?;
        let size = usize::from(superblock.descriptor_size);
        for (descriptor, position) in bytes.chunks(size).zip(0_u64..) {
            let at = offset
                .saturating_add(position.saturating_mul(u64::from(superblock.descriptor_size)));
            let number = group.saturating_add(position);
            tables.push(table(superblock, number, descriptor).map_err(|error| error.at(at))?);
        }
        group = group.saturating_add(count);
    }
    Ok(tables)
}

/// The offset in bytes of the inode table of one group: for the journal's inode, before the journal is replayed.
///
/// # Errors
///
/// As [`read_all`].
pub(super) fn read_one(source: &dyn ReadAt, superblock: &Superblock, group: u64) -> Result<u64> {
    let per_block = per_block(superblock);
    let block = group.checked_div(per_block).unwrap_or_default();
    let inside = group.checked_rem(per_block).unwrap_or_default();
    let (offset, bytes) = descriptors(source, superblock, block, inside.saturating_add(1))?;
    let size = usize::from(superblock.descriptor_size);
    let descriptor = bytes.chunks(size).last().unwrap_or_default();
    let at = offset.saturating_add(inside.saturating_mul(u64::from(superblock.descriptor_size)));
    table(superblock, group, descriptor).map_err(|error| error.at(at))
}

fn per_block(superblock: &Superblock) -> u64 {
    u64::from(superblock.block_size)
        .checked_div(u64::from(superblock.descriptor_size))
        .unwrap_or(1)
}

/// The number of descriptor blocks that lie one after the other behind the superblock.
fn first_meta_block(superblock: &Superblock) -> u64 {
    if superblock.has_incompat(incompat::META_BG) {
        u64::from(superblock.first_meta_group)
    } else {
        u64::MAX
    }
}

/// Reads `count` descriptors from the descriptor block `block` on; answers with their offset in bytes too.
///
/// Source: `descriptor_loc()` and `ext4_group_first_block_no()`.
fn descriptors(
    source: &dyn ReadAt,
    superblock: &Superblock,
    block: u64,
    count: u64,
) -> Result<(u64, Vec<u8>)> {
    let block_size = u64::from(superblock.block_size);
    // The block that holds the superblock, whatever the first data block is.
    let superblock_block = u64::from(block_size == 1024);
    let place = if block < first_meta_block(superblock) {
        superblock_block.saturating_add(1).saturating_add(block)
    } else {
        let group = block.saturating_mul(per_block(superblock));
        let first = group
            .saturating_mul(u64::from(superblock.blocks_per_group))
            .saturating_add(u64::from(superblock.first_data_block));
        let copy = u64::from(superblock.group_has_superblock(group));
        let boot = u64::from(block == 0 && block_size == 1024 && superblock.first_data_block == 0);
        first.saturating_add(copy).saturating_add(boot)
    };
    let offset = place.saturating_mul(block_size);
    let len = count.saturating_mul(u64::from(superblock.descriptor_size));
    let limit = usize::try_from(block_size.saturating_mul(BATCH)).unwrap_or(usize::MAX);
    let bytes = read_vec(source, offset, len, limit, "ext4 group descriptors")?;
    Ok((offset, bytes))
}

/// Checks one descriptor and answers with the offset of its inode table.
///
/// ```text
/// offset  size  name
///      8     4  bg_inode_table_lo (upper half at 0x28, in descriptors of 64 bytes)
///   0x1e     2  bg_checksum
/// ```
fn table(superblock: &Superblock, group: u64, descriptor: &[u8]) -> Result<u64> {
    let what = || format!("ext4 group descriptor {group}");
    let fields = Fields(descriptor);
    if expected_checksum(superblock, group, descriptor).is_some_and(|sum| sum != fields.u16(0x1e)) {
        return Err(Error::corrupt(what(), "the checksum does not match"));
    }
    let block = if superblock.has_incompat(incompat::SIXTY_FOUR_BIT) {
        fields.u32_pair(0x8, 0x28)
    } else {
        u64::from(fields.u32(0x8))
    };
    let len = u64::from(superblock.inodes_per_group)
        .saturating_mul(u64::from(superblock.inode_size))
        .div_ceil(u64::from(superblock.block_size));
    let last = block.saturating_add(len.saturating_sub(1));
    match (
        superblock.block_offset(block),
        superblock.block_offset(last),
    ) {
        (Some(offset), Some(_)) => Ok(offset),
        _ => {
            let message = format!("the inode table at block {block} is outside the file system");
            Err(Error::corrupt(what(), message))
        }
    }
}

/// What the checksum has to be; `None` where there is none. Source: `ext4_group_desc_csum()`.
fn expected_checksum(superblock: &Superblock, group: u64, descriptor: &[u8]) -> Option<u16> {
    let number = u32::try_from(group).unwrap_or(u32::MAX).to_le_bytes();
    if superblock.has_checksums() {
        let seed = crc32c(superblock.seed, &number);
        let [low, high, ..] = crc32c_without(seed, descriptor, 0x1e, 2).to_le_bytes();
        return Some(u16::from_le_bytes([low, high]));
    }
    if !superblock.has_ro_compat(ro_compat::GDT_CSUM) {
        return None;
    }
    let head = descriptor.get(..0x1e).unwrap_or(descriptor);
    let tail = descriptor.get(0x20..).unwrap_or_default();
    let sum = crc16(crc16(crc16(!0, &superblock.uuid), &number), head);
    Some(crc16(sum, tail))
}
