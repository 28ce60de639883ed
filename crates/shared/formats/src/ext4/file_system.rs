//! An open file system: where its inodes lie, what may still be used up, and what was noticed.

use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result};

use super::format::{MAX_METADATA_BYTES, MAX_RUNS, MAX_XATTR_BYTES, MIN_XATTR_BYTES};
use super::group;
use super::inode::RawInode;
use super::journal::{FastCommits, Overlay, Replay};
use super::medium::{Budget, Medium};
use super::run::{self, Runs};
use super::superblock::Superblock;
use super::xattr::Cache;

/// The most warnings that are kept; one more says that there were more.
const MAX_WARNINGS: usize = 100;

/// A file system that is being read.
#[derive(Debug)]
pub(super) struct FileSystem {
    pub(super) superblock: Superblock,
    /// Metadata, through the journal's overlay where there is one.
    medium: Medium,
    /// The file system as it was given: what the pieces of files refer to.
    source: Arc<dyn ReadAt>,
    /// The blocks that the journal holds newer versions of.
    overlay: Option<Arc<Overlay>>,
    /// What was changed after that.
    pub(super) fast: FastCommits,
    /// The offset of the inode table of each group.
    tables: Vec<u64>,
    /// Runs of all files.
    pub(super) runs: Budget,
    /// Bytes of metadata that lies in blocks of its own.
    metadata: Budget,
    /// Bytes of xattrs.
    pub(super) xattr_bytes: Budget,
    /// Sets of xattrs that were met already.
    pub(super) xattrs: Cache,
    warnings: Vec<String>,
}

impl FileSystem {
    /// A file system whose inode tables lie at `tables`; without an entry for each group, inodes of the others are refused.
    pub(super) fn new(
        superblock: Superblock,
        tables: Vec<u64>,
        source: Arc<dyn ReadAt>,
        overlay: Option<Arc<Overlay>>,
    ) -> Self {
        let through: Arc<dyn ReadAt> = match &overlay {
            Some(overlay) => overlay.clone(),
            None => source.clone(),
        };
        // No file system has more runs than blocks, or more metadata than bytes.
        let blocks = superblock.blocks_count;
        let bytes = blocks.saturating_mul(u64::from(superblock.block_size));
        let xattr_bytes = bytes.clamp(MIN_XATTR_BYTES, MAX_XATTR_BYTES);
        Self {
            superblock,
            medium: Medium::new(through),
            source,
            overlay,
            fast: FastCommits::default(),
            tables,
            runs: Budget::new("runs of blocks", blocks.min(MAX_RUNS)),
            metadata: Budget::new("bytes of metadata", bytes.min(MAX_METADATA_BYTES)),
            xattr_bytes: Budget::new("bytes of xattrs", xattr_bytes),
            xattrs: Cache::default(),
            warnings: Vec::new(),
        }
    }

