//! A tree that fits into a FAT file system, with everything in its place.

use block::{Content, Error, ReadAt, Result};
use tree::{Timestamp, Tree};

use super::directory::{Directory, Target, collect, encode, label_entry};
use super::format::{FIRST_CLUSTER, Kind, MAX_ENTRIES, NO_LABEL};
use super::layout::{Layout, Needs, SECTOR};

pub(super) const WHAT: &str = "making a FAT file system";

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
