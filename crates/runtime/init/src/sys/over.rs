//! One tree copied over another.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid, fchmod, fchown, mkdirat, openat, openat2,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

/// Copies the folders, files and links of the tree `from` over the tree `root`, with their modes and owners: how many files and links
/// there were. The links of `root` are followed as if it were the root, so that nothing is written elsewhere.
pub(super) fn copy_over(from: &str, root: &str) -> io::Result<u64> {
    let top = File::open(root)?;
    let mut waiting = vec![PathBuf::new()];
    let mut count: u64 = 0;
    while let Some(folder) = waiting.pop() {
        let into = open_folder(top.as_fd(), &folder)?;
        for entry in fs::read_dir(Path::new(from).join(&folder))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let name = entry.file_name();
            if metadata.is_dir() {
                make_folder(&into, &name, &metadata)?;
                waiting.push(folder.join(name));
            } else if metadata.is_file() || metadata.is_symlink() {
                replace(&into, &name, (&entry.path(), &metadata))?;
                count = count.saturating_add(1);
            }
        }
    }
    Ok(count)
}

/// A folder of the tree `top`.
fn open_folder(top: BorrowedFd<'_>, folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = Path::new(".").join(folder);
    Ok(openat2(
        top,
        &path,
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    )?)
}

/// Makes a folder, unless there is something of the name: a folder or a link to one is used as it is.
fn make_folder(into: &OwnedFd, name: &OsString, metadata: &Metadata) -> io::Result<()> {
    match mkdirat(into, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => return Ok(()),
        other => other?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(into, name, flags, Mode::empty())?;
    own(&made, metadata)
}

/// Puts a file or a link in the place of what has its name.
fn replace(
    into: &OwnedFd,
    name: &OsString,
    (source, metadata): (&Path, &Metadata),
) -> io::Result<()> {
    match unlinkat(into, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    if metadata.is_symlink() {
        return Ok(symlinkat(fs::read_link(source)?, into, name)?);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let made = openat(into, name, flags, Mode::from_raw_mode(0o600))?;
    let mut target = File::from(made);
    io::copy(&mut File::open(source)?, &mut target)?;
    own(&target, metadata)
}

/// The owner first, as a change of owner takes the bits of a mode that give rights.
fn own(made: impl AsFd, metadata: &Metadata) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    fchown(&made, Some(user), Some(group))?;
    Ok(fchmod(
        &made,
        Mode::from_raw_mode(metadata.mode() & 0o7777),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn write(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_take_the_place_of_others_and_links_of_the_root_stay_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let (from, root) = (folder.path().join("from"), folder.path().join("root"));
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        write(&root.join("usr/lib/old"), "old", 0o644);
        write(&root.join("etc/config"), "old", 0o600);
        write(&root.join("etc/kept"), "kept", 0o644);
        symlink("usr/lib", root.join("lib")).unwrap();
        symlink(&outside, root.join("var")).unwrap();
        fs::create_dir_all(root.join(outside.strip_prefix("/").unwrap())).unwrap();
        symlink("/etc/kept", root.join("etc/link")).unwrap();
        write(&from.join("lib/new"), "new", 0o755);
        write(&from.join("etc/config"), "new", 0o640);
        write(&from.join("etc/link"), "a file now", 0o644);
        write(&from.join("var/file"), "inside", 0o644);
        symlink("config", from.join("etc/second")).unwrap();
        let count = copy_over(from.to_str().unwrap(), root.to_str().unwrap()).unwrap();
        assert_eq!(count, 5);
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        assert_eq!(read("usr/lib/new"), "new");
        assert_eq!(read("usr/lib/old"), "old");
        assert_eq!(read("etc/config"), "new");
        assert_eq!(read("etc/second"), "new");
        assert_eq!(read("etc/link"), "a file now");
        assert_eq!(read("etc/kept"), "kept");
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().mode() & 0o7777;
        assert_eq!((mode("usr/lib/new"), mode("etc/config")), (0o755, 0o640));
        // Where the link leads, below the root and not beside it.
        assert!(fs::read_dir(&outside).unwrap().next().is_none());
        let inside = root.join(outside.strip_prefix("/").unwrap()).join("file");
        assert_eq!(fs::read_to_string(inside).unwrap(), "inside");
    }

    #[test]
    fn a_file_where_the_root_has_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (from, root) = (folder.path().join("from"), folder.path().join("root"));
        write(&from.join("a"), "", 0o644);
        fs::create_dir_all(root.join("a")).unwrap();
        assert!(copy_over(from.to_str().unwrap(), root.to_str().unwrap()).is_err());
    }
}
