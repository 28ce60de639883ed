//! The part of the file that holds the log; what is written past its end goes on at its start.

use std::sync::Arc;

use super::WHAT;
use crate::vhdx::header::LogPlace;
use crate::{Error, ReadAt, Result};

/// The log as a ring of bytes.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    source: Arc<dyn ReadAt>,
    offset: u64,
    /// In bytes, a multiple of 1 MiB and not 0.
    pub(super) len: u64,
}

impl Ring {
    pub(super) fn new(source: Arc<dyn ReadAt>, place: &LogPlace) -> Result<Self> {
        let end = place.offset.checked_add(place.len);
        if end.is_none_or(|end| end > source.len()) {
            let message = format!("{} bytes from here reach past the file's end", place.len);
            return Err(Error::corrupt(WHAT, message).at(place.offset));
        }
        Ok(Self {
            source,
            offset: place.offset,
            len: place.len,
        })
    }

    /// The position `by` bytes behind `at`.
    pub(super) fn step(&self, at: u64, by: u64) -> u64 {
        at.saturating_add(by).checked_rem(self.len).unwrap_or(0)
    }

    /// Fills `buf` from the position `at` on, and from the start on where the end comes before.
    pub(super) fn read(&self, buf: &mut [u8], at: u64) -> Result<()> {
        let rest = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let (first, second) = buf.split_at_mut(rest.min(buf.len()));
        self.source
            .read_exact_at(first, self.offset.saturating_add(at))?;
        self.source.read_exact_at(second, self.offset)
    }
}
