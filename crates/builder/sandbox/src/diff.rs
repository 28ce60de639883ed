//! What has to be done to the scratch, so that it holds a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use block::{Content, Piece, ReadAt as _, Result};
use tree::{Inode, InodeId, Metadata, Node, Tree, TreePath};

use crate::message::{Order, Path};

/// How many bytes of a file go into one order.
const CHUNK: usize = 1 << 18;

/// The path as orders have it: without the leading slash.
pub(crate) fn wire_path(path: &TreePath) -> Path {
    path.as_bytes().get(1..).unwrap_or_default().to_vec()
}

/// Whether the scratch holds such things: a device node cannot be made in a user namespace, and no program needs the image's.
fn is_laid<C>(inode: &Inode<C>) -> bool {
    !matches!(inode.node, Node::Character(_) | Node::Block(_))
}

/// Hands `send` the orders that turn `held` into `tree`; without `held`, the scratch is an empty folder.
pub(crate) fn orders(
    held: Option<&Tree<Content>>,
    tree: &Tree<Content>,
    send: &mut dyn FnMut(Order) -> Result<()>,
) -> Result<()> {
    let mut differ = Differ {
        held,
        tree,
        held_first: held.map(first_names).unwrap_or_default(),
        first: first_names(tree),
        folders: BTreeSet::new(),
        send,
    };
    let mut pending = vec![(TreePath::root(), tree.root(), held.map(Tree::root))];
    while let Some((path, id, old)) = pending.pop() {
        differ.visit(&path, id, old)?;
        let Some(names) = tree.directory(id) else {
            continue;
        };
        let old_names = old.and_then(|old| held?.directory(old));
        for (name, child) in names.iter().rev() {
            let old = old_names.and_then(|names| names.get(name)).copied();
            pending.push((path.join(name), *child, old));
        }
    }
    differ.finish()
}

/// The first name, in the order of a walk, of everything with more than one.
fn first_names(tree: &Tree<Content>) -> BTreeMap<InodeId, TreePath> {
    let mut first = BTreeMap::new();
    for entry in tree.walk() {
        if entry.inode.names() > 1 {
            first.entry(entry.id).or_insert(entry.path);
        }
    }
    first
}

struct Differ<'a> {
    held: Option<&'a Tree<Content>>,
    tree: &'a Tree<Content>,
    held_first: BTreeMap<InodeId, TreePath>,
    first: BTreeMap<InodeId, TreePath>,
    /// Folders whose metadata has to be set when all else is done.
    folders: BTreeSet<TreePath>,
    send: &'a mut dyn FnMut(Order) -> Result<()>,
}

