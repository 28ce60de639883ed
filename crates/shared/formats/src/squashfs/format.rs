//! The structures and constants of squashfs 4.0, after the kernel's `Documentation/filesystems/squashfs.rst` and
//! `fs/squashfs/squashfs_fs.h` (Linux 6.1).
//!
//! ```text
//! superblock | compressor options | data and fragment blocks | inodes | folders | fragments | export | ids | xattrs | padding
//! ```
//!
//! All but data and fragment blocks is stored in metadata blocks of 8 KiB, each compressed on its own. A place in a table of them
//! is the distance of a block from the table's start in the image, and an offset in what that block holds uncompressed.

use block::{Error, Result};

use super::fields::Fields;

/// The superblock's first four bytes, `hsqs`.
pub(crate) const MAGIC: u32 = 0x7371_7368;
/// The superblock's length in bytes.
pub(crate) const SUPERBLOCK_LEN: usize = 96;
/// What a metadata block holds uncompressed at most, in bytes.
pub(crate) const METADATA_LEN: usize = 8192;
/// The bit of a metadata block's header that says it is stored uncompressed.
pub(crate) const METADATA_RAW: u16 = 0x8000;
/// The bit of a data or fragment block's size that says it is stored uncompressed.
pub(crate) const BLOCK_RAW: u32 = 1 << 24;
/// The smallest block of data, in bytes.
pub(crate) const MIN_BLOCK: u32 = 4096;
/// The largest block of data, in bytes.
pub(crate) const MAX_BLOCK: u32 = 1 << 20;
/// A table that an image does not have.
pub(crate) const NO_TABLE: u64 = u64::MAX;
/// The fragment index of a file that has none.
pub(crate) const NO_FRAGMENT: u32 = u32::MAX;
/// The xattr index of an inode that has none.
pub(crate) const NO_XATTRS: u32 = u32::MAX;
/// Entries that one folder header counts at most (`SQUASHFS_DIR_COUNT`).
pub(crate) const HEADER_ENTRIES: usize = 256;
/// A folder's stored size is its listing's length plus 3, for `.` and `..`, which are not stored.
pub(crate) const LISTING_EXTRA: u32 = 3;
/// What mksquashfs and the kernel's loop device want an image's length to be a multiple of, in bytes.
pub(crate) const IMAGE_ALIGN: u64 = 4096;
/// An xattr's value that is stored elsewhere (`SQUASHFS_XATTR_VALUE_OOL`).
pub(crate) const XATTR_ELSEWHERE: u16 = 0x100;
/// The xattr prefixes in the order of their numbers.
pub(crate) const XATTR_PREFIXES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

/// Flags of the superblock that we set or read.
pub(crate) mod flag {
    /// The ends of longer files are in fragments too.
    pub(crate) const ALWAYS_FRAGMENTS: u16 = 1 << 5;
    /// Files of the same content are stored once.
    pub(crate) const DUPLICATES: u16 = 1 << 6;
    /// There is an export table.
    pub(crate) const EXPORT: u16 = 1 << 7;
    /// There are no xattrs.
    pub(crate) const NO_XATTRS: u16 = 1 << 9;
    /// A metadata block with the compressor's options follows the superblock.
    pub(crate) const OPTIONS: u16 = 1 << 10;
}

/// Inode types; an extended one is its basic one plus [`EXTENDED`](kind::EXTENDED).
pub(crate) mod kind {
    pub(crate) const DIRECTORY: u16 = 1;
    pub(crate) const FILE: u16 = 2;
    pub(crate) const SYMLINK: u16 = 3;
    pub(crate) const BLOCK: u16 = 4;
    pub(crate) const CHARACTER: u16 = 5;
    pub(crate) const FIFO: u16 = 6;
    pub(crate) const SOCKET: u16 = 7;
    pub(crate) const EXTENDED: u16 = 7;
}

/// Compressors by their number in the superblock.
pub(crate) mod compressor {
    pub(crate) const GZIP: u16 = 1;
    pub(crate) const LZMA: u16 = 2;
    pub(crate) const LZO: u16 = 3;
    pub(crate) const XZ: u16 = 4;
    pub(crate) const LZ4: u16 = 5;
    pub(crate) const ZSTD: u16 = 6;
}

/// A place in a table of metadata blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The block's distance from the table's start, in bytes of the image.
    pub(crate) block: u32,
    /// The offset in the uncompressed block, under 8192.
    pub(crate) offset: u16,
}

