//! Reading a file system into a tree.

use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result, read_vec};
use tree::{Inode, InodeId, Metadata, Name, Node, Tree};

use super::format::{
    ENTRY_LEN, Geometry, Kind, MAX_ENTRIES, NO_LABEL, Root, ShortEntry, attribute, byte, timestamp,
};
use super::name::{LongName, decode_label, decode_short};
use super::table::Table;
use crate::Identity;

/// How deep folders may lie in each other. Beyond it is an error; a path of DOS or Windows has at most 260 characters.
const MAX_DEPTH: usize = 256;
/// The largest folder in bytes.
const MAX_DIRECTORY_LEN: usize = 2 << 20;

const WHAT_DIRECTORY: &str = "a FAT directory";

/// Says whether `source` holds FAT, and its label and serial number.
///
/// The label is that of the root folder (`blkid` does not take the one of the boot sector either), the UUID is the serial number. A
/// boot sector that contradicts itself is none; where only the root folder cannot be read there is no label, and
/// [`read_tree`] says why.
///
/// # Errors
///
/// What reading `source` answers.
pub fn probe(source: &dyn ReadAt) -> Result<Option<Identity>> {
    let Some(geometry) = damaged_is_none(Geometry::read(source))?.flatten() else {
        return Ok(None);
    };
    let serial = geometry.serial;
    let label = damaged_is_none(read_label(source, &geometry))?.flatten();
    Ok(Some(Identity {
        format: "vfat",
        label: label.unwrap_or_default(),
        uuid: match serial {
            0 => String::new(),
            _ => format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff),
        },
    }))
}

/// The answer, where the bytes are at fault no answer, and the error only where the layer below is.
fn damaged_is_none<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.kind() == block::Kind::Io => Err(error),
        answer => Ok(answer.ok()),
    }
}

/// The label in the root folder.
fn read_label(source: &dyn ReadAt, geometry: &Geometry) -> Result<Option<String>> {
    let root = match geometry.root {
        Root::Region { .. } => read_root_region(source, geometry)?,
        Root::Cluster(first) => {
            let mut table = Table::read(source, geometry)?;
            read_chain(source, geometry, &mut table, first)?
        }
    };
    let is_label = |entry: &ShortEntry| {
        entry.attributes & (attribute::VOLUME | attribute::DIRECTORY) == attribute::VOLUME
            && entry.attributes & attribute::LONG_NAME_MASK != attribute::LONG_NAME
            && entry.name != *NO_LABEL
    };
    let label = entries(&root)
        .map(|(_, bytes)| ShortEntry::parse(bytes))
        .find(is_label);
    Ok(label.map(|entry| decode_label(&entry.name)))
}

/// Reads all folders; the content of files are ranges of `source`.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where `source` is not FAT, a chain of clusters is damaged, or two names of a folder are
/// the same; [`Kind::Limit`](block::Kind::Limit) for sizes that no real file system has.
pub fn read_tree(source: Arc<dyn ReadAt>) -> Result<Tree<Content>> {
    let Some(geometry) = Geometry::read(&source)? else {
        let message = "there is no boot sector of FAT";
        return Err(Error::corrupt("the FAT boot sector", message).at(0));
    };
    let mut reader = Reader {
        table: Table::read(&source, &geometry)?,
        tree: Tree::new(Metadata::with_permissions(0o755)),
        pending: Vec::new(),
        geometry,
        source,
    };
    let root = match reader.geometry.root {
        Root::Region { .. } => read_root_region(&reader.source, &reader.geometry)?,
        Root::Cluster(first) => reader.read_directory(first)?,
    };
    reader.read_entries(&root, reader.tree.root(), 0)?;
    while let Some((id, first, depth)) = reader.pending.pop() {
        let bytes = reader.read_directory(first)?;
        reader.read_entries(&bytes, id, depth)?;
    }
    Ok(reader.tree)
}

fn read_root_region(source: &dyn ReadAt, geometry: &Geometry) -> Result<Vec<u8>> {
    match geometry.root {
        Root::Region { offset, len } => {
            read_vec(source, offset, len, MAX_DIRECTORY_LEN, WHAT_DIRECTORY)
        }
        Root::Cluster(_) => Ok(Vec::new()),
    }
}

/// Reads the folder in the chain from cluster `first` on.
fn read_chain(
    source: &dyn ReadAt,
    geometry: &Geometry,
    table: &mut Table,
    first: u32,
) -> Result<Vec<u8>> {
    let most = u64::try_from(MAX_DIRECTORY_LEN).unwrap_or(u64::MAX);
    let limit = most.div_ceil(geometry.cluster_len.max(1));
    let mut bytes = Vec::new();
    for run in table.chain(geometry, first, limit.saturating_add(1))? {
        let offset = geometry.offset(run.first).unwrap_or(u64::MAX);
        let len = u64::from(run.count).saturating_mul(geometry.cluster_len);
        bytes.extend(read_vec(source, offset, len, usize::MAX, WHAT_DIRECTORY)?);
        if bytes.len() > MAX_DIRECTORY_LEN {
            let message = format!("it has more than {MAX_ENTRIES} entries");
            return Err(Error::limit(WHAT_DIRECTORY, message).at(offset));
        }
    }
    Ok(bytes)
}

