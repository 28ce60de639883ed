//! Bytes in memory, as a source and as a target.

use std::sync::{Mutex, PoisonError};

use crate::read::check_range;
use crate::{Error, ReadAt, Result, WriteAt};

impl ReadAt for [u8] {
    fn len(&self) -> u64 {
        u64::try_from(<[u8]>::len(self)).unwrap_or(u64::MAX)
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        read_slice(self, buf, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        ReadAt::len(self.as_slice())
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        read_slice(self, buf, offset)
    }
}

fn read_slice(bytes: &[u8], buf: &mut [u8], offset: u64) -> Result<()> {
    check_range(ReadAt::len(bytes), offset, buf.len(), "reading memory")?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let from = bytes.get(start..).and_then(|rest| rest.get(..buf.len()));
    buf.copy_from_slice(from.ok_or_else(|| Error::corrupt("reading memory", "range").at(offset))?);
    Ok(())
}

/// Memory that grows as it is written to, for small payloads and tests.
#[derive(Debug, Default)]
pub struct MemoryTarget(Mutex<Vec<u8>>);

impl MemoryTarget {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All that was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteAt for MemoryTarget {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        let too_large =
            || Error::limit("writing memory", "the range does not fit into memory").at(offset);
        let start = usize::try_from(offset).map_err(|_| too_large())?;
        let end = start.checked_add(buf.len()).ok_or_else(too_large)?;
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes
            .get_mut(start..end)
            .ok_or_else(too_large)?
            .copy_from_slice(buf);
        Ok(())
    }
}
