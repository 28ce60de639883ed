//! `storage.disks`: checked, and without effect on live media.

use crate::file::fields::{Fields, Section};
use crate::file::form::key;
use crate::file::rule;
use crate::file::shape::{Choice, Text};

pub(super) const DISK: Section<Disk> = Section("Disk", disk);

const MIB: u64 = 1 << 20;
/// Where partitions begin, and what they are multiples of.
const ALIGNMENT: u64 = MIB;
/// What GPT's second table takes at the end of a disk, rounded up.
const GPT_FOOTER: u64 = MIB;
/// The most characters of a partition's name: GPT has 36 units of UTF-16, of which the last is zero.
const MAX_LABEL: usize = 35;

/// A disk, as far as others refer to it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) partitions: Vec<Partition>,
}

/// A partition, as far as others refer to it.
#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) id: String,
    pub(super) label: Option<String>,
    pub(super) kind: Option<Kind>,
    start: Option<u64>,
    end: Option<u64>,
    size: Option<Size>,
}

/// A partition's type, as far as rules hang on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Esp,
    BiosGrub,
    Other,
}

/// A size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Bytes(u64),
    Grow,
}

/// The types by name; any other is a UUID.
const TYPES: [&str; 13] = [
    "esp",
    "bios-grub",
    "home",
    "linux-generic",
    "root",
    "root-verity",
    "srv",
    "swap",
    "tmp",
    "usr",
    "usr-verity",
    "var",
    "xbootldr",
];

