//! Extended attributes: in the inode's free room, in a block that inodes can share, and values in inodes of their own.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use block::{Error, Result};
use tree::{Xattrs, mode};

use super::acl;
use super::checksum::{crc32c, crc32c_without};
use super::field::{Fields, index};
use super::file_system::FileSystem;
use super::format::{MAX_XATTR_VALUE, flag, incompat};
use super::inode::RawInode;

/// `h_magic`, before the entries in an inode and in a block.
const MAGIC: u32 = 0xea02_0000;
/// The length of the header of a block.
const BLOCK_HEADER_LEN: usize = 32;
/// The length of an entry without its name.
const ENTRY_LEN: usize = 16;
/// The `e_name_index` of the system's own, and the name under which one holds the rest of inline content.
const SYSTEM: u8 = 7;
/// The most sets that are remembered by what the inode holds; later ones are read again.
const MAX_CACHED: usize = 4096;
/// What a set and an xattr are counted with besides their bytes.
const OVERHEAD: u64 = 64;

/// The xattrs of an inode, and what stands among them and is none.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) xattrs: Xattrs,
    /// The content of an inline file or folder that did not fit into `i_block`.
    pub(super) inline: Vec<u8>,
}

/// What was read before.
#[derive(Debug, Default)]
pub(super) struct Cache {
    empty: Xattrs,
    /// By the bytes behind the fields of the inode.
    areas: BTreeMap<Box<[u8]>, Xattrs>,
    /// By the number of the block.
    blocks: BTreeMap<u64, Xattrs>,
    /// By the number of the inode that holds the value.
    values: BTreeMap<u32, Box<[u8]>>,
}

/// Entries and their values: an area of an inode, or a block.
struct Table<'a> {
    inode: &'a RawInode,
    /// What the offsets of values count from.
    bytes: &'a [u8],
    /// Where `bytes` lies, in bytes.
    offset: u64,
    /// Where the entries begin in `bytes`.
    start: usize,
}

/// One entry (`struct ext4_xattr_entry`).
struct Entry<'a> {
    name: &'a [u8],
    e_name_index: u8,
    e_value_offs: u16,
    e_value_inum: u32,
    e_value_size: u32,
    e_hash: u32,
    /// Where it lies, in bytes.
    offset: u64,
}

type Set = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// The xattrs of `inode`.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where an entry or value lies outside its area, a checksum does not match, or an ACL is
/// none; [`Kind::Limit`](block::Kind::Limit).
pub(super) fn read(fs: &mut FileSystem, inode: &RawInode) -> Result<Found> {
    let (offset, area) = inode.xattr_area();
    let has_area = area.len() > 4 && Fields(area).u32(0) == MAGIC;
    let wide = fs.superblock.has_incompat(incompat::SIXTY_FOUR_BIT);
    let block = inode.xattr_block(wide);
    if !has_area {
        let xattrs = match block {
            None => fs.xattrs.empty.clone(),
            Some(block) => of_block(fs, inode, block)?,
        };
        let inline = Vec::new();
        return Ok(Found { xattrs, inline });
    }
    let simple = block.is_none() && !inode.is_inline();
    if simple && let Some(known) = fs.xattrs.areas.get(area) {
        let (xattrs, inline) = (known.clone(), Vec::new());
        return Ok(Found { xattrs, inline });
    }
    let table = Table {
        inode,
        bytes: area.get(4..).unwrap_or_default(),
        offset: offset.saturating_add(4),
        start: 0,
    };
    let mut inline = Vec::new();
    let (mut set, own_values) = read_table(fs, &table, &mut inline)?;
    if let Some(block) = block {
        for (name, value) in of_block(fs, inode, block)?.iter() {
            // Where both have a name, the inode's counts, as in `ext4_xattr_get()`.
            if let Slot::Vacant(free) = set.entry(name.clone()) {
                free.insert(value.clone());
            }
        }
    }
    let xattrs = finish(fs, set)?;
    if simple && own_values && fs.xattrs.areas.len() < MAX_CACHED {
        fs.xattrs.areas.insert(area.into(), xattrs.clone());
    }
    Ok(Found { xattrs, inline })
}

/// Counts a new set against the budget and makes it shareable.
fn finish(fs: &mut FileSystem, set: Set) -> Result<Xattrs> {
    if set.is_empty() {
        return Ok(fs.xattrs.empty.clone());
    }
    let bytes = set.iter().fold(OVERHEAD, |sum: u64, (name, value)| {
        sum.saturating_add(block::ReadAt::len(&**name))
            .saturating_add(block::ReadAt::len(&**value))
            .saturating_add(OVERHEAD)
    });
    fs.xattr_bytes.take(bytes)?;
    Ok(Xattrs::new(set))
}

