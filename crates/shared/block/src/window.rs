//! A part of a source, and a target that begins somewhere in another one.

use std::ops::Range;
use std::sync::Arc;

use crate::read::check_range;
use crate::{Error, ReadAt, Result, WriteAt};

/// `len` bytes of a source from `start` on: a partition of a disk, a file of an ISO.
#[derive(Clone, Debug)]
pub struct Window {
    source: Arc<dyn ReadAt>,
    start: u64,
    len: u64,
}

impl Window {
    /// The window of `len` bytes from `start` on.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where the source ends before the window does.
    pub fn new(source: Arc<dyn ReadAt>, start: u64, len: u64) -> Result<Self> {
        let end = start.checked_add(len);
        if end.is_none_or(|end| end > source.len()) {
            let message = format!("{len} bytes from here, and the source has {}", source.len());
            return Err(Error::corrupt("opening a part", message).at(start));
        }
        Ok(Self { source, start, len })
    }

    /// Where the window begins in its source, in bytes.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }
}

impl ReadAt for Window {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.len, offset, buf.len(), "reading a part")?;
        self.source
            .read_exact_at(buf, self.start.saturating_add(offset))
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let found = self.source.next_data(self.start.saturating_add(offset))?;
        Ok(found.and_then(|range| {
            let start = range.start.saturating_sub(self.start);
            let end = range.end.saturating_sub(self.start).min(self.len);
            (start < end).then_some(start..end)
        }))
    }
}

/// A target whose byte 0 is byte `start` of another one: a payload written straight to its place on the media.
#[derive(Clone, Debug)]
pub struct OffsetTarget<T> {
    target: T,
    start: u64,
}

impl<T: WriteAt> OffsetTarget<T> {
    /// A target that begins at byte `start` of `target`.
    pub fn new(target: T, start: u64) -> Self {
        Self { target, start }
    }
}

impl<T: WriteAt> WriteAt for OffsetTarget<T> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        let place = self
            .start
            .checked_add(offset)
            .ok_or_else(|| Error::limit("writing a payload", "the offset overflows").at(offset))?;
        self.target.write_all_at(buf, place)
    }
}