/// A size in bytes: a number and K, M, G or T. `None` for what is no size.
pub(super) fn size(text: &str) -> Option<u64> {
    let (digits, factor) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let shift = match factor {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A size of a disk or a partition.
pub(super) fn aligned_size(text: &str) -> rule::Checked {
    match size(text) {
        None => Err(format!(
            "is `{}`, and must be a size, as 512M or 8G: a number and K, M, G or T",
            text.escape_debug()
        )),
        Some(0) => Err("is 0, and must be more".to_owned()),
        Some(bytes) if bytes % ALIGNMENT != 0 => {
            Err(format!("is `{text}`, and must be a multiple of 1M"))
        }
        Some(_) => Ok(()),
    }
}

fn partition_size(text: &str) -> rule::Checked {
    match text {
        "grow" => Ok(()),
        text => aligned_size(text),
    }
}

fn label(text: &str) -> rule::Checked {
    if text.is_ascii() && text.len() <= MAX_LABEL {
        return Ok(());
    }
    Err(format!(
        "is `{}`, and must have at most {MAX_LABEL} characters of ASCII",
        text.escape_debug()
    ))
}

fn partition_type(text: &str) -> rule::Checked {
    if TYPES.contains(&text) || is_uuid(text) {
        return Ok(());
    }
    Err(format!(
        "is `{}`, and must be a UUID or {}",
        text.escape_debug(),
        crate::file::shape::listed(TYPES.into_iter())
    ))
}

fn is_uuid(text: &str) -> bool {
    let lens: Vec<usize> = text.split('-').map(str::len).collect();
    let is_hex = |letter: char| letter == '-' || letter.is_ascii_hexdigit();
    lens == [8, 4, 4, 4, 12] && text.chars().all(is_hex)
}

fn disk(fields: &mut Fields<'_>) -> Disk {
    let table = key("partitionTableType", "The partition table.").default("`gpt`");
    let max_size = key("maxSize", "The disk's size.").default("what the partitions take");
    let partitions = key("partitions", "The partitions, in the order of the disk.");
    fields.get(table, &Choice(&[("gpt", (), "GPT")]));
    let max_size = fields.get(max_size, &SIZE).and_then(|text| size(&text));
    let disk = Disk {
        partitions: fields.list(partitions, Section("Partition", partition)),
    };
    check_layout(fields, &disk.partitions, max_size);
    disk
}

pub(super) const SIZE: Text = Text::of("a size", aligned_size).pattern("^[0-9]+[KMGT]$");

fn partition(fields: &mut Fields<'_>) -> Partition {
    let kind = key("type", "Its type: a name, or the UUID of GPT.").default("`linux-generic`");
    let bytes = |text: Option<String>| text.and_then(|text| size(&text));
    let size_shape = Text::of("a size or `grow`", partition_size).pattern("^([0-9]+[KMGT]|grow)$");
    let partition = Partition {
        id: fields.need(
            key("id", "What file systems call it; each once."),
            &Text::any("a name"),
        ),
        label: fields.get(
            key("label", "Its name in the partition table."),
            &Text::of("a name", label),
        ),
        start: bytes(fields.get(
            key("start", "Where it begins.").default("where the one before ends"),
            &SIZE,
        )),
        end: bytes(fields.get(key("end", "Where it ends. Not beside `size`."), &SIZE)),
        size: fields
            .get(
                key(
                    "size",
                    "Its size; `grow` for the rest of the disk, of the last one only.",
                ),
                &size_shape,
            )
            .and_then(|text| match text.as_str() {
                "grow" => Some(Size::Grow),
                text => size(text).map(Size::Bytes),
            }),
        kind: fields
            .get(kind, &Text::of("a type of a partition", partition_type))
            .map(|text| match text.as_str() {
                "esp" => Kind::Esp,
                "bios-grub" => Kind::BiosGrub,
                _ => Kind::Other,
            }),
    };
    if partition.end.is_some() && partition.size.is_some() {
        fields.refuse("size", "cannot stand beside `end`: give one of the two");
    }
    if let (Some(start), Some(end)) = (partition.start, partition.end)
        && start >= end
    {
        fields.refuse("end", "is not after `start`");
    }
    partition
}

/// Partitions that begin late enough, follow each other and fit.
fn check_layout(fields: &mut Fields<'_>, partitions: &[Partition], max_size: Option<u64>) {
    let mut end = Some(ALIGNMENT);
    let last = partitions.len().saturating_sub(1);
    for (index, partition) in partitions.iter().enumerate() {
        let name = &partition.id;
        let start = match (partition.start, end) {
            (Some(start), Some(end)) if start < end => {
                fields.refuse(
                    "partitions",
                    &format!(
                        "has the partition `{name}`, which begins before the one ahead of it ends"
                    ),
                );
                start
            }
            (Some(start), _) => start,
            (None, Some(end)) => end,
            // OK: what is ahead of it has no end, which was said.
            (None, None) => return,
        };
        if partition.kind == Some(Kind::BiosGrub) && start != ALIGNMENT {
            fields.refuse(
                "partitions",
                &format!("has the partition `{name}` of type `bios-grub`, which must begin at 1M"),
            );
        }
        end = match (partition.end, partition.size) {
            (Some(end), _) => Some(end),
            (None, Some(Size::Bytes(bytes))) => start.checked_add(bytes),
            (None, _) => None,
        };
        if end.is_none() && index < last {
            fields.refuse(
                "partitions",
                &format!("has the partition `{name}` without an end, which only the last may be"),
            );
        }
    }
    check_size(fields, partitions.is_empty(), end, max_size);
}

fn check_size(fields: &mut Fields<'_>, is_empty: bool, end: Option<u64>, max_size: Option<u64>) {
    match (end, max_size) {
        _ if fields.has("maxSize") && max_size.is_none() => {}
        (_, None) if is_empty => fields.refuse(
            "maxSize",
            "needs the key `maxSize`: there are no partitions",
        ),
        (None, None) => fields.refuse(
            "maxSize",
            "needs the key `maxSize`: the last partition has no end",
        ),
        (Some(end), Some(most)) if end.saturating_add(GPT_FOOTER) > most => {
            fields.refuse(
                "maxSize",
                "is too small for the partitions and the last 1M, which GPT takes",
            );
        }
        _ => {}
    }
}
