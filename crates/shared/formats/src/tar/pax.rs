//! Extended headers: a row of `LENGTH KEY=VALUE\n`, where the length counts the whole record.
//!
//! Source: POSIX.1-2017, pax, "pax Extended Header"; GNU tar 1.34 (`src/xheader.c`) for `SCHILY.xattr.`, whose keys have `=` as `%3D`
//! and `%` as `%25`; libarchive 3.6 for `LIBARCHIVE.xattr.`, whose keys are encoded as in URLs and whose values are in base 64.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Error, Result};
use tree::{Timestamp, Xattrs};

/// The last value of each key.
pub(super) type Values = BTreeMap<Vec<u8>, Vec<u8>>;

/// What the extended headers say of one member.
#[derive(Clone, Debug, Default)]
pub(super) struct Extended {
    /// What global headers said before, for keys that are not in `values`.
    pub(super) global: Arc<Values>,
    /// Of the member alone. An empty value takes the key back, for the header block to speak.
    pub(super) values: Values,
    /// The map of a file with holes in GNU's format 0.0, which repeats its keys: offset and length in turn.
    pub(super) map: Vec<u64>,
}

impl Extended {
    /// Nothing yet, over what global headers said.
    pub(super) fn over(global: &Arc<Values>) -> Self {
        Self {
            global: Arc::clone(global),
            ..Self::default()
        }
    }

    /// Adds the records of `bytes`, the content of the extended header at `offset`.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a record is none.
    pub(super) fn add(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let record = split_record(rest).ok_or_else(|| {
                let start = rest.get(..rest.len().min(40)).unwrap_or_default();
                let message = format!("\"{}\" begins no record", start.escape_ascii());
                Error::corrupt("pax extended header", message).at(offset)
            })?;
            rest = record.rest;
            self.add_record(record.key, record.value).ok_or_else(|| {
                let message = format!("\"{}\" is no number", record.value.escape_ascii());
                Error::corrupt("pax extended header", message).at(offset)
            })?;
        }
        Ok(())
    }

    /// `None` where the value is no number and has to be one.
    fn add_record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.map.push(number(value)?),
            _ => {
                self.values.insert(key.to_vec(), value.to_vec());
            }
        }
        Some(())
    }

    /// The value of `key`; `None` where there is none, or an empty one.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        let key = key.as_bytes();
        let value = self.values.get(key).or_else(|| self.global.get(key))?;
        (!value.is_empty()).then_some(value)
    }

    /// The whole number of `key`.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is none.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.parsed(key, number)
    }

    /// The time of `key`: seconds with a fraction, perhaps before 1970.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is none.
    pub(super) fn time(&self, key: &str) -> Result<Option<Timestamp>> {
        self.parsed(key, time)
    }

    fn parsed<T>(&self, key: &str, parse: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        parse(value).map(Some).ok_or_else(|| {
            let message = format!("the {key} is \"{}\"", value.escape_ascii());
            Error::corrupt("pax extended header", message)
        })
    }

    /// The extended attributes, by all the keys that programs write them under.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a key or value is not encoded as it has to be.
    pub(super) fn xattrs(&self) -> Result<Xattrs> {
        let mut xattrs = BTreeMap::new();
        for (key, value) in self.global.iter().chain(&self.values) {
            let bad = || {
                let message = format!("\"{}\" is not encoded as it has to be", key.escape_ascii());
                Error::corrupt("pax extended header", message)
            };
            let (name, value) = if key == b"RHT.security.selinux" {
                // Written with the NUL by some: the kernel's own form of the label has one, and takes both.
                (b"security.selinux".to_vec(), value.clone())
            } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                (decode_schily(name), value.clone())
            } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                let name = decode_url(name).ok_or_else(bad)?;
                (name, base64(value).ok_or_else(bad)?)
            } else {
                continue;
            };
            // Where one attribute is there twice, the key that holds it as it is comes last in the order of keys.
            if !name.is_empty() && !name.contains(&0) {
                xattrs.insert(name.into(), value.into());
            }
        }
        Ok(Arc::new(xattrs))
    }
}

/// One record, and what follows it.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    rest: &'a [u8],
}

/// The first record of `bytes`.
fn split_record(bytes: &[u8]) -> Option<Record<'_>> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let len = usize::try_from(number(bytes.get(..space)?)?).ok()?;
    let (record, rest) = bytes.split_at_checked(len)?;
    let record = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = record.split_at_checked(equals)?;
    let is_key = !key.is_empty() && !key.contains(&0);
    is_key.then_some(Record {
        key,
        value: value.get(1..)?,
        rest,
    })
}

/// A record for a header that is being written; its length counts its own digits.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    // A space, `=` and the line's end.
    let rest = key.len().saturating_add(value.len()).saturating_add(3);
    let mut len = rest;
    loop {
        let digits = len.to_string();
        let whole = rest.saturating_add(digits.len());
        if whole == len {
            return [digits.as_bytes(), b" ", key, b"=", value, b"\n"].concat();
        }
        len = whole;
    }
}

/// The key under which the xattr `name` is written.
pub(super) fn xattr_key(name: &[u8]) -> Vec<u8> {
    let mut key = b"SCHILY.xattr.".to_vec();
    for byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            _ => key.push(*byte),
        }
    }
    key
}

