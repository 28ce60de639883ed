//! Changing a tree: every change keeps what the crate's description promises.

use crate::{Error, Inode, InodeId, Metadata, Name, Node, Result, Tree, TreePath};

impl<C> Tree<C> {
    /// Puts `inode` into the folder `parent` under `name`. A folder that is put in must be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], [`Error::NotADirectory`], [`Error::TooManyInodes`]; the path in them is `name` alone, which the caller
    /// knows better. The tree is as before then.
    pub fn add(&mut self, parent: InodeId, name: Name, mut inode: Inode<C>) -> Result<InodeId> {
        if let Node::Directory(names) = &inode.node
            && !names.is_empty()
        {
            return Err(Error::DirectoryHardLink(TreePath::root().join(&name)));
        }
        let id = InodeId(u32::try_from(self.inodes.len()).map_err(|_| Error::TooManyInodes)?);
        self.enter(parent, name, id)?;
        inode.names = 1;
        self.inodes.push(inode);
        Ok(id)
    }

    /// Gives what `id` is another name: a hard link.
    ///
    /// # Errors
    ///
    /// [`Error::DirectoryHardLink`] where `id` is a folder; else as [`add`](Self::add).
    pub fn link(&mut self, parent: InodeId, name: Name, id: InodeId) -> Result<()> {
        if self.directory(id).is_some() {
            return Err(Error::DirectoryHardLink(TreePath::root().join(&name)));
        }
        self.enter(parent, name, id)?;
        let inode = self.inode_mut(id);
        inode.names = inode.names.saturating_add(1);
        Ok(())
    }

    fn enter(&mut self, parent: InodeId, name: Name, id: InodeId) -> Result<()> {
        let Node::Directory(names) = &mut self.inode_mut(parent).node else {
            return Err(Error::NotADirectory(TreePath::root().join(&name)));
        };
        match names.entry(name) {
            std::collections::btree_map::Entry::Occupied(taken) => {
                Err(Error::Exists(TreePath::root().join(taken.key())))
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(id);
                Ok(())
            }
        }
    }

    /// Removes `name` from the folder `parent`, with all below it where it is a folder. Answers whether it was there.
    pub fn remove(&mut self, parent: InodeId, name: &[u8]) -> bool {
        let Node::Directory(names) = &mut self.inode_mut(parent).node else {
            return false;
        };
        let Some(removed) = names.remove(name) else {
            return false;
        };
        let mut pending = vec![removed];
        while let Some(id) = pending.pop() {
            let inode = self.inode_mut(id);
            inode.names = inode.names.saturating_sub(1);
            if let Node::Directory(names) = &mut inode.node {
                pending.extend(std::mem::take(names).into_values());
            }
        }
        true
    }

    /// Removes what `path` leads to (a symbolic link itself, not its target). Answers whether it was there; the root stays.
    pub fn remove_path(&mut self, path: &TreePath) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        let Some(parent) = self.lookup(&parent) else {
            return false;
        };
        let name = name.to_vec();
        self.remove(parent, &name)
    }

    /// The folder at `path`; folders that are missing on the way are made with `metadata`. Symbolic links to folders are followed.
    ///
    /// # Errors
    ///
    /// [`Error::NotADirectory`] where something else stands in the way.
    pub fn make_directories(&mut self, path: &TreePath, metadata: &Metadata) -> Result<InodeId> {
        let mut at = TreePath::root();
        let mut id = self.root();
        for part in path.names() {
            let name = Name::new(part)?;
            let below = at.join(&name);
            match self.resolve(below.as_bytes()) {
                Ok((resolved, found)) => {
                    if self.directory(found).is_none() {
                        return Err(Error::NotADirectory(below));
                    }
                    at = resolved;
                    id = found;
                }
                Err(Error::NotFound(_)) if self.lookup(&below).is_none() => {
                    let inode = Inode::new(metadata.clone(), Node::empty_directory());
                    id = self.add(id, name, inode)?;
                    at = below;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(id)
    }

    /// Puts `inode` at `path`, in the place of what is there now; missing folders are made with permissions 0755.
    ///
    /// # Errors
    ///
    /// As [`make_directories`](Self::make_directories) and [`add`](Self::add); [`Error::Exists`] for the root.
    pub fn put(&mut self, path: &TreePath, inode: Inode<C>) -> Result<InodeId> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::Exists(path.clone()));
        };
        let name = Name::new(name)?;
        let parent = self.make_directories(&parent, &Metadata::with_permissions(0o755))?;
        self.remove(parent, name.as_bytes());
        self.add(parent, name, inode)
    }

    /// Lays `other` over the folder `at`, as a mount would: what the folder held is gone, its metadata becomes that of `other`'s
    /// root. Hard links inside `other` stay hard links.
    ///
    /// # Errors
    ///
    /// [`Error::NotADirectory`], [`Error::TooManyInodes`]; the tree is as before then.
    pub fn graft(&mut self, at: InodeId, other: Self) -> Result<()> {
        let Node::Directory(old) = &self.inode(at).node else {
            return Err(Error::NotADirectory(TreePath::root()));
        };
        let old: Vec<Name> = old.keys().cloned().collect();
        let base = u32::try_from(self.inodes.len()).map_err(|_| Error::TooManyInodes)?;
        let total = self.inodes.len().checked_add(other.inodes.len());
        if total.is_none_or(|total| u32::try_from(total).is_err()) {
            return Err(Error::TooManyInodes);
        }
        for name in old {
            self.remove(at, name.as_bytes());
        }
        let shift = |id: InodeId| InodeId(id.0.saturating_add(base));
        for mut inode in other.inodes {
            if let Node::Directory(names) = &mut inode.node {
                names.values_mut().for_each(|id| *id = shift(*id));
            }
            self.inodes.push(inode);
        }
        // The other root's inode stays behind, without a name.
        let grafted = self.inode_mut(shift(InodeId(0)));
        let metadata = std::mem::take(&mut grafted.metadata);
        let node = std::mem::replace(&mut grafted.node, Node::empty_directory());
        grafted.names = 0;
        let target = self.inode_mut(at);
        target.metadata = metadata;
        target.node = node;
        Ok(())
    }

    /// Replaces what the inode `id` is, keeping its names. A folder stays a folder and nothing else becomes one.
    ///
    /// # Errors
    ///
    /// [`Error::NotADirectory`] where `id` or `node` is a folder.
    pub fn set_node(&mut self, id: InodeId, node: Node<C>) -> Result<()> {
        if self.directory(id).is_some() || matches!(node, Node::Directory(_)) {
            return Err(Error::NotADirectory(TreePath::root()));
        }
        self.inode_mut(id).node = node;
        Ok(())
    }
}
