//! Looking at everything in the scratch, to know later what changed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use block::{Error, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use tree::Timestamp;

/// What any change of a file changes too: the kernel sets `ctime` for every one, and nothing else can set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) inode: u64,
    pub(super) changed: Timestamp,
    pub(super) len: u64,
    pub(super) mode: u16,
    pub(super) owner: (u32, u32),
    pub(super) links: u32,
}

impl Stamp {
    pub(super) fn of(stat: &Statx) -> Self {
        Self {
            inode: stat.stx_ino,
            changed: Timestamp {
                seconds: stat.stx_ctime.tv_sec,
                nanoseconds: stat.stx_ctime.tv_nsec,
            },
            len: stat.stx_size,
            mode: stat.stx_mode,
            owner: (stat.stx_uid, stat.stx_gid),
            links: stat.stx_nlink,
        }
    }

    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode.into())
    }
}

/// The names in a folder.
pub(super) fn names(folder: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// The folder at `path` below `root`, without following any symbolic link.
pub(super) fn open_folder(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(rustix::fs::openat2(
        root,
        path,
        flags,
        Mode::empty(),
        resolve,
    )?)
}

/// What `name` in `folder` is, itself.
pub(super) fn stat(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::statx(
        folder,
        name,
        flags,
        StatxFlags::BASIC_STATS,
    )?)
}

/// The folder that `path` is in, and its name there; the root is `.` in itself.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => {
            let (parent, name) = path.split_at(slash);
            (parent, name.get(1..).unwrap_or_default())
        }
        None if path.is_empty() => (b"", b"."),
        None => (b"", path),
    }
}

/// `name` below `path`.
pub(super) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        name.to_vec()
    } else {
        [path, b"/", name].concat()
    }
}

/// Looks at everything below `root`, and at itself.
///
/// # Errors
///
/// [`block::Kind::Limit`] where a path is longer than the kernel takes; what the kernel answers.
pub(super) fn scan(root: BorrowedFd<'_>) -> Result<BTreeMap<Vec<u8>, Stamp>> {
    let mut stamps = BTreeMap::new();
    let own = stat(root, b".").map_err(|error| failure(b"", error))?;
    stamps.insert(Vec::new(), Stamp::of(&own));
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let below = scan_folder(root, &path).map_err(|error| failure(&path, error))?;
        for (path, stamp) in below {
            if stamp.kind() == FileType::Directory {
                pending.push(path.clone());
            }
            stamps.insert(path, stamp);
        }
    }
    Ok(stamps)
}

fn scan_folder(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Vec<(Vec<u8>, Stamp)>> {
    let folder = open_folder(root, path)?;
    names(folder.as_fd())?
        .into_iter()
        .map(|name| {
            let stat = stat(folder.as_fd(), &name)?;
            Ok((join(path, &name), Stamp::of(&stat)))
        })
        .collect()
}

/// An error at `path` of the tree.
pub(super) fn failure(path: &[u8], error: io::Error) -> Error {
    let shown = crate::spec::path_of(&[b"/", path].concat());
    if error.raw_os_error() == Some(rustix::io::Errno::NAMETOOLONG.raw_os_error()) {
        let message = "its path is over 4095 bytes, which no program can name";
        return Error::limit("reading the sandbox's folder", message).in_file(shown);
    }
    Error::io("reading the sandbox's folder", error).in_file(shown)
}
