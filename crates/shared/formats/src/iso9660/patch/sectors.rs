//! The ISO with changed sectors laid over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{ReadAt, Result, read_vec};

use super::super::format::{SECTOR, SECTOR_LEN, put};

/// The ISO with changed sectors laid over it.
#[derive(Debug)]
pub(super) struct Sectors {
    pub(super) source: Arc<dyn ReadAt>,
    /// By their number.
    pub(super) changed: BTreeMap<u64, Vec<u8>>,
}

impl Sectors {
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// A sector as it is on the ISO. The last one of an ISO that ends inside of it is as short as that.
    pub(super) fn old(&self, number: u64) -> Result<Vec<u8>> {
        let at = number.saturating_mul(SECTOR_LEN);
        let len = self.source.len().saturating_sub(at).min(SECTOR_LEN);
        read_vec(&*self.source, at, len, SECTOR, "a sector of ISO 9660")
    }

    pub(super) fn write(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let number = offset / SECTOR_LEN;
            let inside = usize::try_from(offset % SECTOR_LEN).unwrap_or(0);
            let (now, later) = bytes
                .split_at_checked(SECTOR.saturating_sub(inside))
                .unwrap_or((bytes, &[]));
            if !self.changed.contains_key(&number) {
                let old = self.old(number)?;
                self.changed.insert(number, old);
            }
            let sector = self.changed.get_mut(&number).map(Vec::as_mut_slice);
            put(sector.unwrap_or_default(), inside, now);
            offset = offset.saturating_add(ReadAt::len(now));
            bytes = later;
        }
        Ok(())
    }
}

impl ReadAt for Sectors {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.source.read_exact_at(buf, offset)?;
        let end = offset.saturating_add(ReadAt::len(&*buf));
        for (number, sector) in self
            .changed
            .range(offset / SECTOR_LEN..end.div_ceil(SECTOR_LEN))
        {
            let at = number.saturating_mul(SECTOR_LEN);
            let skip = usize::try_from(offset.saturating_sub(at)).unwrap_or(0);
            let to = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            put(buf, to, sector.get(skip..).unwrap_or_default());
        }
        Ok(())
    }
}
