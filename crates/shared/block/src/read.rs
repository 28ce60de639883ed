//! The two doors: bytes read at an offset, bytes written at an offset.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::{Error, Result};

/// Bytes that can be read at any offset, from any thread.
pub trait ReadAt: Send + Sync + fmt::Debug {
    /// The length in bytes; it does not change.
    fn len(&self) -> u64;

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where `buf` reaches past the end (nothing is promised of `buf` then), and whatever
    /// the layer below answers.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// The first range at or after `offset` that may hold anything but zeros; `None` where only zeros follow.
    ///
    /// The range begins at or after `offset`, is never empty and ends at or before [`len`](Self::len). Saying too much is allowed
    /// (the default says that all of it is data), saying too little is not.
    ///
    /// # Errors
    ///
    /// Whatever the layer below answers.
    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        Ok((offset < self.len()).then(|| offset..self.len()))
    }

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn len(&self) -> u64 {
        (**self).len()
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        (**self).read_exact_at(buf, offset)
    }
    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        (**self).next_data(offset)
    }
}

/// A place that takes bytes at any offset, from any thread. What was never written reads as zeros.
pub trait WriteAt: Send + Sync + fmt::Debug {
    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    ///
    /// Whatever the layer below answers; how much was written is not known then.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()>;
}

impl<T: WriteAt + ?Sized> WriteAt for &T {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        (**self).write_all_at(buf, offset)
    }
}

impl<T: WriteAt + ?Sized> WriteAt for Arc<T> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        (**self).write_all_at(buf, offset)
    }
}

/// Reads `len` bytes from `offset` into a new vector, for structures of a size that a format bounds.
///
/// `limit` is the largest length that is acceptable here: the length often comes from the input.
///
/// # Errors
///
/// [`Kind::Limit`](crate::Kind::Limit) where `len` is over `limit`, [`Kind::Corrupt`](crate::Kind::Corrupt) where the range
/// reaches past the end; nothing is allocated in either case.
pub fn read_vec(
    source: &dyn ReadAt,
    offset: u64,
    len: u64,
    limit: usize,
    what: &str,
) -> Result<Vec<u8>> {
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len <= limit)
        .ok_or_else(|| {
            Error::limit(what, format!("{len} bytes, and at most {limit} are read")).at(offset)
        })?;
    check_range(source.len(), offset, len, what)?;
    let mut buf = vec![0; len];
    source.read_exact_at(&mut buf, offset)?;
    Ok(buf)
}

/// Holds `offset + len <= total`, without overflow.
pub(crate) fn check_range(total: u64, offset: u64, len: usize, what: &str) -> Result<()> {
    let end = u64::try_from(len)
        .ok()
        .and_then(|len| offset.checked_add(len));
    if end.is_none_or(|end| end > total) {
        let message = format!("{len} bytes from here reach past the end at byte {total}");
        return Err(Error::corrupt(what, message).at(offset));
    }
    Ok(())
}
