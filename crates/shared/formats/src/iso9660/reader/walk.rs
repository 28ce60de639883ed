//! From directory records to a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result, read_vec};
use tree::{Device, Inode, InodeId, Metadata, Name, Node, Timestamp, Tree, mode};

use super::super::date;
use super::super::format::SECTOR;
use super::names;
use super::record::Record;
use super::susp::{self, Attributes};
use super::volume::{Descriptors, Volume};

/// The longest folder, in bytes of its records: some 500 000 names. Longer ones are an error.
const MAX_FOLDER: usize = 64 << 20;
/// The most bytes of records in an image. More are an error.
const MAX_RECORDS: u64 = 512 << 20;
/// The most names in an image. More are an error.
const MAX_NAMES: u64 = 4 << 20;
/// How deep folders may lie in each other: `PATH_MAX` of Linux allows some 2000. Deeper ones are an error.
const MAX_DEPTH: usize = 2048;
/// Permissions where Rock Ridge gives none, as in Linux.
const PERMISSIONS: u16 = 0o555;

/// How names are written in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// Rock Ridge, which leaves this many bytes of every system use field to others.
    RockRidge {
        skip: usize,
    },
    Joliet,
    Plain,
}

/// What two names of one file agree in.
type LinkKey = (u32, u32, u64);

struct Walk<'a> {
    source: &'a Arc<dyn ReadAt>,
    block_len: u64,
    naming: Naming,
    susp: susp::Reader<'a>,
    tree: Tree<Content>,
    /// The first blocks of folders that were seen.
    seen: BTreeSet<u32>,
    links: BTreeMap<LinkKey, InodeId>,
    /// Folders of the root that hold nothing but folders that are shown elsewhere.
    stores: Vec<InodeId>,
    /// What may still be read.
    records_left: u64,
    names_left: u64,
}

/// A folder whose records are still to be read.
struct Pending {
    id: InodeId,
    depth: usize,
    block: u32,
    /// In bytes; `None` where only the folder's own record says it (after `CL`).
    len: Option<u32>,
}

/// Reads all files of the best view.
pub(super) fn read(source: &Arc<dyn ReadAt>, volumes: &Descriptors) -> Result<Tree<Content>> {
    let primary = &volumes.primary;
    let mut susp = susp::Reader::new(&**source, primary.block_len);
    let root = root_attributes(&**source, primary, &mut susp)?;
    let (naming, volume) = match (root.announced, &volumes.joliet) {
        (Some(skip), _) if root.posix.is_some() => {
            (Naming::RockRidge { skip: skip.into() }, primary)
        }
        (_, Some(joliet)) => (Naming::Joliet, joliet),
        _ => (Naming::Plain, primary),
    };
    let root = if matches!(naming, Naming::RockRidge { .. }) {
        root
    } else {
        Attributes::default()
    };
    let mut walk = Walk {
        source,
        block_len: volume.block_len,
        naming,
        susp,
        tree: Tree::new(metadata(&root, volume.date)),
        seen: BTreeSet::new(),
        links: BTreeMap::new(),
        stores: Vec::new(),
        records_left: MAX_RECORDS,
        names_left: MAX_NAMES,
    };
    let (block, len) = volume.root;
    let id = walk.tree.root();
    let mut pending = vec![Pending {
        id,
        depth: 0,
        block,
        len: Some(len),
    }];
    while let Some(folder) = pending.pop() {
        walk.read_folder(&folder, &mut pending)?;
    }
    walk.remove_stores();
    Ok(walk.tree)
}

/// What `.` of the root says, which is where SUSP announces itself.
pub(in crate::iso9660) fn root_attributes(
    source: &dyn ReadAt,
    volume: &Volume,
    susp: &mut susp::Reader<'_>,
) -> Result<Attributes> {
    let (block, _) = volume.root;
    let at = u64::from(block).saturating_mul(volume.block_len);
    let sector = first_sector(source, at)?;
    match Record::parse(&sector).map_err(|error| error.at(at))? {
        Some(record) => susp.read(record.susp).map_err(|error| error.at(at)),
        None => Ok(Attributes::default()),
    }
}

fn first_sector(source: &dyn ReadAt, at: u64) -> Result<Vec<u8>> {
    let len = u64::try_from(SECTOR).unwrap_or(u64::MAX);
    read_vec(
        source,
        at,
        len,
        SECTOR,
        "the first sector of an ISO 9660 folder",
    )
}

