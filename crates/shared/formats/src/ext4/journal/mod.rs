//! The journal, replayed in memory: which blocks of the file system have newer versions in it.
//!
//! ```text
//! superblock ─ log (blocks of the journal, in a ring) ─ scan (transactions) ─ overlay (a source with the newer versions)
//!                                                        fast_commit (changes that are described, not copied)
//! ```
//!
//! Source: Linux 6.x `include/linux/jbd2.h`, `fs/jbd2/recovery.c`, `fs/ext4/fast_commit.h`. One pass does what the kernel's three
//! do: a transaction's blocks enter the map when its commit block is met, and its revoked blocks leave it.

mod fast_commit;
mod log;
mod overlay;
mod scan;
mod superblock;

use std::sync::Arc;

use block::{Error, ReadAt, Result};

use self::log::Log;
use self::superblock::JournalSuperblock;
use super::file_system::FileSystem;
use super::format::{MAX_JOURNAL_BLOCKS, compat, incompat};
use super::group;
use super::superblock::Superblock;

pub(super) use self::fast_commit::FastCommits;
pub(super) use self::overlay::Overlay;

/// `h_magic`, at the start of every block of the journal that is no data.
const MAGIC: u32 = 0xc03b_3998;

/// What a journal holds that the file system does not hold yet.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Newer versions of blocks.
    pub(super) overlay: Option<Overlay>,
    /// Changes after those.
    pub(super) fast: FastCommits,
    pub(super) warnings: Vec<String>,
}

/// What the journal of `source` holds, in case that the file system was not unmounted.
///
/// # Errors
///
/// [`Kind::Unsupported`](block::Kind::Unsupported) where what has to be replayed is in an external journal;
/// [`Kind::Corrupt`](block::Kind::Corrupt) where the kernel would not replay the journal either.
pub(super) fn replay(source: &Arc<dyn ReadAt>, superblock: &Superblock) -> Result<Replay> {
    let mut replay = Replay::default();
    if !superblock.has_incompat(incompat::RECOVER) {
        return Ok(replay);
    }
    if !superblock.has_compat(compat::HAS_JOURNAL) {
        let message = "it is to be replayed, and there is none";
        return Err(Error::corrupt("ext4 journal", message));
    }
    if superblock.journal_inode == 0 {
        let message = "it is to be replayed, and it is on another device (external journal)";
        return Err(Error::unsupported("ext4 journal", message));
    }
    let (log, journal) = open(source, superblock)?;
    if journal.errno != 0 {
        replay.warnings.push(format!(
            "the ext4 journal notes that writing failed with error {}",
            journal.errno
        ));
    }
    if journal.start == 0 {
        return Ok(replay);
    }
    let found = scan::run(&log, &journal, superblock.blocks_count)?;
    replay.warnings.extend(found.warnings);
    let mut message = format!(
        "the ext4 file system was not unmounted: {} blocks come from its journal",
        found.blocks.len()
    );
    if journal.has_fast_commits() {
        replay.fast = fast_commit::read(&log, &journal, found.next_sequence)?;
        if replay.fast.len() > 0 {
            message.push_str(&format!(", and {} changes", replay.fast.len()));
        }
    }
    replay.warnings.push(message);
    let overlay = Overlay::new(source.clone(), superblock.block_size, found.blocks);
    replay.overlay = Some(overlay);
    Ok(replay)
}

/// Opens the journal, by its inode as it is before the journal is replayed.
fn open(source: &Arc<dyn ReadAt>, superblock: &Superblock) -> Result<(Log, JournalSuperblock)> {
    let table = group::read_one(source, superblock, 0)?;
    let mut fs = FileSystem::new(superblock.clone(), vec![table], source.clone(), None);
    let explain = |error: Error| {
        let offset = error.place().offset;
        let error = error.while_doing("opening the ext4 journal");
        offset.into_iter().fold(error, Error::at)
    };
    let inode = fs.inode(superblock.journal_inode).map_err(explain)?;
    let block_size = superblock.block_size;
    let blocks = inode.size().checked_div(u64::from(block_size));
    // No journal is longer than its file system: its blocks all exist.
    let blocks = blocks
        .and_then(|blocks| u32::try_from(blocks).ok())
        .filter(|blocks| u64::from(*blocks) <= superblock.blocks_count)
        .ok_or_else(|| {
            let message = format!("a journal of {} bytes", inode.size());
            explain(inode.corrupt(0x4, message))
        })?;
    if u64::from(blocks) > MAX_JOURNAL_BLOCKS {
        let message = format!("{blocks} blocks, and at most {MAX_JOURNAL_BLOCKS} are replayed");
        return Err(Error::limit("ext4 journal", message).at(inode.offset));
    }
    let runs = super::run::of(&mut fs, &inode, u64::from(blocks)).map_err(explain)?;
    let mut log = Log::new(source.clone(), runs, block_size);
    let journal = JournalSuperblock::parse(&log.read(0)?, block_size, blocks)
        .map_err(|error| error.at(log.offset(0).unwrap_or_default()))?;
    log.set_ring(journal.first, journal.last);
    Ok((log, journal))
}
