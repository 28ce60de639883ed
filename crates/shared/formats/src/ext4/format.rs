//! Constants of the on-disk format.
//!
//! Source: Linux 6.x `fs/ext4/ext4.h`, `ext4_extents.h`, `xattr.h`, `acl.h`, and the kernel's `Documentation/filesystems/ext4`.
//! Not read: external journals that hold something, encrypted files, the compression that was never merged, Lustre's `dirdata`.
//! Not looked at because reading needs none of it: bitmaps, quota files, the resize inode, the orphan list, multiple mount protection.

/// Where the superblock lies, in bytes.
pub(super) const SUPERBLOCK_OFFSET: u64 = 1024;
/// The length of the superblock in bytes.
pub(super) const SUPERBLOCK_LEN: usize = 1024;
/// `s_magic`.
pub(super) const MAGIC: u16 = 0xef53;
/// The largest `s_log_block_size`: 64 KiB.
pub(super) const MAX_LOG_BLOCK_SIZE: u32 = 6;
/// The inode of the root folder.
pub(super) const ROOT_INODE: u32 = 2;
/// The first inode that is not reserved, in revision 0.
pub(super) const GOOD_OLD_FIRST_INODE: u32 = 11;
/// The length of an inode in revision 0, and of the part that all have.
pub(super) const GOOD_OLD_INODE_SIZE: u16 = 128;

/// The most block groups that are read; more is [`Limit`](block::Kind::Limit). 2^22 groups of 128 MiB are 512 TiB.
pub(super) const MAX_GROUPS: u64 = 1 << 22;
/// The most names in one file system; more is [`Limit`](block::Kind::Limit).
pub(super) const MAX_NAMES: u64 = 1 << 23;
/// The most runs of blocks in all files together; more is [`Limit`](block::Kind::Limit).
pub(super) const MAX_RUNS: u64 = 1 << 23;
/// The most bytes of folders, extent trees, block maps and xattr blocks that are read; more is [`Limit`](block::Kind::Limit).
pub(super) const MAX_METADATA_BYTES: u64 = 16 << 30;
/// The most bytes that the xattrs of all files together may have in memory, and how many they may have in any file system, however
/// small: values can be shared. More is [`Limit`](block::Kind::Limit).
pub(super) const MAX_XATTR_BYTES: u64 = 1 << 30;
pub(super) const MIN_XATTR_BYTES: u64 = 64 << 20;
/// The deepest folder that is read; more is [`Limit`](block::Kind::Limit). No program could name it: `PATH_MAX` is 4096.
pub(super) const MAX_DEPTH: u32 = 2048;
/// The most blocks of a journal: as many as `mke2fs` makes (`JFS_MAX_JOURNAL_BLOCKS`). More is [`Limit`](block::Kind::Limit).
pub(super) const MAX_JOURNAL_BLOCKS: u64 = 10_240_000;
/// The largest xattr value: `XATTR_SIZE_MAX` of Linux, which can show no larger one either. More is [`Limit`](block::Kind::Limit).
pub(super) const MAX_XATTR_VALUE: u32 = 65536;
/// The longest target of a symbolic link: `PATH_MAX` of Linux. More is [`Corrupt`](block::Kind::Corrupt).
pub(super) const MAX_SYMLINK: u64 = 4096;

/// `s_feature_compat`.
pub(super) mod compat {
    pub(in super::super) const HAS_JOURNAL: u32 = 0x4;
    pub(in super::super) const EXT_ATTR: u32 = 0x8;
    pub(in super::super) const DIR_INDEX: u32 = 0x20;
    pub(in super::super) const SPARSE_SUPER2: u32 = 0x200;
}

/// `s_feature_incompat`: what a reader must know.
pub(super) mod incompat {
    pub(in super::super) const FILETYPE: u32 = 0x2;
    pub(in super::super) const RECOVER: u32 = 0x4;
    pub(in super::super) const JOURNAL_DEV: u32 = 0x8;
    pub(in super::super) const META_BG: u32 = 0x10;
    pub(in super::super) const EXTENTS: u32 = 0x40;
    pub(in super::super) const SIXTY_FOUR_BIT: u32 = 0x80;
    pub(in super::super) const CSUM_SEED: u32 = 0x2000;
    pub(in super::super) const LARGEDIR: u32 = 0x4000;
    /// Those that change nothing for a reader, or are read: filetype, recover, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode,
    /// csum_seed, largedir, inline_data, encrypt (refused at the file concerned), casefold.
    pub(in super::super) const KNOWN: u32 = 0x0003_e7d6;
    /// Those that we know by name and do not read.
    pub(in super::super) const REFUSED: [(u32, &str); 2] =
        [(0x1, "compression"), (0x1000, "dirdata")];
}

/// `s_feature_ro_compat`: what only a writer must know.
pub(super) mod ro_compat {
    pub(in super::super) const SPARSE_SUPER: u32 = 0x1;
    pub(in super::super) const LARGE_FILE: u32 = 0x2;
    pub(in super::super) const HUGE_FILE: u32 = 0x8;
    pub(in super::super) const GDT_CSUM: u32 = 0x10;
    pub(in super::super) const DIR_NLINK: u32 = 0x20;
    pub(in super::super) const EXTRA_ISIZE: u32 = 0x40;
    pub(in super::super) const METADATA_CSUM: u32 = 0x400;
}

/// `i_flags`.
pub(super) mod flag {
    pub(in super::super) const ENCRYPT: u32 = 0x800;
    pub(in super::super) const INDEX: u32 = 0x1000;
    pub(in super::super) const EXTENTS: u32 = 0x8_0000;
    pub(in super::super) const EA_INODE: u32 = 0x20_0000;
    pub(in super::super) const INLINE_DATA: u32 = 0x1000_0000;
}
