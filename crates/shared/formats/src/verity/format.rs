//! The superblock, and where the levels of a tree lie.
//!
//! Source: Linux, `Documentation/admin-guide/device-mapper/verity.rst` (the tree); cryptsetup 2.6, `lib/verity/verity.c` (the
//! superblock, which the kernel does not know). Not read: version 0 (of Chrome OS), other algorithms than SHA-256, blocks of other
//! sizes, error correction.

use std::fmt;
use std::ops::Range;

use block::{Error, Result};
use sha2::{Digest as _, Sha256};

/// The length of a block in bytes, of data and of digests.
pub const BLOCK: u64 = 4096;
/// The same, for memory.
pub(super) const BLOCK_LEN: usize = 4096;
/// The length of a SHA-256 digest in bytes.
pub(super) const DIGEST: usize = 32;
/// How many digests a block holds.
pub(super) const PER_BLOCK: u64 = 128;
/// The length of a superblock in bytes.
pub(super) const SUPERBLOCK: usize = 512;
/// The longest salt in bytes.
const MAX_SALT: usize = 256;

const MAGIC: &[u8; 8] = b"verity\0\0";
const ALGORITHM: &[u8; 6] = b"sha256";
/// Where an error arose.
const WHAT: &str = "verity superblock";

/// What all of a root file system image hangs on: the digest of the top of its hash tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootHash(pub [u8; DIGEST]);

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The digest of a block: of the salt and the block, in this order.
pub(super) fn digest(salt: &[u8], block: &[u8]) -> [u8; DIGEST] {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(block);
    hasher.finalize().into()
}

/// A superblock.
///
/// ```text
/// offset  size  meaning
///      0     8  "verity" and two zeros
///      8     4  version of the superblock: 1
///     12     4  version of the tree: 1
///     16    16  UUID
///     32    32  algorithm: "sha256" and zeros
///     64     4  length of a block of data
///     68     4  length of a block of digests
///     72     8  how many blocks of data
///     80     2  length of the salt
///     88   256  salt
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) uuid: [u8; 16],
    pub(super) blocks: u64,
    pub(super) salt: Vec<u8>,
}

impl Superblock {
    /// The superblock at the start of `bytes`; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for a tree of another kind, [`Kind::Corrupt`](block::Kind::Corrupt) where there
    /// are no blocks at all, or too few bytes.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        if !bytes.starts_with(MAGIC) {
            return Ok(None);
        }
        let field = |range: Range<usize>| {
            let ends = || Error::corrupt(WHAT, "it ends before its last field");
            bytes.get(range).ok_or_else(ends)
        };
        let word = |at: usize| -> Result<u32> {
            let bytes = field(at..at.saturating_add(4))?;
            Ok(u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
        };
        let unsupported = |message: String| Err(Error::unsupported(WHAT, message));
        let (version, tree) = (word(8)?, word(12)?);
        if (version, tree) != (1, 1) {
            return unsupported(format!("version {version} with a tree of version {tree}"));
        }
        let algorithm = field(32..64)?;
        if algorithm
            .strip_prefix(ALGORITHM)
            .is_none_or(|rest| rest.first() != Some(&0))
        {
            let name = algorithm
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default();
            return unsupported(format!("the algorithm {}", name.escape_ascii()));
        }
        let lengths = (word(64)?, word(68)?);
        if lengths != (4096, 4096) {
            return unsupported(format!("blocks of {} and {} bytes", lengths.0, lengths.1));
        }
        let blocks = u64::from_le_bytes(field(72..80)?.try_into().unwrap_or_default());
        if blocks == 0 {
            return Err(Error::corrupt(WHAT, "it is about no data"));
        }
        let salt = field(80..82)?;
        let salt = u16::from_le_bytes(salt.try_into().unwrap_or_default());
        let salt = usize::from(salt);
        if salt > MAX_SALT {
            let message = format!("a salt of {salt} bytes, and there is room for {MAX_SALT}");
            return Err(Error::corrupt(WHAT, message));
        }
        Ok(Some(Self {
            uuid: field(16..32)?.try_into().unwrap_or_default(),
            blocks,
            salt: field(88..88_usize.saturating_add(salt))?.to_vec(),
        }))
    }

    /// Its bytes, a block. A salt that is too long is cut.
    pub(super) fn to_block(&self) -> Vec<u8> {
        let salt = self.salt.get(..MAX_SALT).unwrap_or(&self.salt);
        let salt_len = u16::try_from(salt.len()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(BLOCK_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&self.uuid);
        bytes.extend_from_slice(ALGORITHM);
        bytes.resize(64, 0);
        bytes.extend_from_slice(&4096_u32.to_le_bytes());
        bytes.extend_from_slice(&4096_u32.to_le_bytes());
        bytes.extend_from_slice(&self.blocks.to_le_bytes());
        bytes.extend_from_slice(&salt_len.to_le_bytes());
        bytes.resize(88, 0);
        bytes.extend_from_slice(salt);
        bytes.resize(BLOCK_LEN, 0);
        bytes
    }
}

/// How many blocks each level has, the lowest (the digests of the data) first; none where there is one block of data only, whose
/// digest is the root hash.
///
/// Source: Linux 6.1, `drivers/md/dm-verity-target.c`, `verity_ctr`.
pub(super) fn levels(blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut below = blocks;
    while below > 1 {
        below = below.div_ceil(PER_BLOCK);
        levels.push(below);
    }
    levels
}

/// The length in bytes of data of `len` bytes with their hash tree; the largest number where that is no length.
#[must_use]
pub fn total_len(len: u64) -> u64 {
    let blocks = len.div_ceil(BLOCK).max(1);
    let tree = levels(blocks).iter().sum::<u64>();
    let all = blocks.saturating_add(1).saturating_add(tree);
    all.saturating_mul(BLOCK)
}
