//! The file with what the log says laid over it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::entry::{Entry, Sector, What};
use super::ring::Ring;
use super::{SECTOR, WHAT};
use crate::read::check_range;
use crate::vhdx::ALIGNMENT;
use crate::{Error, ReadAt, Result};

/// A part of the file that is otherwise than it stands there.
#[derive(Clone, Copy, Debug)]
struct Extent {
    end: u64,
    /// `None` for zeros.
    sector: Option<Sector>,
}

/// The file as it would be after its log was replayed.
#[derive(Debug)]
pub(super) struct Overlay {
    source: Arc<dyn ReadAt>,
    ring: Ring,
    len: u64,
    /// By where they begin; none of them overlap, and all begin and end at multiples of 4096.
    extents: BTreeMap<u64, Extent>,
}

impl Overlay {
    pub(super) fn new(source: Arc<dyn ReadAt>, ring: Ring) -> Self {
        Self {
            len: source.len(),
            source,
            ring,
            extents: BTreeMap::new(),
        }
    }

    /// Lays what `entry` says over all that came before it.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<()> {
        if entry.file_len > self.source.len() {
            let message = format!(
                "the file had {} bytes when it was written, and has {}",
                entry.file_len,
                self.source.len()
            );
            return Err(Error::corrupt(WHAT, message));
        }
        // As QEMU does it: files grow by whole MiB.
        let new_len = entry.new_len.checked_next_multiple_of(ALIGNMENT);
        self.len = self.len.max(new_len.unwrap_or(entry.new_len));
        for change in &entry.changes {
            let (len, sector) = match change.what {
                What::Zeros { len } => (len, None),
                What::Sector(sector) => (SECTOR, Some(sector)),
            };
            let Some(end) = change.offset.checked_add(len) else {
                return Err(Error::corrupt(WHAT, "it ends past 2^64 bytes"));
            };
            if len > 0 {
                self.insert(change.offset, Extent { end, sector });
                // What a file is written to past its end, it becomes longer by.
                self.len = self.len.max(end);
            }
        }
        Ok(())
    }

    fn insert(&mut self, start: u64, extent: Extent) {
        let before = self.extents.range_mut(..start).next_back();
        if let Some((_, before)) = before
            && before.end > start
        {
            let old = *before;
            before.end = start;
            self.keep_behind(extent.end, old);
        }
        while let Some((at, old)) = self
            .extents
            .range(start..extent.end)
            .next()
            .map(|(at, old)| (*at, *old))
        {
            self.extents.remove(&at);
            self.keep_behind(extent.end, old);
        }
        self.extents.insert(start, extent);
    }

    /// Keeps what of `old` lies behind `end`. Only zeros are longer than a sector.
    fn keep_behind(&mut self, end: u64, old: Extent) {
        if old.end > end {
            self.extents.insert(end, old);
        }
    }

    /// The extent at `offset`, else where the next one begins.
    fn extent_at(&self, offset: u64) -> (Option<(u64, Extent)>, u64) {
        let before = self.extents.range(..=offset).next_back();
        if let Some((start, extent)) = before
            && extent.end > offset
        {
            return (Some((*start, *extent)), extent.end);
        }
        let next = self.extents.range(offset..).next();
        (None, next.map_or(u64::MAX, |(start, _)| *start))
    }

    /// Fills `buf` from the file; zeros follow where it ends.
    fn read_file(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let available = self.source.len().saturating_sub(offset);
        let available = usize::try_from(available).unwrap_or(usize::MAX);
        let (there, zeros) = buf.split_at_mut(available.min(buf.len()));
        zeros.fill(0);
        if there.is_empty() {
            return Ok(());
        }
        self.source.read_exact_at(there, offset)
    }
}

impl ReadAt for Overlay {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.len, offset, buf.len(), "reading the file with its log")?;
        let mut rest = buf;
        let mut position = offset;
        while !rest.is_empty() {
            let (extent, end) = self.extent_at(position);
            let len = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
            let len = len.min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(len);
            rest = later;
            match extent {
                None => self.read_file(now, position)?,
                Some((_, Extent { sector: None, .. })) => now.fill(0),
                Some((
                    start,
                    Extent {
                        sector: Some(sector),
                        ..
                    },
                )) => {
                    let bytes = sector.read(&self.ring)?;
                    bytes.read_exact_at(now, position.saturating_sub(start))?;
                }
            }
            position = position.saturating_add(ReadAt::len(&*now));
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let (extent, end) = self.extent_at(offset);
        // Zeros of the log count as data: there are few of them.
        if extent.is_some() {
            return Ok(Some(offset..end));
        }
        let found = match offset < self.source.len() {
            true => self.source.next_data(offset)?,
            false => None,
        };
        match found {
            Some(found) if found.start <= end => Ok(Some(found)),
            _ if end < u64::MAX => Ok(self.extents.get(&end).map(|extent| end..extent.end)),
            other => Ok(other),
        }
    }
}