fn decode_schily(key: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    let mut rest = key;
    while let Some((first, later)) = rest.split_first() {
        let (byte, later) = match rest {
            [b'%', b'3', b'D', later @ ..] => (b'=', later),
            [b'%', b'2', b'5', later @ ..] => (b'%', later),
            _ => (*first, later),
        };
        name.push(byte);
        rest = later;
    }
    name
}

fn decode_url(key: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut rest = key;
    while let Some((first, later)) = rest.split_first() {
        rest = later;
        if *first != b'%' {
            name.push(*first);
            continue;
        }
        let (digits, later) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        name.push(u8::from_str_radix(digits, 16).ok()?);
        rest = later;
    }
    Some(name)
}

/// Base 64 without line ends, with or without the `=` at its end.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut bits = 0_u32;
    let mut count = 0_u32;
    for digit in text.iter().filter(|digit| **digit != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit.wrapping_sub(b'A'),
            b'a'..=b'z' => digit.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => digit.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count = count.wrapping_add(6);
        if count >= 8 {
            count = count.wrapping_sub(8);
            let [byte, ..] = (bits >> count).to_le_bytes();
            bytes.push(byte);
            bits &= (1_u32 << count).wrapping_sub(1);
        }
    }
    Some(bytes)
}

/// A whole number in decimal digits and nothing else.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let valid = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    valid.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

fn time(text: &[u8]) -> Option<Timestamp> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(number(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = digits.fold(0_u32, |value, digit| {
        value
            .wrapping_mul(10)
            .wrapping_add(u32::from(digit.wrapping_sub(b'0')))
    });
    Some(match (is_negative, nanoseconds) {
        (false, _) => Timestamp {
            seconds,
            nanoseconds,
        },
        (true, 0) => Timestamp::from_seconds(seconds.checked_neg()?),
        // Before 1970 the fraction counts backwards, and that of a time forwards.
        (true, _) => Timestamp {
            seconds: seconds.checked_neg()?.checked_sub(1)?,
            nanoseconds: 1_000_000_000_u32.checked_sub(nanoseconds)?,
        },
    })
}

/// A time as a header's value.
pub(super) fn print_time(time: Timestamp) -> String {
    let (sign, seconds, nanoseconds) = match (time.seconds < 0, time.nanoseconds) {
        (true, 0) => ("-", time.seconds.unsigned_abs(), 0),
        (true, nanoseconds) => (
            "-",
            time.seconds.saturating_add(1).unsigned_abs(),
            1_000_000_000_u32.saturating_sub(nanoseconds),
        ),
        (false, nanoseconds) => ("", time.seconds.unsigned_abs(), nanoseconds),
    };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_digits() {
        for len in 0..1200 {
            let value = vec![b'v'; len];
            let bytes = record(b"key", &value);
            let found = split_record(&bytes).unwrap();
            assert_eq!((found.key, found.value), (&b"key"[..], &value[..]));
            assert!(found.rest.is_empty());
        }
    }

    #[test]
    fn times_before_and_after_1970_read_as_they_are_written() {
        let cases = [
            (0, 0, "0"),
            (1, 500_000_000, "1.5"),
            (1_700_000_000, 1, "1700000000.000000001"),
            (-1, 0, "-1"),
            (-1, 750_000_000, "-0.25"),
            (-3, 999_999_999, "-2.000000001"),
        ];
        for (seconds, nanoseconds, text) in cases {
            let value = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(print_time(value), text);
            assert_eq!(time(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(time(b"1.1234567899"), time(b"1.123456789"));
        for bad in ["", "-", "x", "1.x", ".5", "+1", "99999999999999999999"] {
            assert_eq!(time(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let bad: [&[u8]; 8] = [
            b"x",
            b"7 a=b\n",
            b"5 a=bc\n",
            b"6 abc\n",
            b"0 a=b\n",
            b"-6 a=b\n",
            b"6 =bc\n",
            b"99999999999999999999999 a=b\n",
        ];
        for bytes in bad {
            let error = Extended::default().add(bytes, 1024).unwrap_err();
            assert_eq!(error.place().offset, Some(1024), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_empty_value_takes_a_key_back() {
        let mut extended = Extended::default();
        extended.add(b"8 uid=7\n7 uid=\n", 0).unwrap();
        assert_eq!(extended.get("uid"), None);
    }

    #[test]
    fn xattrs_are_read_under_the_keys_of_every_program() {
        let mut extended = Extended::default();
        for (key, value) in [
            (&b"SCHILY.xattr.user.a%3Db%25c%20"[..], &b"1\0\n"[..]),
            (b"LIBARCHIVE.xattr.user.%64", b"AP8Q"),
            (b"LIBARCHIVE.xattr.user.e", b"YWI="),
            (b"RHT.security.selinux", b"label"),
            (b"comment", b"nothing"),
        ] {
            extended.add(&record(key, value), 0).unwrap();
        }
        let xattrs = extended.xattrs().unwrap();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"security.selinux", b"label"),
            (b"user.a=b%c%20", b"1\0\n"),
            (b"user.d", b"\0\xff\x10"),
            (b"user.e", b"ab"),
        ];
        let found: Vec<_> = xattrs
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(found, expected);
    }
}
