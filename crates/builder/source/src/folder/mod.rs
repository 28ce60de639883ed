//! A folder of this machine that holds a root file system.
//!
//! Names, owners, times, xattrs, hard links, devices and holes are taken as they are; symbolic links are never followed, nor is anything
//! left that lies below the folder. Contents stay where they are: a file is opened when it is read ([`file`]), which has to find it as it
//! was. The one thing easily got wrong: another file system may be mounted anywhere below ([`mount`]).

mod file;
mod mount;
mod root;
mod xattr;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use block::{Content, Error, Piece, Result};
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;
use tree::{Device, Inode, InodeId, Metadata, Name, Node, Timestamp, Tree, mode};

use crate::Warning;
use file::{HostFile, Seen};
use root::Root;
use xattr::XattrReader;

/// How deep folders may be in each other; deeper ones are refused. The readers of file systems have the same limit.
const MAX_DEPTH: usize = 1000;

/// How many files that cannot be read are named in the error.
const NAMED: usize = 5;

/// What an error calls the step.
const WHAT: &str = "reading the folder";

/// A folder of this machine.
#[derive(Clone, Debug)]
pub struct Folder {
    /// How many names it holds, itself included.
    pub names: u64,
}

/// Reads the folder at `path`, which holds a root file system.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where it has no `os-release`, before anything else is looked at; [`Kind::Io`](block::Kind::Io)
/// where it cannot be read, or files of it cannot: the first few are named; [`Kind::Limit`](block::Kind::Limit) where folders lie more
/// than 1000 deep.
pub(crate) fn read(path: &Path, warnings: &mut Vec<Warning>) -> Result<(Folder, Tree<Content>)> {
    let root = Arc::new(Root::open(path)?);
    if !holds_system(&root) {
        let message =
            "it has neither etc/os-release nor usr/lib/os-release, so it is no root file system";
        return Err(Error::not_found(WHAT, message).in_file(path));
    }
    let stat = rustix::fs::fstat(root.fd())
        .map_err(|error| Error::io(WHAT, error.into()).in_file(path))?;
    let mut walk = Walk {
        tree: Tree::new(metadata(&stat)),
        links: BTreeMap::new(),
        xattrs: XattrReader::new(),
        unreadable: Vec::new(),
        unreadable_count: 0,
        names: 1,
        root,
        warnings,
    };
    if stat.st_uid != 0 {
        walk.warn(format!(
            "{} belongs to user {}, not to root; every file keeps the owner that it has here",
            path.display(),
            stat.st_uid
        ));
    }
    walk.run(stat.st_dev)?;
    walk.refuse_unreadable(path)?;
    walk.check_labels(path);
    let folder = Folder { names: walk.names };
    Ok((folder, walk.tree))
}

/// Whether the folder has an `os-release`, or a symbolic link of that name: those of most systems lead from `etc` to `usr/lib`.
fn holds_system(root: &Root) -> bool {
    ["etc/os-release", "usr/lib/os-release"].iter().any(|path| {
        let found = rustix::fs::statat(root.fd(), *path, AtFlags::SYMLINK_NOFOLLOW);
        let kind = found.map(|stat| FileType::from_raw_mode(stat.st_mode));
        matches!(kind, Ok(FileType::RegularFile | FileType::Symlink))
    })
}

/// A folder whose names are still to be read.
struct Pending {
    id: InodeId,
    /// From the root on, without a slash at the start; empty for the root itself.
    path: Vec<u8>,
    /// The device of the folder, and of the one that it lies in.
    devices: (u64, u64),
    depth: usize,
}

struct Walk<'a> {
    root: Arc<Root>,
    tree: Tree<Content>,
    /// Files with several names, by device and inode number.
    links: BTreeMap<(u64, u64), InodeId>,
    xattrs: XattrReader,
    /// The first files that cannot be read.
    unreadable: Vec<String>,
    unreadable_count: u64,
    names: u64,
    warnings: &'a mut Vec<Warning>,
}

