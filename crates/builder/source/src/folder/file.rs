//! A file of the folder, opened when it is read.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use block::{Error, ReadAt, Result};
use rustix::fs::{SeekFrom, Stat};
use tree::Timestamp;

use super::root::Root;
use super::{changed, time};

/// What a file was when the folder was walked: which one, how long, and of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    device: u64,
    inode: u64,
    len: u64,
    mtime: Timestamp,
    /// How many bytes of the medium it takes up.
    stored: u64,
}

impl Seen {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: time(stat),
            stored: u64::try_from(stat.st_blocks)
                .unwrap_or(0)
                .saturating_mul(512),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file is still what it was. Its place on the medium may change.
    fn is(&self, other: &Self) -> bool {
        let key = |seen: &Self| (seen.device, seen.inode, seen.len, seen.mtime);
        key(self) == key(other)
    }
}

/// A regular file of a folder.
#[derive(Debug)]
pub(super) struct HostFile {
    root: Arc<Root>,
    path: Box<[u8]>,
    seen: Seen,
}

impl HostFile {
    /// The file at `path` below `root`.
    pub(super) fn new(root: &Arc<Root>, path: &[u8], seen: Seen) -> Self {
        Self {
            root: Arc::clone(root),
            path: path.into(),
            seen,
        }
    }

    fn open(&self) -> Result<Arc<File>> {
        self.root.file(&self.path, |file| self.check(file))
    }

    /// Holds that `file` is what it was.
    fn check(&self, file: &File) -> Result<()> {
        let stat = rustix::fs::fstat(file)
            .map_err(|error| Error::io("reading the file's metadata", error.into()))?;
        if self.seen.is(&Seen::of(&stat)) {
            Ok(())
        } else {
            Err(changed("it changed"))
        }
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = u64::try_from(buf.len())
            .ok()
            .and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > self.seen.len) {
            let message = format!("{} bytes from here reach past the end", buf.len());
            return Err(Error::corrupt("reading the file", message).at(offset));
        }
        let file = self.open()?;
        let read = file.read_exact_at(buf, offset);
        // A file that became shorter is one that changed, whatever the read says.
        self.check(&file)?;
        read.map_err(|error| Error::io("reading the file", error).at(offset))
    }

    /// The first range from `offset` on that is no hole.
    fn data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let all = offset..self.seen.len;
        if self.seen.stored >= self.seen.len {
            return Ok((!all.is_empty()).then_some(all));
        }
        let file = self.open()?;
        let start = match rustix::fs::seek(&*file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return Ok(None),
            // Not every file system can say: then all of it is data.
            Err(_) => offset,
        };
        let end = rustix::fs::seek(&*file, SeekFrom::Hole(start)).unwrap_or(self.seen.len);
        let found = start..end.min(self.seen.len);
        Ok((!found.is_empty()).then_some(found))
    }
}

impl ReadAt for HostFile {
    fn len(&self) -> u64 {
        self.seen.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read(buf, offset)
            .map_err(|error| error.in_file(self.root.shown(&self.path)))
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        if offset >= self.seen.len {
            return Ok(None);
        }
        self.data(offset)
            .map_err(|error| error.in_file(self.root.shown(&self.path)))
    }
}