impl Walk<'_> {
    /// Reads the records of one folder and puts what they name into the tree.
    fn read_folder(&mut self, folder: &Pending, pending: &mut Vec<Pending>) -> Result<()> {
        let what = "ISO 9660 folder";
        let start = u64::from(folder.block).saturating_mul(self.block_len);
        if !self.seen.insert(folder.block) {
            return Err(Error::corrupt(what, "it is in more than one place").at(start));
        }
        if folder.depth > MAX_DEPTH {
            return Err(Error::limit(what, format!("it lies over {MAX_DEPTH} deep")).at(start));
        }
        let len = match folder.len {
            Some(len) => len,
            None => self.take_own_record(folder.id, start)?,
        };
        self.records_left = self.records_left.checked_sub(len.into()).ok_or_else(|| {
            let message = format!("all folders have more than {MAX_RECORDS} bytes");
            Error::limit(what, message).at(start)
        })?;
        let bytes = read_vec(&**self.source, start, len.into(), MAX_FOLDER, what)?;
        let mut at = start;
        let mut relocated: u64 = 0;
        let mut parts: Vec<Record<'_>> = Vec::new();
        for sector in bytes.chunks(SECTOR) {
            let mut rest = sector;
            while let Some(record) = Record::parse(rest).map_err(|error| error.at(at))? {
                rest = rest
                    .get(usize::from(rest.first().copied().unwrap_or(0))..)
                    .unwrap_or_default();
                if record.is_dot() || record.is_associated() {
                    continue;
                }
                let goes_on = record.goes_on();
                parts.push(record);
                if goes_on {
                    continue;
                }
                let parts = std::mem::take(&mut parts);
                let is_relocated = self
                    .add(folder, &parts, pending)
                    .map_err(|error| error.at(at))?;
                relocated = relocated.saturating_add(is_relocated.into());
            }
            at = at.saturating_add(u64::try_from(SECTOR).unwrap_or(0));
        }
        if !parts.is_empty() {
            return Err(Error::corrupt(what, "the last part of a file is missing").at(start));
        }
        if relocated > 0 && folder.depth == 1 {
            self.stores.push(folder.id);
        }
        Ok(())
    }

    /// Removes the folders that mastering programs keep deep ones in (`rr_moved`), where they hold nothing else.
    fn remove_stores(&mut self) {
        for id in std::mem::take(&mut self.stores) {
            let root = self.tree.root();
            let is_empty = self.tree.directory(id).is_some_and(BTreeMap::is_empty);
            let names = self.tree.directory(root).into_iter().flatten();
            let name = names
                .filter(|(_, found)| **found == id)
                .map(|(name, _)| name.clone())
                .next();
            if let Some(name) = name.filter(|_| is_empty) {
                self.tree.remove(root, name.as_bytes());
            }
        }
    }

    /// Takes metadata and length of a folder that was moved from its own `.` record.
    fn take_own_record(&mut self, id: InodeId, start: u64) -> Result<u32> {
        let sector = first_sector(&**self.source, start)?;
        let none = || Error::corrupt("ISO 9660 folder", "it has no record of itself").at(start);
        let record = Record::parse(&sector)?.ok_or_else(none)?;
        let susp = self.susp_field(&record);
        let attributes = self.susp.read(susp)?;
        *self.tree.metadata_mut(id) = metadata(&attributes, record.date);
        Ok(record.len)
    }

    fn susp_field<'r>(&self, record: &Record<'r>) -> &'r [u8] {
        match self.naming {
            Naming::RockRidge { skip } => record.susp.get(skip..).unwrap_or_default(),
            Naming::Joliet | Naming::Plain => &[],
        }
    }

    /// Puts one name into `folder`: `parts` are the records of a file in its order, and one record of anything else. Answers whether
    /// it was left out, because it is shown elsewhere.
    fn add(
        &mut self,
        folder: &Pending,
        parts: &[Record<'_>],
        pending: &mut Vec<Pending>,
    ) -> Result<bool> {
        let Some(record) = parts.last() else {
            return Ok(false);
        };
        self.names_left = self.names_left.checked_sub(1).ok_or_else(|| {
            Error::limit(
                "reading ISO 9660",
                format!("it has more than {MAX_NAMES} names"),
            )
        })?;
        let attributes = self.susp.read(self.susp_field(record))?;
        if attributes.relocated {
            return Ok(true);
        }
        let name = self.name(folder, record, &attributes)?;
        let in_name = |error: Error| error.while_doing(format!("reading \"{name}\" of ISO 9660"));
        let metadata = metadata(&attributes, record.date);
        let is_folder = record.is_folder() || attributes.child.is_some();
        if is_folder {
            let inode = Inode::new(metadata, Node::empty_directory());
            let id = self.enter(folder.id, name, inode)?;
            let own = (record.first_block(), Some(record.len));
            let (block, len) = attributes.child.map_or(own, |block| (block, None));
            pending.push(Pending {
                id,
                depth: folder.depth.saturating_add(1),
                block,
                len,
            });
            return Ok(false);
        }
        let node = self.node(parts, &attributes).map_err(in_name)?;
        let key = link_key(parts, &attributes);
        if let Some(id) = key.and_then(|key| self.links.get(&key).copied())
            && self.same(id, &metadata, &node)
        {
            self.tree.link(folder.id, name, id).map_err(invalid)?;
            return Ok(false);
        }
        let id = self.enter(folder.id, name, Inode::new(metadata, node))?;
        self.links.extend(key.map(|key| (key, id)));
        Ok(false)
    }

    fn enter(&mut self, folder: InodeId, name: Name, inode: Inode<Content>) -> Result<InodeId> {
        self.tree.add(folder, name, inode).map_err(invalid)
    }

    /// The name of a record. Where two plain names are the same without version and case, the second keeps its identifier.
    fn name(&self, folder: &Pending, record: &Record<'_>, attributes: &Attributes) -> Result<Name> {
        let bytes = match self.naming {
            Naming::RockRidge { .. } if !attributes.name.is_empty() => attributes.name.clone(),
            Naming::Joliet => names::joliet(record.identifier),
            Naming::RockRidge { .. } | Naming::Plain => names::plain(record.identifier),
        };
        let name = Name::new(&bytes).map_err(invalid)?;
        let is_taken = self
            .tree
            .directory(folder.id)
            .is_some_and(|names| names.contains_key(&name));
        if is_taken && self.naming == Naming::Plain {
            return Name::new(record.identifier).map_err(invalid);
        }
        Ok(name)
    }

    /// What a record that is no folder's names.
    fn node(&self, parts: &[Record<'_>], attributes: &Attributes) -> Result<Node<Content>> {
        if let Some(how) = attributes.encoded {
            return Err(Error::unsupported(
                "an ISO 9660 file",
                format!("it is stored as {how}"),
            ));
        }
        let type_bits = attributes.posix.map_or(mode::FILE, |posix| {
            u16::try_from(posix.mode & u32::from(mode::TYPE)).unwrap_or(0)
        });
        let device = attributes.device.unwrap_or(Device { major: 0, minor: 0 });
        match type_bits {
            // A mode without a type is a file's.
            mode::FILE | 0 => self.content(parts).map(Node::File),
            mode::SYMLINK => Ok(Node::Symlink(attributes.target.clone().into())),
            mode::CHARACTER => Ok(Node::Character(device)),
            mode::BLOCK => Ok(Node::Block(device)),
            mode::FIFO => Ok(Node::Fifo),
            mode::SOCKET => Ok(Node::Socket),
            other => {
                let message = format!("the type {other:o} in its mode is no file's");
                Err(Error::corrupt("an ISO 9660 file", message))
            }
        }
    }

    fn content(&self, parts: &[Record<'_>]) -> Result<Content> {
        let what = "an ISO 9660 file";
        let mut pieces = Vec::new();
        for part in parts {
            let offset = u64::from(part.first_block()).saturating_mul(self.block_len);
            let len = u64::from(part.len);
            if part.is_interleaved() {
                return Err(Error::unsupported(what, "it is interleaved").at(offset));
            }
            if len > 0 && offset.saturating_add(len) > self.source.len() {
                let message = format!(
                    "{len} bytes from here, and the image ends at byte {}",
                    self.source.len()
                );
                return Err(Error::corrupt(what, message).at(offset));
            }
            pieces.push(Piece::Range {
                source: Arc::clone(self.source),
                offset,
                len,
            });
        }
        Content::new(pieces)
    }

    /// Whether the inode `id` is what another record with the same key describes.
    fn same(&self, id: InodeId, metadata: &Metadata, node: &Node<Content>) -> bool {
        let known = self.tree.inode(id);
        let same_node = match (&known.node, node) {
            (Node::File(a), Node::File(b)) => a.len() == b.len(),
            (Node::Symlink(a), Node::Symlink(b)) => a == b,
            (Node::Character(a), Node::Character(b)) | (Node::Block(a), Node::Block(b)) => a == b,
            (Node::Fifo, Node::Fifo) | (Node::Socket, Node::Socket) => true,
            _ => false,
        };
        same_node && known.metadata == *metadata
    }
}

/// By what the names of one file are found together: serial number, first block and length. Without a serial number (Rock Ridge
/// before 1.12) only files of some length can be told to be one.
fn link_key(parts: &[Record<'_>], attributes: &Attributes) -> Option<LinkKey> {
    let posix = attributes.posix.filter(|posix| posix.links > 1)?;
    let len: u64 = parts
        .iter()
        .map(|part| u64::from(part.len))
        .fold(0, u64::saturating_add);
    let block = parts
        .first()
        .filter(|_| len > 0)
        .map_or(0, Record::first_block);
    (posix.serial != 0 || len > 0).then_some((posix.serial, block, len))
}

fn metadata(attributes: &Attributes, date: [u8; 7]) -> Metadata {
    let mtime: Timestamp = attributes.mtime.unwrap_or_else(|| date::read_short(date));
    match attributes.posix {
        Some(posix) => Metadata {
            permissions: u16::try_from(posix.mode & u32::from(mode::PERMISSIONS)).unwrap_or(0),
            uid: posix.uid,
            gid: posix.gid,
            mtime,
            ..Metadata::default()
        },
        None => Metadata {
            mtime,
            ..Metadata::with_permissions(PERMISSIONS)
        },
    }
}

/// What the tree does not take: a name that is none, or the same name twice.
fn invalid(error: tree::Error) -> Error {
    Error::corrupt("a name of ISO 9660", error.to_string())
}
