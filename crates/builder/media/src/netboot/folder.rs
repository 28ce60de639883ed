//! A folder that is written aside and swapped in.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use block::{Content, DiskFile, Error, Result};
use rustix::fs::{CWD, RenameFlags};

use super::manifest::{self, Entry, Manifest};
use super::payload::Payload;
use super::{Report, failed};
use crate::files::Files;
use crate::output::folder_of;

/// What stands at the output's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    Nothing,
    /// A folder with nothing in it.
    Empty,
    /// A folder that an earlier build made, with nothing else in it.
    Ours,
}

/// A folder that is not at its place yet.
#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    /// Where the files are written.
    aside: PathBuf,
    standing: Standing,
    /// Whether `path` is a mount point: `aside` is in it, and the files are moved one by one.
    in_place: bool,
    committed: bool,
}

impl Staging {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let standing = standing(path)?;
        let parent = folder_of(path);
        if !parent.is_dir() {
            let message = format!(
                "the folder {} does not exist; make it first",
                parent.display()
            );
            return Err(Error::not_found("making the output", message).in_file(path));
        }
        let in_place = standing != Standing::Nothing && is_mount_point(path, parent);
        let name = path.file_name().ok_or_else(|| {
            Error::unsupported("making the output", "the path names no folder").in_file(path)
        })?;
        let mut partial = OsString::from(".");
        partial.push(name);
        partial.push(".liveos-partial");
        let aside = if in_place { path } else { parent }.join(partial);
        remove_if_there(&aside).map_err(|error| failed(path, error))?;
        fs::create_dir(&aside).map_err(|error| failed(path, error))?;
        Ok(Self {
            path: path.to_path_buf(),
            aside,
            standing,
            in_place,
            committed: false,
        })
    }

    /// A file that will be at `path` of the folder.
    pub(super) fn file(&self, path: &str) -> Result<DiskFile> {
        let full = self.aside.join(path);
        let refuse = |error| failed(&full, error);
        fs::create_dir_all(folder_of(&full)).map_err(refuse)?;
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&full)
            .map_err(refuse)?;
        DiskFile::from_file(file, &full)
    }

    pub(super) fn commit(mut self, payloads: &[Payload], files: &Files) -> Result<Report> {
        let entries = std::thread::scope(|scope| -> Result<Vec<Entry>> {
            // An ISO is not written in order, so its digest is made of what was written: meanwhile the other files are.
            let summed = scope.spawn(|| payloads.iter().map(Payload::entry).collect());
            let mut entries = self.write_all(payloads, files)?;
            let summed: Result<Vec<Entry>> = summed
                .join()
                .map_err(|_| Error::corrupt("summing the media", "a thread gave up"))?;
            entries.extend(summed?);
            Ok(entries)
        })?;
        let len = entries.iter().map(|entry| entry.size).sum();
        let text = Manifest::new(entries).print();
        self.write(
            manifest::PATH,
            &Content::from_bytes(text.into_bytes()),
            0o644,
        )?;
        self.set_times(files)?;
        self.swap_in().map_err(|error| failed(&self.path, error))?;
        self.committed = true;
        Ok(Report { len })
    }

    /// Syncs the payloads and writes the other files: the entries of these.
    fn write_all(&self, payloads: &[Payload], files: &Files) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for payload in payloads {
            let synced = payload.file.file().sync_all();
            synced.map_err(|error| failed(&self.path, error))?;
        }
        for (path, content, metadata) in files.contents() {
            entries.push(self.write(&path, content, metadata.permissions)?);
        }
        Ok(entries)
    }

    fn write(&self, path: &str, content: &Content, mode: u16) -> Result<Entry> {
        let file = self.file(path)?;
        let refuse = |error| failed(file.path(), error);
        let mut out = file.file();
        let entry = manifest::entry_of(path, content, &mut |part| {
            out.write_all(part).map_err(refuse)
        })?;
        let permissions = fs::Permissions::from_mode(u32::from(mode));
        out.set_permissions(permissions).map_err(refuse)?;
        out.sync_all().map_err(refuse)?;
        Ok(entry)
    }

    /// All files and folders get the time of the media, so that a copy of the folder is the same every time.
    fn set_times(&self, files: &Files) -> Result<()> {
        let seconds = u64::try_from(files.time().seconds).unwrap_or(0);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let times = fs::FileTimes::new().set_modified(time);
        let mut pending = vec![self.aside.clone()];
        while let Some(path) = pending.pop() {
            let refuse = |error| failed(&path, error);
            let entry = fs::File::open(&path).map_err(refuse)?;
            if path.is_dir() {
                for child in fs::read_dir(&path).map_err(refuse)? {
                    pending.push(child.map_err(refuse)?.path());
                }
            }
            entry.set_times(times).map_err(refuse)?;
        }
        Ok(())
    }

    fn swap_in(&self) -> std::io::Result<()> {
        if self.in_place {
            return self.move_in();
        }
        match self.standing {
            // An empty folder is replaced by a rename too.
            Standing::Nothing | Standing::Empty => fs::rename(&self.aside, &self.path)?,
            Standing::Ours => {
                rustix::fs::renameat_with(
                    CWD,
                    &self.aside,
                    CWD,
                    &self.path,
                    RenameFlags::EXCHANGE,
                )?;
                // What is aside now was made by an earlier build, all of it.
                fs::remove_dir_all(&self.aside)?;
            }
        }
        sync_folder(folder_of(&self.path));
        Ok(())
    }

    /// Moves what is aside into a mount point, the folder with the manifest last.
    fn move_in(&self) -> std::io::Result<()> {
        let is_manifests = |name: &OsString| Path::new(manifest::PATH).starts_with(name);
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.path() != self.aside {
                remove_if_there(&entry.path())?;
            }
        }
        let mut names = fs::read_dir(&self.aside)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<std::io::Result<Vec<OsString>>>()?;
        names.sort_by_key(|name| (is_manifests(name), name.clone()));
        for name in names {
            fs::rename(self.aside.join(&name), self.path.join(&name))?;
        }
        fs::remove_dir(&self.aside)?;
        sync_folder(&self.path);
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.committed {
            // Whatever failed before is the error to report; a leftover is removed by the next build.
            let _ = remove_if_there(&self.aside);
        }
    }
}

