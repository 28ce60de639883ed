//! Where programs and firmware are looked for.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The names of QEMU for x86-64. Red Hat's own build has another name and lies outside the search path.
const PROGRAMS: [&str; 2] = ["qemu-system-x86_64", "qemu-kvm"];
/// Folders that are searched after the search path: a user's often lacks them.
const MORE_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/usr/libexec", "/bin"];

/// The machine that we are on, as far as this crate asks it.
#[derive(Clone, Debug)]
pub struct Host {
    folders: Vec<PathBuf>,
    root: PathBuf,
}

impl Host {
    /// A host whose programs are found by `search_path`, the value of `PATH`, and then in the usual folders.
    #[must_use]
    pub fn new(search_path: &OsStr) -> Self {
        let named = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
        let folders = named
            .chain(MORE_FOLDERS.iter().map(PathBuf::from))
            .collect();
        Self {
            folders,
            root: PathBuf::from("/"),
        }
    }

    /// The same host with its files under `root`, and nothing but them: for tests.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        let folders = MORE_FOLDERS
            .iter()
            .map(|folder| within(root, folder))
            .collect();
        Self {
            folders,
            root: root.to_path_buf(),
        }
    }

    /// `path`, absolute, as a path under this host's root.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        within(&self.root, path)
    }

    /// The path of QEMU.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] with the package's name, where no folder of the search path has it.
    pub fn qemu(&self) -> Result<PathBuf> {
        let candidates = PROGRAMS
            .iter()
            .flat_map(|name| self.folders.iter().map(move |folder| folder.join(name)));
        candidates
            .into_iter()
            .find(|path| is_program(path))
            .ok_or_else(|| Error::Missing {
                what: "QEMU for x86-64 (qemu-system-x86_64)".to_owned(),
                packages: "qemu-system-x86 (Debian, Ubuntu), qemu-system-x86-core (Fedora), \
                           qemu-kvm (RHEL), qemu-x86 (SUSE), qemu-base (Arch)",
            })
    }
}

fn within(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(root: &Path, path: &str, mode: u32) {
        let path = within(root, path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_host_without_qemu_is_told_the_package() {
        let root = tempfile::tempdir().unwrap();
        let error = Host::under(root.path()).qemu().unwrap_err();
        assert!(matches!(error, Error::Missing { .. }));
        assert!(error.help().unwrap().contains("qemu-system-x86 (Debian"));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_not_qemu() {
        let root = tempfile::tempdir().unwrap();
        program(root.path(), "/usr/bin/qemu-system-x86_64", 0o644);
        assert!(Host::under(root.path()).qemu().is_err());
    }

    #[test]
    fn red_hats_name_is_known() {
        let root = tempfile::tempdir().unwrap();
        program(root.path(), "/usr/libexec/qemu-kvm", 0o755);
        let found = Host::under(root.path()).qemu().unwrap();
        assert_eq!(found, root.path().join("usr/libexec/qemu-kvm"));
    }

    #[test]
    fn the_search_path_comes_first_and_its_relative_folders_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        program(root.path(), "/opt/qemu-system-x86_64", 0o755);
        let path = format!("relative:{}/opt", root.path().display());
        let found = Host::new(OsStr::new(&path)).qemu().unwrap();
        assert_eq!(found, root.path().join("opt/qemu-system-x86_64"));
    }
}
