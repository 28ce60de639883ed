//! Bytes as hexadecimal digits: how digests are written everywhere.

use std::fmt::Write as _;

/// Two digits in lower case for each byte.
#[must_use]
pub fn print(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes that `text` has two digits each of, in lower or upper case; `None` where it is anything else.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)?.checked_shl(4)? | digit(*low)?));
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_and_nothing_else_is_read() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(parse(&print(&all)).unwrap(), all);
        assert_eq!(print(&[0, 0x9a, 0xff]), "009aff");
        assert_eq!(parse("9A").unwrap(), [0x9a]);
        assert_eq!(parse("").unwrap(), []);
        for text in ["0", "000", "0g", "+1", " 1", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
