//! A folder of this machine as a tree, files opened for each read: thousands of them need no thousands of descriptors.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Content, Error, ReadAt, Result};
use tree::{Device, Inode, InodeId, Metadata, Name, Node, Timestamp, Tree, Xattrs, mode};

/// A file that is open only while it is read.
#[derive(Debug)]
struct OnDisk {
    path: PathBuf,
    len: u64,
}

impl ReadAt for OnDisk {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        std::fs::File::open(&self.path)
            .and_then(|file| file.read_exact_at(buf, offset))
            .map_err(|error| Error::io("reading", error).in_file(&self.path))
    }

    fn next_data(&self, offset: u64) -> Result<Option<std::ops::Range<u64>>> {
        block::DiskFile::open(&self.path)?.next_data(offset)
    }
}

/// The tree of all that is in `root`.
pub(crate) fn tree_of(root: &Path) -> Tree<Content> {
    let mut tree = Tree::new(metadata_of(root));
    let mut known = BTreeMap::new();
    let mut pending = vec![(root.to_path_buf(), tree.root())];
    while let Some((folder, parent)) = pending.pop() {
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        for name in names {
            let path = folder.join(&name);
            let name = Name::new(name.as_bytes()).unwrap();
            let found = std::fs::symlink_metadata(&path).unwrap();
            let key = (found.dev(), found.ino());
            if let Some(id) = known.get(&key).copied() {
                let id: InodeId = id;
                tree.link(parent, name, id).unwrap();
                continue;
            }
            let inode = Inode::new(metadata_of(&path), node_of(&path, &found));
            let id = tree.add(parent, name, inode).unwrap();
            if found.is_dir() {
                pending.push((path, id));
            } else if found.nlink() > 1 {
                known.insert(key, id);
            }
        }
    }
    tree
}

fn node_of(path: &Path, found: &std::fs::Metadata) -> Node<Content> {
    let device = Device {
        major: rustix::fs::major(found.rdev()),
        minor: rustix::fs::minor(found.rdev()),
    };
    match (found.mode() & u32::from(mode::TYPE)) as u16 {
        mode::DIRECTORY => Node::empty_directory(),
        mode::FILE => Node::File(Content::from_source(Arc::new(OnDisk {
            path: path.to_path_buf(),
            len: found.len(),
        }))),
        mode::SYMLINK => {
            let target = std::fs::read_link(path).unwrap();
            Node::Symlink(target.as_os_str().as_bytes().into())
        }
        mode::CHARACTER => Node::Character(device),
        mode::BLOCK => Node::Block(device),
        mode::FIFO => Node::Fifo,
        _ => Node::Socket,
    }
}

fn metadata_of(path: &Path) -> Metadata {
    let found = std::fs::symlink_metadata(path).unwrap();
    Metadata {
        permissions: (found.mode() & 0o7777) as u16,
        uid: found.uid(),
        gid: found.gid(),
        mtime: Timestamp {
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec() as u32,
        },
        xattrs: xattrs_of(path),
    }
}

fn xattrs_of(path: &Path) -> Xattrs {
    let mut list = vec![0; 64 << 10];
    let len = rustix::fs::llistxattr(path, &mut list[..]).unwrap_or(0);
    let mut xattrs = BTreeMap::new();
    for name in list[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 64 << 10];
        let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
        xattrs.insert(Box::from(name), Box::from(&value[..len]));
    }
    Arc::new(xattrs)
}