/// The entries in use, each with its offset in the folder, up to the end mark.
fn entries(directory: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    directory
        .chunks_exact(ENTRY_LEN)
        .take_while(|entry| byte(entry, 0) != 0)
        .enumerate()
        .filter(|(_, entry)| byte(entry, 0) != 0xe5)
        .map(|(index, entry)| (index.saturating_mul(ENTRY_LEN), entry))
}

struct Reader {
    source: Arc<dyn ReadAt>,
    geometry: Geometry,
    table: Table,
    tree: Tree<Content>,
    /// Folders to be read: where they are in the tree, their first cluster, and their depth.
    pending: Vec<(InodeId, u32, usize)>,
}

impl Reader {
    fn read_directory(&mut self, first: u32) -> Result<Vec<u8>> {
        read_chain(&self.source, &self.geometry, &mut self.table, first)
    }

    /// Puts what the folder's `bytes` list into the folder `parent` of the tree.
    fn read_entries(&mut self, bytes: &[u8], parent: InodeId, depth: usize) -> Result<()> {
        let mut long = LongName::default();
        for (_, bytes) in entries(bytes) {
            if byte(bytes, 11) & attribute::LONG_NAME_MASK == attribute::LONG_NAME {
                long.push(bytes);
                continue;
            }
            let entry = ShortEntry::parse(bytes);
            let is_link = matches!(
                entry.name.as_slice(),
                [b'.', b' ', ..] | [b'.', b'.', b' ', ..]
            );
            if entry.attributes & attribute::VOLUME != 0 || is_link {
                long.clear();
                continue;
            }
            let name = long
                .take(&entry.name)
                .unwrap_or_else(|| decode_short(entry.name, entry.lower_case));
            self.add(&entry, &name, parent, depth).map_err(|error| {
                error.while_doing(format!("reading the FAT entry \"{}\"", name.escape_debug()))
            })?;
        }
        Ok(())
    }

    fn add(&mut self, entry: &ShortEntry, name: &str, parent: InodeId, depth: usize) -> Result<()> {
        let damaged = |error: tree::Error| Error::corrupt(WHAT_DIRECTORY, error.to_string());
        let is_directory = entry.attributes & attribute::DIRECTORY != 0;
        let is_read_only = entry.attributes & attribute::READ_ONLY != 0;
        let permissions = if is_read_only && !is_directory {
            0o555
        } else {
            0o755
        };
        let mut metadata = Metadata::with_permissions(permissions);
        metadata.mtime = timestamp(entry.date, entry.time);
        let node = if is_directory {
            Node::empty_directory()
        } else {
            Node::File(self.content(entry)?)
        };
        let name = Name::new(name.as_bytes()).map_err(damaged)?;
        let inode = Inode::new(metadata, node);
        let id = self.tree.add(parent, name, inode).map_err(damaged)?;
        // A folder without a cluster is empty, as in Linux.
        let first = self.first_cluster(entry);
        if is_directory && first != 0 {
            let depth = depth.saturating_add(1);
            if depth > MAX_DEPTH {
                let message = format!("folders lie deeper than {MAX_DEPTH} in each other");
                return Err(Error::limit(WHAT_DIRECTORY, message));
            }
            self.pending.push((id, first, depth));
        }
        Ok(())
    }

    /// The first cluster of an entry; its upper half means something else where there are no 32 bits of it.
    fn first_cluster(&self, entry: &ShortEntry) -> u32 {
        match self.geometry.kind {
            Kind::Fat32 => entry.cluster,
            _ => entry.cluster & 0xffff,
        }
    }

    /// Where the bytes of a file are.
    fn content(&mut self, entry: &ShortEntry) -> Result<Content> {
        let mut rest = u64::from(entry.len);
        let clusters = rest.div_ceil(self.geometry.cluster_len.max(1));
        let first = self.first_cluster(entry);
        let runs = self.table.chain(&self.geometry, first, clusters)?;
        let mut pieces = Vec::new();
        for run in runs {
            let len = u64::from(run.count).saturating_mul(self.geometry.cluster_len);
            let len = len.min(rest);
            rest = rest.saturating_sub(len);
            pieces.push(Piece::Range {
                source: self.source.clone(),
                offset: self.geometry.offset(run.first).unwrap_or(u64::MAX),
                len,
            });
        }
        if rest != 0 {
            let message = format!(
                "the file has {} bytes, and its chain ends before",
                entry.len
            );
            let error = Error::corrupt("a chain of FAT clusters", message);
            return Err(error.at(self.geometry.table_offset));
        }
        Content::new(pieces)
    }
}
