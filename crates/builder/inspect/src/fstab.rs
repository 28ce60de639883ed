//! `/etc/fstab`: what is mounted where.

use std::fmt;

use serde::{Serialize, Serializer};

/// The lines of an `fstab`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fstab {
    /// In the file's order.
    pub entries: Vec<Entry>,
    /// Lines that are no entry, one sentence each.
    pub warnings: Vec<String>,
}

/// One line of an `fstab`.
///
/// Source: fstab(5) of util-linux 2.41.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What is mounted.
    pub spec: Spec,
    /// Where: an absolute path, or `none` for swap.
    #[serde(serialize_with = "lossy")]
    pub target: Vec<u8>,
    /// The file system type; `auto` and comma-separated lists are as they stand.
    pub kind: String,
    /// The mount options in their order.
    pub options: Vec<String>,
    /// Counting from 1.
    pub line: usize,
}

impl Entry {
    /// Whether the option `name` is there, alone or with a value.
    #[must_use]
    pub fn has_option(&self, name: &str) -> bool {
        self.options.iter().any(|option| {
            let rest = option.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    }
}

/// How an `fstab` names what is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "by", content = "name")]
#[non_exhaustive]
pub enum Spec {
    /// By the file system's UUID, as it stands.
    Uuid(String),
    /// By the file system's label.
    Label(String),
    /// By the partition's UUID.
    PartUuid(String),
    /// By the partition's name.
    PartLabel(String),
    /// A device's path, `/dev/disk/by-uuid/…` too: where the folder says how, it is one of the others.
    Device(String),
    /// Anything else: `tmpfs`, `proc`, a network share, a file.
    Other(String),
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(value) => write!(f, "UUID={value}"),
            Self::Label(value) => write!(f, "LABEL={value}"),
            Self::PartUuid(value) => write!(f, "PARTUUID={value}"),
            Self::PartLabel(value) => write!(f, "PARTLABEL={value}"),
            Self::Device(value) | Self::Other(value) => f.write_str(value),
        }
    }
}

impl Spec {
    /// Whether it names a disk or a part of one.
    #[must_use]
    pub fn is_block_device(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Tells the kinds apart. Tags are in upper or lower case, values in quotes or not, as libmount has it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some((tag, value)) = text.split_once('=') {
            let value = value.trim_matches(['"', '\'']).to_owned();
            match tag.to_ascii_uppercase().as_str() {
                "UUID" => return Self::Uuid(value),
                "LABEL" => return Self::Label(value),
                "PARTUUID" => return Self::PartUuid(value),
                "PARTLABEL" => return Self::PartLabel(value),
                _ => {}
            }
        }
        let Some(device) = text.strip_prefix("/dev/") else {
            return Self::Other(text.to_owned());
        };
        let by = device
            .strip_prefix("disk/")
            .and_then(|by| by.split_once('/'));
        match by {
            Some(("by-uuid", value)) => Self::Uuid(value.to_owned()),
            Some(("by-label", value)) => Self::Label(udev_unescape(value)),
            Some(("by-partuuid", value)) => Self::PartUuid(value.to_owned()),
            Some(("by-partlabel", value)) => Self::PartLabel(udev_unescape(value)),
            _ => Self::Device(text.to_owned()),
        }
    }
}

/// Reads an `fstab`. Lines that are neither entry nor comment become warnings.
#[must_use]
pub fn parse(bytes: &[u8]) -> Fstab {
    let mut fstab = Fstab::default();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = index.saturating_add(1);
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let mut fields = line
            .split(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
            .filter(|field| !field.is_empty())
            .map(unescape);
        let (Some(spec), Some(target)) = (fields.next(), fields.next()) else {
            fstab.warnings.push(format!(
                "/etc/fstab line {number}: fewer than two fields, so it mounts nothing"
            ));
            continue;
        };
        let text = |bytes: Option<Vec<u8>>, default: &str| {
            bytes.map_or_else(
                || default.to_owned(),
                |bytes| String::from_utf8_lossy(&bytes).into_owned(),
            )
        };
        fstab.entries.push(Entry {
            spec: Spec::parse(&text(Some(spec), "")),
            target,
            kind: text(fields.next(), "auto"),
            options: text(fields.next(), "defaults")
                .split(',')
                .map(str::to_owned)
                .collect(),
            line: number,
        });
    }
    fstab
}

/// Undoes `\040` and its like: three octal digits after a backslash. Any other backslash stays.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'\\').then(|| octal(after.get(..3)?)).flatten();
        match escaped {
            Some(value) => {
                out.push(value);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

fn octal(digits: &[u8]) -> Option<u8> {
    let valid = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    let text = valid.then(|| std::str::from_utf8(digits).ok())??;
    u8::from_str_radix(text, 8).ok()
}

/// Undoes udev's `\x20` in the names of links below `/dev/disk`.
fn udev_unescape(name: &str) -> String {
    let mut out = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.strip_prefix(b"x").and_then(|digits| digits.get(..2));
        let hex = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let value = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value.filter(|_| byte == b'\\') {
            Some(value) => {
                out.push(value);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn lossy<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_device_is_told_apart() {
        for (text, spec) in [
            ("UUID=0a-B", Spec::Uuid("0a-B".into())),
            ("uuid=\"0a\"", Spec::Uuid("0a".into())),
            ("LABEL=my root", Spec::Label("my root".into())),
            ("PARTUUID=1", Spec::PartUuid("1".into())),
            ("PARTLABEL=esp", Spec::PartLabel("esp".into())),
            ("/dev/disk/by-uuid/0a", Spec::Uuid("0a".into())),
            ("/dev/disk/by-label/a\\x20b", Spec::Label("a b".into())),
            (
                "/dev/disk/by-path/x",
                Spec::Device("/dev/disk/by-path/x".into()),
            ),
            ("/dev/sda1", Spec::Device("/dev/sda1".into())),
            ("tmpfs", Spec::Other("tmpfs".into())),
            ("//server/a=b", Spec::Other("//server/a=b".into())),
        ] {
            assert_eq!(Spec::parse(text), spec, "{text}");
        }
    }

    #[test]
    fn entries_have_defaults_escapes_and_line_numbers() {
        let fstab =
            parse(b"# c\n\nUUID=1\t/a\\040b\\134 ext4 ro,x-y=1 0 1\r\nLABEL=a\\040b /x\nbad\n");
        assert_eq!(fstab.entries.len(), 2);
        let first = &fstab.entries[0];
        assert_eq!(first.target, b"/a b\\");
        assert_eq!(first.line, 3);
        assert!(first.has_option("ro") && first.has_option("x-y") && !first.has_option("x"));
        let second = &fstab.entries[1];
        assert_eq!(second.spec, Spec::Label("a b".into()));
        assert_eq!((second.kind.as_str(), second.options.len()), ("auto", 1));
        assert_eq!(fstab.warnings.len(), 1);
        assert!(fstab.warnings[0].contains("line 5"));
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        for text in ["\\", "\\0", "\\04", "\\089", "\\777", "a\\x"] {
            assert_eq!(unescape(text.as_bytes()), text.as_bytes());
        }
    }
}
