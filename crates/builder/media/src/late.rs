//! What is written straight to its place, because its length is known only then: a root file system image, an initramfs that is the
//! whole system.

use std::io::{self, Write};

use block::{Result, WriteAt};

use crate::pending::Pending;

/// How far a late payload is, in bytes of its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// In all.
    pub total: u64,
}

/// A file of the media that is made while it is written.
pub trait Late {
    /// Its path, relative to the root of the media.
    fn path(&self) -> &str;

    /// More bytes than this it never has.
    fn max_len(&self) -> u64;

    /// Writes it to the start of `target` and answers with its length in bytes.
    ///
    /// # Errors
    ///
    /// Whatever reading the input or writing the target answers.
    fn write(&self, target: &dyn WriteAt, progress: &(dyn Fn(Progress) + Sync)) -> Result<u64>;

    /// What other files say of it and could not before it was written; `None` for nothing.
    fn pending(&self) -> Option<Pending> {
        None
    }
}

/// A target that is written from its start to its end.
#[derive(Debug)]
pub struct Sequential<'a> {
    target: &'a dyn WriteAt,
    len: u64,
}

impl<'a> Sequential<'a> {
    /// Begins at the start of `target`.
    #[must_use]
    pub fn new(target: &'a dyn WriteAt) -> Self {
        Self { target, len: 0 }
    }

    /// How many bytes were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.len
    }
}

impl Write for Sequential<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.target
            .write_all_at(buf, self.len)
            .map_err(io::Error::other)?;
        self.len += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
