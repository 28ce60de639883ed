//! What can be wrong with a request to a tree.

use crate::TreePath;

/// The result of a request to a tree.
pub type Result<T> = std::result::Result<T, Error>;

/// A request that the tree cannot meet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes cannot be a file name: empty, over 255 bytes, `.`, `..`, or with `/` or NUL in it.
    BadName(Vec<u8>),
    /// There is no such path.
    NotFound(TreePath),
    /// The path, or a part of it, is no folder.
    NotADirectory(TreePath),
    /// The path exists already.
    Exists(TreePath),
    /// A folder can have one name only.
    DirectoryHardLink(TreePath),
    /// More than 40 symbolic links on the way, as the kernel's limit: they most likely lead in a circle.
    TooManySymlinks(TreePath),
    /// More than 2^32 inodes.
    TooManyInodes,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadName(name) => {
                write!(f, "\"{}\" cannot be a file name", name.escape_ascii())
            }
            Self::NotFound(path) => write!(f, "{path}: there is no such file"),
            Self::NotADirectory(path) => write!(f, "{path}: not a folder"),
            Self::Exists(path) => write!(f, "{path}: exists already"),
            Self::DirectoryHardLink(path) => write!(f, "{path}: a folder can have one name only"),
            Self::TooManySymlinks(path) => {
                write!(f, "{path}: more than 40 symbolic links on the way")
            }
            Self::TooManyInodes => f.write_str("a tree holds at most 2^32 inodes"),
        }
    }
}

impl std::error::Error for Error {}
