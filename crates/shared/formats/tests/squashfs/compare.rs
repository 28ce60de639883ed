//! Trees as text, and where two of them differ.

use std::sync::Arc;

use block::Content;
use tree::Tree;

/// The tree of an image in memory.
pub(crate) fn read(image: Vec<u8>) -> block::Result<Tree<Content>> {
    formats::squashfs::read_tree(Arc::new(image))
}

/// The tree as text, each file with its length and digest.
pub(crate) fn dump(tree: &Tree<Content>) -> String {
    try_dump(tree).unwrap()
}

/// As [`dump`], with the first error of reading a content.
pub(crate) fn try_dump(tree: &Tree<Content>) -> block::Result<String> {
    let mut result = Ok(());
    let text = tree.dump(|content| match content.read_all(1 << 30) {
        Ok(bytes) => format!("{} {}", bytes.len(), blake3::hash(&bytes).to_hex()),
        Err(error) => {
            result = Err(error);
            String::new()
        }
    });
    result.map(|()| text)
}

/// Holds that two dumps are the same, and says the first line that is not.
pub(crate) fn assert_same(left: &str, right: &str, of: impl std::fmt::Debug) {
    let cut = |line: &str| line.chars().take(200).collect::<String>();
    for (left, right) in left.lines().zip(right.lines()) {
        assert!(left == right, "{}\n{}\n{of:?}", cut(left), cut(right));
    }
    assert_eq!(left.len(), right.len(), "{of:?}");
}
