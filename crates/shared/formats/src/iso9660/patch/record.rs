//! Directory records as they stand, and new ones.

use block::{Error, Result};
use tree::{Inode, Metadata, Name, Node, Timestamp};

use super::super::date;
use super::super::format::{MAX_RECORD, SECTOR, both32, put};
use super::super::reader::record::Record;
use super::super::reader::volume::Volume;
use super::super::reader::{names as shown, susp};
use super::super::writer::names::{self, View};
use super::super::writer::{Extent, directory, susp as rock_ridge};

/// One name space of the volume.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) view: View,
    /// The bytes that Rock Ridge leaves to others in each record; `None` where there is no Rock Ridge.
    pub(super) rock_ridge: Option<usize>,
    pub(super) volume: Volume,
}

/// A folder's records: its first block and their length in bytes.
pub(super) type Folder = (u32, u32);

/// A name in a folder, as it stands.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where the record begins, in bytes from the start of the ISO.
    pub(super) at: u64,
    pub(super) name: Vec<u8>,
    pub(super) identifier: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    pub(super) block: u32,
    pub(super) len: u32,
    pub(super) is_folder: bool,
    pub(super) is_moved: bool,
    /// Why its bytes cannot be put elsewhere.
    pub(super) fixed: Option<&'static str>,
}

/// What a record says.
pub(super) fn entry(
    space: &Space,
    susp: &mut susp::Reader<'_>,
    (at, bytes): (u64, &[u8]),
    record: &Record<'_>,
) -> Result<Entry> {
    let mut name = match space.view {
        View::Primary => shown::plain(record.identifier),
        View::Joliet => shown::joliet(record.identifier),
    };
    let mut moved = false;
    if record.is_dot() {
        name = Vec::new();
    } else if let Some(skip) = space.rock_ridge {
        let attributes = susp.read(record.susp.get(skip..).unwrap_or_default())?;
        moved = attributes.child.is_some();
        if !attributes.name.is_empty() {
            name = attributes.name;
        }
    }
    let fixed = if record.is_interleaved() {
        Some("it is interleaved")
    } else if bytes.get(1) != Some(&0) {
        Some("it has an extended attribute record")
    } else if record.goes_on() {
        Some("its bytes lie in several places, as those of files over 4 GiB")
    } else {
        None
    };
    Ok(Entry {
        at,
        name,
        identifier: record.identifier.to_vec(),
        bytes: bytes.to_vec(),
        block: record.first_block(),
        len: record.len,
        is_folder: record.is_folder(),
        is_moved: moved,
        fixed,
    })
}

/// The fields of a directory record that say where a file lies.
pub(super) fn fields(extent: Extent, block_len: u64) -> Result<Vec<u8>> {
    let what = "the place of a file";
    let beyond = || Error::limit(what, "ISO 9660 has numbers of 32 bits for it").at(extent.offset);
    let block = extent.offset.checked_div(block_len).unwrap_or(u64::MAX);
    let block = u32::try_from(block).map_err(|_| beyond())?;
    let len = u32::try_from(extent.len).map_err(|_| beyond())?;
    Ok([both32(block), both32(len)].concat())
}

/// The identifier of a new file, with a version where the other files of its folder have one: mastering programs differ in that.
pub(super) fn identifier(space: &Space, name: &[u8], entries: &[Entry]) -> Result<Vec<u8>> {
    let invalid = |error: tree::Error| Error::unsupported("a name on ISO 9660", error.to_string());
    let owned = Name::new(name).map_err(invalid)?;
    let identifier = names::identifiers(space.view, &[(&owned, false)])
        .into_iter()
        .next()
        .unwrap_or_default();
    let without = names::sort_key(&identifier).len();
    let mut files = entries.iter().filter(|entry| !entry.is_folder).peekable();
    let has_version = |entry: &Entry| names::sort_key(&entry.identifier) != entry.identifier;
    if files.peek().is_none() || files.any(has_version) {
        return Ok(identifier);
    }
    Ok(identifier.get(..without).unwrap_or_default().to_vec())
}

/// The record of a new file of this name and identifier.
pub(super) fn new_record(
    space: &Space,
    (name, identifier): (&[u8], &[u8]),
    extent: Extent,
    time: Timestamp,
) -> Result<Vec<u8>> {
    let mut susp = Vec::new();
    let block = extent
        .offset
        .checked_div(space.volume.block_len)
        .and_then(|block| u32::try_from(block).ok());
    if let Some(skip) = space.rock_ridge {
        let metadata = Metadata {
            mtime: time,
            ..Metadata::with_permissions(0o644)
        };
        let counted = rock_ridge::Counted {
            links: 1,
            serial: block.unwrap_or(0),
        };
        let inode = Inode::<()>::new(metadata, Node::File(()));
        let role = rock_ridge::Role::Named(name);
        susp = vec![0; skip];
        susp.extend(rock_ridge::entries(&inode, role, counted)?.concat());
    }
    if directory::fixed_len(identifier).saturating_add(susp.len()) > MAX_RECORD {
        let message = "with what belongs to it the name does not fit into one directory record";
        return Err(Error::limit("a name on ISO 9660", message));
    }
    let record = directory::Record {
        identifier,
        lba: 0,
        len: 0,
        flags: 0,
        date: date::short(time),
        susp: &susp,
    };
    let mut bytes = record.encode();
    put(&mut bytes, 2, &fields(extent, space.volume.block_len)?);
    Ok(bytes)
}

/// The sectors of a folder with one more record, at its place in the order.
pub(super) fn with_record(entries: &[Entry], record: Vec<u8>, (_, len): Folder) -> Result<Vec<u8>> {
    let what = "a folder of ISO 9660";
    let identifier_of = |bytes: &[u8]| -> Vec<u8> {
        let parsed = Record::parse(bytes).ok().flatten();
        parsed.map_or_else(Vec::new, |record| record.identifier.to_vec())
    };
    let identifier = identifier_of(&record);
    if entries.iter().any(|entry| entry.identifier == identifier) {
        let message = "another name is the same in the short form that every record has";
        return Err(Error::unsupported(what, message));
    }
    let key = names::sort_key(&identifier);
    // The first two are the folder itself and its parent.
    let place = entries
        .iter()
        .skip(2)
        .position(|entry| names::sort_key(&entry.identifier) > key)
        .map_or(entries.len(), |at| at.saturating_add(2));
    let mut records: Vec<Vec<u8>> = entries.iter().map(|entry| entry.bytes.clone()).collect();
    records.insert(place.min(records.len()), record);
    let mut bytes = directory::pack(&records);
    let room = usize::try_from(len)
        .unwrap_or(usize::MAX)
        .next_multiple_of(SECTOR);
    if bytes.len() > room {
        let used: usize = records.iter().map(Vec::len).sum();
        let message = format!(
            "its names need {used} bytes in sectors of {SECTOR}, and it has {room}; put the file into another folder"
        );
        return Err(Error::limit(what, message));
    }
    bytes.resize(room, 0);
    Ok(bytes)
}
