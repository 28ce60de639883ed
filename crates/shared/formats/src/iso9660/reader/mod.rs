//! Reads ISO 9660: what it is, its files, its boot catalog.
//!
//! As Linux does it: Rock Ridge where there is any, else Joliet, else the plain names. Rock Ridge's word on owners, permissions, links
//! and devices is taken; without it everything is root's, and may be read and executed by everybody.
mod catalog;
pub(super) mod names;
pub(super) mod record;
pub(super) mod susp;
pub(super) mod volume;
pub(super) mod walk;

use std::sync::Arc;

use block::{Content, Error, ReadAt, Result};
use tree::Tree;

pub use catalog::{BootEntry, Platform, boot_catalog};

use crate::Identity;

/// Says what the source is; `None` where it is no ISO 9660.
///
/// The label is the volume identifier without its padding; the UUID is the time of modification, or of creation where there is none,
/// as `blkid` prints it: `2026-11-20-18-45-00-00`.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where a volume descriptor is damaged; what reading answers.
pub fn probe(source: &dyn ReadAt) -> Result<Option<Identity>> {
    let Some(volumes) = volume::read(source)? else {
        return Ok(None);
    };
    let joliet = volumes.joliet.as_ref().map(|joliet| &joliet.id);
    let [created, modified] = &volumes.primary.dates;
    Ok(Some(Identity {
        format: "iso9660",
        label: names::label(&volumes.primary.id, joliet),
        uuid: [modified, created]
            .into_iter()
            .find_map(uuid)
            .unwrap_or_default(),
    }))
}

/// The date as `blkid` prints it; `None` where there is none.
fn uuid(date: &[u8; 17]) -> Option<String> {
    let (digits, _zone) = date.split_at(16);
    if digits.iter().all(|digit| *digit == b'0') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, rest) = digits.split_at(4);
    let parts = std::iter::once(year).chain(rest.chunks(2));
    let parts: Vec<_> = parts.map(String::from_utf8_lossy).collect();
    Some(parts.join("-"))
}

/// Reads all files; contents are ranges of the source.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where it is no ISO 9660, [`Kind::Corrupt`](block::Kind::Corrupt) where a structure is
/// damaged, a folder is in itself or a file lies past the end, [`Kind::Unsupported`](block::Kind::Unsupported) for interleaved,
/// compressed and sparse files, [`Kind::Limit`](block::Kind::Limit) beyond the bounds of this reader; what reading answers.
pub fn read_tree(source: Arc<dyn ReadAt>) -> Result<Tree<Content>> {
    let volumes = volume::read(&*source)?
        .ok_or_else(|| Error::not_found("reading ISO 9660", "there is no volume descriptor"))?;
    walk::read(&source, &volumes)
}
