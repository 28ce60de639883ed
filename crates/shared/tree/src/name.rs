//! File names and paths, as bytes that were checked.

use std::borrow::Borrow;
use std::fmt;

use crate::{Error, Result};

/// One file name: 1 to 255 bytes without `/` and NUL, neither `.` nor `..`.
///
/// 255 is the limit of every file system that we read or write (`NAME_MAX` of Linux).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 255;

    /// Checks `bytes` and makes a name of them.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`].
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let bad = bytes.is_empty()
            || bytes.len() > Self::MAX
            || bytes == b"."
            || bytes == b".."
            || bytes.contains(&b'/')
            || bytes.contains(&0);
        if bad {
            Err(Error::BadName(bytes.to_vec()))
        } else {
            Ok(Self(bytes.into()))
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// An absolute path in a tree, in its plain form: `/` alone, or `/a/b` without a slash at the end.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// The root, `/`.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads `bytes` as a path from the root on, whether it begins with `/` or not; empty parts and `.` are left out.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`] where a part cannot be a name, `..` included: nothing here resolves it.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let mut path = Self::root();
        for part in bytes.as_ref().split(|byte| *byte == b'/') {
            if !part.is_empty() && part != b"." {
                path = path.join(&Name::new(part)?);
            }
        }
        Ok(path)
    }

    /// This path and a name below it.
    #[must_use]
    pub fn join(&self, name: &Name) -> Self {
        let mut bytes = self.0.clone();
        bytes.push(b'/');
        bytes.extend_from_slice(name.as_bytes());
        Self(bytes)
    }

    /// The names from the root on.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        self.names().next_back()
    }

    /// The path without its last name; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0.get(..slash).unwrap_or_default().to_vec()))
    }

    /// The bytes with the leading slash; `/` for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        if self.0.is_empty() { b"/" } else { &self.0 }
    }

    /// Whether `self` is `other` or lies below it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(other.0.as_slice())
            .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // UTF-8 names are shown as they are; anything else, and control characters, escaped.
        match std::str::from_utf8(self.as_bytes()) {
            Ok(text) if !text.chars().any(char::is_control) => f.write_str(text),
            _ => write!(f, "{}", self.as_bytes().escape_ascii()),
        }
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
