//! The folders of both views with their names in order, and where their records will lie.
//!
//! A folder's place and the room for it depend on names only, so all of the metadata can lie before the files, and be written last.

use std::collections::BTreeMap;

use block::{Error, Result};
use tree::{InodeId, Name, Node, Tree};

use super::super::date;
use super::super::format::{MAX_RECORD, MAX_SECTION, SECTOR};
use super::directory::{self, Record};
use super::names::{self, View};
use super::options::File;
use super::susp::{Continuations, Counted, Role, entries};

/// The most folders: path tables number them with 16 bits. ECMA-119 9.4.4.
const MAX_FOLDERS: usize = 65_535;

/// One view of the tree: its folders as path tables number them, less one.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) view: View,
    pub(super) folders: Vec<Folder>,
}

/// A folder of one view.
#[derive(Debug)]
pub(super) struct Folder {
    /// Its number in the hierarchy, the root's own for the root.
    pub(super) parent: usize,
    pub(super) identifier: Vec<u8>,
    id: InodeId,
    /// In order. `susp` is empty until [`Hierarchy::add_rock_ridge`].
    pub(super) entries: Vec<Entry>,
    /// The system use fields of `.` and `..`.
    pub(super) dots: [Vec<u8>; 2],
    pub(super) date: [u8; 7],
    /// The first sector of its records.
    pub(super) lba: u32,
    /// The sectors kept for them.
    pub(super) reserved: u32,
}

/// A name in a folder of one view.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: InodeId,
    pub(super) identifier: Vec<u8>,
    name: Name,
    pub(super) target: Target,
    pub(super) susp: Vec<u8>,
    pub(super) date: [u8; 7],
}

/// What an entry's extent is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// A folder, by its number.
    Folder(usize),
    /// A file of at most so many bytes.
    File {
        /// In bytes.
        max_len: u64,
    },
    /// A link or device, which has none.
    Nothing,
}

impl Hierarchy {
    /// Names and numbers the folders of `tree`, breadth first, as ECMA-119 6.9.1 orders path tables.
    pub(super) fn new(tree: &Tree<File>, view: View) -> Result<Self> {
        let root = Folder::new(tree, tree.root(), 0, vec![0]);
        let mut folders = vec![root];
        let mut at: usize = 0;
        while let Some(folder) = folders.get(at) {
            let mut entries = children(tree, folder.id, view);
            for entry in &mut entries {
                if let Target::Folder(number) = &mut entry.target {
                    *number = folders.len();
                    folders.push(Folder::new(tree, entry.id, at, entry.identifier.clone()));
                }
            }
            if folders.len() > MAX_FOLDERS {
                let message =
                    format!("over {MAX_FOLDERS} folders, which path tables cannot number");
                return Err(Error::limit("laying out the ISO", message));
            }
            if let Some(folder) = folders.get_mut(at) {
                folder.entries = entries;
            }
            at = at.saturating_add(1);
        }
        Ok(Self { view, folders })
    }

    /// Fills in the system use fields; what does not fit goes to `continuations`.
    pub(super) fn add_rock_ridge(
        &mut self,
        tree: &Tree<File>,
        continuations: &mut Continuations,
    ) -> Result<()> {
        let counted: Vec<Counted> = self
            .folders
            .iter()
            .map(|f| folder_counted(tree, f.id))
            .collect();
        let owners: Vec<(InodeId, usize)> = self.folders.iter().map(|f| (f.id, f.parent)).collect();
        let of_folder = |number: usize| -> Option<(InodeId, Counted)> {
            let (id, _) = owners.get(number)?;
            Some((*id, *counted.get(number)?))
        };
        for (number, folder) in self.folders.iter_mut().enumerate() {
            let room = MAX_RECORD.saturating_sub(directory::fixed_len(&[0]));
            let role = if number == 0 { Role::Root } else { Role::Dot };
            for (dot, (whose, role)) in folder
                .dots
                .iter_mut()
                .zip([(number, role), (folder.parent, Role::Dot)])
            {
                if let Some((id, counted)) = of_folder(whose) {
                    *dot = continuations.pack(&entries(tree.inode(id), role, counted)?, room)?;
                }
            }
            for entry in &mut folder.entries {
                let inode = tree.inode(entry.id);
                let counted = match entry.target {
                    Target::Folder(number) => of_folder(number).map(|(_, counted)| counted),
                    _ => None,
                };
                let counted = counted.unwrap_or(Counted {
                    links: inode.names(),
                    serial: serial(entry.id),
                });
                let room = MAX_RECORD.saturating_sub(directory::fixed_len(&entry.identifier));
                let role = Role::Named(entry.name.as_bytes());
                let entries = entries(inode, role, counted).map_err(|error| {
                    error.in_file(String::from_utf8_lossy(entry.name.as_bytes()).as_ref())
                })?;
                entry.susp = continuations.pack(&entries, room)?;
            }
        }
        Ok(())
    }

