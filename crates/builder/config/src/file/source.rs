//! A configuration file's text, and places in it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::fault::Fault;

/// The most bytes of a configuration file. Real ones have a few KiB; a longer file is refused.
pub(super) const MAX_FILE_LEN: u64 = 1 << 20;

/// A configuration file.
#[derive(Debug)]
pub(super) struct Source {
    /// The file, as the user knows it.
    pub(super) path: PathBuf,
    /// Its folder, which the paths in it are relative to; empty for the working folder.
    pub(super) folder: PathBuf,
    /// Its text, with `\n` at the end of each line.
    pub(super) text: String,
    /// Its number in the order in which files were read.
    pub(super) order: usize,
}

/// A place in a file: a key or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
    /// How many characters it has on its first line.
    pub(super) width: u32,
    /// The last line of it.
    pub(super) last_line: u32,
}

impl Position {
    /// The beginning of a file.
    pub(super) const START: Self = Self {
        line: 1,
        column: 1,
        width: 1,
        last_line: 1,
    };
}

/// A place in one file of the chain, to be named after the file was read.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) source: Rc<Source>,
    pub(super) position: Position,
}

impl Mark {
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::at(&self.source, self.position, message)
    }
}

impl std::fmt::Display for Mark {
    /// `file:line`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.source.path.display(), self.position.line)
    }
}

impl Source {
    /// The folder, with a name even where it is the working folder.
    pub(super) fn folder_or_here(&self) -> PathBuf {
        match self.folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => self.folder.clone(),
        }
    }

    /// Text of the file at `path`.
    ///
    /// # Errors
    ///
    /// Where the text is longer than [`MAX_FILE_LEN`] or no UTF-8.
    pub(super) fn new(path: &Path, order: usize, bytes: Vec<u8>) -> Result<Self, Fault> {
        let fault = |message: String| Fault::of_file(path, order, message);
        if bytes.len() as u64 > MAX_FILE_LEN {
            return Err(fault(format!(
                "is longer than the {} KiB that a configuration file may have",
                MAX_FILE_LEN >> 10
            )));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            fault(format!("is no text in UTF-8: byte {at} belongs to none"))
        })?;
        // OK: in YAML all three end a line, in block scalars too.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self {
            path: path.to_owned(),
            folder,
            text,
            order,
        })
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// As [`Source::new`], and where the file cannot be read.
    pub(super) fn read(path: &Path, order: usize) -> Result<Self, Fault> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| {
                file.take(MAX_FILE_LEN.saturating_add(1))
                    .read_to_end(&mut bytes)
            })
            .map_err(|error| Fault::of_file(path, order, format!("cannot be read: {error}")))?;
        Self::new(path, order, bytes)
    }
}
