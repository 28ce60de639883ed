//! The sets of xattrs of a tree, each once, and the tables that hold them.

use std::collections::BTreeMap;

use block::{Error, Result};
use tree::{InodeId, TreePath, Xattrs};

use super::codec::Encoder;
use super::fields::{half, wide, word};
use super::format::XATTR_PREFIXES;
use super::metadata_writer::{MetadataWriter, indexed_table};

/// The longest name of an xattr, in bytes with its prefix (Linux: `XATTR_NAME_MAX`).
const MAX_NAME: usize = 255;
/// The longest value of an xattr, in bytes (Linux: `XATTR_SIZE_MAX`).
const MAX_VALUE: usize = 65_536;

/// The sets, in the order in which they were seen first.
#[derive(Debug, Default)]
pub(crate) struct XattrSets {
    sets: Vec<Stored>,
    known: BTreeMap<Vec<u8>, u32>,
    of_inodes: BTreeMap<InodeId, u32>,
    len: u64,
}

/// One set as it is stored.
#[derive(Debug)]
struct Stored {
    bytes: Vec<u8>,
    count: u32,
    /// What a list of the names takes, a NUL behind each, and the values: the size by which mksquashfs counts.
    size: u32,
}

/// The tables as they are stored.
#[derive(Debug)]
pub(crate) struct XattrTables {
    /// Keys and values, the table of sets, the header and the list of the table's blocks.
    pub(crate) bytes: Vec<u8>,
    /// Where the header is, in bytes from the start of the image.
    pub(crate) header_at: u64,
}

impl XattrSets {
    /// Takes the set of `id`, whose path is `path`. Answers the names that cannot be stored.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](block::Kind::Limit) for names or values longer than Linux has them.
    pub(crate) fn add(
        &mut self,
        id: InodeId,
        path: &TreePath,
        xattrs: &Xattrs,
    ) -> Result<Vec<Box<[u8]>>> {
        let mut unstored = Vec::new();
        if xattrs.is_empty() {
            return Ok(unstored);
        }
        let mut stored = Stored {
            bytes: Vec::new(),
            count: 0,
            size: 0,
        };
        for (name, value) in xattrs.iter() {
            if name.len() > MAX_NAME || value.len() > MAX_VALUE {
                let message = format!(
                    "the xattr {} has a name of {} and a value of {} bytes, and {MAX_NAME} and {MAX_VALUE} are the most",
                    name.escape_ascii(),
                    name.len(),
                    value.len()
                );
                return Err(Error::limit(path.to_string(), message));
            }
            if !stored.add(name, value) {
                unstored.push(name.clone());
            }
        }
        if stored.count > 0 {
            let next = word(self.sets.len());
            let index = *self.known.entry(stored.bytes.clone()).or_insert(next);
            if index == next {
                self.len = self
                    .len
                    .saturating_add(wide(stored.bytes.len()))
                    .saturating_add(16);
                self.sets.push(stored);
            }
            self.of_inodes.insert(id, index);
        }
        Ok(unstored)
    }

    /// The index of the set of `id`.
    pub(crate) fn index_of(&self, id: InodeId) -> Option<u32> {
        self.of_inodes.get(&id).copied()
    }

    /// How many bytes the sets take uncompressed.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The tables as they are stored from byte `at` of the image on; `None` where there are no xattrs.
    pub(crate) fn tables(&self, at: u64, encoder: Encoder) -> Result<Option<XattrTables>> {
        if self.sets.is_empty() {
            return Ok(None);
        }
        let mut pairs = MetadataWriter::new(encoder);
        let mut records = Vec::new();
        for set in &self.sets {
            let reference = pairs.position().to_reference();
            records.extend_from_slice(&reference.to_le_bytes());
            records.extend_from_slice(&set.count.to_le_bytes());
            records.extend_from_slice(&set.size.to_le_bytes());
            pairs.push(&set.bytes)?;
        }
        let (mut bytes, encoder) = pairs.finish()?;
        let table_at = at.saturating_add(wide(bytes.len()));
        let table = indexed_table(&records, table_at, encoder)?;
        bytes.extend_from_slice(&table.bytes);
        bytes.extend_from_slice(&at.to_le_bytes());
        bytes.extend_from_slice(&word(self.sets.len()).to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&table.list);
        Ok(Some(XattrTables {
            bytes,
            header_at: table.list_at,
        }))
    }
}

impl Stored {
    /// Appends one; answers whether its prefix is one that squashfs has.
    fn add(&mut self, name: &[u8], value: &[u8]) -> bool {
        let found = (0u16..).zip(XATTR_PREFIXES).find_map(|(number, prefix)| {
            let rest = name.strip_prefix(prefix)?;
            (!rest.is_empty()).then_some((number, rest))
        });
        let Some((number, rest)) = found else {
            return false;
        };
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes
            .extend_from_slice(&half(rest.len()).to_le_bytes());
        self.bytes.extend_from_slice(rest);
        self.bytes
            .extend_from_slice(&word(value.len()).to_le_bytes());
        self.bytes.extend_from_slice(value);
        self.count = self.count.saturating_add(1);
        let listed = name.len().saturating_add(1).saturating_add(value.len());
        self.size = self.size.saturating_add(word(listed));
        true
    }
}