/// The xattrs in the block `block`, which many inodes can share.
///
/// ```text
/// offset  size  name
///      0     4  h_magic
///      8     4  h_blocks: 1
///   0x10     4  h_checksum
///   0x20     …  the entries
/// ```
fn of_block(fs: &mut FileSystem, inode: &RawInode, block: u64) -> Result<Xattrs> {
    if let Some(known) = fs.xattrs.blocks.get(&block) {
        return Ok(known.clone());
    }
    let Some(offset) = fs.superblock.block_offset(block) else {
        let message = format!("its xattrs are in block {block}, outside the file system");
        return Err(inode.corrupt(0x68, message));
    };
    let bytes = fs.block(offset)?;
    let corrupt = |message| Error::corrupt(format!("ext4 xattr block {block}"), message).at(offset);
    let fields = Fields(&bytes);
    if fields.u32(0) != MAGIC || fields.u32(8) != 1 {
        return Err(corrupt("it does not begin with 0xea020000 and one block"));
    }
    if fs.superblock.has_checksums() {
        // Source: `ext4_xattr_block_csum()`.
        let seed = crc32c(fs.superblock.seed, &block.to_le_bytes());
        if crc32c_without(seed, &bytes, 0x10, 4) != fields.u32(0x10) {
            return Err(corrupt("the checksum does not match"));
        }
    }
    let table = Table {
        inode,
        bytes: &bytes,
        offset,
        start: BLOCK_HEADER_LEN,
    };
    let (set, _) = read_table(fs, &table, &mut Vec::new())?;
    let xattrs = finish(fs, set)?;
    fs.xattrs.blocks.insert(block, xattrs.clone());
    Ok(xattrs)
}

/// Reads the entries of `table`; what is the rest of inline content goes to `inline`. Answers too whether all values lie in it.
fn read_table(fs: &mut FileSystem, table: &Table<'_>, inline: &mut Vec<u8>) -> Result<(Set, bool)> {
    let mut set = Set::new();
    let mut own_values = true;
    let mut at = table.start;
    while let Some((entry, next)) = table.entry(at)? {
        at = next;
        own_values &= entry.e_value_inum == 0;
        if entry.e_name_index == SYSTEM && entry.name == b"data" {
            *inline = table.value(fs, &entry)?;
            continue;
        }
        let Some(name) = full_name(&entry) else {
            fs.warn(format!(
                "an xattr of ext4 inode {} was left out: its name has the unknown prefix {}",
                table.inode.number, entry.e_name_index
            ));
            continue;
        };
        let mut value = table.value(fs, &entry)?;
        if matches!(entry.e_name_index, 2 | 3) {
            value = acl::to_xattr(&value)
                .filter(|_| entry.name.is_empty())
                .ok_or_else(|| {
                    table.corrupt(entry.offset, "an ACL breaks the rules of its form")
                })?;
        } else if entry.name.is_empty() {
            return Err(table.corrupt(entry.offset, "an xattr without a name"));
        }
        if let Slot::Vacant(free) = set.entry(name) {
            free.insert(value.into());
        }
    }
    Ok((set, own_values))
}

/// The name as programs see it. Source: the prefixes of `fs/ext4/xattr.h` and `include/uapi/linux/xattr.h`.
fn full_name(entry: &Entry<'_>) -> Option<Box<[u8]>> {
    let prefix: &[u8] = match entry.e_name_index {
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        6 => b"security.",
        SYSTEM => b"system.",
        8 => b"system.richacl",
        10 => b"gnu.",
        _ => return None,
    };
    Some([prefix, entry.name].concat().into())
}

impl<'a> Table<'a> {
    fn corrupt(&self, offset: u64, message: impl Into<String>) -> Error {
        let what = format!("ext4 xattrs of inode {}", self.inode.number);
        Error::corrupt(what, message).at(offset)
    }

