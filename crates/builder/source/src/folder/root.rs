//! The folder itself, and the way to what lies in it: never through a symbolic link, never out of it.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use block::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How many files are open at a time, of the 1024 that a process may mostly have. A file that was closed meanwhile is opened again.
const MAX_OPEN: usize = 64;

/// The longest path that is handed to the kernel at once, whose own limit is 4095 bytes (`PATH_MAX`). Longer ones are walked in parts.
const MAX_PART: usize = 3000;

/// A file that is open, by its path.
type OpenFile = (Box<[u8]>, Arc<File>);

/// A folder of this machine, open.
pub(super) struct Root {
    fd: OwnedFd,
    path: PathBuf,
    /// What was read last, the latest first.
    open: Mutex<VecDeque<OpenFile>>,
}

impl Root {
    /// Opens the folder at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::io("opening the folder", error.into()).in_file(path))?;
        Ok(Self {
            fd,
            path: path.to_path_buf(),
            open: Mutex::default(),
        })
    }

    /// The open folder.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What lies at `path` below the folder, as the user knows it.
    pub(super) fn shown(&self, path: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(path))
    }

    /// Opens the folder at `path` below this one; the empty path is this one.
    pub(super) fn open_folder(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        self.open_below(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// The file at `path` below the folder, open; `check` is asked whether it is the right one.
    ///
    /// The lock is not held meanwhile, so two threads may open the same file.
    pub(super) fn file(
        &self,
        path: &[u8],
        check: impl FnOnce(&File) -> Result<()>,
    ) -> Result<Arc<File>> {
        if let Some(file) = self.find(path) {
            return Ok(file);
        }
        // A pipe that took the file's place meanwhile must not block.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.open_below(path, flags) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {
                return Err(super::changed("it vanished"));
            }
            Err(error) => return Err(Error::io("opening the file", error.into())),
        };
        check(&file)?;
        let file = Arc::new(file);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_front((path.into(), Arc::clone(&file)));
        open.truncate(MAX_OPEN);
        Ok(file)
    }

    fn find(&self, path: &[u8]) -> Option<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = open.iter().position(|(known, _)| **known == *path)?;
        let entry = open.remove(place)?;
        let file = Arc::clone(&entry.1);
        open.push_front(entry);
        Some(file)
    }

    /// Opens what lies at `path` below the folder.
    fn open_below(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mut from: Option<OwnedFd> = None;
        let mut rest = path;
        while rest.len() > MAX_PART {
            let part = rest.get(..MAX_PART).unwrap_or(rest);
            let Some(slash) = part.iter().rposition(|byte| *byte == b'/') else {
                return Err(Errno::NAMETOOLONG);
            };
            let (part, later) = rest.split_at(slash);
            let at = from.as_ref().map_or(self.fd(), AsFd::as_fd);
            from = Some(open_at(at, part, OFlags::PATH | OFlags::DIRECTORY)?);
            rest = later.get(1..).unwrap_or_default();
        }
        let at = from.as_ref().map_or(self.fd(), AsFd::as_fd);
        open_at(at, rest, flags)
    }
}

/// Opens `path` below `at`, through no symbolic link.
///
/// A kernel before 5.6, or a filter for system calls, knows no `openat2`: then the way may go through symbolic links that were put there
/// just now, and who asked has to look at what was opened.
fn open_at(at: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(at, path, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(at, path, flags, Mode::empty()),
        answer => answer,
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
