//! Bytes to tokens. The tokens tile the script: put together they are its bytes again.

use std::ops::Range;

use block::{Error, Result};

use super::SCRIPT_LIMIT;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Spaces, tabs, carriage returns and continued lines.
    Blank,
    /// From a `#` at the start of a token to the end of the line.
    Comment,
    /// The end of a line.
    Newline,
    /// `;`.
    Semicolon,
    /// A word with its quotes and variables.
    Word,
    /// `{`.
    Open,
    /// `}`.
    Close,
    /// `|`, `&`, `<`, `>`: characters that GRUB reserves without a meaning.
    Reserved,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// All tokens of `source`.
///
/// # Errors
///
/// [`block::Kind::Limit`] for more than [`SCRIPT_LIMIT`] bytes, [`block::Kind::Corrupt`] for a quote that is not closed and a `$` without a name.
pub(super) fn tokens(source: &[u8]) -> Result<Vec<Token>> {
    if source.len() > SCRIPT_LIMIT {
        let message = format!(
            "{} bytes, and at most {SCRIPT_LIMIT} are read",
            source.len()
        );
        return Err(Error::limit("GRUB script", message));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(token) = next(source, at)? {
        at = token.span.end;
        tokens.push(token);
    }
    Ok(tokens)
}

/// The token at `at`; `None` at the end.
fn next(source: &[u8], at: usize) -> Result<Option<Token>> {
    let Some(first) = source.get(at) else {
        return Ok(None);
    };
    let run = |from: usize, of: &dyn Fn(u8) -> bool| {
        let rest = source.get(from..).unwrap_or_default();
        from + rest
            .iter()
            .position(|byte| !of(*byte))
            .unwrap_or(rest.len())
    };
    let (kind, end) = match first {
        b' ' | b'\t' | b'\r' => (Kind::Blank, run(at, &is_blank)),
        b'\\' if source.get(at + 1) == Some(&b'\n') => (Kind::Blank, at + 2),
        b'\n' => (Kind::Newline, at + 1),
        b'#' => (Kind::Comment, run(at, &|byte| byte != b'\n')),
        b';' => (Kind::Semicolon, at + 1),
        b'{' => (Kind::Open, at + 1),
        b'}' => (Kind::Close, at + 1),
        b'|' | b'&' | b'<' | b'>' => (Kind::Reserved, at + 1),
        _ => (Kind::Word, word_end(source, at)?),
    };
    Ok(Some(Token {
        kind,
        span: at..end,
    }))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// The end of the word that begins at `start`, which holds at least one byte.
fn word_end(source: &[u8], start: usize) -> Result<usize> {
    let mut at = start;
    while let Some(byte) = source.get(at) {
        at = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b'}' | b'|' | b'&' | b'<' | b'>' => break,
            b'\'' => closing(source, at, at + 1, b'\'')?,
            b'"' => closing(source, at, at + 1, b'"')?,
            b'$' if source.get(at + 1) == Some(&b'"') => closing(source, at, at + 2, b'"')?,
            b'$' => variable_end(source, at)?,
            b'\\' => (at + 2).min(source.len()),
            _ => at + 1,
        };
    }
    Ok(at)
}

/// The offset behind the quote that closes a text from `from` on. In double quotes a backslash takes the next byte along.
fn closing(source: &[u8], start: usize, from: usize, quote: u8) -> Result<usize> {
    let mut at = from;
    while let Some(byte) = source.get(at) {
        at = match byte {
            byte if *byte == quote => return Ok(at + 1),
            b'\\' if quote == b'"' => at + 2,
            b'$' if quote == b'"' => variable_end(source, at)?,
            _ => at + 1,
        };
    }
    let offset = u64::try_from(start).unwrap_or(u64::MAX);
    Err(Error::corrupt("GRUB script", "a quote that is not closed").at(offset))
}

/// The offset behind the variable whose `$` stands at `at`; without one GRUB refuses the script.
fn variable_end(source: &[u8], at: usize) -> Result<usize> {
    let refused = || {
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        Error::corrupt("GRUB script", "a `$` without the name of a variable").at(offset)
    };
    variable(source, at).map(|(_, end)| end).ok_or_else(refused)
}

/// The name of the variable whose `$` stands at `at`, and the offset behind it. `None` where a `$` is just that.
///
/// A name is an identifier, a number or one of `?`, `#`, `*`, `@`, with or without braces.
pub(super) fn variable(source: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = source.get(at + 1..)?;
    let (rest, braced) = match rest.strip_prefix(b"{") {
        Some(inner) => (inner, true),
        None => (rest, false),
    };
    let len = match rest.first()? {
        b'?' | b'#' | b'*' | b'@' => 1,
        byte if byte.is_ascii_digit() => {
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        }
        byte if byte.is_ascii_alphabetic() || *byte == b'_' => rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count(),
        _ => return None,
    };
    let name = rest.get(..len)?;
    match (braced, rest.get(len)) {
        (false, _) => Some((name, at + 1 + len)),
        (true, Some(b'}')) => Some((name, at + 3 + len)),
        (true, _) => None,
    }
}
