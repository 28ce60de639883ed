//! Reading back what changed: bytes of changed files are copied to the pack, everything else is told.
//!
//! The pack only grows and is never written twice, so what was read back once stays as it was whatever programs do later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::Arc;

use block::{Error, Result};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Statx};
use tree::{Device, Metadata, Timestamp};

use super::Channel;
use super::scan::{self, Stamp, split};
use super::scratch::Scratch;
use crate::message::{Answer, Found, FoundKind, Run};
use crate::xattrs;

/// Tells what changed since the scratch was remembered, and remembers it as it is now.
pub(super) fn collect(scratch: &mut Scratch, channel: &mut Channel) -> Result<()> {
    let before = std::mem::take(&mut scratch.stamps);
    scratch.remember()?;
    let now = std::mem::take(&mut scratch.stamps);
    let mut gone: Option<&[u8]> = None;
    for path in before.keys().filter(|path| !now.contains_key(*path)) {
        let is_below = |above: &[u8]| {
            path.strip_prefix(above)
                .is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        if !gone.is_some_and(is_below) {
            channel.answer(&Answer::Removed(path.clone()))?;
            gone = Some(path);
        }
    }
    let result = tell(scratch, channel, &before, &now);
    scratch.stamps = now;
    result?;
    let started = scratch.started();
    channel.answer(&Answer::Collected(started))
}

fn tell(
    scratch: &mut Scratch,
    channel: &mut Channel,
    before: &BTreeMap<Vec<u8>, Stamp>,
    now: &BTreeMap<Vec<u8>, Stamp>,
) -> Result<()> {
    let is_changed = |(path, stamp): &(&Vec<u8>, &Stamp)| before.get(*path) != Some(*stamp);
    // Of a file with several names all are told, or none.
    let linked: BTreeSet<u64> = now
        .iter()
        .filter(is_changed)
        .filter(|(_, stamp)| has_more_names(stamp))
        .map(|(_, stamp)| stamp.inode)
        .collect();
    let mut first: BTreeMap<u64, &Vec<u8>> = BTreeMap::new();
    for (path, stamp) in now {
        let is_linked = has_more_names(stamp) && linked.contains(&stamp.inode);
        if !is_linked && !is_changed(&(path, stamp)) {
            continue;
        }
        let known = is_linked.then(|| *first.entry(stamp.inode).or_insert(path));
        let link = known.filter(|known| *known != path).cloned();
        let found = look(scratch, path, link).map_err(|error| {
            let shown = crate::spec::path_of(&[b"/", path.as_slice()].concat());
            Error::io("reading back from the sandbox", error).in_file(shown)
        })?;
        channel.answer(&Answer::Found(Box::new(found)))?;
    }
    Ok(())
}

fn has_more_names(stamp: &Stamp) -> bool {
    stamp.links > 1 && stamp.kind() != FileType::Directory
}

/// What is at `path` now.
fn look(scratch: &mut Scratch, path: &[u8], link: Option<Vec<u8>>) -> io::Result<Found> {
    let (folder, name) = split(path);
    let folder = scan::open_folder(scratch.root(), folder)?;
    let stat = scan::stat(folder.as_fd(), name)?;
    let device = || Device {
        major: stat.stx_rdev_major,
        minor: stat.stx_rdev_minor,
    };
    let kind = match (link, FileType::from_raw_mode(stat.stx_mode.into())) {
        (Some(first), _) => FoundKind::Link(first),
        (None, FileType::Directory) => FoundKind::Directory,
        (None, FileType::Symlink) => {
            let target = rustix::fs::readlinkat(&folder, name, Vec::new())?;
            FoundKind::Symlink(target.into_bytes())
        }
        (None, FileType::CharacterDevice) => FoundKind::Character(device()),
        (None, FileType::BlockDevice) => FoundKind::Block(device()),
        (None, FileType::Fifo) => FoundKind::Fifo,
        (None, FileType::Socket) => FoundKind::Socket,
        (None, _) => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&folder, name, flags, Mode::empty())?;
            FoundKind::File {
                len: stat.stx_size,
                runs: copy(&File::from(file), stat.stx_size, scratch.pack())?,
            }
        }
    };
    Ok(Found {
        path: path.to_vec(),
        metadata: metadata(folder.as_fd(), name, &stat)?,
        kind,
    })
}

fn metadata(folder: BorrowedFd<'_>, name: &[u8], stat: &Statx) -> io::Result<Metadata> {
    let place = xattrs::place(folder.as_raw_fd(), name);
    let mut found = BTreeMap::new();
    for key in xattrs::list(&place)? {
        if xattrs::is_carried(&key)
            && let Some(value) = xattrs::get(&place, &key)?
        {
            found.insert(key.into_boxed_slice(), value.into_boxed_slice());
        }
    }
    Ok(Metadata {
        permissions: stat.stx_mode & tree::mode::PERMISSIONS,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        mtime: Timestamp {
            seconds: stat.stx_mtime.tv_sec,
            nanoseconds: stat.stx_mtime.tv_nsec,
        },
        xattrs: Arc::new(found),
    })
}

/// Copies the data of `file` to the end of the pack, without its holes.
fn copy(file: &File, len: u64, pack: &mut File) -> io::Result<Vec<Run>> {
    let mut runs = Vec::new();
    let mut at = 0;
    let mut from = pack.seek(io::SeekFrom::End(0))?;
    while at < len {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            // A file system that cannot say: then all of it is data.
            Err(rustix::io::Errno::INVAL) => at,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(len);
        let end = end.min(len);
        rustix::fs::seek(file, SeekFrom::Start(start))?;
        let copied = io::copy(&mut file.take(end.saturating_sub(start)), pack)?;
        if copied == 0 {
            break;
        }
        runs.push(Run {
            to: start,
            from,
            len: copied,
        });
        from = from.saturating_add(copied);
        at = start.saturating_add(copied);
    }
    Ok(runs)
}
