//! Edits of a script by span: what is not meant stays byte for byte.

use std::ops::Range;

/// Replacements that are collected and applied at once.
#[derive(Clone, Debug, Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the bytes at `span`.
    pub fn replace(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.0.push((span, text.into()));
    }

    /// Puts `text` before the byte at `at`, behind what was put there before.
    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `source` with the edits. Of edits that overlap, the one that begins first counts, then the longer one: an edit in a
    /// statement that is replaced as a whole has no effect.
    #[must_use]
    pub fn apply(&self, source: &[u8]) -> Vec<u8> {
        let mut edits: Vec<_> = self.0.iter().collect();
        // Insertions come before the replacement that begins at the same place.
        edits.sort_by_key(|(span, _)| (span.start, !span.is_empty(), std::cmp::Reverse(span.end)));
        let mut result = Vec::with_capacity(source.len());
        let mut done = 0;
        for (span, text) in edits {
            if span.start < done || span.end < span.start || span.end > source.len() {
                continue;
            }
            result.extend_from_slice(source.get(done..span.start).unwrap_or_default());
            result.extend_from_slice(text.as_bytes());
            done = span.end;
        }
        result.extend_from_slice(source.get(done..).unwrap_or_default());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_overlapping_edits_the_outer_one_counts() {
        let mut edits = Edits::new();
        edits.replace(2..4, "inner");
        edits.replace(1..5, "outer");
        edits.insert(5, "!");
        assert_eq!(edits.apply(b"0123456789"), b"0outer!56789");
    }

    #[test]
    fn insertions_at_one_place_keep_their_order() {
        let mut edits = Edits::new();
        edits.insert(1, "a");
        edits.replace(1..2, "X");
        edits.insert(1, "b");
        assert_eq!(edits.apply(b"012"), b"0abX2");
    }
}
