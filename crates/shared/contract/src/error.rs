//! The error of every text that this crate reads.

use std::fmt;

/// What is wrong with a text, and in which line.
///
/// Printed as `module index, line 3: a module without a path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind of text: `"module index"`.
    pub what: &'static str,
    /// The line, counted from 1; `None` where it is about the whole text.
    pub line: Option<usize>,
    /// The fact, in lower case without a full stop.
    pub message: String,
}

impl Error {
    pub(crate) fn whole(what: &'static str, message: impl Into<String>) -> Self {
        Self {
            what,
            line: None,
            message: message.into(),
        }
    }

    /// `index` counts from 0, as `enumerate` does.
    pub(crate) fn line(what: &'static str, index: usize, message: impl Into<String>) -> Self {
        Self {
            what,
            line: Some(index.saturating_add(1)),
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Error {}
