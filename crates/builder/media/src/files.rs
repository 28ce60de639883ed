//! What is on the media, by path.

use block::{Content, Error, Result};
use formats::iso9660::File;
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

use crate::pending::Pending;

/// The mode of a file of the media that has none of its own.
const FILE_MODE: u16 = 0o644;

/// The files of the media. Folders are made as they are needed.
#[derive(Clone, Debug)]
pub struct Files {
    tree: Tree<File>,
    time: Timestamp,
}

impl Files {
    /// Media with nothing on them; `time` is the time of all their files and folders.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        let root = Metadata {
            mtime: time,
            ..Metadata::with_permissions(0o755)
        };
        Self {
            tree: Tree::new(root),
            time,
        }
    }

    /// Puts a file at `path` (relative to the root of the media), in the place of one that was put there before.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where the path cannot be one.
    pub fn put(&mut self, path: &str, content: Content) -> Result<()> {
        self.insert(path, File::Content(content), FILE_MODE)
    }

    /// As [`put`](Self::put), with a mode of the file's own.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn put_with_mode(&mut self, path: &str, content: Content, mode: u16) -> Result<()> {
        self.insert(path, File::Content(content), mode)
    }

    /// A file whose content follows, of at most `max_len` bytes.
    pub(crate) fn put_late(&mut self, path: &str, max_len: u64) -> Result<()> {
        self.insert(path, File::Late { max_len }, FILE_MODE)
    }

    /// Whether there is a file at `path`.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.tree.file(path).is_some()
    }

    /// Every file by its path, in the tree's order.
    pub fn contents(&self) -> impl Iterator<Item = (String, &Content, &Metadata)> {
        self.tree
            .walk()
            .filter_map(|entry| match &entry.inode.node {
                Node::File(File::Content(content)) => Some((
                    entry.path.to_string().trim_start_matches('/').to_owned(),
                    content,
                    &entry.inode.metadata,
                )),
                _ => None,
            })
    }

    /// Puts a text that is known by now into all files that wait for it.
    ///
    /// # Errors
    ///
    /// None with the files as they are.
    pub fn fill(&mut self, pending: &Pending) -> Result<()> {
        let mut filled = Vec::new();
        for (path, content, metadata) in self.contents() {
            let content = pending.filled(content)?;
            filled.extend(content.map(|content| (path, content, metadata.permissions)));
        }
        for (path, content, mode) in filled {
            self.put_with_mode(&path, content, mode)?;
        }
        Ok(())
    }

    /// The time of all files.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    pub(crate) fn tree(&self) -> &Tree<File> {
        &self.tree
    }

    fn insert(&mut self, path: &str, file: File, mode: u16) -> Result<()> {
        let refuse = |error: tree::Error| {
            Error::corrupt(format!("putting {path} on the media"), "").caused_by(error)
        };
        let parsed = TreePath::parse(path).map_err(refuse)?;
        if let Some(parent) = parsed.parent() {
            let folder = Metadata {
                mtime: self.time,
                ..Metadata::with_permissions(0o755)
            };
            self.tree
                .make_directories(&parent, &folder)
                .map_err(refuse)?;
        }
        let metadata = Metadata {
            mtime: self.time,
            ..Metadata::with_permissions(mode)
        };
        self.tree
            .put(&parsed, Inode::new(metadata, Node::File(file)))
            .map_err(refuse)?;
        Ok(())
    }
}
