//! What an RPM package says of itself: the main header of a package file.
//!
//! Source: RPM 4.19, docs/manual/format_v4.md, and its `rpmtag.h` for the numbers of the tags.

use std::ops::Range;

use block::{Error, ReadAt, Result, read_vec};

/// The lead before the first header, which nothing reads any more.
const LEAD: u64 = 96;
/// What a header begins with, version 1 included.
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
/// The most entries of a header: RPM's own limit.
const MAX_ENTRIES: u32 = 0xffff;
/// The longest store of a header: what the files of the largest packages need is a tenth of it.
const MAX_STORE: u32 = 64 << 20;

/// The step that errors name.
const WHAT: &str = "reading an RPM package";

/// A header: its entries, and the bytes that they point into.
#[derive(Debug)]
pub(super) struct Header {
    entries: Vec<Entry>,
    store: Vec<u8>,
    /// Where the header is in the file.
    pub(super) range: Range<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u32,
    kind: u32,
    offset: u32,
    count: u32,
}

impl Header {
    /// Reads the main header of the package in `file`.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where the file is no package, [`Kind::Limit`](block::Kind::Limit) beyond the limits.
    pub(super) fn read(file: &dyn ReadAt) -> Result<Self> {
        if read_vec(file, 0, 4, 4, WHAT)? != [0xed, 0xab, 0xee, 0xdb] {
            return Err(Error::corrupt(WHAT, "it does not begin as a package does"));
        }
        let signature = Self::read_one(file, LEAD)?;
        Self::read_one(file, signature.range.end.next_multiple_of(8))
    }

    fn read_one(file: &dyn ReadAt, at: u64) -> Result<Self> {
        let head = read_vec(file, at, 16, 16, WHAT)?;
        if !head.starts_with(&MAGIC) {
            return Err(Error::corrupt(WHAT, "there is no header here").at(at));
        }
        let (count, len) = (u32_at(&head, 8), u32_at(&head, 12));
        if count > MAX_ENTRIES || len > MAX_STORE {
            let message = format!(
                "a header of {count} entries and {len} bytes: at most {MAX_ENTRIES} and {MAX_STORE} are read"
            );
            return Err(Error::limit(WHAT, message).at(at));
        }
        let index_len = u64::from(count).saturating_mul(16);
        let index_at = at.saturating_add(16);
        let index = read_vec(file, index_at, index_len, 16 * 0xffff, WHAT)?;
        let store_at = index_at.saturating_add(index_len);
        let store = read_vec(file, store_at, u64::from(len), 64 << 20, WHAT)?;
        let entries = index.chunks_exact(16).map(|entry| Entry {
            tag: u32_at(entry, 0),
            kind: u32_at(entry, 4),
            offset: u32_at(entry, 8),
            count: u32_at(entry, 12),
        });
        Ok(Self {
            entries: entries.collect(),
            store,
            range: at..store_at.saturating_add(u64::from(len)),
        })
    }

    fn entry(&self, tag: u32) -> Option<(Entry, &[u8])> {
        let entry = *self.entries.iter().find(|entry| entry.tag == tag)?;
        let offset = usize::try_from(entry.offset).ok()?;
        Some((entry, self.store.get(offset..)?))
    }

    /// The texts of a tag; none where it is not there. Of a text in several languages the first counts.
    pub(super) fn texts(&self, tag: u32) -> Vec<String> {
        let Some((entry, bytes)) = self.entry(tag) else {
            return Vec::new();
        };
        let count = match entry.kind {
            6 | 9 => 1,
            8 => usize::try_from(entry.count).unwrap_or_default(),
            _ => 0,
        };
        let texts = bytes.split_inclusive(|byte| *byte == 0).take(count);
        texts
            .map(|text| {
                String::from_utf8_lossy(text.strip_suffix(b"\0").unwrap_or(text)).into_owned()
            })
            .collect()
    }

    /// The first text of a tag, or nothing.
    pub(super) fn text(&self, tag: u32) -> String {
        self.texts(tag).into_iter().next().unwrap_or_default()
    }

    /// The numbers of a tag of 16, 32 or 64 bits; none where it is not there.
    pub(super) fn numbers(&self, tag: u32) -> Vec<u64> {
        let Some((entry, bytes)) = self.entry(tag) else {
            return Vec::new();
        };
        let width = match entry.kind {
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return Vec::new(),
        };
        let count = usize::try_from(entry.count).unwrap_or_default();
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
        };
        bytes.chunks_exact(width).take(count).map(number).collect()
    }

    /// The first number of a tag.
    pub(super) fn number(&self, tag: u32) -> Option<u64> {
        self.numbers(tag).first().copied()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// What a package provides, requires, …: a name with a version or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) name: String,
    /// `epoch:version-release`, or empty.
    pub(super) version: String,
    pub(super) flags: u64,
}