impl Position {
    /// As inodes and tables hold it: block in the upper 48 bits, offset in the lower 16.
    pub(crate) fn to_reference(self) -> u64 {
        (u64::from(self.block) << 16) | u64::from(self.offset)
    }
}

/// The superblock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// How many inodes there are; their numbers run from 1 to this.
    pub(crate) inodes: u32,
    /// When the image was made, in seconds since 1970.
    pub(crate) time: u32,
    /// In bytes, a power of two.
    pub(crate) block_size: u32,
    /// How many fragment blocks there are.
    pub(crate) fragments: u32,
    /// See [`compressor`].
    pub(crate) compressor: u16,
    /// See [`flag`].
    pub(crate) flags: u16,
    /// How many different owners and groups there are.
    pub(crate) ids: u16,
    /// Where the root folder's inode is, as [`Position::to_reference`] has it.
    pub(crate) root: u64,
    /// Length of all that is used, in bytes.
    pub(crate) used: u64,
    /// Where the list of the id table's blocks is, in bytes from the start of the image, as all below.
    pub(crate) id_table: u64,
    /// Where the xattr table's header is, or [`NO_TABLE`].
    pub(crate) xattr_table: u64,
    /// Where the inodes' first metadata block is.
    pub(crate) inode_table: u64,
    /// Where the folders' first metadata block is.
    pub(crate) directory_table: u64,
    /// Where the list of the fragment table's blocks is, or [`NO_TABLE`].
    pub(crate) fragment_table: u64,
    /// Where the list of the export table's blocks is, or [`NO_TABLE`].
    pub(crate) export_table: u64,
}

const WHAT: &str = "squashfs superblock";

impl Superblock {
    /// The superblock as it is stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SUPERBLOCK_LEN);
        for value in [
            MAGIC,
            self.inodes,
            self.time,
            self.block_size,
            self.fragments,
        ] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let block_log = super::fields::half(self.block_size.trailing_zeros());
        for value in [self.compressor, block_log, self.flags, self.ids, 4, 0] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for value in [
            self.root,
            self.used,
            self.id_table,
            self.xattr_table,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            self.export_table,
        ] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Reads the first [`SUPERBLOCK_LEN`] bytes of an image of `len` bytes.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for another version, [`Kind::Corrupt`](block::Kind::Corrupt) where the
    /// fields contradict each other or the length.
    pub(crate) fn parse(bytes: &[u8], len: u64) -> Result<Self> {
        let mut fields = Fields::new(bytes, WHAT);
        if fields.u32()? != MAGIC {
            return Err(Error::corrupt(WHAT, "it does not begin with \"hsqs\"").at(0));
        }
        let mut this = Self {
            inodes: fields.u32()?,
            time: fields.u32()?,
            block_size: fields.u32()?,
            fragments: fields.u32()?,
            compressor: fields.u16()?,
            ..Self::default()
        };
        let block_log = fields.u16()?;
        this.flags = fields.u16()?;
        this.ids = fields.u16()?;
        let (major, minor) = (fields.u16()?, fields.u16()?);
        if (major, minor) != (4, 0) {
            let message = format!("version {major}.{minor}, and only 4.0 is read");
            return Err(Error::unsupported(WHAT, message).at(28));
        }
        this.root = fields.u64()?;
        this.used = fields.u64()?;
        this.id_table = fields.u64()?;
        this.xattr_table = fields.u64()?;
        this.inode_table = fields.u64()?;
        this.directory_table = fields.u64()?;
        this.fragment_table = fields.u64()?;
        this.export_table = fields.u64()?;
        this.check(block_log, len)?;
        Ok(this)
    }

    fn check(&self, block_log: u16, len: u64) -> Result<()> {
        let size = self.block_size;
        let sized = size.is_power_of_two() && (MIN_BLOCK..=MAX_BLOCK).contains(&size);
        if !sized || size.trailing_zeros() != u32::from(block_log) {
            let message = format!("block size {size} with logarithm {block_log}");
            return Err(Error::corrupt(WHAT, message).at(12));
        }
        if self.used > len {
            let message = format!("{} bytes are in use, and the image has {len}", self.used);
            return Err(Error::corrupt(WHAT, message).at(40));
        }
        let ordered = self.inode_table < self.directory_table
            && self.directory_table < self.used
            && self.id_table < self.used;
        if !ordered {
            return Err(Error::corrupt(WHAT, "the tables are not in order or past the end").at(48));
        }
        Ok(())
    }
}