impl Differ<'_> {
    /// Brings what is at `path` to what it should be; folders with their names, but not what the names lead to.
    fn visit(&mut self, path: &TreePath, id: InodeId, old: Option<InodeId>) -> Result<()> {
        let inode = self.tree.inode(id);
        let old = old.and_then(|old| Some((old, self.held?.inode(old))));
        let laid = old.filter(|(_, old)| is_laid(old));
        if !is_laid(inode) {
            return match laid {
                Some(_) => self.remove(path),
                None => Ok(()),
            };
        }
        match (laid, &inode.node) {
            (Some((_, old)), Node::Directory(names))
                if old.node.type_bits() == inode.node.type_bits() =>
            {
                if old.metadata != inode.metadata {
                    self.folders.insert(path.clone());
                }
                self.remove_missing(path, old, names.keys().map(tree::Name::as_bytes).collect())
            }
            (Some((old_id, old)), _) if self.is_same(path, (old_id, old), (id, inode)) => {
                if old.metadata == inode.metadata {
                    return Ok(());
                }
                self.metadata(path, &inode.metadata)
            }
            (laid, _) => {
                if laid.is_some() {
                    self.remove(path)?;
                }
                self.make(path, id, inode)
            }
        }
    }

    fn remove_missing(
        &mut self,
        path: &TreePath,
        old: &Inode<Content>,
        names: BTreeSet<&[u8]>,
    ) -> Result<()> {
        let Node::Directory(old_names) = &old.node else {
            return Ok(());
        };
        for (name, old) in old_names {
            let is_held = self.held.is_some_and(|held| is_laid(held.inode(*old)));
            if is_held && !names.contains(name.as_bytes()) {
                self.remove(&path.join(name))?;
            }
        }
        Ok(())
    }

    /// Whether the scratch has it already, but for its metadata.
    fn is_same(
        &self,
        path: &TreePath,
        (old_id, old): (InodeId, &Inode<Content>),
        (id, inode): (InodeId, &Inode<Content>),
    ) -> bool {
        let same = match (&old.node, &inode.node) {
            (Node::File(old), Node::File(new)) => is_same_content(old, new),
            (Node::Symlink(old), Node::Symlink(new)) => old == new,
            (Node::Fifo, Node::Fifo) | (Node::Socket, Node::Socket) => true,
            _ => false,
        };
        let first = self.first.get(&id).unwrap_or(path);
        let old_first = self.held_first.get(&old_id).unwrap_or(path);
        same && first == old_first && old.names() == inode.names()
    }

    fn make(&mut self, path: &TreePath, id: InodeId, inode: &Inode<Content>) -> Result<()> {
        self.touch_parent(path);
        let wire = wire_path(path);
        if let Some(first) = self.first.get(&id).filter(|first| *first != path) {
            return (self.send)(Order::Link(wire, wire_path(first)));
        }
        match &inode.node {
            Node::Directory(_) => {
                self.folders.insert(path.clone());
                return (self.send)(Order::Directory(wire));
            }
            Node::File(content) => self.file(wire, content)?,
            Node::Symlink(target) => (self.send)(Order::Symlink(wire, target.to_vec()))?,
            Node::Fifo => (self.send)(Order::Fifo(wire))?,
            Node::Socket => (self.send)(Order::Socket(wire))?,
            Node::Character(_) | Node::Block(_) => return Ok(()),
        }
        self.metadata(path, &inode.metadata)
    }

    /// Makes a file with its bytes; holes stay holes.
    fn file(&mut self, path: Path, content: &Content) -> Result<()> {
        let shown = crate::spec::path_of(&[b"/", path.as_slice()].concat());
        (self.send)(Order::File(path, content.len()))?;
        let mut offset = 0;
        while let Some(range) = content
            .next_data(offset)
            .map_err(|error| error.in_file(&shown))?
        {
            let len = usize::try_from(range.end.saturating_sub(range.start));
            let mut bytes = vec![0; len.unwrap_or(CHUNK).min(CHUNK)];
            content
                .read_exact_at(&mut bytes, range.start)
                .map_err(|error| error.in_file(&shown))?;
            offset = range.start.saturating_add(bytes.len() as u64);
            (self.send)(Order::Data(range.start, bytes))?;
        }
        Ok(())
    }

    fn metadata(&mut self, path: &TreePath, metadata: &Metadata) -> Result<()> {
        (self.send)(Order::Metadata(wire_path(path), metadata.clone()))
    }

    fn remove(&mut self, path: &TreePath) -> Result<()> {
        self.touch_parent(path);
        (self.send)(Order::Remove(wire_path(path)))
    }

    /// A folder's time changes with its names: it has to be set again.
    fn touch_parent(&mut self, path: &TreePath) {
        if let Some(parent) = path.parent() {
            self.folders.insert(parent);
        }
    }

    fn finish(mut self) -> Result<()> {
        if self.held.is_none() {
            self.folders.insert(TreePath::root());
        }
        for path in std::mem::take(&mut self.folders).iter().rev() {
            if let Some(id) = self.tree.lookup(path) {
                self.metadata(path, &self.tree.inode(id).metadata)?;
            }
        }
        Ok(())
    }
}

/// Whether both are made of the same pieces. Equal bytes in different places count as different: nothing is read to find out.
fn is_same_content(one: &Content, other: &Content) -> bool {
    let same = |pair: (&Piece, &Piece)| match pair {
        (Piece::Hole { len: one }, Piece::Hole { len: other }) => one == other,
        (Piece::Bytes(one), Piece::Bytes(other)) => one == other,
        (
            Piece::Range {
                source: one,
                offset: one_offset,
                len: one_len,
            },
            Piece::Range {
                source: other,
                offset: other_offset,
                len: other_len,
            },
        ) => Arc::ptr_eq(one, other) && one_offset == other_offset && one_len == other_len,
        _ => false,
    };
    one.len() == other.len()
        && one.pieces().count() == other.pieces().count()
        && one.pieces().zip(other.pieces()).all(same)
}

#[cfg(test)]
mod tests;
