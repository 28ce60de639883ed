//! A tree that is known to fit into an image, with all numbers given out: the only argument that the writer takes.

use std::collections::BTreeMap;

use block::{Content, Error, Piece, ReadAt as _, Result};
use tree::{Entry, InodeId, Metadata, Node, Timestamp, Tree, TreePath};

use super::fields::{wide, word};
use super::format::{IMAGE_ALIGN, METADATA_LEN, NO_XATTRS};
use super::options::{Loss, Options, Warning};
use super::xattr_sets::XattrSets;

/// The most owners and groups that differ: the id table's indexes have 16 bits.
const MAX_IDS: usize = 65_535;
/// The most blocks of all files together: 4 bytes of memory each, so 64 MiB, and 2 TiB of files at 128 KiB. A tree of more is refused.
const MAX_BLOCKS: u64 = 1 << 24;
/// The most inodes: a few hundred bytes of memory each. A tree of more is refused.
const MAX_INODES: usize = 1 << 24;
/// The longest target of a symbolic link, in bytes: Linux's `PATH_MAX` without its NUL.
const MAX_TARGET: usize = 4095;

/// A tree and options that make a valid image.
#[derive(Debug)]
pub struct Checked<'a> {
    pub(crate) tree: &'a Tree<Content>,
    pub(crate) options: Options,
    /// The inodes in the order of their numbers: what is in a folder stands together in the order of its names, and before the folder.
    pub(crate) order: Vec<Numbered>,
    /// By [`InodeId::index`]: the inode's number; 0 for what has no name.
    pub(crate) numbers: Vec<u32>,
    /// The regular files in the order in which their data is written.
    pub(crate) files: Vec<InodeId>,
    /// The owners and groups, by their index.
    pub(crate) ids: Vec<u32>,
    pub(crate) xattrs: XattrSets,
    /// The time in the superblock.
    pub(crate) image_time: u32,
    /// The bytes of all files.
    pub(crate) content_len: u64,
    warnings: Vec<Warning>,
    max_len: u64,
}

/// One inode in the order of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered {
    pub(crate) id: InodeId,
    /// The folder with its first name; the root is its own.
    pub(crate) parent: InodeId,
}

impl<'a> Checked<'a> {
    /// Checks that all of `tree` can be stored and gives out the numbers.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for options or nodes that squashfs cannot have,
    /// [`Kind::Limit`](block::Kind::Limit) for more than it holds. What it can only hold in part is a [`Warning`].
    pub fn new(tree: &'a Tree<Content>, options: Options) -> Result<Self> {
        options.check()?;
        let mut this = Self {
            tree,
            order: number(tree)?,
            numbers: vec![0; tree.id_bound()],
            files: Vec::new(),
            ids: Vec::new(),
            xattrs: XattrSets::default(),
            image_time: 0,
            content_len: 0,
            warnings: Vec::new(),
            max_len: 0,
            options,
        };
        for (index, numbered) in (1..).zip(&this.order) {
            if let Some(number) = this.numbers.get_mut(numbered.id.index()) {
                *number = index;
            }
        }
        this.look_at_all()?;
        Ok(this)
    }

    /// What the image will not hold as the tree has it.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The most bytes that the image can have.
    #[must_use]
    pub fn max_len(&self) -> u64 {
        self.max_len
    }

    /// The number of the inode `id`; 0 where it has no name.
    pub(crate) fn number(&self, id: InodeId) -> u32 {
        self.numbers.get(id.index()).copied().unwrap_or_default()
    }

    /// The time of an inode as it is stored.
    pub(crate) fn time(&self, metadata: &Metadata) -> u32 {
        let own = || metadata.mtime.seconds.clamp(0, i64::from(u32::MAX));
        self.options.all_times.unwrap_or_else(|| word(own()))
    }

    fn look_at_all(&mut self) -> Result<()> {
        let mut seen = vec![false; self.tree.id_bound()];
        let mut ids = BTreeMap::new();
        let mut sizes = Sizes::new(self.options.block_size);
        for entry in self.tree.walk() {
            sizes.add_name(&entry);
            match seen.get_mut(entry.id.index()) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            check_node(&entry)?;
            let metadata = &entry.inode.metadata;
            for id in [metadata.uid, metadata.gid] {
                ids.insert(id, ());
            }
            self.image_time = self.image_time.max(self.time(metadata));
            self.warn_of_time(&entry.path, metadata.mtime);
            let unstored = self.xattrs.add(entry.id, &entry.path, &metadata.xattrs)?;
            self.warnings
                .extend(unstored.into_iter().map(|name| Warning {
                    path: entry.path.clone(),
                    what: Loss::Xattr(name),
                }));
            if let Node::File(content) = &entry.inode.node {
                self.files.push(entry.id);
                self.content_len = self.content_len.saturating_add(content.len());
                sizes.add_content(content, &entry.path)?;
            }
        }
        if ids.len() > MAX_IDS {
            let message = format!("{} owners and groups, and it holds {MAX_IDS}", ids.len());
            return Err(Error::limit("making a squashfs image", message));
        }
        self.ids = ids.into_keys().collect();
        self.image_time = self.options.image_time.unwrap_or(self.image_time);
        self.max_len = sizes.total(self.order.len(), self.xattrs.len());
        Ok(())
    }

    fn warn_of_time(&mut self, path: &TreePath, time: Timestamp) {
        if self.options.all_times.is_none() && u32::try_from(time.seconds).is_err() {
            self.warnings.push(Warning {
                path: path.clone(),
                what: Loss::Time(time.seconds),
            });
        }
    }

