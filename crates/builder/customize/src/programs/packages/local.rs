//! Sources of packages on the builder's machine.

use std::path::{Path, PathBuf};

use block::{Error, Result};

use super::DOING;

/// The longest definition of repositories that is read.
const MAX_DEFINITION: u64 = 1 << 20;

/// A source of packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A folder with packages in it, as an absolute path.
    Folder(PathBuf),
    /// A file that names repositories.
    Definition {
        /// The file's name.
        name: String,
        /// What it says.
        text: String,
    },
}

impl Source {
    /// Looks at what is at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let doing = |error| Error::io("reading a source of packages", error).in_file(path);
        let found = std::fs::metadata(path).map_err(doing)?;
        if found.is_dir() {
            return std::fs::canonicalize(path).map(Self::Folder).map_err(doing);
        }
        if found.len() > MAX_DEFINITION {
            return Err(Error::limit(
                DOING,
                "a file that names repositories has at most a megabyte",
            )
            .in_file(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).map_err(doing)?;
        Ok(Self::Definition {
            name: name.into_owned(),
            text,
        })
    }
}

/// Where the folder of packages with this number is seen.
pub(super) fn place(number: usize) -> String {
    format!("/_localpackages/{number}")
}

/// Refuses a definition whose name has none of the endings that the package manager knows.
pub(super) fn check_ending(name: &str, endings: &[&str], manager: &str) -> Result<()> {
    if endings.iter().any(|ending| name.ends_with(ending)) {
        return Ok(());
    }
    let message = format!(
        "{name} is no source of packages for {manager}: a folder, or a file named *{}",
        endings.join(" or *")
    );
    Err(Error::unsupported(DOING, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_definitions_are_told_apart_and_what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.repo");
        std::fs::write(&file, "[x]\n").unwrap();
        assert!(matches!(
            Source::open(folder.path()).unwrap(),
            Source::Folder(_)
        ));
        assert_eq!(
            Source::open(&file).unwrap(),
            Source::Definition {
                name: "x.repo".into(),
                text: "[x]\n".into()
            }
        );
        let error = Source::open(&folder.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("none"), "{error}");
        assert!(check_ending("x.repo", &[".repo"], "dnf").is_ok());
        assert!(check_ending("x.list", &[".repo"], "dnf").is_err());
    }
}
