//! The scratch: a folder with the unpacked tree and what belongs to it, and what older ones left behind.
//!
//! ```text
//! .liveos-sandbox-PID-N/   mode 0700
//!   lock                   locked as long as the keeper lives
//!   root/                  the tree
//!   own/                   folders that programs see and that are in no tree, /tmp among them, by number
//!   lent/                  files that a program sees and that are in no tree, by number
//!   aside/                 on its way to be removed
//!   pack                   bytes of changed files, in the order in which they were read back
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use block::{Error, Result};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use tree::Timestamp;

use super::remove;
use super::scan::{self, Stamp};

/// What the names of all scratches begin with.
const PREFIX: &str = ".liveos-sandbox-";
/// How many names are tried before giving up: each that is taken is another keeper of our number that died.
const MAX_NAMES: u32 = 1000;
/// How long the file system's clock may take to move on, in milliseconds. Its step is 10 at the most; a clock that was set back
/// meanwhile is not waited for.
const MAX_WAIT: u32 = 1000;

/// The keeper's folder.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    top: OwnedFd,
    root: OwnedFd,
    aside: OwnedFd,
    pack: File,
    /// Locked; only held.
    _lock: OwnedFd,
    /// How everything was when it was remembered last.
    pub(super) stamps: BTreeMap<Vec<u8>, Stamp>,
    started: Timestamp,
    /// Numbers the names in `aside`.
    moved: u64,
    /// The folders in `own`, each with the path where programs see it.
    own: Vec<Vec<u8>>,
}

impl Scratch {
    /// Makes one below `base`, and removes those whose keeper is dead.
    pub(super) fn create(base: &Path) -> Result<Self> {
        remove_stale(base);
        let (folder, top, lock) = claim(base)?;
        Self::fill(&folder, top, lock).map_err(|error| {
            // What is half made is of no use. Where even that fails, the next keeper finds it.
            if let Ok(top) = rustix::fs::open(&folder, FOLDER, Mode::empty()) {
                let _ = discard(&folder, &top);
            }
            Error::io("making a folder for the sandbox", error.into()).in_file(&folder)
        })
    }

