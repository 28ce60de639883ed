//! Going through a tree.

use crate::{Inode, InodeId, Name, Tree, TreePath};

/// One name of a tree, on a walk.
#[derive(Clone, Debug)]
pub struct Entry<'a, C> {
    /// The path from the root on.
    pub path: TreePath,
    /// What it leads to; seen once for each of its names.
    pub id: InodeId,
    /// What it is.
    pub inode: &'a Inode<C>,
}

impl<C> Tree<C> {
    /// All names: a folder before what is in it, names in byte order; the root first.
    pub fn walk(&self) -> impl Iterator<Item = Entry<'_, C>> {
        self.walk_from(TreePath::root(), self.root())
    }

    /// All names at and below the folder or file `id`, whose path is `path`.
    pub fn walk_from(&self, path: TreePath, id: InodeId) -> impl Iterator<Item = Entry<'_, C>> {
        let mut pending = vec![(path, id)];
        std::iter::from_fn(move || {
            let (path, id) = pending.pop()?;
            if let Some(names) = self.directory(id) {
                let below = |(name, id): (&Name, &InodeId)| (path.join(name), *id);
                pending.extend(names.iter().rev().map(below));
            }
            Some(Entry {
                path,
                id,
                inode: self.inode(id),
            })
        })
    }
}
