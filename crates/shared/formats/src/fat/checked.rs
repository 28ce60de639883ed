//! A tree that fits into a FAT file system, with everything in its place.

use std::collections::{BTreeMap, BTreeSet};

use block::{Content, Error, ReadAt, Result};
use tree::{Name, Node, Timestamp, Tree, TreePath};

use super::format::{
    ENTRY_LEN, FIRST_CLUSTER, Kind, MAX_ENTRIES, NO_LABEL, ShortEntry, attribute, date_and_time,
};
use super::layout::{Layout, Needs, SECTOR};
use super::name::{encode_long, exact_short, folded, long_fault, numbered_short};

const WHAT: &str = "making a FAT file system";

/// How large a file system becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// As small as the files allow, in units of 2048 bytes.
    #[default]
    Minimal,
    /// This many bytes, a multiple of 512.
    Bytes(u64),
}

/// How a file system is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its label, of at most 11 characters of ASCII without lower case; empty for none.
    pub label: String,
    /// Its serial number, which `blkid` shows as the UUID.
    pub serial: u32,
    /// Its size.
    pub size: Size,
    /// The time of the label; files that are newer get it too. FAT holds times of 1980 to 2107 in steps of two seconds.
    pub time: Timestamp,
}

/// A chain of clusters in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) first: u32,
    pub(super) count: u32,
}

/// A tree that has its place in a FAT file system: the only thing that [`write`](super::write) takes.
///
/// Owners, permissions and xattrs are left out, and each name of a hard link becomes a file of its own.
#[derive(Debug)]
pub struct Checked {
    pub(super) layout: Layout,
    pub(super) serial: u32,
    pub(super) label: [u8; 11],
    /// The chains of all folders and files, in the order of their clusters, which leave no gap.
    pub(super) chains: Vec<Chain>,
    /// The bytes of folders, and where they stand.
    pub(super) directories: Vec<(u64, Vec<u8>)>,
    /// The content of files, and where it stands.
    pub(super) files: Vec<(u64, Content)>,
}

/// A folder on its way to its place.
struct Directory {
    /// Its first cluster; 0 for a root folder that has a place of its own.
    first: u32,
    parent: usize,
    time: Timestamp,
    /// How many entries come before those of the items: the label in the root, `.` and `..` in others.
    own_entries: usize,
    items: Vec<Item>,
}

