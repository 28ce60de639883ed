//! The file allocation table, read: chains of clusters.

use block::{Error, ReadAt, Result, read_vec};

use super::format::{FIRST_CLUSTER, Geometry, Kind, u16_le, u32_le};

/// How large a table may be that is read: enough for 64 GiB of the smallest usual clusters. Beyond it is an error.
const MAX_TABLE_LEN: usize = 64 << 20;

/// The first table, and which clusters are taken.
#[derive(Debug)]
pub(super) struct Table {
    kind: Kind,
    bytes: Vec<u8>,
    /// One bit for each cluster that a chain came through. Each belongs to one chain only, so that chains end, and all of them
    /// together take no longer than the table is.
    taken: Vec<u64>,
    offset: u64,
}

/// Clusters in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Table {
    pub(super) fn read(source: &dyn ReadAt, geometry: &Geometry) -> Result<Self> {
        let len = geometry.kind.table_len(geometry.clusters);
        let offset = geometry.table_offset;
        let bytes = read_vec(source, offset, len, MAX_TABLE_LEN, "the FAT")?;
        let words = usize::try_from(geometry.clusters / 64).unwrap_or(0);
        Ok(Self {
            kind: geometry.kind,
            bytes,
            taken: vec![0; words.saturating_add(1)],
            offset,
        })
    }

    /// What follows `cluster` in its chain; `None` where it is the last.
    fn next(&self, cluster: u32) -> Option<u32> {
        let index = usize::try_from(cluster).unwrap_or(usize::MAX);
        let (entry, end) = match self.kind {
            Kind::Fat12 => {
                let pair = u16_le(&self.bytes, index.saturating_add(index >> 1));
                let entry = if index & 1 == 0 {
                    pair & 0xfff
                } else {
                    pair >> 4
                };
                (u32::from(entry), 0xff8)
            }
            Kind::Fat16 => {
                let entry = u16_le(&self.bytes, index.saturating_mul(2));
                (u32::from(entry), 0xfff8)
            }
            Kind::Fat32 => {
                let entry = u32_le(&self.bytes, index.saturating_mul(4));
                (entry & 0x0fff_ffff, 0x0fff_fff8)
            }
        };
        (entry < end).then_some(entry)
    }

    /// Takes `cluster` for a chain; false where it is taken already.
    fn take(&mut self, cluster: u32) -> bool {
        let index = cluster.saturating_sub(FIRST_CLUSTER);
        let word = usize::try_from(index / 64).unwrap_or(usize::MAX);
        let Some(word) = self.taken.get_mut(word) else {
            return false;
        };
        let bit = 1_u64 << (index % 64);
        let was_free = *word & bit == 0;
        *word |= bit;
        was_free
    }

    /// The chain from `first` on, up to `limit` clusters of it.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where it leads to a cluster that does not exist, is free, or belongs to a chain
    /// already, this one included.
    pub(super) fn chain(
        &mut self,
        geometry: &Geometry,
        first: u32,
        limit: u64,
    ) -> Result<Vec<Run>> {
        let offset = self.offset;
        let mut runs: Vec<Run> = Vec::new();
        let mut next = Some(first);
        let mut count = 0;
        while let Some(cluster) = next.filter(|_| count < limit) {
            let refuse = |message: String| {
                Err(Error::corrupt("a chain of FAT clusters", message).at(offset))
            };
            if geometry.offset(cluster).is_none() {
                return refuse(format!(
                    "it leads to cluster {cluster}, which does not exist"
                ));
            }
            if !self.take(cluster) {
                return refuse(format!("cluster {cluster} is in a chain already"));
            }
            match runs.last_mut() {
                Some(run) if run.first.checked_add(run.count) == Some(cluster) => {
                    run.count = run.count.saturating_add(1);
                }
                _ => runs.push(Run {
                    first: cluster,
                    count: 1,
                }),
            }
            count = count.saturating_add(1);
            next = self.next(cluster);
        }
        Ok(runs)
    }
}
