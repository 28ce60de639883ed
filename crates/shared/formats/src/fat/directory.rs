//! The folders of a new file system: what is in them, and their bytes.

use block::{Content, Error, ReadAt, Result};
use tree::{Name, Node, Timestamp, Tree, TreePath};

use super::checked::WHAT;
use super::format::{ENTRY_LEN, ShortEntry, attribute, date_and_time};
use super::short_names::ShortNames;

/// A folder on its way to its place.
pub(super) struct Directory {
    /// Its first cluster; 0 for a root folder that has a place of its own.
    pub(super) first: u32,
    pub(super) parent: usize,
    pub(super) time: Timestamp,
    /// How many entries come before those of the items: the label in the root, `.` and `..` in others.
    pub(super) own_entries: usize,
    pub(super) items: Vec<Item>,
}

impl Directory {
    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        let counts = self
            .items
            .iter()
            .map(|item| item.long.len().saturating_add(1));
        let entries = counts.fold(self.own_entries, usize::saturating_add);
        u64::try_from(entries)
            .unwrap_or(u64::MAX)
            .saturating_mul(32)
    }
}

/// A name in a folder.
pub(super) struct Item {
    /// The entries of its long name, where it needs one.
    pub(super) long: Vec<[u8; ENTRY_LEN]>,
    pub(super) short: [u8; 11],
    pub(super) time: Timestamp,
    pub(super) target: Target,
}

pub(super) enum Target {
    /// The index of the folder.
    Directory(usize),
    /// The content, and its first cluster once it has one.
    File(Content, u32),
}

/// All folders of `tree`, the root first, each after the one that it is in.
pub(super) fn collect(tree: &Tree<Content>, latest: Timestamp) -> Result<Vec<Directory>> {
    let new = |parent, time: Timestamp| Directory {
        first: 0,
        parent,
        time: time.min(latest),
        own_entries: 2,
        items: Vec::new(),
    };
    let mut ids = vec![(tree.root(), TreePath::root())];
    let mut directories = vec![new(0, tree.inode(tree.root()).metadata.mtime)];
    let mut index = 0;
    while let Some((id, path)) = ids.get(index).cloned() {
        let mut names = ShortNames::default();
        let entries = tree.directory(id).into_iter().flatten();
        let entries: Vec<(&Name, _)> = entries.collect();
        names.reserve(entries.iter().map(|(name, _)| *name), &path)?;
        let mut items = Vec::new();
        for (name, below) in entries {
            let inode = tree.inode(*below);
            let path = path.join(name);
            let target = match &inode.node {
                Node::Directory(_) => {
                    directories.push(new(index, inode.metadata.mtime));
                    ids.push((*below, path));
                    Target::Directory(directories.len().saturating_sub(1))
                }
                Node::File(content) => {
                    if u32::try_from(content.len()).is_err() {
                        let message = format!("{path}: a file of FAT holds less than 4 GiB");
                        return Err(Error::limit(WHAT, message));
                    }
                    Target::File(content.clone(), 0)
                }
                other => {
                    let message = format!("{path}: FAT holds no {}", kind_name(other));
                    return Err(Error::unsupported(WHAT, message));
                }
            };
            let (short, long) = names.take(name);
            items.push(Item {
                long,
                short,
                time: inode.metadata.mtime.min(latest),
                target,
            });
        }
        if let Some(directory) = directories.get_mut(index) {
            directory.items = items;
        }
        index = index.saturating_add(1);
    }
    Ok(directories)
}

fn kind_name(node: &Node<Content>) -> &'static str {
    match node {
        Node::Directory(_) => "folder",
        Node::File(_) => "file",
        Node::Symlink(_) => "symbolic link",
        Node::Character(_) => "character device",
        Node::Block(_) => "block device",
        Node::Fifo => "named pipe",
        Node::Socket => "socket",
    }
}

pub(super) fn label_entry(label: [u8; 11], time: Timestamp) -> [u8; ENTRY_LEN] {
    entry(label, attribute::VOLUME, time, [0, 0])
}

fn entry(name: [u8; 11], attributes: u8, time: Timestamp, place: [u32; 2]) -> [u8; ENTRY_LEN] {
    let [cluster, len] = place;
    let (date, time) = date_and_time(time);
    let entry = ShortEntry {
        name,
        attributes,
        lower_case: 0,
        time,
        date,
        cluster,
        len,
    };
    entry.encode()
}

/// The bytes of the folder `index`.
pub(super) fn encode(
    directories: &[Directory],
    index: usize,
    label: Option<&[u8; ENTRY_LEN]>,
) -> Vec<u8> {
    let Some(directory) = directories.get(index) else {
        return Vec::new();
    };
    let first_of = |index: usize| directories.get(index).map_or(0, |found| found.first);
    let mut bytes = Vec::new();
    if index == 0 {
        bytes.extend(label.into_iter().flatten());
    } else {
        // The root is cluster 0 here, whichever it has.
        let parent = match directory.parent {
            0 => 0,
            parent => first_of(parent),
        };
        let link =
            |name: &[u8; 11], first| entry(*name, attribute::DIRECTORY, directory.time, [first, 0]);
        bytes.extend(link(b".          ", directory.first));
        bytes.extend(link(b"..         ", parent));
    }
    for item in &directory.items {
        bytes.extend(item.long.iter().flatten());
        let (attributes, place) = match &item.target {
            Target::Directory(index) => (attribute::DIRECTORY, [first_of(*index), 0]),
            Target::File(content, first) => {
                // OK: checked while collecting.
                let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
                (attribute::ARCHIVE, [*first, len])
            }
        };
        bytes.extend(entry(item.short, attributes, item.time, place));
    }
    bytes
}
