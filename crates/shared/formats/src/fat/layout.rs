//! How large a new file system is, and where things stand in it.
//!
//! Sectors have 512 bytes, there are two tables, and the data begin at a whole number of clusters from the start.

use block::{Error, Result};

use super::format::{FIRST_CLUSTER, Kind};

pub(super) const SECTOR: u64 = 512;
/// How many copies of the table there are.
pub(super) const TABLES: u64 = 2;
/// How many clusters the number stays away from the bounds between the kinds: the specification asks for at least 16, because some
/// drivers have them wrong.
const MARGIN: u64 = 16;
/// The sizes of a new file system are whole units of 2048 bytes, the sectors of a CD.
const UNIT_SECTORS: u64 = 4;
/// The entries of the root folder of FAT12 and FAT16 where no more are needed: what the specification asks for.
const ROOT_ENTRIES: u64 = 512;

const WHAT: &str = "laying out a FAT file system";

/// The kinds and sectors of a cluster that are tried, in this order: small ones for small file systems, FAT16 up to 512 MiB.
const CANDIDATES: [(Kind, u8); 10] = [
    (Kind::Fat12, 1),
    (Kind::Fat12, 2),
    (Kind::Fat12, 4),
    (Kind::Fat16, 4),
    (Kind::Fat16, 8),
    (Kind::Fat16, 16),
    (Kind::Fat32, 8),
    (Kind::Fat32, 16),
    (Kind::Fat32, 32),
    (Kind::Fat32, 64),
];

/// What has to fit.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The lengths of all files and of all folders but the root.
    pub(super) lengths: Vec<u64>,
    /// The length of the root folder.
    pub(super) root_len: u64,
}

impl Needs {
    fn clusters(&self, kind: Kind, cluster_len: u64) -> u64 {
        let of = |len: &u64| len.div_ceil(cluster_len.max(1));
        let root = match kind {
            Kind::Fat32 => of(&self.root_len).max(1),
            _ => 0,
        };
        let lengths = self.lengths.iter().map(of);
        lengths.fold(root, u64::saturating_add)
    }
}

/// Where things stand, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) kind: Kind,
    pub(super) cluster_sectors: u8,
    pub(super) reserved: u64,
    /// Of one table.
    pub(super) table_sectors: u64,
    /// The entries of the root folder, where it has a place of its own.
    pub(super) root_entries: u64,
    pub(super) clusters: u64,
    pub(super) total: u64,
}

impl Layout {
    /// The smallest file system that holds `needs`.
    pub(super) fn minimal(needs: &Needs) -> Result<Self> {
        CANDIDATES
            .into_iter()
            .find_map(|candidate| Self::of_needs(needs, candidate))
            .ok_or_else(|| Error::limit(WHAT, "the files do not fit into any FAT file system"))
    }

    /// The file system of `total` sectors that holds `needs`.
    pub(super) fn of_total(needs: &Needs, total: u64) -> Result<Self> {
        let found = CANDIDATES.into_iter().find_map(|(kind, cluster_sectors)| {
            // A table for too many clusters does no harm.
            let clusters = total.checked_div(cluster_sectors.into())?;
            let layout = Self::new(needs, kind, cluster_sectors, clusters)?.resized(total)?;
            let needed = needs.clusters(kind, layout.cluster_len());
            (needed <= layout.clusters).then_some(layout)
        });
        found.ok_or_else(|| {
            let least = Self::minimal(needs).map_or(u64::MAX, |least| least.total);
            let message = format!(
                "{} bytes do not hold the files, or make no FAT file system; {} bytes are the least",
                total.saturating_mul(SECTOR),
                least.saturating_mul(SECTOR)
            );
            Error::limit(WHAT, message)
        })
    }

    fn of_needs(needs: &Needs, (kind, cluster_sectors): (Kind, u8)) -> Option<Self> {
        let cluster_len = u64::from(cluster_sectors).saturating_mul(SECTOR);
        let clusters = needs.clusters(kind, cluster_len).max(min_clusters(kind));
        // Rounding up the size can add as many clusters as it adds sectors.
        let room = clusters.saturating_add(UNIT_SECTORS);
        let layout = Self::new(needs, kind, cluster_sectors, room)?;
        let data_sectors = clusters.saturating_mul(cluster_sectors.into());
        let total = layout.data_start().saturating_add(data_sectors);
        layout.resized(total.checked_next_multiple_of(UNIT_SECTORS)?)
    }

    /// Places everything before the data, for `clusters` clusters.
    fn new(needs: &Needs, kind: Kind, cluster_sectors: u8, clusters: u64) -> Option<Self> {
        let clusters = clusters.min(kind.max_clusters().into());
        let table_len = kind.table_len(u32::try_from(clusters).ok()?);
        let (reserved, root_entries) = match kind {
            Kind::Fat32 => (32, 0),
            _ => {
                let entries = (needs.root_len / 32).max(ROOT_ENTRIES);
                let entries = entries.checked_next_multiple_of(16)?;
                u16::try_from(entries).ok()?;
                (1, entries)
            }
        };
        let mut layout = Self {
            kind,
            cluster_sectors,
            reserved,
            table_sectors: table_len.div_ceil(SECTOR),
            root_entries,
            clusters: 0,
            total: 0,
        };
        // The reserved sectors take up what is left to a whole cluster.
        let start = layout.data_start();
        let aligned = start.checked_next_multiple_of(cluster_sectors.into())?;
        layout.reserved = reserved.saturating_add(aligned.saturating_sub(start));
        u16::try_from(layout.reserved).ok()?;
        Some(layout)
    }

    /// The layout with the size `total`; `None` where the number of clusters is not one of its kind.
    fn resized(mut self, total: u64) -> Option<Self> {
        let data = total.checked_sub(self.data_start())?;
        self.total = total;
        self.clusters = data.checked_div(self.cluster_sectors.into())?;
        u32::try_from(total).ok()?;
        let max = u64::from(self.kind.max_clusters()).saturating_sub(MARGIN);
        (min_clusters(self.kind)..=max)
            .contains(&self.clusters)
            .then_some(self)
    }

    /// The size of a cluster in bytes.
    pub(super) fn cluster_len(&self) -> u64 {
        u64::from(self.cluster_sectors).saturating_mul(SECTOR)
    }

    /// The sectors before the root folder.
    pub(super) fn root_start(&self) -> u64 {
        let tables = self.table_sectors.saturating_mul(TABLES);
        self.reserved.saturating_add(tables)
    }

    /// The sectors before the first cluster.
    fn data_start(&self) -> u64 {
        let root_sectors = self.root_entries.saturating_mul(32).div_ceil(SECTOR);
        self.root_start().saturating_add(root_sectors)
    }

    /// Where `cluster` begins, in bytes.
    pub(super) fn offset(&self, cluster: u32) -> u64 {
        let index = u64::from(cluster.saturating_sub(FIRST_CLUSTER));
        let inside = index.saturating_mul(self.cluster_len());
        self.data_start()
            .saturating_mul(SECTOR)
            .saturating_add(inside)
    }
}

/// The fewest clusters that a new file system of this kind has.
fn min_clusters(kind: Kind) -> u64 {
    let below = match kind {
        Kind::Fat12 => return MARGIN,
        Kind::Fat16 => Kind::Fat12,
        Kind::Fat32 => Kind::Fat16,
    };
    u64::from(below.max_clusters()).saturating_add(MARGIN)
}