    /// Makes what is in the folder.
    fn fill(folder: &Path, top: OwnedFd, lock: OwnedFd) -> rustix::io::Result<Self> {
        let folder_mode = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
        for (name, mode) in [
            ("root", folder_mode),
            ("own", Mode::RWXU),
            ("lent", Mode::RWXU),
            ("aside", Mode::RWXU),
        ] {
            rustix::fs::mkdirat(&top, name, mode)?;
        }
        let open = |name: &str| rustix::fs::openat(&top, name, FOLDER, Mode::empty());
        let (root, aside) = (open("root")?, open("aside")?);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let pack = rustix::fs::openat(&top, "pack", flags, Mode::RUSR | Mode::WUSR)?;
        let mut scratch = Self {
            folder: folder.to_path_buf(),
            top,
            root,
            aside,
            pack: File::from(pack),
            _lock: lock,
            stamps: BTreeMap::new(),
            started: Timestamp::default(),
            moved: 0,
            own: Vec::new(),
        };
        scratch.started = scratch.now()?;
        Ok(scratch)
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The tree's root folder.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The folder of it all.
    pub(super) fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// The bytes of changed files.
    pub(super) fn pack(&mut self) -> &mut File {
        &mut self.pack
    }

    /// The time of the file system when the scratch was made.
    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    /// The folder that programs see at `path` and that is in no tree: made at the first call, with the permissions of `/tmp` for
    /// `/tmp` and those of any folder else.
    pub(super) fn own(&mut self, path: &[u8]) -> std::io::Result<PathBuf> {
        let known = self.own.iter().position(|own| own == path);
        let number = known.unwrap_or(self.own.len());
        let folder = self.folder.join("own").join(number.to_string());
        if known.is_none() {
            let mode = if path == b"tmp" { 0o1777 } else { 0o755 };
            rustix::fs::mkdir(&folder, Mode::from_raw_mode(mode))?;
            self.own.push(path.to_vec());
        }
        Ok(folder)
    }

    /// A file with these bytes beside the tree; the next call with the same number takes its place.
    pub(super) fn lend(
        &self,
        number: usize,
        bytes: &[u8],
        executable: bool,
    ) -> std::io::Result<PathBuf> {
        let path = self.folder.join("lent").join(number.to_string());
        match rustix::fs::unlink(&path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let file = rustix::fs::open(&path, flags, mode)?;
        std::io::Write::write_all(&mut File::from(file), bytes)?;
        Ok(path)
    }

    /// Removes `name` in `parent`, with all below it.
    pub(super) fn remove_below(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
    ) -> std::io::Result<()> {
        remove::remove(parent, name, self.aside.as_fd(), &mut self.moved)
    }

    /// Remembers how everything is. Whatever changes after this call has another stamp.
    pub(super) fn remember(&mut self) -> Result<()> {
        self.stamps = scan::scan(self.root.as_fd())?;
        let latest = self.stamps.values().map(|stamp| stamp.changed).max();
        let latest = latest.unwrap_or_default();
        for _ in 0..MAX_WAIT {
            let now = self.now().map_err(|error| {
                Error::io("reading the file system's clock", error.into()).in_file(&self.folder)
            })?;
            if now > latest {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(())
    }

    /// The time that the file system gives to what changes now.
    fn now(&self) -> rustix::io::Result<Timestamp> {
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        rustix::fs::utimensat(&self.top, "lock", &times, AtFlags::empty())?;
        let stat = rustix::fs::statx(&self.top, "lock", AtFlags::empty(), StatxFlags::CTIME)?;
        Ok(Timestamp {
            seconds: stat.stx_ctime.tv_sec,
            nanoseconds: stat.stx_ctime.tv_nsec,
        })
    }

    /// Removes all of it.
    pub(super) fn remove(self) -> Result<()> {
        discard(&self.folder, &self.top)
            .map_err(|error| Error::io("removing the sandbox's folder", error).in_file(self.folder))
    }
}

/// How folders are opened: never through a symbolic link.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Makes a folder that is ours alone, and locks it.
fn claim(base: &Path) -> Result<(PathBuf, OwnedFd, OwnedFd)> {
    let doing =
        |error: Errno| Error::io("making a folder for the sandbox", error.into()).in_file(base);
    let pid = std::process::id();
    for number in 0..MAX_NAMES {
        let folder = base.join(format!("{PREFIX}{pid}-{number}"));
        match rustix::fs::mkdir(&folder, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(doing(error)),
        }
        let top = rustix::fs::open(&folder, FOLDER, Mode::empty()).map_err(doing)?;
        match lock(&top) {
            Ok(lock) => return Ok((folder, top, lock)),
            // Another keeper took the empty folder for a leftover in this moment.
            Err(Errno::NOENT | Errno::AGAIN) => {}
            Err(error) => return Err(doing(error)),
        }
    }
    let message = format!("{MAX_NAMES} names are taken");
    Err(Error::limit("making a folder for the sandbox", message).in_file(base))
}

/// Takes the lock of a scratch.
fn lock(top: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = rustix::fs::openat(top, "lock", flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}

/// Removes the scratches below `base` whose lock is free. What cannot be removed stays: it is not this build's.
fn remove_stale(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            continue;
        }
        let folder = entry.path();
        let Ok(top) = rustix::fs::open(&folder, FOLDER, Mode::empty()) else {
            continue;
        };
        let has_lock = rustix::fs::statx(&top, "lock", AtFlags::empty(), StatxFlags::TYPE).is_ok();
        if !has_lock {
            // Either a keeper died in this moment or one begins in it: its next step fails then, and it takes another name.
            let _ = rustix::fs::rmdir(&folder);
            continue;
        }
        if let Ok(_held) = lock(&top) {
            let _ = discard(&folder, &top);
        }
    }
}

/// Removes the scratch at `folder`; the lock goes last, so that what is left is known for a leftover.
fn discard(folder: &Path, top: &OwnedFd) -> std::io::Result<()> {
    let mut moved = 0;
    let aside = match rustix::fs::mkdirat(top, "aside", Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => rustix::fs::openat(top, "aside", FOLDER, Mode::empty())?,
        Err(error) => return Err(error.into()),
    };
    for name in scan::names(top.as_fd())? {
        if name != b"lock" && name != b"aside" {
            remove::remove(top.as_fd(), &name, aside.as_fd(), &mut moved)?;
        }
    }
    for name in scan::names(aside.as_fd())? {
        remove::remove(aside.as_fd(), &name, aside.as_fd(), &mut moved)?;
    }
    rustix::fs::unlinkat(top, "aside", AtFlags::REMOVEDIR)?;
    rustix::fs::unlinkat(top, "lock", AtFlags::empty())?;
    Ok(rustix::fs::rmdir(folder)?)
}
