//! What files say of a late payload that is known only when that is written: its root hash in the boot configuration.
//!
//! Until then another text of the same length stands for it, so that nothing moves when it comes.

use block::{Content, Piece, ReadAt, Result};

/// What stands for a verity root hash in hexadecimal. It is none: media that kept it would not boot, rather than boot unverified.
pub const ROOT_HASH: &str = "LiveosRootHashComesHereWhenTheRootFileSystemImageIsWrittenAsLast";

/// A text, and what stands for it in files that were made before it was known; both have the same length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What stands for it.
    pub mark: &'static str,
    /// The text.
    pub text: String,
}

impl Pending {
    /// Where the mark lies in a file, in bytes from its start. Only what was made in memory can have it, in one piece.
    pub(crate) fn places(&self, content: &Content) -> Vec<u64> {
        let mark = self.mark.as_bytes();
        let mut found = Vec::new();
        let mut start = 0;
        for piece in content.pieces() {
            if let Piece::Bytes(bytes) = piece {
                let mut from = 0;
                while let Some(at) = find(bytes.get(from..).unwrap_or_default(), mark) {
                    found.push(start + ReadAt::len(bytes.get(..from + at).unwrap_or_default()));
                    from += at + mark.len();
                }
            }
            start += piece.len();
        }
        found
    }

    /// The same file with the text at all places; `None` where there are none.
    ///
    /// # Errors
    ///
    /// None with the lengths as they are.
    pub(crate) fn filled(&self, content: &Content) -> Result<Option<Content>> {
        if self.places(content).is_empty() {
            return Ok(None);
        }
        let pieces = content.pieces().map(|piece| match piece {
            Piece::Bytes(bytes) => Piece::Bytes(self.replaced(bytes).into()),
            other => other.clone(),
        });
        Content::new(pieces).map(Some)
    }

    fn replaced(&self, bytes: &[u8]) -> Vec<u8> {
        let (mark, text) = (self.mark.as_bytes(), self.text.as_bytes());
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(at) = find(rest, mark) {
            let (before, after) = rest.split_at(at);
            out.extend_from_slice(before);
            out.extend_from_slice(text);
            rest = after.get(mark.len()..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        out
    }
}

/// Where `what` begins in `bytes`.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut from = 0;
    // Most bytes are no first one: they are passed over fast, also in a build without optimisation.
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes.get(at..)?.starts_with(what) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        Pending {
            mark: "MARK",
            text: "text".to_owned(),
        }
    }

    #[test]
    fn the_text_comes_to_every_place_of_its_mark_and_nothing_moves() {
        let content = Content::new([
            Piece::Bytes((*b"a MARK and MMARK").into()),
            Piece::Hole { len: 3 },
            Piece::Bytes((*b"MARKMARKMAR").into()),
        ])
        .unwrap();
        assert_eq!(pending().places(&content), [2, 12, 19, 23]);
        let filled = pending().filled(&content).unwrap().unwrap();
        let bytes = filled.read_all(100).unwrap();
        assert_eq!(bytes, b"a text and Mtext\0\0\0texttextMAR");
    }

    #[test]
    fn a_file_without_a_mark_stays_as_it_is() {
        let none = Content::from_bytes(*b"a MAR and a K");
        assert!(pending().filled(&none).unwrap().is_none());
        let read = Content::from_source(std::sync::Arc::new(b"MARK".to_vec()));
        assert!(pending().places(&read).is_empty());
    }

    #[test]
    fn what_stands_for_a_root_hash_is_as_long_and_is_none() {
        assert_eq!(ROOT_HASH.len(), 64);
        assert!(ROOT_HASH.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(!ROOT_HASH.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
