//! The error of everything that handles bytes from outside: whose fault, where, and why.
//!
//! ```text
//! Error { kind: whose fault, place: what is being read, path, offset, message: the fact, source: the layer below }
//! ```
//!
//! Messages are lower case, without a full stop and without "failed to"; a message never repeats its source.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything in this crate and in `formats`.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose fault it is, as far as a caller has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The layer below (a file, a device) answered with an error.
    Io,
    /// The bytes break the rules of their format: the input is at fault.
    Corrupt,
    /// Valid, and we do not do it: we are at fault.
    Unsupported,
    /// Beyond a bound that was set on purpose; the message names the bound.
    Limit,
    /// What was asked for is not there.
    NotFound,
}

/// Where an error arose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The structure or step, as its specification names it: `"qcow2 header"`, `"ext4 inode 12"`.
    pub what: String,
    /// The file that was being read or written, as the user knows it.
    pub path: Option<PathBuf>,
    /// The offset in bytes in what was being read.
    pub offset: Option<u64>,
}

/// An error with its kind, its place and its cause.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    place: Place,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` in the structure or step `what`; `message` is the fact.
    pub fn new(kind: Kind, what: impl Into<String>, message: impl Into<String>) -> Self {
        let place = Place {
            what: what.into(),
            ..Place::default()
        };
        Self(Box::new(Inner {
            kind,
            place,
            message: message.into(),
            source: None,
        }))
    }

    /// The bytes break the rules of their format.
    pub fn corrupt(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, what, message)
    }

    /// Valid, and not done here.
    pub fn unsupported(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, what, message)
    }

    /// Beyond a bound set on purpose.
    pub fn limit(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Limit, what, message)
    }

    /// What was asked for is not there.
    pub fn not_found(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, what, message)
    }

    /// The operating system refused `what`.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(Kind::Io, what, String::new()).caused_by(source)
    }

    /// The same error with the byte offset at which it arose; an offset that is there already stays.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.0.place.offset.get_or_insert(offset);
        self
    }

    /// The same error with the path of the file concerned; a path that is there already stays.
    #[must_use]
    pub fn in_file(mut self, path: impl AsRef<Path>) -> Self {
        self.0
            .place
            .path
            .get_or_insert_with(|| path.as_ref().to_path_buf());
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// A new error of the same kind that says what was being done when this one arose.
    #[must_use]
    pub fn while_doing(self, what: impl Into<String>) -> Self {
        let kind = self.kind();
        Self::new(kind, what, String::new()).caused_by(self)
    }

    /// Whose fault it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Where it arose.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { place, message, .. } = &*self.0;
        if let Some(path) = &place.path {
            write!(f, "{}: ", path.display())?;
        }
        f.write_str(&place.what)?;
        if let Some(offset) = place.offset {
            write!(f, " at byte {offset}")?;
        }
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| {
            let source: &(dyn std::error::Error + 'static) = source;
            source
        })
    }
}
