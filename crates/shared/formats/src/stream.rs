//! A source as a stream: what decoders read from.

use std::io::{self, Read};

use block::ReadAt;

/// Reads a source from an offset to its end.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    source: &'a dyn ReadAt,
    offset: u64,
}

impl<'a> Stream<'a> {
    /// What of `source` lies from byte `offset` on.
    pub(crate) fn new(source: &'a dyn ReadAt, offset: u64) -> Self {
        Self { source, offset }
    }

    /// Where the next byte is.
    pub(crate) fn position(&self) -> u64 {
        self.offset
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.source.len().saturating_sub(self.offset);
        let take = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..take).unwrap_or_default();
        self.source
            .read_exact_at(part, self.offset)
            .map_err(io::Error::other)?;
        self.offset = self.offset.saturating_add(ReadAt::len(&*part));
        Ok(take)
    }
}