    /// Opens the file system of `source`, with the journal replayed where it has to be.
    ///
    /// # Errors
    ///
    /// As [`Superblock::read`], and what is wrong with the journal or a group descriptor.
    pub(super) fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let superblock = Superblock::read(&source)?;
        let Replay {
            overlay,
            fast,
            mut warnings,
        } = super::journal::replay(&source, &superblock)?;
        let overlay = overlay.map(Arc::new);
        // The journal holds newer versions of the superblock and the group descriptors too.
        let (superblock, tables) = match &overlay {
            Some(overlay) => {
                let superblock = Superblock::read(overlay)?;
                let tables = group::read_all(overlay, &superblock)?;
                (superblock, tables)
            }
            None => {
                let tables = group::read_all(&source, &superblock)?;
                (superblock, tables)
            }
        };
        if superblock.state & 2 != 0 {
            warnings.push("the kernel found errors in this ext4 file system before".to_owned());
        }
        let mut fs = Self::new(superblock, tables, source, overlay);
        fs.warnings = warnings;
        fs.fast = fast;
        Ok(fs)
    }

    /// Notes what a user has to know.
    pub(super) fn warn(&mut self, message: impl Into<String>) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(message.into());
        } else if self.warnings.len() == MAX_WARNINGS {
            self.warnings.push("more of the same follows".to_owned());
        }
    }

    /// What was noticed.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// Reads the inode `number`, which a name or another inode refers to.
    ///
    /// # Errors
    ///
    /// As [`RawInode::parse`]; [`Kind::Corrupt`](block::Kind::Corrupt) where there is no such number.
    pub(super) fn inode(&mut self, number: u32) -> Result<RawInode> {
        let superblock = &self.superblock;
        let index = number
            .checked_sub(1)
            .filter(|_| number <= superblock.inodes_count)
            .ok_or_else(|| {
                let message = format!(
                    "it is referred to, and there are {} inodes",
                    superblock.inodes_count
                );
                Error::corrupt(format!("ext4 inode {number}"), message)
            })?;
        let group = index
            .checked_div(superblock.inodes_per_group)
            .and_then(|group| usize::try_from(group).ok());
        let inside = index.checked_rem(superblock.inodes_per_group);
        let table = group.and_then(|group| self.tables.get(group));
        let (Some(table), Some(inside)) = (table, inside) else {
            let message = "its group has no descriptor";
            return Err(Error::corrupt(format!("ext4 inode {number}"), message));
        };
        let size = superblock.inode_size;
        let offset = table.saturating_add(u64::from(inside).saturating_mul(u64::from(size)));
        let mut bytes = vec![0; usize::from(size)];
        self.medium.read(&mut bytes, offset)?;
        match self.fast.inode(number) {
            Some(fields) => RawInode::replayed(&self.superblock, number, (offset, bytes), fields),
            None => RawInode::parse(&self.superblock, number, offset, bytes),
        }
    }

    /// Reads the block of metadata at `offset`.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](block::Kind::Limit) where more blocks were read than there are; what reading answers.
    pub(super) fn block(&mut self, offset: u64) -> Result<Vec<u8>> {
        self.metadata.take(u64::from(self.superblock.block_size))?;
        let mut bytes = vec![0; super::field::index(self.superblock.block_size)];
        self.medium.read(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The content of `inode`, which has `size` bytes and lies in blocks.
    ///
    /// # Errors
    ///
    /// As [`run::of`]; [`Kind::Corrupt`](block::Kind::Corrupt) where it is longer than 2^32 blocks.
    pub(super) fn content(&mut self, inode: &RawInode, size: u64) -> Result<Content> {
        let block_size = u64::from(self.superblock.block_size);
        let blocks = size.div_ceil(block_size);
        if blocks > 1 << 32 {
            return Err(inode.corrupt(0x4, format!("a file of {size} bytes")));
        }
        if size == 0 {
            return Ok(Content::default());
        }
        let runs = run::of(self, inode, blocks)?;
        Content::new(self.pieces(&runs, size))
    }

    /// The pieces of a file of `size` bytes with these runs.
    fn pieces(&self, runs: &Runs, size: u64) -> Vec<Piece> {
        let block_size = u64::from(self.superblock.block_size);
        let mut pieces = Vec::new();
        let mut position: u64 = 0;
        for run in runs.0.iter().filter(|run| run.written) {
            let start = run.logical.saturating_mul(block_size);
            if start >= size {
                break;
            }
            let len = run
                .len
                .saturating_mul(block_size)
                .min(size.saturating_sub(start));
            let hole = start.saturating_sub(position);
            if hole > 0 {
                pieces.push(Piece::Hole { len: hole });
            }
            self.push_range(&mut pieces, run.physical.saturating_mul(block_size), len);
            position = start.saturating_add(len);
        }
        let hole = size.saturating_sub(position);
        if hole > 0 {
            pieces.push(Piece::Hole { len: hole });
        }
        pieces
    }

    /// Adds `len` bytes from `offset` on: of the source, and of the overlay where the journal holds a newer version.
    fn push_range(&self, pieces: &mut Vec<Piece>, offset: u64, len: u64) {
        let mut push = |source: Arc<dyn ReadAt>, offset, len| {
            pieces.push(Piece::Range {
                source,
                offset,
                len,
            });
        };
        let Some(overlay) = &self.overlay else {
            return push(self.source.clone(), offset, len);
        };
        for part in overlay.parts(offset, len) {
            let source: Arc<dyn ReadAt> = if part.replayed {
                overlay.clone()
            } else {
                self.source.clone()
            };
            push(source, part.offset, part.len);
        }
    }
}
