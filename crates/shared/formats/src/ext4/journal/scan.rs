//! The transactions of the log, in their order.

use std::collections::BTreeMap;

use block::{Error, Result};

use super::MAGIC;
use super::log::Log;
use super::overlay::Replayed;
use super::superblock::{Checksums, JournalSuperblock};
use crate::ext4::checksum::{crc32_be, crc32c, crc32c_without};
use crate::ext4::field::{BigFields, Fields};

/// The most blocks that are replayed, and the most that one transaction revokes; more is [`Limit`](block::Kind::Limit).
const MAX_BLOCKS: usize = 1 << 21;
/// The length of the header of every block: `h_magic`, `h_blocktype`, `h_sequence`.
const HEADER_LEN: usize = 12;
/// `h_blocktype`.
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOKE: u32 = 5;
/// Flags of a tag.
const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST_TAG: u32 = 8;

/// What the log holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The newest version of each block.
    pub(super) blocks: BTreeMap<u64, Replayed>,
    /// The number that the transaction after the last one would have.
    pub(super) next_sequence: u32,
    pub(super) warnings: Vec<String>,
}

/// A block of the file system in the log.
#[derive(Clone, Copy)]
struct Copy {
    target: u64,
    replayed: Replayed,
    /// The checksum in its tag, of which [`Checksums::V2`] holds the lower half.
    checksum: u32,
    sequence: u32,
}

/// One entry of a descriptor block.
struct Tag {
    target: u64,
    flags: u32,
    checksum: u32,
}

/// What was met of the transaction that is being read.
struct Transaction {
    copies: Vec<Copy>,
    revoked: Vec<u64>,
    /// The checksum of [`Checksums::V1`] so far.
    sum: u32,
    /// Whether a block did not match its checksum: then what was met is either damaged or left over from before.
    suspect: bool,
}

impl Transaction {
    fn new() -> Self {
        Self {
            copies: Vec::new(),
            revoked: Vec::new(),
            sum: !0,
            suspect: false,
        }
    }

    /// What a log that ends inside this transaction means.
    fn end(&self) -> Verdict {
        if self.suspect {
            Verdict::Suspect
        } else {
            Verdict::End
        }
    }
}

/// What a commit block says about the transaction before it.
enum Verdict {
    /// It counts.
    Complete,
    /// There is none: the log ends here.
    End,
    /// It does not match its checksums and may be left over from before: the log ends here, as for the kernel.
    Suspect,
    /// It is not whole, which this journal allows of its last one.
    Partial,
}

struct Scan<'a> {
    log: &'a Log,
    journal: &'a JournalSuperblock,
    /// The number of blocks of the file system.
    blocks_count: u64,
    /// The next block of the log.
    position: u32,
    /// How many blocks of the log were not seen yet: a log that never ends goes round in a circle.
    left: u32,
    /// The time of the last commit.
    time: u64,
    newest: BTreeMap<u64, Copy>,
}

/// Reads the log from its start to the last whole transaction.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where a block does not match its checksum and is not left over from before, or is meant
/// for a place outside the file system; [`Kind::Limit`](block::Kind::Limit).
pub(super) fn run(log: &Log, journal: &JournalSuperblock, blocks_count: u64) -> Result<Found> {
    let mut scan = Scan {
        log,
        journal,
        blocks_count,
        position: journal.start,
        left: log.len(),
        time: 0,
        newest: BTreeMap::new(),
    };
    let mut sequence = journal.sequence;
    let mut warnings = Vec::new();
    loop {
        match scan.transaction(sequence)? {
            Verdict::Complete => sequence = sequence.wrapping_add(1),
            Verdict::End => break,
            Verdict::Suspect => {
                warnings.push(format!(
                    "the ext4 journal ends before transaction {sequence}, whose checksum does not match"
                ));
                break;
            }
            Verdict::Partial => {
                warnings.push("the last transaction of the ext4 journal is not whole".to_owned());
                break;
            }
        }
    }
    scan.check_copies()?;
    let blocks = scan.newest.into_iter();
    Ok(Found {
        blocks: blocks.map(|(block, copy)| (block, copy.replayed)).collect(),
        next_sequence: sequence,
        warnings,
    })
}

