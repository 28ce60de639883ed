//! The hash tree behind a root file system image, where one is wanted.

use std::sync::{Arc, OnceLock};

use block::{Content, Piece, ReadAt, Result, WriteAt};
use formats::squashfs;
use formats::verity::{self, Hashing, RootHash, Tree};
use media::pending::{Pending, ROOT_HASH};

/// Whether there is one, and its root hash when it is written.
#[derive(Debug, Default)]
pub(crate) struct HashTree {
    is_wanted: bool,
    /// Whether what is written has its tree behind it already.
    is_there: bool,
    root_hash: OnceLock<RootHash>,
}

impl HashTree {
    /// A tree, if it is wanted.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self {
            is_wanted,
            is_there: false,
            root_hash: OnceLock::new(),
        }
    }

    /// The tree of an image that is passed on together with it.
    fn passed_on(root_hash: RootHash) -> Self {
        Self {
            is_wanted: true,
            is_there: true,
            root_hash: OnceLock::from(root_hash),
        }
    }

    /// The length of an image of `len` bytes with it.
    pub(super) fn len_with(&self, len: u64) -> u64 {
        if self.is_wanted && !self.is_there {
            verity::total_len(len)
        } else {
            len
        }
    }

    /// Has `write` write an image to `target`, and writes the tree behind it where it is not there; the length of both.
    pub(super) fn write(
        &self,
        target: &dyn WriteAt,
        write: &dyn Fn(&dyn WriteAt) -> Result<u64>,
    ) -> Result<u64> {
        if !self.is_wanted || self.is_there {
            return write(target);
        }
        let hashing = Hashing::new(target);
        let len = write(&hashing)?;
        let written = hashing.finish(len)?;
        self.root_hash.get_or_init(|| written.root_hash);
        Ok(written.len)
    }

    /// The root hash, for the files that wait for it.
    pub(super) fn pending(&self) -> Option<Pending> {
        self.root_hash.get().map(|root_hash| Pending {
            mark: ROOT_HASH,
            text: root_hash.to_string(),
        })
    }
}

/// What is passed on of a root file system image of other media, and its hash tree: the tree that is behind a squashfs goes along as it is,
/// where it is of our kind and one is wanted.
///
/// Nothing is verified on the way, which would take longer than the rest: a damaged image stays one that its root hash does not fit, so that
/// the kernel refuses what is damaged, and `liveos check` names it.
///
/// # Errors
///
/// What reading answers.
pub(super) fn passed_on(image: Content, wanted: HashTree) -> Result<(Content, HashTree)> {
    let Some(len) = squashfs::image_len(&image)? else {
        return Ok((image, wanted));
    };
    let source: Arc<dyn ReadAt> = Arc::new(image.clone());
    // One that is damaged, or of another kind, is passed on as what it is: bytes behind the image.
    let Ok(Some(tree)) = Tree::open(Arc::clone(&source), len) else {
        return Ok((image, wanted));
    };
    let (len, hash_tree) = if wanted.is_wanted && !tree.has_salt() {
        (tree.end(), HashTree::passed_on(tree.root_hash()?))
    } else {
        (tree.blocks().saturating_mul(verity::BLOCK), wanted)
    };
    let offset = 0;
    let image = Content::new([Piece::Range {
        source,
        offset,
        len,
    }])?;
    Ok((image, hash_tree))
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
    fn a_tree_goes_along_with_its_image_as_it_is_or_is_taken_off() {
        let first = HashTree::new(true);
        let bytes = written(&first);
        let image = || Content::from_bytes(bytes.as_slice());
        let (kept, tree) = passed_on(image(), HashTree::new(true)).unwrap();
        assert_eq!(kept.len(), bytes.len() as u64);
        assert_eq!(tree.pending(), first.pending());
        assert_eq!(tree.len_with(kept.len()), kept.len());
        let target = MemoryTarget::new();
        let copy = |out: &dyn WriteAt| {
            let bytes = kept.read_all(1 << 20)?;
            out.write_all_at(&bytes, 0).map(|()| bytes.len() as u64)
        };
        tree.write(&target, &copy).unwrap();
        assert!(target.into_bytes() == bytes);
        let (without, tree) = passed_on(image(), HashTree::new(false)).unwrap();
        assert_eq!((without.len(), tree.pending()), (8192, None));
    }

    #[test]
    fn what_has_no_tree_gets_one_where_that_is_wanted() {
        let bytes = written(&HashTree::new(false));
        let (image, tree) = passed_on(Content::from_bytes(bytes), HashTree::new(true)).unwrap();
        assert_eq!((image.len(), tree.len_with(8192)), (8192, 4 * 4096));
        let other = Content::from_bytes(*b"no squashfs");
        let (image, _) = passed_on(other, HashTree::new(true)).unwrap();
        assert_eq!(image.len(), 11);
    }
}
