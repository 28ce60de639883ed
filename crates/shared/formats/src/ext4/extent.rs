//! Extent trees.

use block::{Error, Result};

use super::checksum::crc32c;
use super::field::Fields;
use super::file_system::FileSystem;
use super::inode::RawInode;
use super::run::{Run, Runs};

/// `eh_magic`.
const MAGIC: u16 = 0xf30a;
/// The deepest tree: enough for 2^32 blocks with the smallest nodes (`EXT4_MAX_EXTENT_DEPTH`).
const MAX_DEPTH: u16 = 5;
/// The length of the header and of each entry.
const ENTRY_LEN: usize = 12;
/// `ee_len` above this: that many blocks fewer, and none was ever written.
const MAX_WRITTEN: u16 = 32768;

/// One node of a tree, in the inode or in a block of its own.
struct NodeBytes<'a> {
    bytes: &'a [u8],
    /// Where it lies, in bytes.
    offset: u64,
    /// How many levels are below it; `None` at the root, which says it itself.
    depth: Option<u16>,
}

/// A walk through the tree of one inode.
struct Walk<'a> {
    fs: &'a mut FileSystem,
    inode: &'a RawInode,
    runs: Runs,
    /// The first block of the file that may come next.
    next: u64,
}

/// The runs of an inode with extents.
pub(super) fn runs(fs: &mut FileSystem, inode: &RawInode) -> Result<Runs> {
    let mut walk = Walk {
        fs,
        inode,
        runs: Runs::default(),
        next: 0,
    };
    walk.node(&NodeBytes {
        bytes: inode.block_area(),
        offset: inode.block_area_offset(),
        depth: None,
    })?;
    Ok(walk.runs)
}

/// Parses an extent: `ee_block`, `ee_len`, `ee_start_hi`, `ee_start_lo`. Nothing of it is checked.
pub(super) fn parse(entry: Fields<'_>) -> Run {
    let ee_len = entry.u16(4);
    let written = ee_len <= MAX_WRITTEN;
    Run {
        logical: u64::from(entry.u32(0)),
        physical: u64::from(entry.u32(8)) | (u64::from(entry.u16(6)) << 32),
        len: u64::from(if written {
            ee_len
        } else {
            ee_len.saturating_sub(MAX_WRITTEN)
        }),
        written,
    }
}

impl Walk<'_> {
    fn corrupt(&self, offset: u64, message: impl Into<String>) -> Error {
        let what = format!("ext4 extent tree of inode {}", self.inode.number);
        Error::corrupt(what, message).at(offset)
    }

    /// Reads one node and all below it; the depth bounds how deep this goes.
    ///
    /// ```text
    /// offset  size  name
    ///      0     2  eh_magic
    ///      2     2  eh_entries
    ///      4     2  eh_max
    ///      6     2  eh_depth
    ///     12    12  the entries
    /// ```
    fn node(&mut self, node: &NodeBytes<'_>) -> Result<()> {
        let fields = Fields(node.bytes);
        let (eh_entries, eh_max, eh_depth) = (fields.u16(2), fields.u16(4), fields.u16(6));
        if fields.u16(0) != MAGIC {
            return Err(self.corrupt(node.offset, "a node does not begin with 0xf30a"));
        }
        if eh_depth > MAX_DEPTH || node.depth.is_some_and(|depth| depth != eh_depth) {
            return Err(self.corrupt(node.offset, format!("a node says it has depth {eh_depth}")));
        }
        let room = (node.bytes.len() / ENTRY_LEN).saturating_sub(1);
        if eh_entries > eh_max || usize::from(eh_max) > room {
            let message =
                format!("a node has {eh_entries} of {eh_max} entries and room for {room}");
            return Err(self.corrupt(node.offset, message));
        }
        if eh_entries == 0 && eh_depth > 0 {
            return Err(self.corrupt(node.offset, "an inner node is empty"));
        }
        if node.depth.is_some() {
            self.check_checksum(node, eh_max)?;
        }
        let entries = node.bytes.chunks_exact(ENTRY_LEN).skip(1);
        for (position, entry) in (1_u64..).zip(entries.take(usize::from(eh_entries))) {
            let offset = node.offset.saturating_add(position.saturating_mul(12));
            match eh_depth.checked_sub(1) {
                None => self.extent(Fields(entry), offset)?,
                Some(depth) => self.child(Fields(entry), offset, depth)?,
            }
        }
        Ok(())
    }

    /// The checksum stands behind the room for entries. Source: `ext4_extent_block_csum()`.
    fn check_checksum(&self, node: &NodeBytes<'_>, eh_max: u16) -> Result<()> {
        if !self.fs.superblock.has_checksums() {
            return Ok(());
        }
        let tail = usize::from(eh_max)
            .saturating_add(1)
            .saturating_mul(ENTRY_LEN);
        let covered = node.bytes.get(..tail).unwrap_or_default();
        let stored = node.bytes.get(tail..).and_then(<[u8]>::first_chunk);
        if stored != Some(&crc32c(self.inode.seed, covered).to_le_bytes()) {
            return Err(self.corrupt(node.offset, "the checksum of a node does not match"));
        }
        Ok(())
    }

    fn extent(&mut self, entry: Fields<'_>, offset: u64) -> Result<()> {
        let run = parse(entry);
        let Run {
            logical,
            physical,
            len,
            ..
        } = run;
        let end = logical.saturating_add(len);
        if logical < self.next || len == 0 || end > 1 << 32 {
            let message = format!("an extent of {len} blocks from block {logical} is out of order");
            return Err(self.corrupt(offset, message));
        }
        let last = physical.saturating_add(len.saturating_sub(1));
        let superblock = &self.fs.superblock;
        if superblock.block_offset(physical).is_none() || superblock.block_offset(last).is_none() {
            let message = format!("blocks {physical} to {last} are outside the file system");
            return Err(self.corrupt(offset, message));
        }
        self.next = end;
        self.runs.push(self.fs, run)
    }

    /// `ei_block`, `ei_leaf_lo`, `ei_leaf_hi`.
    fn child(&mut self, entry: Fields<'_>, offset: u64, depth: u16) -> Result<()> {
        let logical = u64::from(entry.u32(0));
        if logical < self.next {
            let message = format!("a node for block {logical} is out of order");
            return Err(self.corrupt(offset, message));
        }
        self.next = logical;
        let block = u64::from(entry.u32(4)) | (u64::from(entry.u16(8)) << 32);
        let Some(child) = self.fs.superblock.block_offset(block) else {
            let message = format!("a node in block {block} is outside the file system");
            return Err(self.corrupt(offset, message));
        };
        let bytes = self.fs.block(child)?;
        self.node(&NodeBytes {
            bytes: &bytes,
            offset: child,
            depth: Some(depth),
        })
    }
}