impl Scan<'_> {
    fn corrupt(&self, offset: u64, message: impl Into<String>) -> Error {
        Error::corrupt("ext4 journal", message).at(offset)
    }

    /// Takes the next block of the log: its offset; `None` where all were taken.
    fn next(&mut self) -> Result<Option<u64>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        let offset = self.log.offset(self.position)?;
        self.left = left;
        self.position = self.log.after(self.position);
        Ok(Some(offset))
    }

    /// Reads one transaction, and applies it where it is whole.
    fn transaction(&mut self, sequence: u32) -> Result<Verdict> {
        let mut transaction = Transaction::new();
        while let Some(offset) = self.next()? {
            let bytes = self.log.read_at(offset)?;
            let header = BigFields(&bytes);
            if header.u32(0) != MAGIC || header.u32(8) != sequence {
                return Ok(transaction.end());
            }
            match header.u32(4) {
                DESCRIPTOR => self.descriptor(&bytes, sequence, &mut transaction)?,
                REVOKE => self.revoke(&bytes, offset, &mut transaction)?,
                COMMIT => {
                    let verdict = self.commit(&bytes, offset, &transaction)?;
                    if matches!(verdict, Verdict::Complete) {
                        self.apply(transaction, offset)?;
                    }
                    return Ok(verdict);
                }
                _ => return Ok(transaction.end()),
            }
        }
        Ok(transaction.end())
    }

    /// Whether the checksum at the end of a descriptor or revoke block matches.
    fn tail_matches(&self, bytes: &[u8]) -> bool {
        let at = bytes.len().saturating_sub(4);
        !self.journal.has_block_checksums()
            || crc32c_without(self.journal.seed, bytes, at, 4) == BigFields(bytes).u32(at)
    }

    /// The part of a descriptor or revoke block before its checksum.
    fn without_tail<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let tail = if self.journal.has_block_checksums() {
            4
        } else {
            0
        };
        bytes
            .get(..bytes.len().saturating_sub(tail))
            .unwrap_or(bytes)
    }

    /// A descriptor block: for each of its tags, one block of the file system follows in the log.
    fn descriptor(
        &mut self,
        bytes: &[u8],
        sequence: u32,
        transaction: &mut Transaction,
    ) -> Result<()> {
        transaction.suspect |= !self.tail_matches(bytes);
        let v1 = self.journal.checksums == Checksums::V1;
        if v1 {
            transaction.sum = crc32_be(transaction.sum, bytes);
        }
        for tag in self.tags(self.without_tail(bytes)) {
            // Where the log is used up the transaction has no end, and does not count.
            let Some(offset) = self.next()? else {
                return Ok(());
            };
            if v1 {
                transaction.sum = crc32_be(transaction.sum, &self.log.read_at(offset)?);
            }
            transaction.copies.push(Copy {
                target: tag.target,
                replayed: Replayed {
                    offset,
                    escaped: tag.flags & ESCAPED != 0,
                },
                checksum: tag.checksum,
                sequence,
            });
        }
        self.check_count(transaction.copies.len(), self.log.offset(self.position)?)
    }

    /// The tags of a descriptor block, in one of three forms. Source: `journal_tag_bytes()`, `count_tags()`.
    ///
    /// ```text
    /// with checksums of version 3        otherwise
    ///      0  4  t_blocknr                    0  4  t_blocknr
    ///      4  4  t_flags                      4  2  t_checksum
    ///      8  4  t_blocknr_high               6  2  t_flags
    ///     12  4  t_checksum                   8  4  t_blocknr_high, with the feature 64bit
    ///                                            2  unused, with checksums of version 2
    ///     16     t_uuid, without the flag SAME_UUID
    /// ```
    fn tags(&self, bytes: &[u8]) -> Vec<Tag> {
        let v3 = self.journal.checksums == Checksums::V3;
        let wide = self.journal.is_wide();
        let len = match (self.journal.checksums, wide) {
            (Checksums::V3, _) => 16,
            (Checksums::V2, true) => 14,
            (Checksums::V2, false) => 10,
            (_, true) => 12,
            (_, false) => 8,
        };
        let mut tags = Vec::new();
        let mut rest = bytes.get(HEADER_LEN..).unwrap_or_default();
        while rest.len() >= len {
            let fields = BigFields(rest);
            let (flags, checksum) = if v3 {
                (fields.u32(4), fields.u32(12))
            } else {
                (u32::from(fields.u16(6)), u32::from(fields.u16(4)))
            };
            let high = if wide { fields.u32(8) } else { 0 };
            tags.push(Tag {
                target: u64::from(fields.u32(0)) | (u64::from(high) << 32),
                flags,
                checksum,
            });
            let uuid = if flags & SAME_UUID == 0 { 16 } else { 0_usize };
            rest = rest.get(len.saturating_add(uuid)..).unwrap_or_default();
            if flags & LAST_TAG != 0 {
                break;
            }
        }
        tags
    }

    /// A revoke block: the numbers of blocks of which older versions must not be replayed.
    fn revoke(&self, bytes: &[u8], offset: u64, transaction: &mut Transaction) -> Result<()> {
        transaction.suspect |= !self.tail_matches(bytes);
        let r_count = crate::ext4::field::index(BigFields(bytes).u32(HEADER_LEN));
        let Some(entries) = self.without_tail(bytes).get(16..r_count) else {
            // The kernel stops there; with a checksum that does not match either, the block is left over from before.
            if transaction.suspect {
                return Ok(());
            }
            return Err(self.corrupt(offset, format!("a revoke block of {r_count} bytes")));
        };
        let wide = self.journal.is_wide();
        let blocks = entries.chunks_exact(if wide { 8 } else { 4 }).map(|entry| {
            if wide {
                BigFields(entry).u64(0)
            } else {
                u64::from(BigFields(entry).u32(0))
            }
        });
        transaction.revoked.extend(blocks);
        self.check_count(transaction.revoked.len(), offset)
    }

    fn check_count(&self, count: usize, offset: u64) -> Result<()> {
        if count > MAX_BLOCKS {
            let message = format!("more than {MAX_BLOCKS} blocks");
            return Err(Error::limit("replaying the ext4 journal", message).at(offset));
        }
        Ok(())
    }

    /// A commit block: whether the transaction before it counts. Source: `do_one_pass()`.
    ///
    /// ```text
    /// offset  size  name
    ///    0xc     2  h_chksum_type, h_chksum_size
    ///   0x10     4  h_chksum[0]
    ///   0x30     8  h_commit_sec
    /// ```
    fn commit(&mut self, bytes: &[u8], offset: u64, transaction: &Transaction) -> Result<Verdict> {
        let fields = BigFields(bytes);
        let time = fields.u64(0x30);
        let stored = fields.u32(0x10);
        let (kind, size) = (Fields(bytes).u8(0xc), Fields(bytes).u8(0xd));
        let matches = match self.journal.checksums {
            Checksums::None => true,
            Checksums::V1 => {
                let unused = kind == 0 && size == 0 && stored == 0;
                unused || (kind == 1 && size == 4 && stored == transaction.sum)
            }
            Checksums::V2 | Checksums::V3 => {
                !transaction.suspect && crc32c_without(self.journal.seed, bytes, 0x10, 4) == stored
            }
        };
        if matches {
            self.time = time;
            return Ok(Verdict::Complete);
        }
        if time < self.time {
            return Ok(Verdict::Suspect);
        }
        if self.journal.is_asynchronous() && !transaction.suspect {
            return Ok(Verdict::Partial);
        }
        Err(self.corrupt(offset, "the checksum of a transaction does not match"))
    }

    /// Takes over a whole transaction, whose commit block is at `offset`.
    fn apply(&mut self, transaction: Transaction, offset: u64) -> Result<()> {
        for copy in transaction.copies {
            if copy.target >= self.blocks_count {
                let message = format!("block {} is outside the file system", copy.target);
                return Err(self.corrupt(copy.replayed.offset, message));
            }
            self.newest.insert(copy.target, copy);
        }
        for block in transaction.revoked {
            self.newest.remove(&block);
        }
        self.check_count(self.newest.len(), offset)
    }

    /// Checks the blocks that are replayed against the checksums in their tags. Source: `jbd2_block_tag_csum_verify()`.
    fn check_copies(&self) -> Result<()> {
        if !self.journal.has_block_checksums() {
            return Ok(());
        }
        let mut copies: Vec<&Copy> = self.newest.values().collect();
        copies.sort_by_key(|copy| copy.replayed.offset);
        for copy in copies {
            let seed = crc32c(self.journal.seed, &copy.sequence.to_be_bytes());
            let sum = crc32c(seed, &self.log.read_at(copy.replayed.offset)?);
            let matches = match self.journal.checksums {
                Checksums::V2 => sum & 0xffff == copy.checksum,
                _ => sum == copy.checksum,
            };
            if !matches {
                let message = format!("the checksum of block {} does not match", copy.target);
                return Err(self.corrupt(copy.replayed.offset, message));
            }
        }
        Ok(())
    }
}
