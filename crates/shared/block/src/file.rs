//! A file of the machine, read and written by offset (`pread`, `pwrite`).

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::read::check_range;
use crate::{Error, ReadAt, Result, WriteAt};

/// A regular file or block device, with the path by which its errors name it.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
    len: u64,
}

impl DiskFile {
    /// Opens the file at `path` for reading. A block device's length is found by seeking to its end.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](crate::Kind::Io) where it cannot be opened, [`Kind::Unsupported`](crate::Kind::Unsupported) where it is a folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file =
            File::open(path).map_err(|error| Error::io("opening the file", error).in_file(path))?;
        let metadata = file
            .metadata()
            .map_err(|error| Error::io("reading the file's metadata", error).in_file(path))?;
        if metadata.is_dir() {
            let error = Error::unsupported("opening the file", "it is a folder");
            return Err(error.in_file(path));
        }
        let len = if metadata.is_file() {
            metadata.len()
        } else {
            rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))
                .map_err(|error| Error::io("seeking to the end", error.into()).in_file(path))?
        };
        Ok(Self {
            file,
            path: path.to_path_buf(),
            len,
        })
    }

    /// Wraps `file`, which is open for writing and reading; `path` is only for messages. The length is taken now.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](crate::Kind::Io) where its metadata cannot be read.
    pub fn from_file(file: File, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let metadata = file
            .metadata()
            .map_err(|error| Error::io("reading the file's metadata", error).in_file(&path))?;
        Ok(Self {
            file,
            path,
            len: metadata.len(),
        })
    }

    /// The same open file with the length that it has now, for reading what was written through this one.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](crate::Kind::Io) where it cannot be had a second time.
    pub fn remeasured(&self) -> Result<Self> {
        let again = self.file.try_clone();
        let again =
            again.map_err(|error| Error::io("reading back the file", error).in_file(&self.path))?;
        Self::from_file(again, &self.path)
    }

    /// The path by which the file was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, for `sync_all` and `set_len`.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// `SEEK_DATA` or `SEEK_HOLE` from `offset`; `None` where nothing follows.
    fn seek(&self, from: rustix::fs::SeekFrom) -> Result<Option<u64>> {
        match rustix::fs::seek(&self.file, from) {
            Ok(found) => Ok(Some(found)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            Err(error) => {
                Err(Error::io("looking for data in the file", error.into()).in_file(&self.path))
            }
        }
    }
}

impl ReadAt for DiskFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.len, offset, buf.len(), "reading the file")
            .map_err(|error| error.in_file(&self.path))?;
        self.file.read_exact_at(buf, offset).map_err(|error| {
            Error::io("reading the file", error)
                .at(offset)
                .in_file(&self.path)
        })
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        if offset >= self.len {
            return Ok(None);
        }
        // Block devices and some file systems cannot say: then all of it is data.
        let Some(start) = self
            .seek(rustix::fs::SeekFrom::Data(offset))
            .or_else(|_| Ok::<_, Error>(Some(offset)))?
        else {
            return Ok(None);
        };
        let end = self
            .seek(rustix::fs::SeekFrom::Hole(start))
            .or_else(|_| Ok::<_, Error>(None))?
            .unwrap_or(self.len)
            .min(self.len);
        Ok((start < end).then_some(start..end))
    }
}

impl WriteAt for DiskFile {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(buf, offset).map_err(|error| {
            Error::io("writing the file", error)
                .at(offset)
                .in_file(&self.path)
        })
    }
}
