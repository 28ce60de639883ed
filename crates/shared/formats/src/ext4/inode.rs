//! Inodes as they lie in the inode table.

use block::{Error, Result};
use tree::{Device, Timestamp};

use super::checksum::{crc32c, crc32c_without};
use super::field::Fields;
use super::format::{GOOD_OLD_INODE_SIZE, flag};
use super::superblock::Superblock;

/// One inode, its checksum checked.
///
/// ```text
/// offset  size  name
///      0     2  i_mode
///      2     2  i_uid (upper half at 0x78)
///      4     4  i_size_lo (upper half at 0x6c)
///   0x10     4  i_mtime (upper bits and nanoseconds at 0x88)
///   0x18     2  i_gid (upper half at 0x7a)
///   0x1a     2  i_links_count
///   0x20     4  i_flags
///   0x28    60  i_block: extent tree, block map, target, device or content
///   0x64     4  i_generation
///   0x68     4  i_file_acl_lo (upper 16 bits at 0x76)
///   0x7c     2  i_checksum_lo
///   0x80     2  i_extra_isize: how much of what follows is fields
///   0x82     2  i_checksum_hi
///   0x88     4  i_mtime_extra
/// ```
#[derive(Debug)]
pub(super) struct RawInode {
    pub(super) number: u32,
    /// Where it lies, in bytes.
    pub(super) offset: u64,
    bytes: Vec<u8>,
    /// What the checksums of its folder blocks and extent blocks begin with.
    pub(super) seed: u32,
    /// Whether a fast commit made it: then it has no blocks but those of fast commits.
    pub(super) fresh: bool,
}

/// An extent tree without extents: `eh_magic`, no entries, room for four.
const EMPTY_TREE: [u8; 60] = {
    let mut area = [0; 60];
    area[0] = 0x0a;
    area[1] = 0xf3;
    area[4] = 4;
    area
};

impl RawInode {
    /// Checks the `bytes` of the inode `number`, which lie at `offset`.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where the checksum does not match, the inode is not in use, or its fields end
    /// outside of it.
    pub(super) fn parse(
        superblock: &Superblock,
        number: u32,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<Self> {
        let inode = Self::new(superblock, number, offset, bytes);
        if superblock.has_checksums() && !inode.checksum_matches() {
            return Err(inode.corrupt(0x7c, "the checksum does not match"));
        }
        inode.check(superblock)?;
        Ok(inode)
    }

    /// The inode `number`, of which the `stored` bytes (after their offset) are those that `fields` of a fast commit are newer than.
    ///
    /// Source: `ext4_fc_replay_inode()`, but that a target or a device, which it forgets, is taken over too.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); checksums are neither there nor looked at.
    pub(super) fn replayed(
        superblock: &Superblock,
        number: u32,
        stored: (u64, Vec<u8>),
        fields: &[u8],
    ) -> Result<Self> {
        let (offset, mut bytes) = stored;
        let fresh = Fields(&bytes).u32(0x64) != Fields(fields).u32(0x64);
        let extents = Fields(fields).u32(0x20) & flag::EXTENTS != 0;
        let kept: [u8; 60] = if fresh {
            EMPTY_TREE
        } else {
            Fields(&bytes).array(0x28)
        };
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = *from;
        }
        if extents && let Some(area) = bytes.get_mut(0x28..0x64) {
            area.copy_from_slice(&kept);
        }
        let mut inode = Self::new(superblock, number, offset, bytes);
        inode.fresh = fresh;
        inode.check(superblock)?;
        Ok(inode)
    }

    fn new(superblock: &Superblock, number: u32, offset: u64, bytes: Vec<u8>) -> Self {
        let seed = crc32c(superblock.seed, &number.to_le_bytes());
        let seed = crc32c(seed, &Fields(&bytes).array::<4>(0x64));
        Self {
            number,
            offset,
            bytes,
            seed,
            fresh: false,
        }
    }

    fn check(&self, superblock: &Superblock) -> Result<()> {
        let extra = self.extra_size();
        let largest = superblock.inode_size.saturating_sub(GOOD_OLD_INODE_SIZE);
        if extra > largest || !extra.is_multiple_of(4) {
            return Err(self.corrupt(0x80, format!("{extra} bytes of further fields")));
        }
        if self.mode() == 0 || self.links() == 0 {
            return Err(self.corrupt(0, "a name leads to it, and it is not in use"));
        }
        Ok(())
    }

    /// An error in the field at `field` of this inode.
    pub(super) fn corrupt(&self, field: u64, message: impl Into<String>) -> Error {
        Error::corrupt(self.what(), message).at(self.offset.saturating_add(field))
    }

    /// How errors name it.
    pub(super) fn what(&self) -> String {
        format!("ext4 inode {}", self.number)
    }

