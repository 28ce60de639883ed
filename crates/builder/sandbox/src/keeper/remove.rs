//! Removing a folder with all below it, however deep it is.
//!
//! A folder that is not empty is moved up to a folder aside first, so that one level is all there ever is.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::scan;

/// Removes `name` in `parent`; `aside` is a folder of the same file system, `moved` numbers the names in it.
pub(super) fn remove(
    parent: BorrowedFd<'_>,
    name: &[u8],
    aside: BorrowedFd<'_>,
    moved: &mut u64,
) -> io::Result<()> {
    let mut pending = Vec::new();
    take(parent, name, aside, moved, &mut pending)?;
    while let Some(name) = pending.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(aside, name.as_slice(), flags, Mode::empty())?;
        for child in scan::names(folder.as_fd())? {
            take(folder.as_fd(), &child, aside, moved, &mut pending)?;
        }
        rustix::fs::unlinkat(aside, name.as_slice(), AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Removes `name`, or moves it aside where it is a folder that is not empty.
fn take(
    parent: BorrowedFd<'_>,
    name: &[u8],
    aside: BorrowedFd<'_>,
    moved: &mut u64,
    pending: &mut Vec<Vec<u8>>,
) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    loop {
        let place = format!("removed-{moved}").into_bytes();
        *moved = moved.saturating_add(1);
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(parent, name, aside, place.as_slice(), flags) {
            Ok(()) => {
                pending.push(place);
                return Ok(());
            }
            // A leftover of a keeper that was killed while it removed.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
