//! Metadata read through a cache of windows, within a budget.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use block::{Error, ReadAt, Result};

/// The length of a window: one read brings 256 inodes or 16 blocks, which mostly lie together.
const WINDOW: u64 = 64 << 10;
/// The most windows that are held: 32 MiB, as much as 130 000 inodes.
const MAX_WINDOWS: usize = 512;

/// A source whose small structures are read in any order.
#[derive(Debug)]
pub(super) struct Medium {
    source: Arc<dyn ReadAt>,
    windows: BTreeMap<u64, Box<[u8]>>,
    /// The windows by age.
    order: VecDeque<u64>,
}

impl Medium {
    pub(super) fn new(source: Arc<dyn ReadAt>) -> Self {
        Self {
            source,
            windows: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`ReadAt::read_exact_at`].
    pub(super) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
        let mut rest = buf;
        let mut position = offset;
        while !rest.is_empty() {
            let number = position / WINDOW;
            let inside = usize::try_from(position % WINDOW).unwrap_or_default();
            let window = self.window(number)?;
            let available = window.get(inside..).unwrap_or_default();
            let take = available.len().min(rest.len());
            if take == 0 {
                let message = "the file system ends before the structure does";
                return Err(Error::corrupt("reading ext4 metadata", message).at(position));
            }
            let (now, later) = rest.split_at_mut(take);
            now.copy_from_slice(available.get(..take).unwrap_or_default());
            position = number
                .saturating_mul(WINDOW)
                .saturating_add(ReadAt::len(available.get(..take).unwrap_or_default()))
                .saturating_add(position % WINDOW);
            rest = later;
        }
        Ok(())
    }

    fn window(&mut self, number: u64) -> Result<&[u8]> {
        if !self.windows.contains_key(&number) {
            let start = number.saturating_mul(WINDOW);
            let len = WINDOW.min(self.source.len().saturating_sub(start));
            let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()].into_boxed_slice();
            self.source.read_exact_at(&mut bytes, start)?;
            if self.order.len() >= MAX_WINDOWS
                && let Some(oldest) = self.order.pop_front()
            {
                self.windows.remove(&oldest);
            }
            self.windows.insert(number, bytes);
            self.order.push_back(number);
        }
        Ok(self.windows.get(&number).map_or(&[], |bytes| bytes))
    }
}

/// How much more of something may be used up: a damaged file system can refer to the same thing over and over.
#[derive(Debug)]
pub(super) struct Budget {
    /// What is counted, in the plural.
    what: &'static str,
    limit: u64,
    left: u64,
}

impl Budget {
    pub(super) fn new(what: &'static str, limit: u64) -> Self {
        Self {
            what,
            limit,
            left: limit,
        }
    }

    /// Uses up `count`.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](block::Kind::Limit) where so much is not left.
    pub(super) fn take(&mut self, count: u64) -> Result<()> {
        self.left = self.left.checked_sub(count).ok_or_else(|| {
            let message = format!("more than {} {}", self.limit, self.what);
            Error::limit("reading the ext4 file system", message)
        })?;
        Ok(())
    }
}
