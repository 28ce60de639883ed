//! An image and what lies under it, as a source of bytes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BackingFile;
use super::codec::Codec;
use super::header::Header;
use super::map::{Map, Place, Run};
use crate::cache::Cache;
use crate::read::check_range;
use crate::{Error, ReadAt, Result, read_vec};

/// How many bytes of decompressed clusters are kept, for reads that take a part of a cluster.
const CACHED_BYTES: u64 = 8 << 20;
/// The shortest run of data of which the layer below is asked whether it has holes; asking costs two system calls.
const ASK_BELOW: u64 = 1 << 20;
/// How far a range of data is followed before it is handed on.
const MAX_RANGE: u64 = 1 << 30;

/// A qcow2 image, opened. Threads read at the same time; only look-ups in the caches wait for each other.
#[derive(Debug)]
pub struct Image {
    source: Arc<dyn ReadAt>,
    map: Map,
    codec: Codec,
    clusters: Cache<Arc<[u8]>>,
    backing: Option<Backing>,
    path: Option<PathBuf>,
}

/// What lies under an image.
#[derive(Debug)]
enum Backing {
    Image(Arc<Image>),
    Raw(Arc<dyn ReadAt>),
}

impl Image {
    /// Opens the image in `source`. Where it [has a backing file](Self::backing_file), that has to be put under it before the
    /// first read; it is not looked for.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](crate::Kind::Corrupt), and [`Kind::Unsupported`](crate::Kind::Unsupported) for what the module names.
    pub fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let header = Header::read(&source)?;
        let capacity = (CACHED_BYTES >> header.cluster_bits).clamp(4, 4096);
        Ok(Self {
            codec: Codec::new(header.compression),
            clusters: Cache::new(usize::try_from(capacity).unwrap_or(4)),
            map: Map::open(source.clone(), header)?,
            source,
            backing: None,
            path: None,
        })
    }

    /// What the image says of the file under it.
    #[must_use]
    pub fn backing_file(&self) -> Option<&BackingFile> {
        self.map.header().backing.as_ref()
    }

    /// The image over `below`, which is an image too.
    #[must_use]
    pub fn over_image(mut self, below: Arc<Self>) -> Self {
        self.backing = Some(Backing::Image(below));
        self
    }

    /// The image over `below`, which is read as it is.
    #[must_use]
    pub fn over_raw(mut self, below: Arc<dyn ReadAt>) -> Self {
        self.backing = Some(Backing::Raw(below));
        self
    }

    /// The image with the path that its errors name.
    #[must_use]
    pub fn named(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// The same error with the image's path.
    fn name(&self, error: Error) -> Error {
        match &self.path {
            Some(path) => error.in_file(path),
            None => error,
        }
    }

    /// The size of a cluster in bytes, a power of two.
    #[must_use]
    pub fn cluster_len(&self) -> u64 {
        self.map.header().cluster_len()
    }

    /// Fills `buf`, which lies inside the disk.
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let mut rest = buf;
        let mut position = offset;
        while !rest.is_empty() {
            let run = self.map.run(position, ReadAt::len(&*rest));
            let run = run.map_err(|error| self.name(error))?;
            let len = usize::try_from(run.len)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(len);
            match run.place {
                Place::Zeros => now.fill(0),
                Place::Backing => self.read_backing(now, position)?,
                Place::Data { host } => self.source.read_exact_at(now, host)?,
                Place::Compressed { host, len } => {
                    self.read_compressed(now, position, [host, len])?;
                }
            }
            position = position.saturating_add(run.len);
            rest = later;
        }
        Ok(())
    }

    /// Fills `buf` from below; where the layer below is shorter, zeros follow.
    fn read_backing(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let len = match &self.backing {
            None => 0,
            Some(Backing::Image(below)) => ReadAt::len(&**below),
            Some(Backing::Raw(below)) => below.len(),
        };
        let available = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (from_below, zeros) = buf.split_at_mut(available.min(buf.len()));
        zeros.fill(0);
        match &self.backing {
            Some(Backing::Image(below)) if !from_below.is_empty() => below.read(from_below, offset),
            Some(Backing::Raw(below)) if !from_below.is_empty() => {
                below.read_exact_at(from_below, offset)
            }
            _ => Ok(()),
        }
    }

    /// Fills `buf`, a part of one cluster, from the compressed bytes at `host`.
    fn read_compressed(&self, buf: &mut [u8], offset: u64, [host, len]: [u64; 2]) -> Result<()> {
        let cluster_len = self.cluster_len();
        if ReadAt::len(&*buf) == cluster_len && self.clusters.find(host).is_none() {
            return self.decompress(buf, host, len);
        }
        let cluster = self.clusters.get(host, || {
            let mut cluster = vec![0; usize::try_from(cluster_len).unwrap_or(0)];
            self.decompress(&mut cluster, host, len)?;
            Ok::<_, Error>(Arc::from(cluster))
        })?;
        cluster.read_exact_at(buf, offset & cluster_len.wrapping_sub(1))
    }

    fn decompress(&self, cluster: &mut [u8], host: u64, len: u64) -> Result<()> {
        const WHAT: &str = "a compressed qcow2 cluster";
        // The last sector need not be whole at the end of the file.
        let len = len.min(self.source.len().saturating_sub(host));
        // At most two clusters, by the number of bits for its length in the entry.
        let compressed = read_vec(&self.source, host, len, 4 << 20, WHAT)?;
        self.codec
            .decompress(&compressed, cluster)
            .map_err(|reason| self.name(Error::corrupt(WHAT, reason).at(host)))
    }

    /// The first range of data from `offset` on, as far as it begins before `limit`.
    fn find_data(&self, offset: u64, limit: u64) -> Result<Option<Range<u64>>> {
        let limit = limit.min(ReadAt::len(self));
        let mut found: Option<Range<u64>> = None;
        let mut position = offset;
        while position < limit {
            let run = self.map.run(position, limit.saturating_sub(position));
            let run = run.map_err(|error| self.name(error))?;
            let end = position.saturating_add(run.len);
            let data = self.data_in(run, position)?;
            match (&mut found, data) {
                (Some(found), Some(data)) if found.end == data.start => found.end = data.end,
                (Some(_), _) => break,
                (None, data) => found = data,
            }
            let is_followed = |found: &Range<u64>| {
                found.end == end && end.saturating_sub(found.start) < MAX_RANGE
            };
            if !found.as_ref().is_none_or(is_followed) {
                break;
            }
            position = end;
        }
        Ok(found)
    }

    /// The first range of data in `run`, which begins at `position`.
    fn data_in(&self, run: Run, position: u64) -> Result<Option<Range<u64>>> {
        let end = position.saturating_add(run.len);
        let below = match (run.place, &self.backing) {
            (Place::Zeros, _) | (Place::Backing, None) => return Ok(None),
            (Place::Compressed { .. }, _) => return Ok(Some(position..end)),
            (Place::Backing, Some(Backing::Image(below))) => below.find_data(position, end)?,
            (Place::Backing, Some(Backing::Raw(below))) => below.next_data(position)?,
            (Place::Data { host }, _) => {
                let is_there = host
                    .checked_add(run.len)
                    .is_some_and(|e| e <= self.source.len());
                // What is missing at the end of the file has to be found out by reading it.
                if run.len < ASK_BELOW || !is_there {
                    return Ok(Some(position..end));
                }
                let to_disk = |at: u64| at.saturating_sub(host).saturating_add(position);
                let found = self.source.next_data(host)?;
                found.map(|found| to_disk(found.start)..to_disk(found.end))
            }
        };
        Ok(below.and_then(|found| {
            let clipped = found.start.max(position)..found.end.min(end);
            (!clipped.is_empty()).then_some(clipped)
        }))
    }
}

impl ReadAt for Image {
    fn len(&self) -> u64 {
        self.map.header().size
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(
            ReadAt::len(self),
            offset,
            buf.len(),
            "reading the disk image",
        )
        .map_err(|error| self.name(error))?;
        self.read(buf, offset)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.find_data(offset, u64::MAX)
    }
}
