//! A word: what it stands for, once quotes are taken off.

use std::ops::Range;

use super::lexer::variable;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text without its quotes; bytes that are not UTF-8 are replaced.
    Text(String),
    /// A variable's value.
    Variable {
        /// Without `$` and braces.
        name: String,
        /// Whether it stands in double quotes, where its value is not split into several words.
        quoted: bool,
    },
}

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where it stands in the script, in bytes.
    pub span: Range<usize>,
    /// What it consists of; texts and variables as they come.
    pub pieces: Vec<Piece>,
}

impl Word {
    /// Reads the word at `span`, which the lexer found.
    pub(super) fn read(source: &[u8], span: Range<usize>) -> Self {
        let raw = source.get(span.clone()).unwrap_or_default();
        let mut reader = Reader::default();
        reader.read(raw);
        reader.end_text();
        Self {
            span,
            pieces: reader.pieces,
        }
    }

    /// The word, if no variable is in it.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// What stands before the first `=`, or all of it; `None` where a variable is in that.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => {
                Some(text.split_once('=').map_or(text.as_str(), |(name, _)| name))
            }
            [Piece::Text(text), ..] => text.split_once('=').map(|(name, _)| name),
            [Piece::Variable { .. }, ..] => None,
        }
    }

    /// The variable that is the whole word: `$kernelopts`, `"${x}"`.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Variable { name, .. }] => Some(name),
            _ => None,
        }
    }

    /// The variables in the word.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable { name, .. } => Some(name.as_str()),
        })
    }

    /// Whether a text of the word has an `=`.
    #[must_use]
    pub fn has_equals(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Text(text) if text.contains('=')))
    }

    /// The word with the values that `value` knows; a variable without one is empty, as GRUB has it.
    pub fn expand(&self, value: &dyn Fn(&str) -> Option<String>) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable { name, .. } => value(name).unwrap_or_default(),
        });
        pieces.collect()
    }
}

/// Takes off the quotes.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    text: Vec<u8>,
}

impl Reader {
    fn read(&mut self, raw: &[u8]) {
        let mut at = 0;
        let mut double = false;
        while let Some(byte) = raw.get(at) {
            at = match (byte, double) {
                (b'"', _) => {
                    double = !double;
                    at + 1
                }
                (b'\'', false) => self.single(raw, at + 1),
                (b'$', false) if raw.get(at + 1) == Some(&b'"') => at + 1,
                (b'$', _) => self.dollar(raw, at, double),
                (b'\\', _) => self.escape(raw, at, double),
                _ => {
                    self.text.push(*byte);
                    at + 1
                }
            };
        }
    }

    /// Text up to the closing single quote.
    fn single(&mut self, raw: &[u8], from: usize) -> usize {
        let rest = raw.get(from..).unwrap_or_default();
        let len = rest
            .iter()
            .position(|byte| *byte == b'\'')
            .unwrap_or(rest.len());
        self.text
            .extend_from_slice(rest.get(..len).unwrap_or_default());
        from + len + 1
    }

    fn dollar(&mut self, raw: &[u8], at: usize, quoted: bool) -> usize {
        let Some((name, end)) = variable(raw, at) else {
            self.text.push(b'$');
            return at + 1;
        };
        self.end_text();
        self.pieces.push(Piece::Variable {
            name: String::from_utf8_lossy(name).into_owned(),
            quoted,
        });
        end
    }

    /// In double quotes a backslash only takes away the meaning of `$`, `"` and itself.
    fn escape(&mut self, raw: &[u8], at: usize, double: bool) -> usize {
        match raw.get(at + 1) {
            Some(b'\n') => {}
            Some(byte) if !double || matches!(byte, b'$' | b'"' | b'\\') => self.text.push(*byte),
            Some(byte) => self.text.extend_from_slice(&[b'\\', *byte]),
            None => self.text.push(b'\\'),
        }
        at + 2
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.pieces
                .push(Piece::Text(String::from_utf8_lossy(&text).into_owned()));
        }
    }
}
