//! The tree: its inodes, and finding them by path.

use std::collections::BTreeMap;

use crate::path::{MAX_SYMLINKS, parts};
use crate::{Error, Inode, Metadata, Name, Node, Result, TreePath};

/// Which inode of a tree; means nothing in another tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub(crate) u32);

impl InodeId {
    /// A small number that is this inode's alone, for tables beside the tree: less than [`Tree::id_bound`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A file tree. See the crate's description for what always holds.
#[derive(Clone, Debug)]
pub struct Tree<C> {
    pub(crate) inodes: Vec<Inode<C>>,
}

impl<C> Tree<C> {
    /// A tree of a root folder alone.
    pub fn new(root: Metadata) -> Self {
        let mut inode = Inode::new(root, Node::empty_directory());
        inode.names = 1;
        Self {
            inodes: vec![inode],
        }
    }

    /// The root folder.
    #[must_use]
    pub fn root(&self) -> InodeId {
        InodeId(0)
    }

    /// One more than the largest [`InodeId::index`] that was given out; removed inodes keep theirs.
    #[must_use]
    pub fn id_bound(&self) -> usize {
        self.inodes.len()
    }

    /// The inode of `id`.
    ///
    /// # Panics
    ///
    /// Where `id` comes from another tree.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "an id of this tree is always in range"
    )]
    pub fn inode(&self, id: InodeId) -> &Inode<C> {
        &self.inodes[id.index()]
    }

    /// The metadata of `id`, to change it.
    ///
    /// # Panics
    ///
    /// Where `id` comes from another tree.
    pub fn metadata_mut(&mut self, id: InodeId) -> &mut Metadata {
        &mut self.inode_mut(id).metadata
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an id of this tree is always in range"
    )]
    pub(crate) fn inode_mut(&mut self, id: InodeId) -> &mut Inode<C> {
        &mut self.inodes[id.index()]
    }

    /// The names in the folder `id`; `None` where it is no folder.
    #[must_use]
    pub fn directory(&self, id: InodeId) -> Option<&BTreeMap<Name, InodeId>> {
        match &self.inode(id).node {
            Node::Directory(names) => Some(names),
            _ => None,
        }
    }

    /// The inode that `path` leads to, without following symbolic links.
    #[must_use]
    pub fn lookup(&self, path: &TreePath) -> Option<InodeId> {
        path.names().try_fold(self.root(), |id, name| {
            self.directory(id)?.get(name).copied()
        })
    }

    /// The inode that `path` leads to, following symbolic links (the last one too) inside the tree, as a program that was chrooted
    /// into the tree would see it: `..` of the root is the root.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotADirectory`], [`Error::TooManySymlinks`].
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Result<(TreePath, InodeId)> {
        let asked = path.as_ref();
        let mut pending: Vec<Vec<u8>> = parts(asked);
        let mut symlinks_left = MAX_SYMLINKS;
        let mut at = TreePath::root();
        let mut id = self.root();
        while let Some(part) = pending.pop() {
            if part == b".." {
                at = at.parent().unwrap_or_default();
                id = self.lookup(&at).unwrap_or_else(|| self.root());
                continue;
            }
            let name = Name::new(&part)?;
            let below = at.join(&name);
            let names = self
                .directory(id)
                .ok_or_else(|| Error::NotADirectory(at.clone()))?;
            let found = *names
                .get(&name)
                .ok_or_else(|| Error::NotFound(below.clone()))?;
            if let Node::Symlink(target) = &self.inode(found).node {
                symlinks_left = symlinks_left
                    .checked_sub(1)
                    .ok_or(Error::TooManySymlinks(below))?;
                if target.first() == Some(&b'/') {
                    at = TreePath::root();
                    id = self.root();
                }
                pending.extend(parts(target));
            } else {
                at = below;
                id = found;
            }
        }
        Ok((at, id))
    }

    /// The content of the regular file at `path`, following symbolic links; `None` where there is no such file.
    #[must_use]
    pub fn file(&self, path: impl AsRef<[u8]>) -> Option<&C> {
        let (_, id) = self.resolve(path).ok()?;
        match &self.inode(id).node {
            Node::File(content) => Some(content),
            _ => None,
        }
    }

    /// The names in the folder at `path`, following symbolic links; nothing where there is no such folder.
    pub fn list(&self, path: impl AsRef<[u8]>) -> impl Iterator<Item = (&Name, InodeId)> {
        let names = self
            .resolve(path)
            .ok()
            .and_then(|(_, id)| self.directory(id));
        names.into_iter().flatten().map(|(name, id)| (name, *id))
    }
}
