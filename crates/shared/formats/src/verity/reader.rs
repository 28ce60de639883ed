//! A tree that is there.

use std::sync::Arc;

use block::{Error, ReadAt, Result, read_vec};

use super::format::{BLOCK, BLOCK_LEN, RootHash, SUPERBLOCK, Superblock, digest, levels};

/// A hash tree behind its data.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(super) source: Arc<dyn ReadAt>,
    /// How many blocks of data it is about.
    pub(super) blocks: u64,
    pub(super) salt: Vec<u8>,
    /// Each level's first byte and how many blocks it has, the lowest first.
    pub(super) levels: Vec<(u64, u64)>,
    end: u64,
}

impl Tree {
    /// The tree in `source` behind data of `len` bytes; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for a tree of another kind than ours; [`Kind::Corrupt`](block::Kind::Corrupt)
    /// where it is about other data than those before it, or is not all there; what reading answers.
    pub fn open(source: Arc<dyn ReadAt>, len: u64) -> Result<Option<Self>> {
        let what = "verity superblock";
        let Some(at) = len.checked_next_multiple_of(BLOCK) else {
            return Ok(None);
        };
        if source.len().saturating_sub(at) < BLOCK {
            return Ok(None);
        }
        let bytes = read_vec(&source, at, BLOCK, SUPERBLOCK.max(BLOCK_LEN), what)?;
        let parsed = Superblock::parse(&bytes).map_err(|error| error.at(at))?;
        let Some(superblock) = parsed else {
            return Ok(None);
        };
        if superblock.blocks.checked_mul(BLOCK) != Some(at) {
            let message = format!(
                "it is about {} blocks, and {} are before it",
                superblock.blocks,
                at / BLOCK
            );
            return Err(Error::corrupt(what, message).at(at));
        }
        let mut next = at.saturating_add(BLOCK);
        let mut placed = Vec::new();
        for count in levels(superblock.blocks).into_iter().rev() {
            placed.push((next, count));
            next = next.saturating_add(count.saturating_mul(BLOCK));
        }
        placed.reverse();
        if next > source.len() {
            let message = format!("it ends at byte {next}, and there are {}", source.len());
            return Err(Error::corrupt("verity tree", message).at(at));
        }
        Ok(Some(Self {
            source,
            blocks: superblock.blocks,
            salt: superblock.salt,
            levels: placed,
            end: next,
        }))
    }

    /// The root hash that the top of the tree has. It says nothing of whether that is the right one.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub fn root_hash(&self) -> Result<RootHash> {
        let at = self.levels.last().map_or(0, |(at, _)| *at);
        let mut block = vec![0; BLOCK_LEN];
        self.source.read_exact_at(&mut block, at)?;
        Ok(RootHash(digest(&self.salt, &block)))
    }

    /// Whether its digests are of a salt too, as ours are not.
    #[must_use]
    pub fn has_salt(&self) -> bool {
        !self.salt.is_empty()
    }

    /// How many blocks of data it is about.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Where it ends, in bytes from the start of the data.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }
}
