//! The superblock of the journal: the length of the log, where it begins, and how it is checked.

use block::{Error, Result};

use super::super::checksum::{crc32c, crc32c_without};
use super::super::field::{BigFields, Fields};
use super::MAGIC;

const WHAT: &str = "ext4 journal superblock";
/// The length of what is in use of its block.
const LEN: usize = 1024;
/// The fewest blocks of a log beside fast commits (`JBD2_MIN_JOURNAL_BLOCKS`).
const MIN_BLOCKS: u32 = 1024;
/// How many blocks fast commits have where the field is zero (`JBD2_DEFAULT_FAST_COMMIT_BLOCKS`).
const DEFAULT_FAST_COMMIT_BLOCKS: u32 = 256;

/// `s_feature_compat` and `s_feature_incompat`.
mod feature {
    pub(super) const COMPAT_CHECKSUM: u32 = 0x1;
    pub(super) const SIXTY_FOUR_BIT: u32 = 0x2;
    pub(super) const ASYNC_COMMIT: u32 = 0x4;
    pub(super) const CSUM_V2: u32 = 0x8;
    pub(super) const CSUM_V3: u32 = 0x10;
    pub(super) const FAST_COMMIT: u32 = 0x20;
    /// All above and `revoke`.
    pub(super) const KNOWN: u32 = 0x3f;
}

/// How the log is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksums {
    /// Not at all.
    None,
    /// A big-endian CRC-32 over each transaction.
    V1,
    /// A CRC-32C in each block, of which tags hold 16 bits.
    V2,
    /// A CRC-32C in each block.
    V3,
}

/// What of the journal's superblock is needed; checked. Block numbers count from the start of the journal.
#[derive(Debug)]
pub(super) struct JournalSuperblock {
    /// The first block of the log.
    pub(super) first: u32,
    /// The block behind the last one of the log.
    pub(super) last: u32,
    /// The block behind the journal: fast commits lie between `last` and it.
    pub(super) end: u32,
    /// The block with which the oldest transaction begins; 0 where there is none.
    pub(super) start: u32,
    /// The number of the oldest transaction.
    pub(super) sequence: u32,
    pub(super) errno: u32,
    pub(super) checksums: Checksums,
    /// What all CRC-32C checksums but the superblock's begin with.
    pub(super) seed: u32,
    incompat: u32,
}

impl JournalSuperblock {
    /// Parses the block `bytes` of a journal whose file has `blocks` blocks of `block_size` bytes.
    ///
    /// ```text
    /// offset  size  name (big-endian)
    ///      0    12  h_magic, h_blocktype (3 or 4), h_sequence
    ///    0xc     4  s_blocksize
    ///   0x10     4  s_maxlen
    ///   0x14     4  s_first
    ///   0x18     4  s_sequence
    ///   0x1c     4  s_start
    ///   0x20     4  s_errno
    ///   0x24     8  s_feature_compat, s_feature_incompat
    ///   0x30    16  s_uuid
    ///   0x50     1  s_checksum_type
    ///   0x54     4  s_num_fc_blks
    ///   0xfc     4  s_checksum
    /// ```
    pub(super) fn parse(bytes: &[u8], block_size: u32, blocks: u32) -> Result<Self> {
        let fields = BigFields(bytes);
        let corrupt = |message: String| Err(Error::corrupt(WHAT, message));
        let version = fields.u32(4);
        if fields.u32(0) != MAGIC || !(3..=4).contains(&version) {
            return corrupt("it does not begin with 0xc03b3998 and block type 3 or 4".to_owned());
        }
        let or_old = |value: u32| if version == 4 { value } else { 0 };
        let (compat, incompat) = (or_old(fields.u32(0x24)), or_old(fields.u32(0x28)));
        let unknown = incompat & !feature::KNOWN;
        if unknown != 0 {
            let message = format!("the incompatible features {unknown:#x} are not known");
            return Err(Error::unsupported(WHAT, message));
        }
        let checksums = checksums(bytes, compat, incompat)?;
        if fields.u32(0xc) != block_size {
            return corrupt(format!("blocks have {} bytes", fields.u32(0xc)));
        }
        let (s_maxlen, s_first, s_start) = (fields.u32(0x10), fields.u32(0x14), fields.u32(0x1c));
        if s_maxlen > blocks || s_maxlen < 2 {
            return corrupt(format!("{s_maxlen} blocks, and its file has {blocks}"));
        }
        let mut last = s_maxlen;
        if incompat & feature::FAST_COMMIT != 0 {
            let fast = match fields.u32(0x54) {
                0 => DEFAULT_FAST_COMMIT_BLOCKS,
                count => count,
            };
            last = s_maxlen
                .checked_sub(fast)
                .filter(|last| *last >= MIN_BLOCKS)
                .unwrap_or(s_maxlen);
        }
        if s_first == 0 || s_first >= last || s_start >= last || (s_start > 0 && s_start < s_first)
        {
            let message =
                format!("its log begins at {s_first} of {last}, and is used from {s_start}");
            return corrupt(message);
        }
        Ok(Self {
            first: s_first,
            last,
            end: s_maxlen,
            start: s_start,
            sequence: fields.u32(0x18),
            errno: fields.u32(0x20),
            checksums,
            seed: crc32c(!0, &Fields(bytes).array::<16>(0x30)),
            incompat,
        })
    }

    /// Whether block numbers have 64 bits.
    pub(super) fn is_wide(&self) -> bool {
        self.incompat & feature::SIXTY_FOUR_BIT != 0
    }

    /// Whether a transaction may be without its data although its commit block is there.
    pub(super) fn is_asynchronous(&self) -> bool {
        self.incompat & feature::ASYNC_COMMIT != 0
    }

    pub(super) fn has_fast_commits(&self) -> bool {
        self.incompat & feature::FAST_COMMIT != 0
    }

    /// Whether blocks and tags have a CRC-32C.
    pub(super) fn has_block_checksums(&self) -> bool {
        matches!(self.checksums, Checksums::V2 | Checksums::V3)
    }
}

/// Which checksums the features ask for; the superblock's own is checked.
fn checksums(bytes: &[u8], compat: u32, incompat: u32) -> Result<Checksums> {
    let fields = BigFields(bytes);
    let kind = match (
        incompat & feature::CSUM_V2 != 0,
        incompat & feature::CSUM_V3 != 0,
        compat & feature::COMPAT_CHECKSUM != 0,
    ) {
        (false, false, false) => return Ok(Checksums::None),
        (false, false, true) => return Ok(Checksums::V1),
        (true, false, false) => Checksums::V2,
        (false, true, false) => Checksums::V3,
        _ => return Err(Error::corrupt(WHAT, "two kinds of checksums at once")),
    };
    if Fields(bytes).u8(0x50) != 4 {
        let message = format!(
            "checksum type {}, and only 4 is used",
            Fields(bytes).u8(0x50)
        );
        return Err(Error::corrupt(WHAT, message));
    }
    let own = bytes.get(..LEN).unwrap_or(bytes);
    if crc32c_without(!0, own, 0xfc, 4) != fields.u32(0xfc) {
        return Err(Error::corrupt(WHAT, "the checksum does not match"));
    }
    Ok(kind)
}