impl Walk<'_> {
    fn run(&mut self, device: u64) -> Result<()> {
        let mut pending = vec![Pending {
            id: self.tree.root(),
            path: Vec::new(),
            devices: (device, device),
            depth: 1,
        }];
        while let Some(folder) = pending.pop() {
            let mut below = self.list(&folder)?;
            // The last one pushed is read next.
            below.reverse();
            pending.append(&mut below);
        }
        Ok(())
    }

    /// Reads the names in `folder`; answers with the folders among them.
    fn list(&mut self, folder: &Pending) -> Result<Vec<Pending>> {
        let shown = self.root.shown(&folder.path);
        let doing = |error: Errno| Error::io(WHAT, error.into()).in_file(&shown);
        let fd = match self.root.open_folder(&folder.path) {
            Ok(fd) => fd,
            Err(Errno::ACCESS | Errno::PERM) => {
                self.note_unreadable(&folder.path);
                return Ok(Vec::new());
            }
            Err(error) => return Err(doing(error)),
        };
        if folder.devices.0 != folder.devices.1
            && let Some(kind) = mount::without_files(fd.as_fd()).map_err(doing)?
        {
            self.warn(format!(
                "{} is a mounted {kind}: left empty",
                shown.display()
            ));
            return Ok(Vec::new());
        }
        let xattrs = self.xattrs.of_open(fd.as_fd()).map_err(doing)?;
        self.tree.metadata_mut(folder.id).xattrs = xattrs;
        let mut below = Vec::new();
        for name in names(fd.as_fd()).map_err(doing)? {
            below.extend(self.add(folder, fd.as_fd(), &name)?);
        }
        Ok(below)
    }

    /// Adds what `name` leads to in `folder`, which is open as `fd`; answers with it where it is a folder.
    fn add(
        &mut self,
        folder: &Pending,
        fd: rustix::fd::BorrowedFd<'_>,
        name: &CString,
    ) -> Result<Option<Pending>> {
        let mut path = folder.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        let shown = self.root.shown(&path);
        let doing = |error: Errno| match error {
            Errno::NOENT => changed("it vanished").in_file(&shown),
            error => Error::io(WHAT, error.into()).in_file(&shown),
        };
        let odd = |error: tree::Error| Error::corrupt(WHAT, error.to_string()).in_file(&shown);
        let tree_name = Name::new(name.as_bytes()).map_err(odd)?;
        let stat = rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
            .map_err(doing)?;
        self.names = self.names.saturating_add(1);
        let kind = FileType::from_raw_mode(stat.st_mode);
        if let Some(id) = self.links.get(&(stat.st_dev, stat.st_ino)) {
            self.tree.link(folder.id, tree_name, *id).map_err(odd)?;
            return Ok(None);
        }
        if kind == FileType::RegularFile
            && rustix::fs::accessat(fd, name, rustix::fs::Access::READ_OK, AtFlags::empty())
                .is_err()
        {
            self.note_unreadable(&path);
            return Ok(None);
        }
        let mut metadata = metadata(&stat);
        let node = match kind {
            FileType::Directory => Node::empty_directory(),
            FileType::RegularFile => Node::File(self.content(&path, &stat)?),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(fd, name, Vec::new()).map_err(doing)?;
                Node::Symlink(target.into_bytes().into())
            }
            FileType::CharacterDevice => Node::Character(device(&stat)),
            FileType::BlockDevice => Node::Block(device(&stat)),
            FileType::Fifo => Node::Fifo,
            FileType::Socket => Node::Socket,
            FileType::Unknown => return Err(odd(tree::Error::BadName(path))),
        };
        if kind == FileType::Directory {
            if stat.st_dev != folder.devices.0 {
                // The time of a mount is that of the machine's start, and the input's time is to be its own.
                metadata.mtime = self.tree.inode(folder.id).metadata.mtime;
            }
        } else {
            metadata.xattrs = self.xattrs.of_name(fd, name, &shown).map_err(doing)?;
        }
        let inode = Inode::new(metadata, node);
        let id = self.tree.add(folder.id, tree_name, inode).map_err(odd)?;
        if kind != FileType::Directory {
            if stat.st_nlink > 1 {
                self.links.insert((stat.st_dev, stat.st_ino), id);
            }
            return Ok(None);
        }
        let depth = folder.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} folders in each other");
            return Err(Error::limit(WHAT, message).in_file(&shown));
        }
        Ok(Some(Pending {
            id,
            path,
            devices: (stat.st_dev, folder.devices.0),
            depth,
        }))
    }

    fn content(&self, path: &[u8], stat: &Stat) -> Result<Content> {
        let seen = Seen::of(stat);
        let len = seen.len();
        let source = Arc::new(HostFile::new(&self.root, path, seen));
        Content::new([Piece::Range {
            source,
            offset: 0,
            len,
        }])
    }

    fn note_unreadable(&mut self, path: &[u8]) {
        self.unreadable_count = self.unreadable_count.saturating_add(1);
        if self.unreadable.len() < NAMED {
            let shown = self.root.shown(path).display().to_string();
            self.unreadable.push(shown);
        }
    }

    /// An error where something could not be read.
    fn refuse_unreadable(&self, path: &Path) -> Result<()> {
        if self.unreadable.is_empty() {
            return Ok(());
        }
        let named = u64::try_from(self.unreadable.len()).unwrap_or(u64::MAX);
        let more = match self.unreadable_count.saturating_sub(named) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "this user may not read {}{more}: run as root, or give a tar that root made of the folder",
            self.unreadable.join(", ")
        );
        Err(Error::new(block::Kind::Io, WHAT, message).in_file(path))
    }

    /// Warns of SELinux labels that are not the system's own: where SELinux is on, this machine labels what is unpacked on it.
    fn check_labels(&mut self, path: &Path) {
        let root = self.tree.inode(self.tree.root());
        let label = root.metadata.xattrs.get(b"security.selinux".as_slice());
        let label = label.map(|label| String::from_utf8_lossy(label).into_owned());
        let label = label.map(|label| label.trim_end_matches('\0').to_owned());
        // A context is user:role:type:level; the root folder of every policy has this type.
        let foreign = label.filter(|label| label.split(':').nth(2) != Some("root_t"));
        if let Some(label) = foreign
            && self.tree.file("etc/selinux/config").is_some()
        {
            self.warn(format!(
                "{} is labelled {}, as this machine labels it and not as its own policy does: it has to be labelled anew before \
                 SELinux can be enforced in it",
                path.display(),
                label.escape_debug()
            ));
        }
    }

    fn warn(&mut self, text: String) {
        self.warnings.push(Warning::Folder(text));
    }
}

/// The error of a folder that is not what it was a moment ago.
fn changed(fact: &str) -> Error {
    let message = format!("{fact} while it was read: nothing may write to the folder meanwhile");
    Error::corrupt(WHAT, message)
}

/// The names in the folder that is open as `fd`, in byte order.
fn names(fd: rustix::fd::BorrowedFd<'_>) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() != b"." && name.to_bytes() != b".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn metadata(stat: &Stat) -> Metadata {
    let permissions = stat.st_mode & u32::from(mode::PERMISSIONS);
    Metadata {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: time(stat),
        ..Metadata::with_permissions(u16::try_from(permissions).unwrap_or(0))
    }
}

/// When the file was changed last.
fn time(stat: &Stat) -> Timestamp {
    Timestamp {
        seconds: stat.st_mtime,
        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    }
}

fn device(stat: &Stat) -> Device {
    Device {
        major: rustix::fs::major(stat.st_rdev),
        minor: rustix::fs::minor(stat.st_rdev),
    }
}
