//! What a network-boot folder holds: each file's length and SHA-256 digest, as JSON.
//!
//! ```json
//! {"format":"liveos-netboot","version":1,"files":[{"path":"boot/vmlinuz-6.1","size":8192000,"sha256":"…"}]}
//! ```
//!
//! It is the last file that is written, so that a folder with it is whole; and it says which files a later build may replace.

use block::{ReadAt, Result};
use contract::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::parts::for_each_part;

/// Where it lies, relative to the root of the folder.
pub const PATH: &str = "liveos/manifest.json";

/// The longest manifest that is read, in bytes: some 10 000 files. A longer one counts as none.
pub const MAX_LEN: usize = 2 << 20;

/// The name of the format.
const FORMAT: &str = "liveos-netboot";

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    /// The files, in the order of their paths.
    pub files: Vec<Entry>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the root of the folder.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 digest in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// A manifest of these files.
    #[must_use]
    pub fn new(mut files: Vec<Entry>) -> Self {
        files.sort();
        Self {
            format: FORMAT.to_owned(),
            version: 1,
            files,
        }
    }

    /// Reads a manifest; `None` where it is none of this format.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        (manifest.format == FORMAT && manifest.version == 1).then_some(manifest)
    }

    /// The text of the file.
    #[must_use]
    pub fn print(&self) -> String {
        // OK: strings and numbers only.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// The entry of a file with this content.
///
/// # Errors
///
/// Whatever reading answers.
pub fn entry(path: &str, content: &dyn ReadAt) -> Result<Entry> {
    entry_of(path, content, &mut |_| Ok(()))
}

/// The same, of a content that is read for something else too: `take` gets it part by part.
///
/// # Errors
///
/// Whatever reading and `take` answer.
pub(super) fn entry_of(
    path: &str,
    content: &dyn ReadAt,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Entry> {
    let mut summed = Summed::default();
    for_each_part(content, &mut |part, _| {
        summed.take(part);
        take(part)
    })
    .map_err(|error| error.while_doing(format!("reading {path}")))?;
    Ok(summed.entry(path))
}

/// A file on its way, byte by byte from its start.
#[derive(Clone, Debug, Default)]
pub(super) struct Summed {
    hasher: Sha256,
    len: u64,
}

impl Summed {
    /// The bytes that come next.
    pub(super) fn take(&mut self, part: &[u8]) {
        self.hasher.update(part);
        self.len += ReadAt::len(part);
    }

    /// How many bytes came.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The entry of what came, as the file at `path`.
    pub(super) fn entry(self, path: &str) -> Entry {
        Entry {
            path: path.to_owned(),
            size: self.len,
            sha256: hex::print(&self.hasher.finalize()),
        }
    }
}