/// The relations whose names, flags and versions have these tags.
pub(super) fn relations(
    header: &Header,
    (names, flags, versions): (u32, u32, u32),
) -> Vec<Relation> {
    let (flags, versions) = (header.numbers(flags), header.texts(versions));
    let names = header.texts(names).into_iter().enumerate();
    names
        .map(|(number, name)| Relation {
            name,
            version: versions.get(number).cloned().unwrap_or_default(),
            flags: flags.get(number).copied().unwrap_or_default(),
        })
        .collect()
}

/// The paths of a package's files, each with its mode.
pub(super) fn files(header: &Header) -> Vec<(String, u64)> {
    let (folders, places) = (header.texts(1118), header.numbers(1116));
    let modes = header.numbers(1030);
    let names = header.texts(1117).into_iter().enumerate();
    let files = names.map(|(number, name)| {
        let place = places
            .get(number)
            .and_then(|place| usize::try_from(*place).ok());
        let folder = place
            .and_then(|place| folders.get(place))
            .map_or("", String::as_str);
        (
            format!("{folder}{name}"),
            modes.get(number).copied().unwrap_or_default(),
        )
    });
    files.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A package with the header entries `(tag, kind, count, bytes)`.
    pub(in super::super) fn package(entries: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
        let header = |entries: &[(u32, u32, u32, &[u8])]| {
            let store: Vec<u8> = entries.iter().flat_map(|entry| entry.3.to_vec()).collect();
            let mut bytes = MAGIC.to_vec();
            bytes.extend([0; 4]);
            bytes.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
            bytes.extend(u32::try_from(store.len()).unwrap().to_be_bytes());
            let mut offset = 0_u32;
            for (tag, kind, count, data) in entries {
                for number in [*tag, *kind, offset, *count] {
                    bytes.extend(number.to_be_bytes());
                }
                offset += u32::try_from(data.len()).unwrap();
            }
            bytes.extend(store);
            bytes
        };
        let mut bytes = vec![0xed, 0xab, 0xee, 0xdb];
        bytes.resize(96, 0);
        bytes.extend(header(&[(62, 7, 3, b"abc")]));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(header(entries));
        bytes
    }

    fn sample() -> Vec<u8> {
        package(&[
            (1000, 6, 1, b"name\0"),
            (1116, 4, 3, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
            (1117, 8, 3, b"a\0b\0c\0"),
            (1118, 8, 2, b"/usr/bin/\0/etc/\0"),
            (1030, 3, 3, &[0x81, 0xed, 0x41, 0xed, 0x81, 0xa4]),
            (1047, 8, 2, b"name\0lib\0"),
            (1112, 4, 2, &[0, 0, 0, 8, 0, 0, 0, 0]),
            (1113, 8, 2, b"1:2-3\0\0"),
            (1004, 9, 2, b"summary\0andere\0"),
        ])
    }

    #[test]
    fn texts_numbers_relations_and_files_are_read() {
        let header = Header::read(&sample()).unwrap();
        assert_eq!(header.text(1000), "name");
        assert_eq!(header.text(1004), "summary");
        assert_eq!(header.text(9999), "");
        let files = files(&header);
        assert_eq!(
            files,
            [
                ("/etc/a".into(), 0o100_755),
                ("/usr/bin/b".into(), 0o40_755),
                ("/etc/c".into(), 0o100_644)
            ]
        );
        let provided = relations(&header, (1047, 1112, 1113));
        assert_eq!(
            (
                provided[0].name.as_str(),
                provided[0].version.as_str(),
                provided[0].flags
            ),
            ("name", "1:2-3", 8)
        );
        assert_eq!((provided[1].name.as_str(), provided[1].flags), ("lib", 0));
    }

    #[test]
    fn damage_anywhere_is_an_error_or_another_value_and_never_a_panic() {
        let bytes = sample();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Ok(header) = Header::read(&damaged) {
                    files(&header);
                    relations(&header, (1047, 1112, 1113));
                }
            }
            let cut = bytes[..at].to_vec();
            assert!(Header::read(&cut).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_before_it_is_read() {
        let mut bytes = sample();
        bytes[96 + 8..96 + 12].copy_from_slice(&[0, 1, 0, 0]);
        let error = Header::read(&bytes).unwrap_err();
        assert_eq!(
            (error.kind(), error.place().offset),
            (block::Kind::Limit, Some(96))
        );
    }
}
