//! The same tree as a tar in a gzip member.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Content, DiskFile, Error, Result};
use formats::tar;
use tree::{Inode, Metadata, Node, Tree, TreePath};

use super::manifest::{self, Manifest};
use super::payload::Payload;
use super::{Report, failed};
use crate::files::Files;
use crate::late::Sequential;
use crate::output::{Output, unnamed};

/// A tar that is not at its place yet.
#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    output: Output,
}

impl Staging {
    pub(super) fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            output: Output::create(path)?,
        })
    }

    /// A file beside the output, for a large file of the tar.
    pub(super) fn file(&self) -> Result<DiskFile> {
        unnamed(&self.path)
    }

    pub(super) fn commit(self, payloads: &[Payload], mut files: Files) -> Result<Report> {
        let mut entries = Vec::new();
        for (path, content, _) in files.contents() {
            entries.push(manifest::entry(&path, content)?);
        }
        for payload in payloads {
            entries.push(payload.entry()?);
            let file = Arc::new(payload.file.remeasured()?);
            files.put(&payload.path, Content::from_source(file))?;
        }
        let text = Manifest::new(entries).print();
        files.put(manifest::PATH, Content::from_bytes(text.into_bytes()))?;

        let tree = tree(&files)?;
        let target = self.output.target();
        let mut sequential = Sequential::new(&target);
        // What is in it is compressed already: level 0 stores.
        let buffered = BufWriter::with_capacity(1 << 20, &mut sequential);
        let mut gzip = flate2::GzBuilder::new().write(buffered, flate2::Compression::none());
        tar::write(&tree, &tar::WriteOptions::default(), &mut gzip)?;
        let finished = gzip.finish().and_then(|mut buffered| buffered.flush());
        finished.map_err(|error| failed(&self.path, error))?;
        let len = sequential.written();
        self.output.commit()?;
        Ok(Report { len })
    }
}

/// The files as a tree whose files are contents.
fn tree(files: &Files) -> Result<Tree<Content>> {
    let refuse = |error: tree::Error| Error::corrupt("making the tar", "").caused_by(error);
    let folder = Metadata {
        mtime: files.time(),
        ..Metadata::with_permissions(0o755)
    };
    let mut tree = Tree::new(folder.clone());
    for (path, content, metadata) in files.contents() {
        let path = TreePath::parse(&path).map_err(refuse)?;
        if let Some(parent) = path.parent() {
            tree.make_directories(&parent, &folder).map_err(refuse)?;
        }
        let node = Node::File(content.clone());
        tree.put(&path, Inode::new(metadata.clone(), node))
            .map_err(refuse)?;
    }
    Ok(tree)
}