    /// Gives every folder its place from sector `lba` on and answers with the sector after the last.
    pub(super) fn place(&mut self, mut lba: u32) -> Result<u32> {
        for folder in &mut self.folders {
            let len = directory::packed_len(folder.record_lengths());
            folder.reserved = u32::try_from(len / SECTOR).unwrap_or(u32::MAX);
            folder.lba = lba;
            lba = lba
                .checked_add(folder.reserved)
                .ok_or_else(|| Error::limit("laying out folders", "over 2^32 sectors"))?;
        }
        Ok(lba)
    }

    /// The length of one path table in bytes. ECMA-119 9.4.
    pub(super) fn path_table_len(&self) -> usize {
        let record = |folder: &Folder| {
            folder
                .identifier
                .len()
                .next_multiple_of(2)
                .saturating_add(8)
        };
        self.folders.iter().map(record).sum()
    }

    /// One path table, with numbers in the byte order that `big` says. ECMA-119 9.4.
    pub(super) fn path_table(&self, big: bool) -> Vec<u8> {
        let mut table = Vec::new();
        for folder in &self.folders {
            let len = u8::try_from(folder.identifier.len()).unwrap_or(u8::MAX);
            let parent = u16::try_from(folder.parent.saturating_add(1)).unwrap_or(u16::MAX);
            table.extend([len, 0]);
            if big {
                table.extend(folder.lba.to_be_bytes());
                table.extend(parent.to_be_bytes());
            } else {
                table.extend(folder.lba.to_le_bytes());
                table.extend(parent.to_le_bytes());
            }
            table.extend(&folder.identifier);
            if folder.identifier.len() % 2 == 1 {
                table.push(0);
            }
        }
        table
    }
}

impl Folder {
    fn new(tree: &Tree<File>, id: InodeId, parent: usize, identifier: Vec<u8>) -> Self {
        Self {
            parent,
            identifier,
            id,
            entries: Vec::new(),
            dots: [Vec::new(), Vec::new()],
            date: date::short(tree.inode(id).metadata.mtime),
            lba: 0,
            reserved: 0,
        }
    }

    /// The length of its records in bytes, in whole sectors.
    pub(super) fn len(&self) -> u32 {
        self.reserved
            .saturating_mul(u32::try_from(SECTOR).unwrap_or(0))
    }

    /// The lengths of its records, where every late file is as long as it may be.
    fn record_lengths(&self) -> impl Iterator<Item = usize> {
        let dots = self.dots.iter().map(|susp| Record::len(&[0], susp));
        let names = self.entries.iter().flat_map(|entry| {
            let sections = match entry.target {
                Target::File { max_len } => max_len.div_ceil(MAX_SECTION).max(1),
                _ => 1,
            };
            let count = usize::try_from(sections).unwrap_or(usize::MAX);
            std::iter::repeat_n(Record::len(&entry.identifier, &entry.susp), count)
        });
        dots.chain(names)
    }
}

/// The entries of the folder `id` in the order of their identifiers. Joliet has files and folders only.
fn children(tree: &Tree<File>, id: InodeId, view: View) -> Vec<Entry> {
    let empty = BTreeMap::new();
    let names = tree.directory(id).unwrap_or(&empty);
    let shown: Vec<(&Name, InodeId)> = names
        .iter()
        .map(|(name, id)| (name, *id))
        .filter(|(_, id)| {
            let node = &tree.inode(*id).node;
            view == View::Primary || matches!(node, Node::File(_) | Node::Directory(_))
        })
        .collect();
    let kinds: Vec<(&Name, bool)> = shown
        .iter()
        .map(|(name, id)| (*name, tree.directory(*id).is_some()))
        .collect();
    let identifiers = names::identifiers(view, &kinds);
    let mut entries: Vec<Entry> = shown
        .into_iter()
        .zip(identifiers)
        .map(|((name, id), identifier)| {
            let inode = tree.inode(id);
            Entry {
                id,
                identifier,
                name: name.clone(),
                target: match &inode.node {
                    Node::Directory(_) => Target::Folder(0),
                    Node::File(File::Content(content)) => Target::File {
                        max_len: block::ReadAt::len(content),
                    },
                    Node::File(File::Late { max_len }) => Target::File { max_len: *max_len },
                    _ => Target::Nothing,
                },
                susp: Vec::new(),
                date: date::short(inode.metadata.mtime),
            }
        })
        .collect();
    entries.sort_by(|a, b| names::sort_key(&a.identifier).cmp(names::sort_key(&b.identifier)));
    entries
}

fn serial(id: InodeId) -> u32 {
    u32::try_from(id.index())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

fn folder_counted(tree: &Tree<File>, id: InodeId) -> Counted {
    let folders = tree
        .directory(id)
        .into_iter()
        .flat_map(|names| names.values());
    let folders = folders.filter(|id| tree.directory(**id).is_some()).count();
    Counted {
        links: u32::try_from(folders).unwrap_or(u32::MAX).saturating_add(2),
        serial: serial(id),
    }
}