    /// The index of the xattrs of `id`, or [`NO_XATTRS`].
    pub(crate) fn xattr_index(&self, id: InodeId) -> u32 {
        self.xattrs.index_of(id).unwrap_or(NO_XATTRS)
    }

    /// The error with the path of the file that could not be stored.
    pub(crate) fn told(&self, error: Error, id: InodeId) -> Error {
        error.while_doing(format!("storing {}", self.path_of(id)))
    }

    /// The first path that leads to `id`, for messages.
    pub(crate) fn path_of(&self, id: InodeId) -> TreePath {
        let mut entries = self.tree.walk();
        entries
            .find(|entry| entry.id == id)
            .map_or_else(TreePath::root, |entry| entry.path)
    }
}

/// The inodes in the order of their numbers, each after all that is in it.
fn number(tree: &Tree<Content>) -> Result<Vec<Numbered>> {
    let mut order = Vec::new();
    let mut numbered = vec![false; tree.id_bound()];
    let root = tree.root();
    let mut open = vec![(root, folders_in(tree, root))];
    while let Some((folder, pending)) = open.last_mut() {
        if let Some(next) = pending.pop() {
            open.push((next, folders_in(tree, next)));
            continue;
        }
        let parent = *folder;
        open.pop();
        for id in tree
            .directory(parent)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            match numbered.get_mut(id.index()) {
                Some(done) if !*done => *done = true,
                _ => continue,
            }
            order.push(Numbered { id: *id, parent });
        }
    }
    order.push(Numbered {
        id: root,
        parent: root,
    });
    if order.len() > MAX_INODES {
        let message = format!(
            "{} inodes, and at most {MAX_INODES} are written",
            order.len()
        );
        return Err(Error::limit("making a squashfs image", message));
    }
    Ok(order)
}

/// The folders in the folder `id`, the first name last: a stack.
fn folders_in(tree: &Tree<Content>, id: InodeId) -> Vec<InodeId> {
    let names = tree.directory(id).into_iter().flat_map(BTreeMap::values);
    let folders = names.filter(|id| tree.directory(**id).is_some());
    folders.rev().copied().collect()
}

fn check_node(entry: &Entry<'_, Content>) -> Result<()> {
    let path = &entry.path;
    match &entry.inode.node {
        Node::Symlink(target) if target.is_empty() || target.len() > MAX_TARGET => {
            let message = format!(
                "the symbolic link's target has {} bytes, and it can have 1 to {MAX_TARGET}",
                target.len()
            );
            Err(Error::unsupported(path.to_string(), message))
        }
        Node::Character(device) | Node::Block(device)
            if device.major > 0xfff || device.minor > 0xf_ffff =>
        {
            let message = format!(
                "the device {}:{} has no number in Linux",
                device.major, device.minor
            );
            Err(Error::unsupported(path.to_string(), message))
        }
        _ => Ok(()),
    }
}

/// Adds up the most that everything can take.
struct Sizes {
    block_size: u64,
    blocks: u64,
    data: u64,
    metadata: u64,
}

impl Sizes {
    fn new(block_size: u32) -> Self {
        Self {
            block_size: u64::from(block_size),
            blocks: 0,
            data: 0,
            metadata: 0,
        }
    }

    fn add_name(&mut self, entry: &Entry<'_, Content>) {
        let name = entry.path.file_name().map_or(0, <[u8]>::len);
        // A folder header, an entry, and an index entry, each as if it were needed for every name.
        self.metadata = self
            .metadata
            .saturating_add(12 + 8 + 12)
            .saturating_add(wide(name).saturating_mul(2));
        if let Node::Symlink(target) = &entry.inode.node {
            self.metadata = self.metadata.saturating_add(wide(target.len()));
        }
    }

    fn add_content(&mut self, content: &Content, path: &TreePath) -> Result<()> {
        let len = content.len();
        self.blocks = self.blocks.saturating_add(len.div_ceil(self.block_size));
        if self.blocks > MAX_BLOCKS {
            let message = format!("the files up to here have more than {MAX_BLOCKS} blocks");
            return Err(Error::limit(path.to_string(), message));
        }
        let mut data: u64 = 0;
        for piece in content.pieces() {
            if !matches!(piece, Piece::Hole { .. }) {
                let around = self.block_size.saturating_mul(2);
                data = data.saturating_add(piece.len()).saturating_add(around);
            }
        }
        self.data = self.data.saturating_add(data.min(len));
        Ok(())
    }

    fn total(&self, inodes: usize, xattrs: u64) -> u64 {
        // The largest inode has 60 bytes beside its list of blocks; fragment, export and id entries have 16, 8 and 8 bytes.
        let records = wide(inodes).saturating_mul(60 + 16 + 8 + 8);
        let metadata = self
            .metadata
            .saturating_add(records)
            .saturating_add(self.blocks.saturating_mul(4))
            .saturating_add(xattrs);
        // Each metadata block has a header and may stand in a list; eight tables have an incomplete one.
        let blocks = metadata
            .div_ceil(wide(METADATA_LEN))
            .saturating_add(8)
            .saturating_mul(10);
        [metadata, blocks, 4096, IMAGE_ALIGN]
            .into_iter()
            .fold(self.data, u64::saturating_add)
            .next_multiple_of(IMAGE_ALIGN)
    }
}
