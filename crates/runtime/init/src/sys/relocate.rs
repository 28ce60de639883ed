//! A whole tree to another file system, in the memory of one: each file leaves the one before the next comes to the other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use contract::attributes::{Attributes, Set};
use contract::media;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, mknodat, utimensat,
};
use rustix::io::Errno;

use crate::stage::selinux::LABEL;
use crate::system::Moved;

/// Files longer than this go in pieces of this length, the last first, and become shorter as they go. In bytes.
const PIECE: u64 = 8 << 20;

/// A folder whose content is being moved, or a name that is to come.
enum Step {
    Enter(PathBuf),
    Leave(PathBuf, Box<Metadata>),
}

struct Mover<'a> {
    from: &'a Path,
    to: &'a Path,
    list: &'a Attributes,
    /// The new place of each inode with several names.
    links: BTreeMap<u64, PathBuf>,
    moved: Moved,
    buffer: Vec<u8>,
}

/// Moves all of `from` but the folder of our own to `to`, a file system with nothing in it, and gives each file what `list` has for it.
/// The program at `/init` is ours and stays behind; the system's own comes back to its place.
pub(super) fn relocate(from: &str, to: &str, list: &Attributes) -> io::Result<Moved> {
    restore_init(from)?;
    let mut mover = Mover {
        from: Path::new(from),
        to: Path::new(to),
        list,
        links: BTreeMap::new(),
        moved: Moved::default(),
        buffer: vec![0; usize::try_from(PIECE).unwrap_or_default()],
    };
    let top = fs::symlink_metadata(from)?;
    mover.label(Path::new(""), Path::new(to))?;
    let mut steps = vec![Step::Leave(PathBuf::new(), Box::new(top.clone()))];
    mover.children(&PathBuf::new(), &mut steps)?;
    while let Some(step) = steps.pop() {
        let (path, done) = match &step {
            Step::Enter(path) => (path, mover.enter(path, top.dev(), &mut steps)),
            Step::Leave(path, metadata) => (path, mover.leave(path, metadata)),
        };
        done.map_err(|error| {
            io::Error::new(error.kind(), format!("/{}: {error}", path.display()))
        })?;
    }
    Ok(mover.moved)
}

