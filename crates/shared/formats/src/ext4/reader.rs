//! From inodes and names to a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result};
use tree::{Inode, InodeId, Metadata, Name, Node, Tree, TreePath, mode};

use super::Volume;
use super::directory;
use super::file_system::FileSystem;
use super::format::{MAX_DEPTH, MAX_NAMES, MAX_SYMLINK, ROOT_INODE, flag};
use super::inode::RawInode;
use super::medium::Budget;
use super::xattr;

/// Reads the file system of `source`.
pub(super) fn read(source: Arc<dyn ReadAt>) -> Result<Volume> {
    let mut fs = FileSystem::open(source)?;
    let root = fs.inode(ROOT_INODE)?;
    if root.mode() & mode::TYPE != mode::DIRECTORY {
        return Err(root.corrupt(0, "the root is no folder"));
    }
    let (mut inode, inline) = to_inode(&mut fs, &root)?;
    let tree = Tree::new(std::mem::take(&mut inode.metadata));
    let mut walk = Walk {
        known: BTreeMap::from([(ROOT_INODE, tree.root())]),
        fs,
        tree,
        folders: Vec::new(),
        names: Budget::new("names", MAX_NAMES),
    };
    let first = Folder {
        id: walk.tree.root(),
        raw: root,
        inline,
        parent: None,
    };
    walk.run(first)?;
    Ok(Volume {
        identity: walk.fs.superblock.identity(),
        tree: walk.tree,
        warnings: walk.fs.into_warnings(),
    })
}

/// A folder whose names are still to be read.
struct Folder {
    id: InodeId,
    raw: RawInode,
    /// The part of its content that is among its xattrs.
    inline: Vec<u8>,
    /// The folder with its name, by its place in [`Walk::folders`]; `None` for the root.
    parent: Option<(usize, Name)>,
}

/// A name that was read and leads to an inode that was not.
struct Child {
    number: u32,
    /// The folder, by its place in [`Walk::folders`].
    folder: usize,
    name: Name,
}

/// A walk through the folders, level by level: so all inodes of a level are read in the order of the medium.
struct Walk {
    fs: FileSystem,
    tree: Tree<Content>,
    /// The inodes that are in the tree, by their number.
    known: BTreeMap<u32, InodeId>,
    /// The folders that were read, with what their path is made from.
    folders: Vec<(InodeId, Option<(usize, Name)>)>,
    names: Budget,
}

impl Walk {
    fn run(&mut self, first: Folder) -> Result<()> {
        let mut level = vec![first];
        let mut depth = Budget::new("folders in one another", u64::from(MAX_DEPTH));
        while !level.is_empty() {
            depth.take(1)?;
            let mut children = Vec::new();
            for folder in level {
                self.list(folder, &mut children)?;
            }
            children.sort_by_key(|child: &Child| child.number);
            level = Vec::new();
            for child in children {
                let place = (child.folder, child.name.clone());
                match self.add(child) {
                    Ok(folder) => level.extend(folder),
                    Err(error) => return Err(self.explain(error, place)),
                }
            }
        }
        Ok(())
    }

    /// Reads the names in `folder`.
    fn list(&mut self, folder: Folder, children: &mut Vec<Child>) -> Result<()> {
        let place = self.folders.len();
        let read = directory::read(&mut self.fs, &folder.raw, &folder.inline);
        let names = match (read, folder.parent.clone()) {
            (Ok(names), _) => names,
            (Err(error), Some(parent)) => return Err(self.explain(error, parent)),
            (Err(error), None) => return Err(error),
        };
        self.folders.push((folder.id, folder.parent));
        for (name, number) in names {
            self.names.take(1)?;
            children.push(Child {
                number,
                folder: place,
                name,
            });
        }
        Ok(())
    }

    /// Adds one name to the tree; answers with the folder, where it leads to one.
    fn add(&mut self, child: Child) -> Result<Option<Folder>> {
        let parent = self
            .folders
            .get(child.folder)
            .map_or_else(|| self.tree.root(), |(id, _)| *id);
        let misplaced = |error: tree::Error| {
            let what = format!("ext4 inode {}", child.number);
            Error::corrupt(what, "a name leads to it that cannot").caused_by(error)
        };
        if let Some(known) = self.known.get(&child.number) {
            self.tree
                .link(parent, child.name, *known)
                .map_err(misplaced)?;
            return Ok(None);
        }
        if child.number < self.fs.superblock.first_inode {
            let what = format!("ext4 inode {}", child.number);
            let message = "a name leads to it, and it is the file system's own";
            return Err(Error::corrupt(what, message));
        }
        let raw = self.fs.inode(child.number)?;
        let (inode, inline) = to_inode(&mut self.fs, &raw)?;
        let is_folder = matches!(inode.node, Node::Directory(_));
        let id = self
            .tree
            .add(parent, child.name.clone(), inode)
            .map_err(misplaced)?;
        self.known.insert(child.number, id);
        Ok(is_folder.then_some(Folder {
            id,
            raw,
            inline,
            parent: Some((child.folder, child.name)),
        }))
    }

