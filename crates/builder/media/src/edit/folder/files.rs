//! The files of a folder: read as a tree, replaced one by one.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use block::{Content, DiskFile, Error, Result};
use bootloader::edit::Dialect;
use tree::{Inode, Metadata, Name, Node, Tree, TreePath};

use super::super::saved;
use super::content;
use crate::parts::for_each_part;

/// The most names of a folder. More are refused: a folder for network boot has some dozens.
const MAX_NAMES: usize = 100_000;
/// The end of the name that a file has until it is whole.
const PARTIAL: &str = ".liveos-partial";

/// A folder of this machine.
pub(super) struct Folder<'a> {
    path: &'a Path,
}

impl<'a> Folder<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self { path }
    }

    /// The path on this machine of what is at `path` in the folder. A link on the way is refused: it may lead out of the folder.
    pub(super) fn full(&self, path: &str) -> Result<PathBuf> {
        let mut full = self.path.to_path_buf();
        let mut names = path.trim_start_matches('/').split('/').peekable();
        while let Some(name) = names.next() {
            full.push(name);
            let is_link = || fs::symlink_metadata(&full).is_ok_and(|found| found.is_symlink());
            if names.peek().is_some() && is_link() {
                let message = "it is a link, and files below it are not changed";
                return Err(Error::unsupported("changing the folder", message).in_file(full));
            }
        }
        Ok(full)
    }

    /// All regular files and folders. Only boot configuration and saved settings have their content: a folder may have more files than can be open at once.
    pub(super) fn tree(&self) -> Result<Tree<Content>> {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        let mut pending = vec![TreePath::root()];
        let mut count = 0;
        while let Some(at) = pending.pop() {
            let folder = self.full(&String::from_utf8_lossy(at.as_bytes()))?;
            let refuse = |error| failed("reading the folder", &folder, error);
            for entry in fs::read_dir(&folder).map_err(refuse)? {
                let entry = entry.map_err(refuse)?;
                count += 1;
                if count > MAX_NAMES {
                    let message = format!("it holds over {MAX_NAMES} files");
                    return Err(Error::limit("reading the folder", message).in_file(self.path));
                }
                // What cannot be the path of a boot file is none of ours.
                let (Ok(name), Some(_)) = (
                    Name::new(entry.file_name().as_bytes()),
                    entry.file_name().to_str(),
                ) else {
                    continue;
                };
                let kind = entry.file_type().map_err(refuse)?;
                let below = at.join(&name);
                if kind.is_dir() {
                    let metadata = Metadata::with_permissions(0o755);
                    tree.make_directories(&below, &metadata).map_err(invalid)?;
                    pending.push(below);
                } else if kind.is_file() {
                    let path = String::from_utf8_lossy(below.as_bytes());
                    let is_read = Dialect::of(&path).is_some() || saved::is_at(&path);
                    let shown = if is_read {
                        content(DiskFile::open(entry.path())?)
                    } else {
                        Content::default()
                    };
                    put(&mut tree, &below, shown)?;
                }
            }
        }
        Ok(tree)
    }

    /// The content of a regular file; `None` where there is none.
    pub(super) fn open(&self, path: &str) -> Result<Option<Content>> {
        let full = self.full(path)?;
        match fs::symlink_metadata(&full) {
            Ok(metadata) if metadata.is_file() => Ok(Some(content(DiskFile::open(&full)?))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading the file", &full, error)),
        }
    }

    /// The names in a folder, in order; none where there is no such folder.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>> {
        let full = self.full(path)?;
        let refuse = |error| failed("reading the folder", &full, error);
        let list = match fs::read_dir(&full) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(refuse)?,
        };
        let mut names = Vec::new();
        for entry in list {
            names.extend(entry.map_err(refuse)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Puts a file with this content at `path`, in one step, unless it is there.
    pub(super) fn replace(&self, path: &str, content: &Content) -> Result<()> {
        let full = self.full(path)?;
        if let Some(old) = self.open(path)?
            && super::super::plan::digest(&old)? == super::super::plan::digest(content)?
        {
            return Ok(());
        }
        let partial = partial(&full)?;
        let refuse = |error| failed("writing the file", &full, error);
        let folder = full.parent().unwrap_or(self.path);
        fs::create_dir_all(folder).map_err(refuse)?;
        let mut file = fs::File::create(&partial).map_err(refuse)?;
        for_each_part(content, &mut |part, _| file.write_all(part).map_err(refuse))?;
        let mode = fs::metadata(&full).map_or(0o644, |metadata| metadata.permissions().mode());
        file.set_permissions(fs::Permissions::from_mode(mode & 0o777))
            .map_err(refuse)?;
        file.sync_all().map_err(refuse)?;
        fs::rename(&partial, &full).map_err(refuse)?;
        sync(folder);
        Ok(())
    }

    /// Makes `path` another name of the file at `from`, in one step; a copy where the file system has no hard links.
    pub(super) fn bring_back(&self, path: &str, from: &str) -> Result<()> {
        let (full, from) = (self.full(path)?, self.full(from)?);
        let refuse = |error| failed("keeping the file", &full, error);
        let partial = partial(&full)?;
        let folder = full.parent().unwrap_or(self.path);
        fs::create_dir_all(folder).map_err(refuse)?;
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(refuse(error)),
            _ => {}
        }
        if fs::hard_link(&from, &partial).is_err() {
            fs::copy(&from, &partial).map_err(refuse)?;
        }
        fs::rename(&partial, &full).map_err(refuse)?;
        // Where both are the same file already, a rename leaves both names.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(refuse(error)),
            _ => {}
        }
        sync(folder);
        Ok(())
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, path: &str) -> Result<()> {
        let full = self.full(path)?;
        match fs::remove_file(&full) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("removing the file", &full, error))
            }
            _ => {
                sync(full.parent().unwrap_or(self.path));
                Ok(())
            }
        }
    }

    /// The folders that are missing on the way to a file.
    pub(super) fn missing_above(&self, path: &str) -> Vec<String> {
        let mut missing = Vec::new();
        let mut rest = path;
        while let Some((above, _)) = rest.rsplit_once('/').filter(|(above, _)| !above.is_empty()) {
            if self
                .full(above)
                .is_ok_and(|full| fs::symlink_metadata(full).is_err())
            {
                missing.push(above.to_owned());
            }
            rest = above;
        }
        missing
    }

    /// Removes a folder that nothing is in.
    pub(super) fn remove_if_empty(&self, path: &str) {
        // One that something is in is somebody's, and stays.
        let _ = self.full(path).map(fs::remove_dir);
    }

    /// Removes a folder of ours, if it is there, the journal first.
    pub(super) fn remove_all(&self, path: &str) -> Result<()> {
        self.remove(super::JOURNAL)?;
        let full = self.full(path)?;
        match fs::remove_dir_all(&full) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("removing the folder", &full, error))
            }
            _ => Ok(()),
        }
    }
}

/// Puts a file into the tree.
pub(super) fn put(tree: &mut Tree<Content>, path: &TreePath, content: Content) -> Result<()> {
    let inode = Inode::new(Metadata::with_permissions(0o644), Node::File(content));
    tree.put(path, inode).map(drop).map_err(invalid)
}

fn invalid(error: tree::Error) -> Error {
    Error::unsupported("reading the folder", error.to_string())
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::io(what, error).in_file(path)
}

fn partial(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::unsupported("writing the file", "the path names no file").in_file(path)
    })?;
    let mut partial = OsString::from(".");
    partial.push(name);
    partial.push(PARTIAL);
    Ok(path.with_file_name(partial))
}

/// A name is durable only once its folder is synced; one that cannot be synced is no reason to fail.
fn sync(folder: &Path) {
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}
