//! The superblock: the size of everything, and which features are in use.

use block::{Error, ReadAt, Result, read_vec};

use super::checksum::{crc32c, crc32c_without};
use super::field::Fields;
use super::format::{
    GOOD_OLD_FIRST_INODE, GOOD_OLD_INODE_SIZE, MAGIC, MAX_GROUPS, MAX_LOG_BLOCK_SIZE,
    SUPERBLOCK_LEN, SUPERBLOCK_OFFSET, compat, incompat, ro_compat,
};

const WHAT: &str = "ext4 superblock";

/// What of the superblock a reader needs; checked.
///
/// ```text
/// offset  size  name
///      0     4  s_inodes_count
///      4     4  s_blocks_count_lo (upper half at 0x150)
///   0x14     4  s_first_data_block
///   0x18     4  s_log_block_size: 1024 shifted by it
///   0x20     4  s_blocks_per_group
///   0x28     4  s_inodes_per_group
///   0x38     2  s_magic
///   0x3a     2  s_state
///   0x4c     4  s_rev_level
///   0x54     4  s_first_ino
///   0x58     2  s_inode_size
///   0x5c    12  s_feature_compat, s_feature_incompat, s_feature_ro_compat
///   0x68    16  s_uuid
///   0x78    16  s_volume_name
///   0xe0     4  s_journal_inum
///   0xfe     2  s_desc_size
///  0x104     4  s_first_meta_bg
///  0x175     1  s_checksum_type
///  0x24c     8  s_backup_bgs
///  0x270     4  s_checksum_seed
///  0x3fc     4  s_checksum
/// ```
#[derive(Clone, Debug)]
pub(super) struct Superblock {
    pub(super) block_size: u32,
    pub(super) blocks_count: u64,
    pub(super) inodes_count: u32,
    pub(super) first_data_block: u32,
    pub(super) blocks_per_group: u32,
    pub(super) inodes_per_group: u32,
    pub(super) groups_count: u64,
    pub(super) first_inode: u32,
    pub(super) inode_size: u16,
    /// The length of a group descriptor.
    pub(super) descriptor_size: u16,
    pub(super) first_meta_group: u32,
    pub(super) backup_groups: [u32; 2],
    pub(super) journal_inode: u32,
    pub(super) state: u16,
    compat: u32,
    incompat: u32,
    ro_compat: u32,
    pub(super) uuid: [u8; 16],
    label: [u8; 16],
    /// What all CRC-32C checksums but the superblock's own begin with.
    pub(super) seed: u32,
}

impl Superblock {
    /// Reads and checks the superblock of `source`.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where there is none; `Corrupt` where its checksum or geometry is wrong;
    /// `Unsupported` where it asks for a feature that is not read.
    pub(super) fn read(source: &dyn ReadAt) -> Result<Self> {
        let Some(bytes) = find(source)? else {
            return Err(Error::not_found(WHAT, "there is none").at(SUPERBLOCK_OFFSET));
        };
        let fields = Fields(&bytes);
        check_checksum(&bytes)?;
        check_features(fields)?;
        let superblock = parse(fields)?;
        let end = superblock
            .blocks_count
            .checked_mul(u64::from(superblock.block_size));
        if end.is_none_or(|end| end > source.len()) {
            let message = format!(
                "the file system has {} blocks of {} bytes, and there are {} bytes",
                superblock.blocks_count,
                superblock.block_size,
                source.len()
            );
            return Err(Error::corrupt(WHAT, message).at(SUPERBLOCK_OFFSET));
        }
        Ok(superblock)
    }

    pub(super) fn has_compat(&self, feature: u32) -> bool {
        self.compat & feature != 0
    }

    pub(super) fn has_incompat(&self, feature: u32) -> bool {
        self.incompat & feature != 0
    }

    pub(super) fn has_ro_compat(&self, feature: u32) -> bool {
        self.ro_compat & feature != 0
    }

    /// Whether every structure has a CRC-32C.
    pub(super) fn has_checksums(&self) -> bool {
        self.has_ro_compat(ro_compat::METADATA_CSUM)
    }

    /// The offset of a block in bytes, where a block of this number can hold data or metadata of files.
    pub(super) fn block_offset(&self, block: u64) -> Option<u64> {
        let usable = block > u64::from(self.first_data_block) && block < self.blocks_count;
        usable.then(|| block.saturating_mul(u64::from(self.block_size)))
    }

