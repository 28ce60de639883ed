//! The listing of one folder: headers with the entries that they are for, and an index into long listings.

use block::{Error, Result};
use tree::InodeId;

use super::checked::Checked;
use super::fields::{half, wide, word};
use super::format::{HEADER_ENTRIES, METADATA_LEN, Position};
use super::inode_writer::basic_kind;
use super::metadata_writer::MetadataWriter;

/// A listing that was written.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Where it begins in the folder table.
    pub(crate) position: Position,
    /// Its length in bytes.
    pub(crate) len: u32,
    /// How many folders are in it.
    pub(crate) folders: u32,
    /// The index as the inode holds it.
    pub(crate) index: Vec<u8>,
    /// How many entries the index has.
    pub(crate) index_count: u16,
}

/// One name to be listed.
struct Entry<'a> {
    name: &'a [u8],
    number: u32,
    at: Position,
    kind: u16,
}

/// Writes the listing of the folder `id`. `places` says by [`InodeId::index`] where the inodes are that were written already.
pub(crate) fn write_listing(
    checked: &Checked<'_>,
    id: InodeId,
    places: &[Position],
    table: &mut MetadataWriter,
) -> Result<Listing> {
    let mut listing = Listing {
        position: table.position(),
        ..Listing::default()
    };
    let mut entries = Vec::new();
    for (name, id) in checked.tree.directory(id).into_iter().flatten() {
        let kind = basic_kind(&checked.tree.inode(*id).node);
        if kind == super::format::kind::DIRECTORY {
            listing.folders = listing.folders.saturating_add(1);
        }
        entries.push(Entry {
            name: name.as_bytes(),
            number: checked.number(*id),
            at: places.get(id.index()).copied().unwrap_or_default(),
            kind,
        });
    }
    // The block in which the last header is that the index (or the inode) leads to.
    let mut reached = listing.position.block;
    let mut rest = entries.as_slice();
    while let Some(first) = rest.first() {
        if table.position().block != reached {
            reached = table.position().block;
            listing.add_index(first.name, reached);
        }
        let run = run_len(rest, table.room());
        let (now, later) = rest.split_at(run);
        let bytes = header_and_entries(now);
        table.push(&bytes)?;
        listing.len = listing
            .len
            .checked_add(word(bytes.len()))
            .filter(|len| *len < u32::MAX >> 1)
            .ok_or_else(|| {
                let what = checked.path_of(id).to_string();
                Error::limit(what, "the folder's listing is over 2 GiB")
            })?;
        rest = later;
    }
    Ok(listing)
}

impl Listing {
    /// The header that is written next is for `name` and on; its block is `block`.
    fn add_index(&mut self, name: &[u8], block: u32) {
        let Some(count) = self.index_count.checked_add(1) else {
            // OK: the kernel then reads on from the last one that there is.
            return;
        };
        self.index_count = count;
        for field in [self.len, block, word(name.len().saturating_sub(1))] {
            self.index.extend_from_slice(&field.to_le_bytes());
        }
        self.index.extend_from_slice(name);
    }
}

/// How many of `entries` one header can be for: their inodes are in one block, their numbers are near the first one's, and the
/// last of them begins in the metadata block that has `room` more bytes, so that the index can lead to the next header.
fn run_len(entries: &[Entry<'_>], room: usize) -> usize {
    let Some(first) = entries.first() else {
        return 0;
    };
    let mut len: usize = 12;
    let fits = |entry: &&Entry<'_>| {
        let near = number_from(first, entry).is_some() && entry.at.block == first.at.block;
        let begins_here = len < room || len == 12;
        len = len.saturating_add(8).saturating_add(entry.name.len());
        near && begins_here
    };
    let run = entries.iter().take(HEADER_ENTRIES).take_while(fits).count();
    run.max(1)
}

/// The distance of two inodes' numbers, where an entry can hold it.
fn number_from(first: &Entry<'_>, entry: &Entry<'_>) -> Option<i16> {
    let distance = i64::from(entry.number).checked_sub(i64::from(first.number))?;
    i16::try_from(distance).ok()
}

fn header_and_entries(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(METADATA_LEN);
    let Some(first) = entries.first() else {
        return bytes;
    };
    let count = word(wide(entries.len()).saturating_sub(1));
    for field in [count, first.at.block, first.number] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    for entry in entries {
        let distance = number_from(first, entry).unwrap_or_default();
        bytes.extend_from_slice(&entry.at.offset.to_le_bytes());
        bytes.extend_from_slice(&distance.to_le_bytes());
        bytes.extend_from_slice(&entry.kind.to_le_bytes());
        let len = half(entry.name.len().saturating_sub(1));
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(entry.name);
    }
    bytes
}
