//! The hash tree behind a root file system image, where one is wanted.

use std::sync::{Arc, OnceLock};

use block::{Content, Error, Piece, ReadAt, Result, WriteAt};
use formats::squashfs;
use formats::verity::{self, Hashing, RootHash, Tree};
use media::pending::{Pending, ROOT_HASH};

/// Whether there is one, and its root hash when it is written.
#[derive(Debug, Default)]
pub(crate) struct HashTree {
    is_wanted: bool,
    /// What the root hash has to be, where an earlier one is known.
    expected: Option<RootHash>,
    root_hash: OnceLock<RootHash>,
}

impl HashTree {
    /// A tree, if it is wanted.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self {
            is_wanted,
            expected: None,
            root_hash: OnceLock::new(),
        }
    }

    /// The same for an image that had a tree before, whose root hash the new one has to have.
    pub(super) fn expecting(mut self, root_hash: Option<RootHash>) -> Self {
        self.expected = root_hash;
        self
    }

    /// The length of an image of `len` bytes with it.
    pub(super) fn len_with(&self, len: u64) -> u64 {
        if self.is_wanted {
            verity::total_len(len)
        } else {
            len
        }
    }

    /// Has `write` write an image to `target`, and writes the tree behind it; the length of both.
    pub(super) fn write(
        &self,
        target: &dyn WriteAt,
        write: &dyn Fn(&dyn WriteAt) -> Result<u64>,
    ) -> Result<u64> {
        if !self.is_wanted {
            return write(target);
        }
        let hashing = Hashing::new(target);
        let len = write(&hashing)?;
        let written = hashing.finish(len)?;
        let root_hash = self.root_hash.get_or_init(|| written.root_hash);
        match self.expected {
            Some(expected) if expected != *root_hash => {
                let message = "it is not what its hash tree says: the media that are built from are damaged (liveos check names the files)";
                Err(Error::corrupt(
                    "passing on the root file system image",
                    message,
                ))
            }
            _ => Ok(written.len),
        }
    }

    /// The root hash, for the files that wait for it.
    pub(super) fn pending(&self) -> Option<Pending> {
        self.root_hash.get().map(|root_hash| Pending {
            mark: ROOT_HASH,
            text: root_hash.to_string(),
        })
    }
}

/// A squashfs without the hash tree that is behind it, and the root hash of that, if one is.
///
/// # Errors
///
/// What reading answers.
pub(super) fn without_tree(image: Content) -> Result<(Content, Option<RootHash>)> {
    let Some(len) = squashfs::image_len(&image)? else {
        return Ok((image, None));
    };
    let source: Arc<dyn ReadAt> = Arc::new(image.clone());
    // One that is damaged, or of another kind, is passed on as what it is: bytes behind the image.
    let Ok(Some(tree)) = Tree::open(Arc::clone(&source), len) else {
        return Ok((image, None));
    };
    let offset = 0;
    let data = Content::new([Piece::Range {
        source,
        offset,
        len: tree.blocks().saturating_mul(verity::BLOCK),
    }])?;
    let root_hash = if tree.has_salt() {
        None
    } else {
        Some(tree.root_hash()?)
    };
    Ok((data, root_hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::MemoryTarget;

    /// A squashfs, as far as its superblock says, with a tree behind it if `tree` is wanted.
    fn written(tree: &HashTree) -> Vec<u8> {
        let mut image = vec![7; 8192];
        image[..4].copy_from_slice(b"hsqs");
        image[28] = 4;
        image[29] = 0;
        image[40..48].copy_from_slice(&8000_u64.to_le_bytes());
        let target = MemoryTarget::new();
        let write = |out: &dyn WriteAt| out.write_all_at(&image, 0).map(|()| 8192);
        let len = tree.write(&target, &write).unwrap();
        let bytes = target.into_bytes();
        assert_eq!(bytes.len() as u64, len);
        assert_eq!(tree.len_with(8192), len);
        bytes
    }

    #[test]
    fn an_image_has_a_tree_behind_it_where_that_is_wanted() {
        let (without, with) = (HashTree::new(false), HashTree::new(true));
        assert_eq!(written(&without).len(), 8192);
        assert_eq!(written(&with).len(), 4 * 4096);
        assert!(without.pending().is_none());
        let pending = with.pending().unwrap();
        assert_eq!(pending.text.len(), pending.mark.len());
    }

    #[test]
    fn a_tree_is_taken_off_and_made_again_and_must_be_the_same() {
        let first = HashTree::new(true);
        let mut bytes = written(&first);
        let (image, root_hash) = without_tree(Content::from_bytes(bytes.as_slice())).unwrap();
        assert_eq!(image.len(), 8192);
        assert_eq!(
            root_hash.unwrap().to_string(),
            first.pending().unwrap().text
        );
        let again = |image: &Content, root_hash| {
            let tree = HashTree::new(true).expecting(root_hash);
            let target = MemoryTarget::new();
            tree.write(&target, &|out| {
                out.write_all_at(&image.read_all(8192)?, 0).map(|()| 8192)
            })
        };
        again(&image, root_hash).unwrap();
        bytes[5000] ^= 1;
        let (image, root_hash) = without_tree(Content::from_bytes(bytes.as_slice())).unwrap();
        let error = again(&image, root_hash).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Corrupt);
    }

    #[test]
    fn what_has_no_tree_is_passed_on_as_it_is() {
        let bytes = written(&HashTree::new(false));
        let (image, root_hash) = without_tree(Content::from_bytes(bytes)).unwrap();
        assert_eq!((image.len(), root_hash), (8192, None));
        let (image, root_hash) = without_tree(Content::from_bytes(*b"no squashfs")).unwrap();
        assert_eq!((image.len(), root_hash), (11, None));
    }
}