    /// The identity of the file system, as other programs show it.
    pub(super) fn identity(&self) -> crate::Identity {
        identity(&self.label, &self.uuid)
    }
}

/// The identity of the file system of `source`, where it holds one; looks at a few fields only.
pub(super) fn probe(source: &dyn ReadAt) -> Result<Option<crate::Identity>> {
    Ok(find(source)?.and_then(|bytes| {
        let fields = Fields(&bytes);
        let plausible = fields.u32(0x18) <= MAX_LOG_BLOCK_SIZE
            && fields.u32(0) != 0
            && fields.u32(0x60) & incompat::JOURNAL_DEV == 0;
        plausible.then(|| identity(&fields.array::<16>(0x78), &fields.array(0x68)))
    }))
}

/// The bytes of the superblock, where there is one.
fn find(source: &dyn ReadAt) -> Result<Option<Vec<u8>>> {
    let end = SUPERBLOCK_OFFSET.saturating_mul(2);
    if source.len() < end {
        return Ok(None);
    }
    let bytes = read_vec(
        source,
        SUPERBLOCK_OFFSET,
        SUPERBLOCK_OFFSET,
        SUPERBLOCK_LEN,
        WHAT,
    )?;
    Ok((Fields(&bytes).u16(0x38) == MAGIC).then_some(bytes))
}

fn identity(label: &[u8], uuid: &[u8; 16]) -> crate::Identity {
    let end = label.iter().position(|byte| *byte == 0);
    let label = label.get(..end.unwrap_or(label.len())).unwrap_or(label);
    let mut text = String::new();
    for (position, byte) in uuid.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    if uuid.iter().all(|byte| *byte == 0) {
        text.clear();
    }
    crate::Identity {
        format: "ext4",
        label: String::from_utf8_lossy(label).into_owned(),
        uuid: text,
    }
}

fn corrupt_at(field: u64, message: impl Into<String>) -> Error {
    Error::corrupt(WHAT, message).at(SUPERBLOCK_OFFSET.saturating_add(field))
}

fn check_checksum(bytes: &[u8]) -> Result<()> {
    let fields = Fields(bytes);
    if fields.u32(0x64) & ro_compat::METADATA_CSUM == 0 {
        return Ok(());
    }
    if fields.u8(0x175) != 1 {
        return Err(corrupt_at(
            0x175,
            format!("checksum type {}, and only 1 exists", fields.u8(0x175)),
        ));
    }
    if crc32c_without(!0, bytes.get(..0x3fc).unwrap_or(bytes), 0x3fc, 4) != fields.u32(0x3fc) {
        return Err(corrupt_at(0x3fc, "the checksum does not match"));
    }
    Ok(())
}

fn check_features(fields: Fields<'_>) -> Result<()> {
    let asked = fields.u32(0x60);
    let at = SUPERBLOCK_OFFSET.saturating_add(0x60);
    if asked & incompat::JOURNAL_DEV != 0 {
        let message = "this is an external journal, no file system";
        return Err(Error::unsupported(WHAT, message).at(at));
    }
    for (feature, name) in incompat::REFUSED {
        if asked & feature != 0 {
            let message = format!("the feature \"{name}\" is not read");
            return Err(Error::unsupported(WHAT, message).at(at));
        }
    }
    let unknown = asked & !incompat::KNOWN;
    if unknown != 0 {
        let message = format!("the incompatible features {unknown:#x} are not known");
        return Err(Error::unsupported(WHAT, message).at(at));
    }
    Ok(())
}