    /// The same error with the path at which it arose.
    fn explain(&self, error: Error, place: (usize, Name)) -> Error {
        let mut names = Vec::new();
        let mut at = Some(place);
        while let Some((folder, name)) = at {
            names.push(name);
            at = self.folders.get(folder).and_then(|(_, up)| up.clone());
        }
        let path = names
            .iter()
            .rev()
            .fold(TreePath::root(), |path, name| path.join(name));
        let offset = error.place().offset;
        let error = error.while_doing(format!("reading {path} in the ext4 file system"));
        offset.into_iter().fold(error, Error::at)
    }
}

/// What `raw` is in a tree; a folder is empty, and what of its content is among its xattrs is the second value.
fn to_inode(fs: &mut FileSystem, raw: &RawInode) -> Result<(Inode<Content>, Vec<u8>)> {
    if raw.has_flag(flag::ENCRYPT) {
        let message = "it is encrypted, and the key is not in the file system";
        return Err(Error::unsupported(raw.what(), message).at(raw.offset));
    }
    let xattr::Found { xattrs, inline } = xattr::read(fs, raw)?;
    let metadata = Metadata {
        permissions: raw.mode() & mode::PERMISSIONS,
        uid: raw.uid(),
        gid: raw.gid(),
        mtime: raw.mtime(),
        xattrs,
    };
    let node = match raw.mode() & mode::TYPE {
        mode::DIRECTORY => {
            return Ok((Inode::new(metadata, Node::empty_directory()), inline));
        }
        mode::FILE if raw.has_flag(flag::EA_INODE) => {
            return Err(raw.corrupt(0x20, "a name leads to it, and it holds an xattr's value"));
        }
        mode::FILE if raw.is_inline() => Node::File(inline_content(raw, &inline)?),
        mode::FILE => Node::File(fs.content(raw, raw.size())?),
        mode::SYMLINK => Node::Symlink(target(fs, raw, &inline)?),
        mode::CHARACTER => Node::Character(raw.device()),
        mode::BLOCK => Node::Block(raw.device()),
        mode::FIFO => Node::Fifo,
        mode::SOCKET => Node::Socket,
        other => return Err(raw.corrupt(0, format!("mode {other:o} is no kind of file"))),
    };
    Ok((Inode::new(metadata, node), Vec::new()))
}

/// The content of a file that its inode holds: `i_block`, then what is among the xattrs, then zeros: a file that was made longer
/// stays inline until more is written to it.
fn inline_content(raw: &RawInode, inline: &[u8]) -> Result<Content> {
    let size = raw.size();
    let mut bytes = [raw.block_area(), inline].concat();
    bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let hole = size.saturating_sub(ReadAt::len(&bytes));
    Content::new([Piece::Bytes(bytes.into()), Piece::Hole { len: hole }])
        .map_err(|error| error.at(raw.offset.saturating_add(4)))
}

/// The target of a symbolic link: in `i_block` where it has room, as content where it has none.
fn target(fs: &mut FileSystem, raw: &RawInode, inline: &[u8]) -> Result<Box<[u8]>> {
    let size = raw.short_size();
    let len = usize::try_from(size).unwrap_or(usize::MAX);
    if size == 0 || size > MAX_SYMLINK {
        return Err(raw.corrupt(0x4, format!("a symbolic link of {size} bytes")));
    }
    let area = raw.block_area();
    let short = !raw.has_flag(flag::EXTENTS) && len < area.len();
    let target = if raw.is_inline() {
        [area, inline].concat().get(..len).map(<[u8]>::to_vec)
    } else if short {
        area.get(..len).map(<[u8]>::to_vec)
    } else {
        Some(fs.content(raw, size)?.read_all(len)?)
    };
    match target {
        Some(target) if !target.contains(&0) => Ok(target.into()),
        _ => Err(raw.corrupt(0x28, "the target of a symbolic link is cut short")),
    }
}
