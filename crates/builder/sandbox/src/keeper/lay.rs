//! Laying a tree down in the scratch, one order at a time.
//!
//! The first order that fails is kept, and those after it are passed over: `liveos` learns of it when it asks.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use block::{Error, Result};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, makedev,
};
use rustix::io::Errno;
use tree::Metadata;

use super::scan::{self, split};
use super::scratch::Scratch;
use crate::message::Order;
use crate::xattrs;

/// What is being laid down.
#[derive(Debug, Default)]
pub(super) struct Layer {
    fault: Option<Error>,
    /// The folder that was used last, with its path.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// The file whose bytes follow.
    file: Option<(Vec<u8>, File)>,
    withheld: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Layer {
    /// Does what `order` says, unless one before failed.
    pub(super) fn lay(&mut self, scratch: &mut Scratch, order: Order) {
        if self.fault.is_some() {
            return;
        }
        if let Err(error) = self.follow(scratch, order) {
            self.fault = Some(error);
        }
    }

    /// The end: the xattrs that could not be set, by path and name.
    pub(super) fn finish(self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match self.fault {
            Some(error) => Err(error),
            None => Ok(self.withheld),
        }
    }

    fn follow(&mut self, scratch: &mut Scratch, order: Order) -> Result<()> {
        if let Order::Data(offset, bytes) = order {
            let Some((path, file)) = &self.file else {
                return Err(Error::corrupt("laying down a file", "no file was made"));
            };
            return file
                .write_all_at(&bytes, offset)
                .map_err(|error| failure(path, error));
        }
        self.file = None;
        let path = match &order {
            Order::Remove(path)
            | Order::Directory(path)
            | Order::File(path, _)
            | Order::Symlink(path, _)
            | Order::Fifo(path)
            | Order::Socket(path)
            | Order::Link(path, _)
            | Order::Metadata(path, _) => path.clone(),
            _ => Vec::new(),
        };
        self.follow_at(scratch, &path, order)
            .map_err(|error| failure(&path, error))
    }

    fn follow_at(&mut self, scratch: &mut Scratch, path: &[u8], order: Order) -> io::Result<()> {
        let (folder, name) = split(path);
        if let Order::Remove(_) = order {
            self.parent = None;
            let parent = scan::open_folder(scratch.root(), folder)?;
            return scratch.remove_below(parent.as_fd(), name);
        }
        let parent = self.parent(scratch, folder)?;
        match order {
            Order::Directory(_) => match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(error) => Err(error.into()),
            },
            Order::File(_, len) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
                rustix::fs::ftruncate(&file, len)?;
                self.file = Some((path.to_vec(), File::from(file)));
                Ok(())
            }
            Order::Symlink(_, target) => {
                Ok(rustix::fs::symlinkat(target.as_slice(), parent, name)?)
            }
            Order::Fifo(_) => special(parent, name, FileType::Fifo),
            Order::Socket(_) => special(parent, name, FileType::Socket),
            Order::Link(_, existing) => {
                let (folder, first) = split(&existing);
                let from = scan::open_folder(scratch.root(), folder)?;
                let to = self.parent(scratch, split(path).0)?;
                Ok(rustix::fs::linkat(
                    &from,
                    first,
                    to,
                    name,
                    AtFlags::empty(),
                )?)
            }
            Order::Metadata(_, metadata) => {
                let unset = set_metadata(parent, name, &metadata)?;
                let place = |name| (path.to_vec(), name);
                self.withheld.extend(unset.into_iter().map(place));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The folder at `path`, opened once for all that follow each other in it.
    fn parent(&mut self, scratch: &Scratch, path: &[u8]) -> io::Result<BorrowedFd<'_>> {
        if self.parent.as_ref().is_none_or(|(held, _)| held != path) {
            self.parent = Some((path.to_vec(), scan::open_folder(scratch.root(), path)?));
        }
        let (_, folder) = self.parent.as_ref().ok_or(Errno::NOENT)?;
        Ok(folder.as_fd())
    }
}

fn special(parent: BorrowedFd<'_>, name: &[u8], kind: FileType) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(rustix::fs::mknodat(
        parent,
        name,
        kind,
        mode,
        makedev(0, 0),
    )?)
}

/// Sets owner, permissions, xattrs and time, in this order: the kernel takes permissions and capabilities away with a new owner.
/// Answers with the names of the xattrs that could not be set.
fn set_metadata(
    parent: BorrowedFd<'_>,
    name: &[u8],
    metadata: &Metadata,
) -> io::Result<Vec<Vec<u8>>> {
    let stat = scan::stat(parent, name)?;
    let is_symlink = FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Symlink;
    if (stat.stx_uid, stat.stx_gid) != (metadata.uid, metadata.gid) {
        let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags).map_err(|error| {
            if error != Errno::INVAL {
                return io::Error::from(error);
            }
            io::Error::other(format!(
                "its owner {}:{} is outside the range of /etc/subuid or /etc/subgid",
                metadata.uid, metadata.gid
            ))
        })?;
    }
    if !is_symlink {
        let mode = Mode::from_raw_mode(metadata.permissions.into());
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty())?;
    }
    let unset = set_xattrs(parent, name, metadata)?;
    let time = Timespec {
        tv_sec: metadata.mtime.seconds,
        tv_nsec: metadata.mtime.nanoseconds.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(unset)
}

fn set_xattrs(
    parent: BorrowedFd<'_>,
    name: &[u8],
    metadata: &Metadata,
) -> io::Result<Vec<Vec<u8>>> {
    let place = xattrs::place(parent.as_raw_fd(), name);
    for old in xattrs::list(&place)? {
        if xattrs::is_carried(&old) && !metadata.xattrs.contains_key(old.as_slice()) {
            rustix::fs::lremovexattr(place.as_slice(), old.as_slice())?;
        }
    }
    let mut unset = Vec::new();
    for (key, value) in metadata.xattrs.iter() {
        if !xattrs::is_carried(key) {
            continue;
        }
        match rustix::fs::lsetxattr(place.as_slice(), &**key, value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOSPC | Errno::DQUOT | Errno::IO) => return Err(Errno::NOSPC.into()),
            // The scratch's file system has no such xattrs: they stay with the tree.
            Err(_) => unset.push(key.to_vec()),
        }
    }
    Ok(unset)
}

fn failure(path: &[u8], error: io::Error) -> Error {
    let shown = crate::spec::path_of(&[b"/", path].concat());
    Error::io("unpacking for the sandbox", error).in_file(shown)
}