impl Directory {
    /// Its length in bytes.
    fn len(&self) -> u64 {
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
struct Item {
    /// The entries of its long name, where it needs one.
    long: Vec<[u8; ENTRY_LEN]>,
    short: [u8; 11],
    time: Timestamp,
    target: Target,
}

enum Target {
    /// The index of the folder.
    Directory(usize),
    /// The content, and its first cluster once it has one.
    File(Content, u32),
}

impl Checked {
    /// Finds a place for all of `tree`.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for what FAT cannot hold, by its path: names, links, devices;
    /// [`Kind::Limit`](block::Kind::Limit) where a file has 4 GiB or more, or the size is too small.
    pub fn new(tree: &Tree<Content>, options: &Options) -> Result<Self> {
        let label = check_label(&options.label)?;
        let mut directories = collect(tree, options.time)?;
        let has_label = !options.label.is_empty();
        if let Some(root) = directories.first_mut() {
            root.own_entries = usize::from(has_label);
        }
        let needs = needs(&directories)?;
        let layout = match options.size {
            Size::Minimal => Layout::minimal(&needs)?,
            Size::Bytes(bytes) if bytes.is_multiple_of(SECTOR) => {
                Layout::of_total(&needs, bytes / SECTOR)?
            }
            Size::Bytes(bytes) => {
                let message = format!("a size of {bytes} bytes is no multiple of {SECTOR}");
                return Err(Error::unsupported(WHAT, message));
            }
        };
        let mut places = Places {
            layout,
            next: FIRST_CLUSTER,
            chains: Vec::new(),
        };
        let root_label = has_label.then(|| label_entry(label, options.time));
        places.place(&mut directories);
        let mut checked = Self {
            layout,
            serial: options.serial,
            label,
            chains: places.chains,
            directories: Vec::new(),
            files: Vec::new(),
        };
        for index in 0..directories.len() {
            let bytes = encode(&directories, index, root_label.as_ref());
            let first = directories
                .get(index)
                .map_or(0, |directory| directory.first);
            checked.directories.push((checked.offset(first), bytes));
        }
        let items = directories
            .into_iter()
            .flat_map(|directory| directory.items);
        for item in items {
            if let Target::File(content, first) = item.target
                && first != 0
            {
                checked.files.push((layout.offset(first), content));
            }
        }
        Ok(checked)
    }

    /// The length of the file system in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a file system is never empty")]
    pub fn len(&self) -> u64 {
        self.layout.total.saturating_mul(SECTOR)
    }

    /// Where the folder from cluster `first` on stands.
    fn offset(&self, first: u32) -> u64 {
        match first {
            0 => self.layout.root_start().saturating_mul(SECTOR),
            first => self.layout.offset(first),
        }
    }
}

fn check_label(label: &str) -> Result<[u8; 11]> {
    let is_bad = |c: char| {
        c.is_ascii_control()
            || !c.is_ascii()
            || c.is_ascii_lowercase()
            || "\"*+,./:;<=>?[\\]|".contains(c)
    };
    if label.is_empty() {
        return Ok(*NO_LABEL);
    }
    if label.len() > 11 || label.starts_with(' ') || label.chars().any(is_bad) {
        let message = format!(
            "\"{}\" cannot be a label: at most 11 capitals, digits and some signs of ASCII can",
            label.escape_debug()
        );
        return Err(Error::unsupported(WHAT, message));
    }
    let mut bytes = [b' '; 11];
    bytes
        .iter_mut()
        .zip(label.bytes())
        .for_each(|(to, from)| *to = from);
    Ok(bytes)
}

/// All folders of `tree`, the root first, each after the one that it is in.
fn collect(tree: &Tree<Content>, latest: Timestamp) -> Result<Vec<Directory>> {
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

/// The short names of one folder.
#[derive(Default)]
struct ShortNames {
    taken: BTreeSet<[u8; 11]>,
    /// The next number to be tried, by the short name of number 1.
    numbers: BTreeMap<[u8; 11], u32>,
}

impl ShortNames {
    /// Checks `names`, and keeps the short ones among them from being given to others.
    fn reserve<'a>(
        &mut self,
        names: impl Iterator<Item = &'a Name>,
        path: &TreePath,
    ) -> Result<()> {
        let mut seen = BTreeMap::new();
        for name in names {
            let refuse = |fault: &str| {
                let message = format!("{}: {fault}", path.join(name));
                Err(Error::unsupported(WHAT, message))
            };
            if let Some(fault) = long_fault(name.as_bytes()) {
                return refuse(fault);
            }
            let text = String::from_utf8_lossy(name.as_bytes());
            if let Some(other) = seen.insert(folded(&text), name) {
                return refuse(&format!("differs from \"{other}\" in case only"));
            }
            self.taken.extend(exact_short(&text.to_ascii_uppercase()));
        }
        Ok(())
    }

    /// The short name of `name`, and the entries of the long one where the short is not all of it.
    fn take(&mut self, name: &Name) -> ([u8; 11], Vec<[u8; ENTRY_LEN]>) {
        let text = String::from_utf8_lossy(name.as_bytes());
        if let Some(short) = exact_short(&text) {
            return (short, Vec::new());
        }
        let short = exact_short(&text.to_ascii_uppercase()).unwrap_or_else(|| self.number(&text));
        (short, encode_long(&text, &short))
    }

    fn number(&mut self, text: &str) -> [u8; 11] {
        let number = self.numbers.entry(numbered_short(text, 1)).or_insert(1);
        loop {
            let short = numbered_short(text, *number);
            *number = number.saturating_add(1);
            if self.taken.insert(short) {
                return short;
            }
        }
    }
}

fn needs(directories: &[Directory]) -> Result<Needs> {
    let mut needs = Needs::default();
    for (index, directory) in directories.iter().enumerate() {
        let len = directory.len();
        if len > MAX_ENTRIES.saturating_mul(32) {
            let message = format!("a folder needs more than {MAX_ENTRIES} entries");
            return Err(Error::limit(WHAT, message));
        }
        if index == 0 {
            needs.root_len = len;
        } else {
            needs.lengths.push(len);
        }
        for item in &directory.items {
            if let Target::File(content, _) = &item.target {
                needs.lengths.push(content.len());
            }
        }
    }
    Ok(needs)
}

/// Hands out clusters in a row: folders first, then files.
struct Places {
    layout: Layout,
    next: u32,
    chains: Vec<Chain>,
}

impl Places {
    fn place(&mut self, directories: &mut [Directory]) {
        for (index, directory) in directories.iter_mut().enumerate() {
            let is_root = index == 0;
            if !is_root || self.layout.kind == Kind::Fat32 {
                let len = directory.len();
                directory.first = self.take(len.max(1));
            }
        }
        for item in directories
            .iter_mut()
            .flat_map(|directory| &mut directory.items)
        {
            if let Target::File(content, first) = &mut item.target {
                *first = self.take(content.len());
            }
        }
    }

    /// The first cluster of a chain for `len` bytes; 0 for none.
    fn take(&mut self, len: u64) -> u32 {
        let count = len.div_ceil(self.layout.cluster_len().max(1));
        // OK: the layout has room for all clusters, which are fewer than 2^28.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count == 0 {
            return 0;
        }
        let first = self.next;
        self.chains.push(Chain { first, count });
        self.next = first.saturating_add(count);
        first
    }
}

fn label_entry(label: [u8; 11], time: Timestamp) -> [u8; ENTRY_LEN] {
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
fn encode(directories: &[Directory], index: usize, label: Option<&[u8; ENTRY_LEN]>) -> Vec<u8> {
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
