//! Where values are from, for messages: the file and the line of each key.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The place of each key that is given outside of lists; of a key that several files give, the last one's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<String, Place>);

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user knows it.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
}

impl Places {
    /// Where a key is given, by its path: `pxe.bootstrapFileUrl`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Place> {
        self.0.get(key)
    }

    pub(crate) fn insert(&mut self, key: String, place: Place) {
        self.0.insert(key, place);
    }
}

impl fmt::Display for Place {
    /// `file:line`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}
