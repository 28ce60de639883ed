//! What programs changed, applied to the tree.

use std::collections::BTreeSet;
use std::sync::Arc;

use block::{Content, DiskFile, Error, Piece, ReadAt, Result};
use tree::{Inode, InodeId, Name, Node, Timestamp, Tree, TreePath, Xattrs};

use crate::message::{Found, FoundKind, Run};
use crate::xattrs;

/// What programs changed, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What was not there before.
    pub added: Vec<TreePath>,
    /// What was there, and is another content, kind or metadata now. A folder is named only where its own metadata changed.
    pub changed: Vec<TreePath>,
    /// What is gone; of a folder that is gone, only itself.
    pub removed: Vec<TreePath>,
}

/// Takes what the keeper tells into a tree.
pub(crate) struct Applier<'a> {
    pub(crate) tree: &'a mut Tree<Content>,
    /// The xattrs that could not be laid down, by path and name.
    pub(crate) withheld: &'a BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// What a time becomes that is not before the sandbox's beginning.
    pub(crate) time: Timestamp,
    pub(crate) changes: Changes,
    /// What was told to be new or changed, until the end is known: files wait for the pack to be complete.
    pub(crate) found: Vec<Found>,
}

impl Applier<'_> {
    /// The path is gone.
    pub(crate) fn remove(&mut self, path: &[u8]) -> Result<()> {
        let path = parse(path)?;
        if self.tree.remove_path(&path) {
            self.changes.removed.push(path);
        }
        Ok(())
    }

    /// The end: everything is taken in. `started` is the time of the sandbox's beginning.
    pub(crate) fn finish(mut self, pack: DiskFile, started: Timestamp) -> Result<Changes> {
        let pack: Arc<dyn ReadAt> = Arc::new(pack);
        let mut renamed: BTreeSet<TreePath> = self
            .changes
            .removed
            .iter()
            .filter_map(TreePath::parent)
            .collect();
        let mut folders = Vec::new();
        for mut found in std::mem::take(&mut self.found) {
            let path = parse(&found.path)?;
            let is_recent = found.metadata.mtime >= started;
            if is_recent {
                found.metadata.mtime = self.time;
            }
            let old = self.tree.lookup(&path);
            if old.is_none() {
                renamed.extend(path.parent());
            }
            match (old, &found.kind) {
                (Some(id), FoundKind::Directory) if self.tree.directory(id).is_some() => {
                    let old = self.tree.inode(id).metadata.clone();
                    found.metadata.xattrs = self.merge(&found, &old.xattrs);
                    *self.tree.metadata_mut(id) = found.metadata;
                    folders.push((path, id, old, is_recent));
                }
                _ => self.put(path, old, found, &pack)?,
            }
        }
        for (path, id, old, is_recent) in folders {
            // Something came and went: the folder is as it was.
            if is_recent && !renamed.contains(&path) {
                self.tree.metadata_mut(id).mtime = old.mtime;
            }
            if self.tree.inode(id).metadata != old {
                self.changes.changed.push(path);
            }
        }
        self.changes.changed.sort();
        Ok(self.changes)
    }

    /// Puts something in the place of what is there.
    fn put(
        &mut self,
        path: TreePath,
        old: Option<InodeId>,
        mut found: Found,
        pack: &Arc<dyn ReadAt>,
    ) -> Result<()> {
        let refused = |error: tree::Error| {
            Error::corrupt("reading back from the sandbox", "").caused_by(error)
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::corrupt(
                "reading back from the sandbox",
                "its root is no folder",
            ));
        };
        let name = Name::new(name).map_err(refused)?;
        let (_, parent) = self.tree.resolve(parent.as_bytes()).map_err(refused)?;
        if let FoundKind::Link(first) = &found.kind {
            let first = parse(first)?;
            let id = self
                .tree
                .lookup(&first)
                .ok_or_else(|| refused(tree::Error::NotFound(first.clone())))?;
            if old != Some(id) {
                self.tree.remove(parent, name.as_bytes());
                self.tree.link(parent, name, id).map_err(refused)?;
            }
        } else {
            let node = node(&found.kind, pack)?;
            if let Some(old) = old {
                let inode = self.tree.inode(old);
                if inode.node.type_bits() == node.type_bits() {
                    let kept = Arc::clone(&inode.metadata.xattrs);
                    found.metadata.xattrs = self.merge(&found, &kept);
                }
            }
            self.tree.remove(parent, name.as_bytes());
            let inode = Inode::new(found.metadata, node);
            self.tree.add(parent, name, inode).map_err(refused)?;
        }
        match old {
            Some(_) => self.changes.changed.push(path),
            None => self.changes.added.push(path),
        }
        Ok(())
    }

    /// The xattrs that were found, and those of `old` that programs cannot see.
    fn merge(&self, found: &Found, old: &Xattrs) -> Xattrs {
        let is_kept = |name: &[u8]| {
            !xattrs::is_carried(name)
                || self.withheld.contains(&(found.path.clone(), name.to_vec()))
        };
        let mut merged = (*found.metadata.xattrs).clone();
        for (name, value) in old.iter().filter(|(name, _)| is_kept(name)) {
            merged.insert(name.clone(), value.clone());
        }
        if merged == **old {
            return Arc::clone(old);
        }
        Arc::new(merged)
    }
}

fn parse(path: &[u8]) -> Result<TreePath> {
    TreePath::parse(path)
        .map_err(|error| Error::corrupt("reading back from the sandbox", "").caused_by(error))
}

fn node(kind: &FoundKind, pack: &Arc<dyn ReadAt>) -> Result<Node<Content>> {
    Ok(match kind {
        FoundKind::Directory => Node::empty_directory(),
        FoundKind::File { len, runs } => Node::File(content(*len, runs, pack)?),
        FoundKind::Symlink(target) => Node::Symlink(target.as_slice().into()),
        FoundKind::Character(device) => Node::Character(*device),
        FoundKind::Block(device) => Node::Block(*device),
        FoundKind::Socket => Node::Socket,
        FoundKind::Fifo | FoundKind::Link(_) => Node::Fifo,
    })
}

/// A file of runs of the pack with holes between them.
fn content(len: u64, runs: &[Run], pack: &Arc<dyn ReadAt>) -> Result<Content> {
    let mut pieces = Vec::new();
    let mut at = 0_u64;
    for run in runs {
        pieces.push(Piece::Hole {
            len: run.to.saturating_sub(at),
        });
        pieces.push(Piece::Range {
            source: Arc::clone(pack),
            offset: run.from,
            len: run.len,
        });
        at = run.to.saturating_add(run.len);
    }
    pieces.push(Piece::Hole {
        len: len.saturating_sub(at),
    });
    Content::new(pieces)
}