/// Takes our program away from `/init` and puts the system's there, if it has one.
fn restore_init(from: &str) -> io::Result<()> {
    let ours = format!("{from}{}", media::INIT);
    match fs::rename(format!("{from}{}", media::FULL_OS_INIT), &ours) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    match fs::remove_file(&ours) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Mover<'_> {
    fn children(&self, folder: &Path, steps: &mut Vec<Step>) -> io::Result<()> {
        for entry in fs::read_dir(self.from.join(folder))? {
            let path = folder.join(entry?.file_name());
            let is_ours = folder.as_os_str().is_empty()
                && path.as_os_str() == media::FULL_OS_DIR.trim_start_matches('/');
            if !is_ours {
                steps.push(Step::Enter(path));
            }
        }
        Ok(())
    }

    fn enter(&mut self, path: &Path, device: u64, steps: &mut Vec<Step>) -> io::Result<()> {
        let (old, new) = (self.from.join(path), self.to.join(path));
        let metadata = fs::symlink_metadata(&old)?;
        if metadata.dev() != device {
            return Ok(());
        }
        if metadata.is_dir() {
            fs::create_dir(&new)?;
            self.label(path, &new)?;
            steps.push(Step::Leave(path.to_path_buf(), Box::new(metadata)));
            return self.children(path, steps);
        }
        if let Some(first) = self.links.get(&metadata.ino()) {
            fs::hard_link(first, &new)?;
            self.count(path);
            return fs::remove_file(&old);
        }
        if metadata.is_file() {
            self.file(&old, &new, metadata.len())?;
        } else if metadata.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&old)?, &new)?;
        } else {
            let kind = FileType::from_raw_mode(metadata.mode());
            mknodat(CWD, &new, kind, Mode::empty(), metadata.rdev())?;
        }
        self.attributes(path, &new, &metadata)?;
        if metadata.nlink() > 1 {
            self.links.insert(metadata.ino(), new);
        }
        fs::remove_file(&old)
    }

    /// A folder gets what it has when all is in it: ACLs would be inherited, and its time would change.
    fn leave(&mut self, path: &Path, metadata: &Metadata) -> io::Result<()> {
        let new = self.to.join(path);
        self.attributes(path, &new, metadata)?;
        // One that something is mounted on stays, and costs next to nothing.
        let _ = fs::remove_dir(self.from.join(path));
        Ok(())
    }

    fn file(&mut self, old: &Path, new: &Path, len: u64) -> io::Result<()> {
        let mut target = File::options().write(true).create_new(true).open(new)?;
        self.moved.content_len = self.moved.content_len.saturating_add(len);
        if len <= PIECE {
            let mut source = File::open(old)?;
            let size = usize::try_from(len).unwrap_or_default();
            let piece = self.buffer.get_mut(..size).unwrap_or_default();
            source.read_exact(piece)?;
            return target.write_all(piece);
        }
        self.long_file(old, &target, len)
    }

    /// From the end on, so that the file can be cut where it was read: what is moved is nowhere twice but for one piece.
    fn long_file(&mut self, old: &Path, target: &File, len: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let source = File::options().read(true).write(true).open(old)?;
        let mut end = len;
        while end > 0 {
            let size = match end.checked_rem(PIECE) {
                Some(0) | None => PIECE,
                Some(rest) => rest,
            };
            let start = end.saturating_sub(size);
            let size = usize::try_from(size).unwrap_or_default();
            let piece = self.buffer.get_mut(..size).unwrap_or_default();
            source.read_exact_at(piece, start)?;
            // A hole stays one.
            if piece.iter().any(|byte| *byte != 0) {
                target.write_all_at(piece, start)?;
            } else if end == len {
                target.set_len(len)?;
            }
            source.set_len(start)?;
            end = start;
        }
        Ok(())
    }

    /// Owner, mode, extended attributes and times, in an order in which none takes another away.
    fn attributes(&mut self, path: &Path, new: &Path, metadata: &Metadata) -> io::Result<()> {
        std::os::unix::fs::lchown(new, Some(metadata.uid()), Some(metadata.gid()))?;
        if !metadata.is_symlink() {
            fs::set_permissions(new, Permissions::from_mode(metadata.mode() & 0o7777))?;
        }
        if let Some(set) = self.count(path) {
            self.xattrs(new, &set)?;
        }
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: metadata.mtime(),
                tv_nsec: metadata.mtime_nsec(),
            },
            last_modification: Timespec {
                tv_sec: metadata.mtime(),
                tv_nsec: metadata.mtime_nsec(),
            },
        };
        Ok(utimensat(CWD, new, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// A folder has its label before anything comes into it: a file without one gets what a new file there would have.
    fn label(&self, path: &Path, new: &Path) -> io::Result<()> {
        let set = self.listed(path);
        let label = set.as_ref().and_then(|set| set.get(LABEL));
        let Some(label) = label else {
            return Ok(());
        };
        match lsetxattr(new, LABEL, label, XattrFlags::empty()) {
            // Told when the folder is left.
            Ok(()) | Err(Errno::NOTSUP | Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the list has for a name, which is counted.
    fn count(&mut self, path: &Path) -> Option<Set> {
        let set = self.listed(path)?;
        self.moved.listed = self.moved.listed.saturating_add(1);
        Some(set)
    }

    fn listed(&self, path: &Path) -> Option<Set> {
        let mut absolute = vec![b'/'];
        absolute.extend_from_slice(path.as_os_str().as_bytes());
        self.list.get(&absolute).map(Set::clone)
    }

    fn xattrs(&mut self, new: &Path, set: &Set) -> io::Result<()> {
        for (name, value) in set.iter() {
            let name = OsStr::from_bytes(name);
            match lsetxattr(new, name, value, XattrFlags::empty()) {
                Ok(()) => {}
                // Not of this kernel, or not of this policy: what an installed system would have as unlabelled.
                Err(Errno::NOTSUP | Errno::INVAL) => {
                    let name = name.to_string_lossy().into_owned();
                    let lost = self.moved.lost.entry(name).or_default();
                    *lost = lost.saturating_add(1);
                }
                Err(error) => {
                    let error = io::Error::from(error);
                    let message = format!("{}: {error}", name.to_string_lossy());
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
