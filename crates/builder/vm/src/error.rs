//! What can go wrong before and while a machine runs.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a machine did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The host lacks a program or a firmware file.
    Missing {
        /// What was looked for, in words: `"QEMU for x86-64 (qemu-system-x86_64)"`.
        what: String,
        /// The packages that have it, by distribution, in one line.
        packages: &'static str,
    },
    /// The media to boot is not there or is not a file.
    Media {
        /// The media as the caller named it.
        path: PathBuf,
        /// Why it cannot be used.
        source: io::Error,
    },
    /// The operating system refused a step.
    Io {
        /// What was being done.
        what: String,
        /// Its answer.
        source: io::Error,
    },
    /// The machine as described cannot be built.
    Machine(&'static str),
}

impl Error {
    /// The operating system refused `what`.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        Self::Io { what, source }
    }

    /// What the user can do about it, where there is something.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Missing { packages, .. } => Some(format!("install it: {packages}")),
            Self::Media { .. } | Self::Io { .. } | Self::Machine(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what, .. } => write!(f, "{what} is not on this machine"),
            Self::Media { path, .. } => write!(f, "{}: opening the media", path.display()),
            Self::Io { what, .. } => f.write_str(what),
            Self::Machine(fact) => f.write_str(fact),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Media { source, .. } | Self::Io { source, .. } => Some(source),
            Self::Missing { .. } | Self::Machine(_) => None,
        }
    }
}
