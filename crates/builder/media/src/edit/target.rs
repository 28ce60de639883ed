//! The file that is changed: an ISO, a device, a copy.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{DiskFile, Error, ReadAt, Result, WriteAt};

use crate::write_back::{STRIDE, while_writing};

/// What is changed in place.
///
/// The order of writes holds across [`sync`](Self::sync) only: whoever needs one write to be there before another syncs between them.
pub trait Target: WriteAt {
    /// Reads what is there; its length is that of now.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    fn reader(&self) -> Result<Arc<dyn ReadAt>>;

    /// Returns when all that was written is on the medium.
    ///
    /// # Errors
    ///
    /// Where that fails; what is on the medium is not known then.
    fn sync(&self) -> Result<()>;

    /// Cuts it off at `len` bytes.
    ///
    /// # Errors
    ///
    /// Where that fails.
    fn cut(&self, len: u64) -> Result<()>;

    /// Whether it gets longer where it is written to behind its end.
    fn grows(&self) -> bool;
}

/// A file or device of the machine.
#[derive(Debug)]
pub struct FileTarget {
    file: File,
    path: PathBuf,
    grows: bool,
    syncs: bool,
}

impl FileTarget {
    /// Opens what is at `path`, to read and, where `writable`, to write.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](block::Kind::Io) where it cannot be opened.
    pub fn open(path: &Path, writable: bool) -> Result<Self> {
        let file = File::options().read(true).write(writable).open(path);
        let file = file.map_err(|error| {
            let what = if writable {
                "opening the media to change them"
            } else {
                "opening the media"
            };
            Error::io(what, error).in_file(path)
        })?;
        if writable {
            lock(&file, path)?;
        }
        Self::of(file, path, true)
    }

    /// A file that stands nowhere yet: syncing it is its owner's.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](block::Kind::Io) where it cannot be asked what it is.
    pub fn unfinished(output: &DiskFile) -> Result<Self> {
        let file = output
            .file()
            .try_clone()
            .map_err(|error| Error::io("opening the copy", error).in_file(output.path()))?;
        Self::of(file, output.path(), false)
    }

    fn of(file: File, path: &Path, syncs: bool) -> Result<Self> {
        let metadata = file
            .metadata()
            .map_err(|error| Error::io("reading the file's metadata", error).in_file(path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            grows: metadata.is_file(),
            syncs,
        })
    }
}

impl WriteAt for FileTarget {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, buf, offset).map_err(|error| {
            Error::io("writing the media", error)
                .at(offset)
                .in_file(&self.path)
        })
    }
}

impl Target for FileTarget {
    fn reader(&self) -> Result<Arc<dyn ReadAt>> {
        if !self.grows {
            return Ok(Arc::new(DiskFile::open(&self.path)?));
        }
        let file = self
            .file
            .try_clone()
            .map_err(|error| Error::io("reading the media", error).in_file(&self.path))?;
        Ok(Arc::new(DiskFile::from_file(file, &self.path)?))
    }

    fn sync(&self) -> Result<()> {
        if !self.syncs {
            return Ok(());
        }
        self.file
            .sync_data()
            .map_err(|error| Error::io("writing the media", error).in_file(&self.path))
    }

    fn cut(&self, len: u64) -> Result<()> {
        self.file
            .set_len(len)
            .map_err(|error| Error::io("cutting the media off", error).in_file(&self.path))
    }

    fn grows(&self) -> bool {
        self.grows
    }
}