    /// The entry at `at` in the bytes, and where the next one begins; `None` at the four zeros that end them.
    ///
    /// ```text
    /// offset  size  name
    ///      0     1  e_name_len
    ///      1     1  e_name_index
    ///      2     2  e_value_offs
    ///      4     4  e_value_inum
    ///      8     4  e_value_size
    ///     12     4  e_hash
    ///     16     …  e_name
    /// ```
    fn entry(&self, at: usize) -> Result<Option<(Entry<'a>, usize)>> {
        let offset = self
            .offset
            .saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        let rest = self.bytes.get(at..).unwrap_or_default();
        let fields = Fields(rest);
        if rest.len() >= 4 && fields.u32(0) == 0 {
            return Ok(None);
        }
        let len = ENTRY_LEN.saturating_add(usize::from(fields.u8(0)));
        let Some(name) = rest.get(ENTRY_LEN..len) else {
            return Err(self.corrupt(offset, "an entry reaches past the end"));
        };
        if name.contains(&0) {
            return Err(self.corrupt(offset, "a name has a zero in it"));
        }
        let entry = Entry {
            name,
            e_name_index: fields.u8(1),
            e_value_offs: fields.u16(2),
            e_value_inum: fields.u32(4),
            e_value_size: fields.u32(8),
            e_hash: fields.u32(12),
            offset,
        };
        Ok(Some((entry, at.saturating_add(len.next_multiple_of(4)))))
    }

    fn value(&self, fs: &mut FileSystem, entry: &Entry<'_>) -> Result<Vec<u8>> {
        if entry.e_value_size > MAX_XATTR_VALUE {
            let what = format!("ext4 xattrs of inode {}", self.inode.number);
            let message = format!(
                "a value of {} bytes, and at most {MAX_XATTR_VALUE} are read",
                entry.e_value_size
            );
            return Err(Error::limit(what, message).at(entry.offset));
        }
        if entry.e_value_inum != 0 {
            return self.value_of_inode(fs, entry);
        }
        let start = usize::from(entry.e_value_offs);
        let end = start.saturating_add(index(entry.e_value_size));
        match self.bytes.get(start..end) {
            Some(value) => Ok(value.to_vec()),
            None if entry.e_value_size == 0 => Ok(Vec::new()),
            None => Err(self.corrupt(entry.offset, "a value reaches past the end")),
        }
    }

    /// A value that fills an inode of its own (feature `ea_inode`), as `ext4_xattr_inode_get()` reads and checks it.
    fn value_of_inode(&self, fs: &mut FileSystem, entry: &Entry<'_>) -> Result<Vec<u8>> {
        if let Some(known) = fs.xattrs.values.get(&entry.e_value_inum)
            && known.len() == index(entry.e_value_size)
        {
            return Ok(known.to_vec());
        }
        let holder = fs.inode(entry.e_value_inum)?;
        let regular = holder.mode() & mode::TYPE == mode::FILE;
        if !holder.has_flag(flag::EA_INODE) || !regular {
            return Err(self.corrupt(entry.offset, "a value is in an inode that holds none"));
        }
        let size = u64::from(entry.e_value_size);
        if holder.size() != size {
            let message = format!("a value has {} bytes, and its inode {size}", holder.size());
            return Err(self.corrupt(entry.offset, message));
        }
        let value = fs
            .content(&holder, size)?
            .read_all(index(MAX_XATTR_VALUE))?;
        let hash = crc32c(fs.superblock.seed, &value);
        // Lustre's first form names the inode with the xattr, and has no hash.
        let lustre = holder.value_parent() == self.inode.number
            && holder.generation() == self.inode.generation();
        let matches = hash == holder.value_hash()
            && (entry.e_hash == name_hash(entry.name, hash, u32::from)
                || entry.e_hash == name_hash(entry.name, hash, sign_extended));
        if fs.superblock.has_checksums() && !lustre && !matches {
            return Err(self.corrupt(entry.offset, "the hash of a value does not match"));
        }
        fs.xattr_bytes.take(size.saturating_add(OVERHEAD))?;
        fs.xattrs
            .values
            .insert(entry.e_value_inum, value.clone().into());
        Ok(value)
    }
}

/// `e_hash` of an entry whose value is in an inode. Source: `ext4_xattr_hash_entry()`.
fn name_hash(name: &[u8], value_hash: u32, widen: fn(u8) -> u32) -> u32 {
    let hash = name
        .iter()
        .fold(0_u32, |hash, byte| hash.rotate_left(5) ^ widen(*byte));
    hash.rotate_left(16) ^ value_hash
}

/// How machines with signed characters widened the bytes of names (`ext4_xattr_hash_entry_signed()`).
fn sign_extended(byte: u8) -> u32 {
    i32::from(i8::from_le_bytes([byte])).cast_unsigned()
}