    fn fields(&self) -> Fields<'_> {
        Fields(&self.bytes)
    }

    /// How many bytes of fields follow the first 128.
    fn extra_size(&self) -> u16 {
        self.fields().u16(0x80)
    }

    /// Whether the fields reach up to byte `end`.
    fn reaches(&self, end: u16) -> bool {
        let limit = GOOD_OLD_INODE_SIZE.saturating_add(self.extra_size());
        self.bytes.len() > usize::from(GOOD_OLD_INODE_SIZE) && limit >= end
    }

    /// Source: `ext4_inode_csum()`, which counts both halves of the checksum as zeros.
    fn checksum_matches(&self) -> bool {
        let (base, rest) = self
            .bytes
            .split_at_checked(usize::from(GOOD_OLD_INODE_SIZE))
            .unwrap_or((&self.bytes, &[]));
        let wide = self.reaches(0x84);
        let sum = crc32c_without(self.seed, base, 0x7c, 2);
        let sum = if wide {
            crc32c_without(sum, rest, 2, 2)
        } else {
            crc32c(sum, rest)
        };
        let low = u32::from(self.fields().u16(0x7c));
        if wide {
            sum == low | (u32::from(self.fields().u16(0x82)) << 16)
        } else {
            sum & 0xffff == low
        }
    }

    pub(super) fn mode(&self) -> u16 {
        self.fields().u16(0)
    }

    pub(super) fn links(&self) -> u16 {
        self.fields().u16(0x1a)
    }

    pub(super) fn uid(&self) -> u32 {
        u32::from(self.fields().u16(0x2)) | (u32::from(self.fields().u16(0x78)) << 16)
    }

    pub(super) fn gid(&self) -> u32 {
        u32::from(self.fields().u16(0x18)) | (u32::from(self.fields().u16(0x7a)) << 16)
    }

    /// The length in bytes of a file.
    pub(super) fn size(&self) -> u64 {
        self.fields().u32_pair(0x4, 0x6c)
    }

    /// The lower half of the length: all of it, for a folder without the feature `large_dir` and a symbolic link.
    pub(super) fn short_size(&self) -> u64 {
        u64::from(self.fields().u32(0x4))
    }

    pub(super) fn has_flag(&self, flag: u32) -> bool {
        self.fields().u32(0x20) & flag != 0
    }

    pub(super) fn generation(&self) -> u32 {
        self.fields().u32(0x64)
    }

    /// What an inode that holds an xattr value has in its time of access: the hash of the value.
    pub(super) fn value_hash(&self) -> u32 {
        self.fields().u32(0x8)
    }

    /// What an inode that holds an xattr value of the oldest kind has in its time of change: the inode with the xattr.
    pub(super) fn value_parent(&self) -> u32 {
        self.fields().u32(0x10)
    }

    /// The block of xattrs, if there is one.
    pub(super) fn xattr_block(&self, wide: bool) -> Option<u64> {
        let low = u64::from(self.fields().u32(0x68));
        let high = if wide {
            u64::from(self.fields().u16(0x76)) << 32
        } else {
            0
        };
        Some(low | high).filter(|block| *block != 0)
    }

    /// When the content was changed last: 34 bits of seconds from 1901 to 2446, where the inode has the room.
    ///
    /// Nanoseconds beyond a second, which Linux hands on as they are, become the last nanosecond.
    pub(super) fn mtime(&self) -> Timestamp {
        let low = i32::from_le_bytes(self.fields().array(0x10));
        let extra = if self.reaches(0x8c) {
            self.fields().u32(0x88)
        } else {
            0
        };
        Timestamp {
            seconds: i64::from(low).saturating_add(i64::from(extra & 3) << 32),
            nanoseconds: (extra >> 2).min(999_999_999),
        }
    }

    /// `i_block`.
    pub(super) fn block_area(&self) -> &[u8] {
        self.bytes.get(0x28..0x64).unwrap_or_default()
    }

    /// The offset of `i_block` on the medium.
    pub(super) fn block_area_offset(&self) -> u64 {
        self.offset.saturating_add(0x28)
    }

    /// What lies behind the fields, with its offset on the medium: room for xattrs.
    pub(super) fn xattr_area(&self) -> (u64, &[u8]) {
        // An inode of 128 bytes has none; one that says 0 further fields has no xattrs either (`ext4_iget_extra_inode()`).
        let start = GOOD_OLD_INODE_SIZE.saturating_add(self.extra_size());
        let area = if self.extra_size() == 0 {
            &[]
        } else {
            self.bytes.get(usize::from(start)..).unwrap_or_default()
        };
        (self.offset.saturating_add(u64::from(start)), area)
    }

    /// The number of a device, in the old form (16 bits) or in the new one (12 + 20).
    pub(super) fn device(&self) -> Device {
        let area = Fields(self.block_area());
        let (old, new) = (area.u32(0), area.u32(4));
        if old != 0 {
            return Device {
                major: (old >> 8) & 0xff,
                minor: old & 0xff,
            };
        }
        Device {
            major: (new & 0xf_ff00) >> 8,
            minor: (new & 0xff) | ((new >> 12) & 0xf_ff00),
        }
    }

    /// Whether it holds its content itself.
    pub(super) fn is_inline(&self) -> bool {
        self.has_flag(flag::INLINE_DATA)
    }
}