/// Keeps other changes of the same media away until `file` is closed.
///
/// # Errors
///
/// [`Kind::Io`](block::Kind::Io) where somebody else changes them now.
pub(super) fn lock(file: &File, path: &Path) -> Result<()> {
    let how = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    match rustix::fs::flock(file, how) {
        // Where there are no locks, nobody else has one.
        Ok(()) | Err(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => Ok(()),
        Err(error) => {
            let what = "waiting for nobody else to change the media";
            Err(Error::io(what, error.into()).in_file(path))
        }
    }
}

/// Copies all of `from` to `to`, which is empty: sharing the blocks where the file system can, else in the kernel, holes as holes. Most
/// of it is on the disk already when this answers.
///
/// # Errors
///
/// [`Kind::Io`](block::Kind::Io) where reading or writing fails.
pub fn copy(from: &DiskFile, to: &DiskFile) -> Result<()> {
    if rustix::fs::ioctl_ficlone(to.file().as_fd(), from.file().as_fd()).is_ok() {
        return Ok(());
    }
    while_writing(to, |disk| {
        let mut at = 0;
        while let Some(range) = from.next_data(at)? {
            at = range.start;
            while at < range.end {
                let end = range.end.min(at.saturating_add(STRIDE));
                allot(to, at..end);
                copy_part(from, to, at..end)?;
                disk.written(end - at);
                at = end;
            }
        }
        Ok(())
    })?;
    // The end may be a hole.
    to.file()
        .set_len(from.len())
        .map_err(|error| Error::io("copying the media", error).in_file(to.path()))
}

/// Has the file system choose the place of a range in one step, where it can: page by page takes a third of the copy's time.
fn allot(to: &DiskFile, range: std::ops::Range<u64>) {
    let len = range.end - range.start;
    let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
    // What cannot be had is said by the write.
    let _ = rustix::fs::fallocate(to.file().as_fd(), flags, range.start, len);
}

/// Copies a range in the kernel where it can, else through memory.
fn copy_part(from: &DiskFile, to: &DiskFile, range: std::ops::Range<u64>) -> Result<()> {
    use rustix::io::Errno;
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let (mut source, mut place) = (at, at);
        let done = rustix::fs::copy_file_range(
            from.file().as_fd(),
            Some(&mut source),
            to.file().as_fd(),
            Some(&mut place),
            len,
        );
        match done {
            Ok(0) => {
                let message = "the media got shorter while they were copied";
                return Err(Error::corrupt("copying the media", message).in_file(from.path()));
            }
            Ok(count) => at += u64::try_from(count).unwrap_or(0),
            Err(Errno::INTR) => {}
            // Across file systems of old kernels, and from devices.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return copy_through_memory(from, to, at..range.end);
            }
            Err(error) => {
                return Err(Error::io("copying the media", error.into()).in_file(to.path()));
            }
        }
    }
    Ok(())
}

fn copy_through_memory(from: &DiskFile, to: &DiskFile, range: std::ops::Range<u64>) -> Result<()> {
    let mut buf = vec![0; 1 << 20];
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let part = buf.get_mut(..len.min(1 << 20)).unwrap_or_default();
        from.read_exact_at(part, at)?;
        to.write_all_at(part, at)?;
        at += ReadAt::len(&*part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_changes_at_once_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = FileTarget::open(file.path(), true).unwrap();
        let error = FileTarget::open(file.path(), true).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Io);
        FileTarget::open(file.path(), false).unwrap();
        drop(first);
        FileTarget::open(file.path(), true).unwrap();
    }

    #[test]
    fn a_copy_is_the_same_with_its_holes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let make = |name: &str| {
            let mut options = File::options();
            let file = options.read(true).write(true).create(true).truncate(true);
            DiskFile::from_file(file.open(path(name)).unwrap(), path(name)).unwrap()
        };
        let source = make("a");
        source.write_all_at(b"start", 0).unwrap();
        source.write_all_at(&[7; 100_000], 70 << 20).unwrap();
        source.file().set_len(80 << 20).unwrap();
        copy(&DiskFile::open(path("a")).unwrap(), &make("b")).unwrap();
        assert!(std::fs::read(path("a")).unwrap() == std::fs::read(path("b")).unwrap());
        let part = 0..80 << 20;
        let through = make("c");
        copy_through_memory(&DiskFile::open(path("a")).unwrap(), &through, part).unwrap();
        assert!(std::fs::read(path("a")).unwrap() == std::fs::read(path("c")).unwrap());
    }
}
