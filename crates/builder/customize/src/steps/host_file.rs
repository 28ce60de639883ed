//! A file of the builder's machine, opened anew for each read: a configuration may name more files than a process may have open.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Content, Error, ReadAt, Result};

/// A regular file, as it was when the step looked at it.
#[derive(Debug)]
pub struct HostFile {
    path: PathBuf,
    seen: Seen,
}

/// Which file it is, how long, and of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    len: u64,
    mtime: (i64, i64),
}

impl Seen {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl HostFile {
    /// The file at `path`, links followed, and its permissions.
    ///
    /// # Errors
    ///
    /// [`block::Kind::Io`] where it is not there or may not be read, [`block::Kind::Unsupported`] for what is no regular file.
    pub fn open(path: &Path) -> Result<(Self, u16)> {
        let failed = |error| Error::io("opening the file", error).in_file(path);
        // Looked at before it is opened: opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            let message = "it is no regular file";
            return Err(Error::unsupported("opening the file", message).in_file(path));
        }
        let metadata = File::open(path)
            .and_then(|file| file.metadata())
            .map_err(failed)?;
        let permissions = u16::try_from(metadata.mode() & 0o7777).unwrap_or(0o644);
        let file = Self {
            path: path.to_path_buf(),
            seen: Seen::of(&metadata),
        };
        Ok((file, permissions))
    }
}

/// The content of a file of the builder's machine, to be read later, and its permissions.
///
/// # Errors
///
/// As [`HostFile::open`].
pub fn content(path: &Path) -> Result<(Content, u16)> {
    let (file, permissions) = HostFile::open(path)?;
    Ok((Content::from_source(Arc::new(file)), permissions))
}

impl ReadAt for HostFile {
    fn len(&self) -> u64 {
        self.seen.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let failed = |error| {
            Error::io("reading the file", error)
                .at(offset)
                .in_file(&self.path)
        };
        let file = File::open(&self.path).map_err(failed)?;
        if Seen::of(&file.metadata().map_err(failed)?) != self.seen {
            let message = "it changed after the build had begun";
            return Err(Error::corrupt("reading the file", message).in_file(&self.path));
        }
        file.read_exact_at(buf, offset).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_not_mixed_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "0123").unwrap();
        let (file, _) = HostFile::open(&path).unwrap();
        let mut buffer = [0; 2];
        file.read_exact_at(&mut buffer, 1).unwrap();
        assert_eq!((&buffer, file.len()), (b"12", 4));
        assert!(file.read_exact_at(&mut buffer, 3).is_err());
        std::fs::write(&path, "012345").unwrap();
        let error = file.read_exact_at(&mut buffer, 1).unwrap_err();
        assert!(error.to_string().contains("it changed"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(file.read_exact_at(&mut buffer, 1).is_err());
    }
}