/// What stands at `path`; an error where it is not ours to replace.
fn standing(path: &Path) -> Result<Standing> {
    let refuse =
        |message: String| Err(Error::unsupported("making the output", message).in_file(path));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Standing::Nothing),
        Err(error) => return Err(failed(path, error)),
        Ok(found) if !found.is_dir() => {
            return refuse(
                "something that is no folder stands there; name another place, or remove it"
                    .to_owned(),
            );
        }
        Ok(_) => {}
    }
    let mut there = BTreeSet::new();
    list(path, Path::new(""), &mut there).map_err(|error| failed(path, error))?;
    if there.is_empty() {
        return Ok(Standing::Empty);
    }
    let manifest = fs::read(path.join(manifest::PATH))
        .ok()
        .filter(|bytes| bytes.len() <= manifest::MAX_LEN)
        .and_then(|bytes| Manifest::parse(&bytes));
    let Some(manifest) = manifest else {
        return refuse(
            "the folder is not empty, and was not made by liveos; name another one, or empty it"
                .to_owned(),
        );
    };
    let made: BTreeSet<PathBuf> = manifest
        .files
        .iter()
        .map(|entry| PathBuf::from(&entry.path))
        .chain([PathBuf::from(manifest::PATH)])
        .collect();
    match there.iter().find(|found| !made.contains(*found)) {
        None => Ok(Standing::Ours),
        Some(other) => refuse(format!(
            "{} in it was not made by liveos; move it away, or name another folder",
            other.display()
        )),
    }
}

/// The most files that are looked at in a folder that stands at the output's place; more were not made by us.
const MAX_FILES: usize = 100_000;

/// All files below `path`, relative to it; folders only where nothing is in them.
fn list(path: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    let mut pending = vec![below.to_path_buf()];
    while let Some(folder) = pending.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(path.join(&folder))? {
            let entry = entry?;
            is_empty = false;
            let name = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                pending.push(name);
            } else {
                found.insert(name);
            }
            if found.len() > MAX_FILES {
                return Ok(());
            }
        }
        if is_empty && folder != below {
            found.insert(folder);
        }
    }
    Ok(())
}

fn is_mount_point(path: &Path, parent: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    // A bind mount of the same file system has the same number: then only trying a rename would tell, which /proc does too.
    device(path) != device(parent) || is_in_mount_table(path)
}

fn is_in_mount_table(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|point| Path::new(point) == path)
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A name is durable only once its folder is synced; one that cannot be synced is no reason to fail.
fn sync_folder(path: &Path) {
    if let Ok(folder) = fs::File::open(path) {
        let _ = folder.sync_all();
    }
}
