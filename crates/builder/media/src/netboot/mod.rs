//! Files for a network-boot server: a folder, or a tar of the same tree.
//!
//! A folder is written aside (`.NAME.liveos-partial`) and then swapped in. What stands at its place is replaced only where an earlier
//! build made all of it, which [`manifest`] tells; any other folder that is not empty is refused and stays as it is. A folder that is a
//! mount point, as containers have them, cannot be swapped: it is filled in place, the manifest last.

mod archive;
mod folder;
pub mod manifest;
mod payload;

use std::path::Path;
use std::sync::Arc;

use block::{Content, DiskFile, Error, Result};

use self::payload::Payload;
use crate::files::Files;
use crate::late::{Late, Progress};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A folder.
    Folder,
    /// A tar in a gzip member. The files are compressed already, and are stored in it as they are.
    TarGz,
}

/// Where files for a network-boot server are written until all of them are there.
#[derive(Debug)]
pub struct Netboot {
    inner: Inner,
    payloads: Vec<Payload>,
}

#[derive(Debug)]
enum Inner {
    Folder(folder::Staging),
    Tar(archive::Staging),
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Report {
    /// The bytes of all files, or the length of the tar.
    pub len: u64,
}

impl Netboot {
    /// Opens a place beside `path`. What stands at `path` stays as it is.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) where something stands at `path` that this crate did not make,
    /// [`Kind::NotFound`](block::Kind::NotFound) where its folder is missing, [`Kind::Io`](block::Kind::Io) where that cannot be written to.
    pub fn create(path: &Path, shape: Shape) -> Result<Self> {
        let inner = match shape {
            Shape::Folder => Inner::Folder(folder::Staging::create(path)?),
            Shape::TarGz => Inner::Tar(archive::Staging::create(path)?),
        };
        Ok(Self {
            inner,
            payloads: Vec::new(),
        })
    }

    /// A file of the media at `path` that is written apart from the others, because it is large: it is there when the answer was written.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](block::Kind::Io).
    pub fn payload(&mut self, path: &str) -> Result<Arc<DiskFile>> {
        let file = self.file(path)?;
        self.payloads.push(Payload::new(path, Arc::clone(&file)));
        Ok(file)
    }

    fn file(&self, path: &str) -> Result<Arc<DiskFile>> {
        let file = match &self.inner {
            Inner::Folder(staging) => staging.file(path)?,
            Inner::Tar(staging) => staging.file()?,
        };
        Ok(Arc::new(file))
    }

    /// Writes a large file of the media at once, and answers with its bytes.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](block::Kind::Io), and what `late` answers.
    pub fn write(
        &mut self,
        late: &dyn Late,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Content> {
        let mut payload = Payload::new(late.path(), self.file(late.path())?);
        payload.write(late, progress)?;
        let written = Arc::new(payload.file.remeasured()?);
        self.payloads.push(payload);
        Ok(Content::from_source(written))
    }

    /// Writes `files` and the manifest beside the payloads, syncs all, and puts it at its place.
    ///
    /// # Errors
    ///
    /// Whatever reading or writing answers; what stood at the place is untouched then.
    pub fn commit(self, files: Files) -> Result<Report> {
        match self.inner {
            Inner::Folder(staging) => staging.commit(&self.payloads, &files),
            Inner::Tar(staging) => staging.commit(&self.payloads, files),
        }
    }
}

/// An error while writing the output at `path`.
fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::io("writing the files for network boot", error).in_file(path)
}
