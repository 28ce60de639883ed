//! How a label on the command line names a label on a device.

use std::fmt::Write as _;

/// A label as udev writes it into `/dev/disk/by-label/…`: all but letters, digits, `#+-.:=@_` and whole UTF-8 characters beyond
/// ASCII becomes `\x` and two hexadecimal digits.
///
/// Source: `blkid_encode_string` of util-linux 2.38, which systemd's `encode_devnode_name` follows.
///
/// ```
/// assert_eq!(contract::label::escape("Live System/1"), "Live\\x20System\\x2f1");
/// ```
#[must_use]
pub fn escape(label: &str) -> String {
    let mut escaped = String::with_capacity(label.len());
    for c in label.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !"#+-.:=@_".contains(c) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\x{:02x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// The label that [`escape`] wrote; what is no escape stays as it is.
#[must_use]
pub fn unescape(escaped: &str) -> String {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match decode(rest) {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn decode(text: &[u8]) -> Option<(u8, &[u8])> {
    let (head, after) = text.split_first_chunk::<4>()?;
    let [b'\\', b'x', high, low] = head else {
        return None;
    };
    let digit = |d: &u8| char::from(*d).to_digit(16);
    let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    Some((u8::try_from(value).ok()?, after))
}

/// Whether `wanted`, from a command line, names a file system whose label is `actual`.
///
/// Media written by several programs say `Live\x20System` on their command lines for the label `Live System`, so both forms count.
/// Spaces at the end count for nothing, as ISO 9660 pads with them.
#[must_use]
pub fn matches(wanted: &str, actual: &str) -> bool {
    let actual = actual.trim_end_matches(' ');
    !actual.is_empty() && (wanted.trim_end_matches(' ') == actual || wanted == escape(actual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_udev_does() {
        for (label, escaped) in [
            ("CDROM", "CDROM"),
            ("a b", "a\\x20b"),
            ("a/b\\c", "a\\x2fb\\x5cc"),
            ("#+-.:=@_", "#+-.:=@_"),
            ("é☃", "é☃"),
            ("~!\"", "\\x7e\\x21\\x22"),
            ("\n", "\\x0a"),
        ] {
            assert_eq!(escape(label), escaped);
            assert_eq!(unescape(escaped), label);
        }
        assert_eq!(unescape("\\x2"), "\\x2");
        assert_eq!(unescape("\\xzz\\x41"), "\\xzzA");
    }

    #[test]
    fn both_forms_name_a_label() {
        assert!(matches("My Live", "My Live"));
        assert!(matches("My\\x20Live", "My Live"));
        assert!(matches("CDROM", "CDROM   "));
        assert!(!matches("My_Live", "My Live"));
        assert!(!matches("cdrom", "CDROM"));
        assert!(!matches("", ""));
        assert!(!matches("", "  "));
    }
}
