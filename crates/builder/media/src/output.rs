//! Where a result is written until it is whole.
//!
//! The file has no name while it is written (`O_TMPFILE`), so a build that is killed leaves nothing behind. Where the file system
//! cannot do that, a name beside the output is used (`.NAME.liveos-partial`), which a failed build removes and the next build replaces.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{DiskFile, Error, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

/// A file that will stand at `path` once [`commit`](Self::commit) was called, and nowhere if it was not.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: Arc<DiskFile>,
    /// The name it has now, where the file system cannot do without one.
    partial: Option<PathBuf>,
    committed: bool,
}

impl Output {
    /// Opens a file in the folder of `path`. What stands at `path` stays as it is.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where the folder is missing, [`Kind::Unsupported`](block::Kind::Unsupported)
    /// where `path` names a folder, [`Kind::Io`](block::Kind::Io) where the folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let message = "it is a folder; give the name of the file to write";
            return Err(Error::unsupported("making the output", message).in_file(path));
        }
        let folder = folder_of(path);
        if !folder.is_dir() {
            let message = format!(
                "the folder {} does not exist; make it first",
                folder.display()
            );
            return Err(Error::not_found("making the output", message).in_file(path));
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let (file, partial) =
            match rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(0o644)) {
                Ok(file) => (File::from(file), None),
                Err(_) => {
                    let partial = partial_name(path)?;
                    let file = File::options()
                        .read(true)
                        .write(true)
                        .create(true)
                        .truncate(true)
                        .open(&partial)
                        .map_err(|error| Error::io("making the output", error).in_file(path))?;
                    (file, Some(partial))
                }
            };
        let file = Arc::new(DiskFile::from_file(file, path)?);
        Ok(Self {
            path: path.to_path_buf(),
            file,
            partial,
            committed: false,
        })
    }

    /// The file, to write to.
    #[must_use]
    pub fn target(&self) -> Arc<DiskFile> {
        Arc::clone(&self.file)
    }

    /// Syncs what was written and puts it at its place, replacing what stood there in one step.
    ///
    /// # Errors
    ///
    /// [`Kind::Io`](block::Kind::Io); what stood at the place is untouched then.
    pub fn commit(mut self) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::io("putting the output at its place", error).in_file(&self.path)
        };
        self.file.file().sync_all().map_err(failed)?;
        let named = match &self.partial {
            Some(partial) => partial.clone(),
            None => {
                let partial = partial_name(&self.path)?;
                match std::fs::remove_file(&partial) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(failed(error));
                    }
                    _ => {}
                }
                // `linkat` with a path below /proc is the way that needs no privilege (open(2), O_TMPFILE).
                let link = format!("/proc/self/fd/{}", self.file.file().as_fd().as_raw_fd());
                rustix::fs::linkat(CWD, &link, CWD, &partial, AtFlags::SYMLINK_FOLLOW)
                    .map_err(|error| failed(error.into()))?;
                self.partial = Some(partial.clone());
                partial
            }
        };
        std::fs::rename(&named, &self.path).map_err(|error| {
            Error::io("putting the output at its place", error).in_file(&self.path)
        })?;
        self.committed = true;
        // The name itself is durable only once its folder is synced; a folder that cannot be synced is no reason to fail now.
        if let Ok(folder) = File::open(folder_of(&self.path)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.committed
            && let Some(partial) = &self.partial
        {
            // Whatever failed before is the error to report; a leftover is replaced by the next build.
            let _ = std::fs::remove_file(partial);
        }
    }
}

/// A file without a name in the folder of `path`, for bytes that go into the output later: it is gone when the program is.
///
/// # Errors
///
/// [`Kind::Io`](block::Kind::Io).
pub(crate) fn unnamed(path: &Path) -> Result<DiskFile> {
    let failed = |error| Error::io("making a file beside the output", error).in_file(path);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, folder_of(path), flags, Mode::from_raw_mode(0o600)) {
        Ok(file) => File::from(file),
        Err(_) => {
            let name = partial_name(path)?.with_extension("liveos-payload");
            let mut options = File::options();
            let file = options.read(true).write(true).create(true).truncate(true);
            let file = file.open(&name).map_err(failed)?;
            std::fs::remove_file(&name).map_err(failed)?;
            file
        }
    };
    DiskFile::from_file(file, path)
}

/// The folder that `path` is in: the one of the process for a bare name.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn partial_name(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::unsupported("making the output", "the path names no file").in_file(path)
    })?;
    let mut partial = OsString::from(".");
    partial.push(name);
    partial.push(".liveos-partial");
    Ok(folder_of(path).join(partial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::WriteAt as _;

    #[test]
    fn nothing_stands_at_the_place_before_the_commit_and_the_old_file_survives_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.iso");
        std::fs::write(&path, b"old").unwrap();
        let output = Output::create(&path).unwrap();
        output.target().write_all_at(b"new", 0).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        drop(output);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let output = Output::create(&path).unwrap();
        output.target().write_all_at(b"newer", 0).unwrap();
        output.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no leftovers"
        );
    }

    #[test]
    fn a_missing_folder_and_a_folder_as_output_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Output::create(&folder.path().join("no/live.iso")).unwrap_err();
        assert_eq!(error.kind(), block::Kind::NotFound);
        let error = Output::create(folder.path()).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Unsupported);
    }
}