fn parse(fields: Fields<'_>) -> Result<Superblock> {
    let s_log_block_size = fields.u32(0x18);
    if s_log_block_size > MAX_LOG_BLOCK_SIZE {
        return Err(corrupt_at(0x18, "blocks are larger than 64 KiB"));
    }
    let block_size = 1024_u32.checked_shl(s_log_block_size).unwrap_or(1024);
    let s_rev_level = fields.u32(0x4c);
    if s_rev_level > 1 {
        let message = format!("revision {s_rev_level}, and 0 and 1 are known");
        return Err(Error::unsupported(WHAT, message).at(SUPERBLOCK_OFFSET.saturating_add(0x4c)));
    }
    let dynamic = s_rev_level == 1;
    // Features count in revision 0 too, as in Linux: there they are zeros, but for damage.
    let incompat = fields.u32(0x60);
    let wide = incompat & incompat::SIXTY_FOUR_BIT != 0;
    let uuid: [u8; 16] = fields.array(0x68);
    let seed = if incompat & incompat::CSUM_SEED != 0 {
        fields.u32(0x270)
    } else {
        crc32c(!0, &uuid)
    };
    let mut superblock = Superblock {
        block_size,
        blocks_count: if wide {
            fields.u32_pair(4, 0x150)
        } else {
            u64::from(fields.u32(4))
        },
        inodes_count: fields.u32(0),
        first_data_block: fields.u32(0x14),
        blocks_per_group: fields.u32(0x20),
        inodes_per_group: fields.u32(0x28),
        groups_count: 0,
        first_inode: if dynamic {
            fields.u32(0x54)
        } else {
            GOOD_OLD_FIRST_INODE
        },
        inode_size: if dynamic {
            fields.u16(0x58)
        } else {
            GOOD_OLD_INODE_SIZE
        },
        descriptor_size: if wide { fields.u16(0xfe) } else { 32 },
        first_meta_group: fields.u32(0x104),
        backup_groups: [fields.u32(0x24c), fields.u32(0x250)],
        journal_inode: fields.u32(0xe0),
        state: fields.u16(0x3a),
        compat: fields.u32(0x5c),
        incompat,
        ro_compat: fields.u32(0x64),
        uuid,
        label: fields.array(0x78),
        seed,
    };
    check_geometry(&mut superblock)?;
    Ok(superblock)
}

/// Checks sizes and counts against one another, as the kernel does when it mounts, and counts the groups.
fn check_geometry(superblock: &mut Superblock) -> Result<()> {
    let inode_size = superblock.inode_size;
    let in_block = u32::from(inode_size) <= superblock.block_size;
    if inode_size < GOOD_OLD_INODE_SIZE || !inode_size.is_power_of_two() || !in_block {
        return Err(corrupt_at(0x58, format!("inodes have {inode_size} bytes")));
    }
    let descriptor_size = superblock.descriptor_size;
    let smallest = if superblock.has_incompat(incompat::SIXTY_FOUR_BIT) {
        64
    } else {
        32
    };
    if !(smallest..=1024).contains(&descriptor_size) || !descriptor_size.is_power_of_two() {
        let message = format!("group descriptors have {descriptor_size} bytes");
        return Err(corrupt_at(0xfe, message));
    }
    if u64::from(superblock.first_data_block) >= superblock.blocks_count
        || superblock.first_data_block > 1
    {
        let message = format!("the first block is {}", superblock.first_data_block);
        return Err(corrupt_at(0x14, message));
    }
    let bits = superblock.block_size.saturating_mul(8);
    if superblock.inodes_per_group == 0 || superblock.inodes_per_group > bits {
        let message = format!("{} inodes in a group", superblock.inodes_per_group);
        return Err(corrupt_at(0x28, message));
    }
    let blocks = superblock
        .blocks_count
        .saturating_sub(u64::from(superblock.first_data_block));
    if superblock.blocks_per_group == 0 {
        return Err(corrupt_at(0x20, "0 blocks in a group"));
    }
    superblock.groups_count = blocks.div_ceil(u64::from(superblock.blocks_per_group));
    if superblock.groups_count > MAX_GROUPS {
        let message = format!(
            "{} block groups, and at most {MAX_GROUPS} are read",
            superblock.groups_count
        );
        return Err(Error::limit(WHAT, message).at(SUPERBLOCK_OFFSET));
    }
    let inodes = superblock
        .groups_count
        .saturating_mul(u64::from(superblock.inodes_per_group));
    if inodes != u64::from(superblock.inodes_count) {
        let message = format!(
            "{} inodes, and {} groups with {} each",
            superblock.inodes_count, superblock.groups_count, superblock.inodes_per_group
        );
        return Err(corrupt_at(0, message));
    }
    Ok(())
}

impl Superblock {
    /// Whether the group `group` begins with a copy of the superblock. Source: `ext4_bg_has_super()`.
    pub(super) fn group_has_superblock(&self, group: u64) -> bool {
        if group == 0 {
            return true;
        }
        if self.has_compat(compat::SPARSE_SUPER2) {
            return self.backup_groups.iter().any(|b| u64::from(*b) == group);
        }
        if group == 1 || !self.has_ro_compat(ro_compat::SPARSE_SUPER) {
            return true;
        }
        [3_u64, 5, 7].iter().any(|base| {
            let powers = std::iter::successors(Some(*base), |power| power.checked_mul(*base));
            powers
                .take_while(|power| *power <= group)
                .any(|power| power == group)
        })
    }
}
