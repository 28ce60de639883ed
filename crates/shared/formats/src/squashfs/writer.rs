//! Writing an image: data first, then the tables that say where it is, the superblock last.

use block::{Result, WriteAt};
use tree::Node;

use super::checked::Checked;
use super::codec::Encoder;
use super::data::{Data, write_data};
use super::directory_writer::write_listing;
use super::fields::{half, wide, word};
use super::format::{
    IMAGE_ALIGN, METADATA_RAW, NO_TABLE, Position, SUPERBLOCK_LEN, Superblock, flag,
};
use super::inode_writer::inode_bytes;
use super::metadata_writer::{IndexedTable, MetadataWriter, indexed_table};
use super::options::{Fragments, Progress, Written};

/// Writes the image of `checked` to `target` from its byte 0 on, each byte once. `progress` is called on this thread, often.
///
/// The image is the same for the same tree and options, whatever the number of threads. Memory stays under 100 MiB, and what the
/// names, inodes and lists of blocks take beside that.
///
/// # Errors
///
/// What reading the files and writing the target answer.
pub fn write(
    checked: &Checked<'_>,
    target: &dyn WriteAt,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Written> {
    let mut at = wide(SUPERBLOCK_LEN);
    let mut flags = flag::DUPLICATES;
    if let Some(options) = checked.options.compression.options() {
        flags |= flag::OPTIONS;
        let mut block = (half(options.len()) | METADATA_RAW).to_le_bytes().to_vec();
        block.extend_from_slice(&options);
        at = append(target, at, &block)?;
    }
    let data = write_data(checked, target, at, progress)?;
    let mut superblock = Superblock {
        inodes: word(checked.order.len()),
        time: checked.image_time,
        block_size: checked.options.block_size,
        fragments: data.fragment_count,
        compressor: checked.options.compression.number(),
        flags: flags | kept_flags(checked),
        ids: half(checked.ids.len()),
        ..Superblock::default()
    };
    let used = write_tables(checked, &data, target, &mut superblock)?;
    superblock.used = used;
    let len = used.next_multiple_of(IMAGE_ALIGN);
    let padding = vec![0; super::fields::narrow(len.saturating_sub(used))];
    append(target, used, &padding)?;
    target.write_all_at(&superblock.to_bytes(), 0)?;
    Ok(Written {
        len,
        inodes: superblock.inodes,
        content_len: checked.content_len,
        duplicates: data.duplicates,
        fragments: data.fragment_count,
        metadata_len: len.saturating_sub(data.end).saturating_add(at),
    })
}

/// The flags that follow from what is written.
fn kept_flags(checked: &Checked<'_>) -> u16 {
    let mut flags = 0;
    if checked.options.exportable {
        flags |= flag::EXPORT;
    }
    if checked.xattrs.len() == 0 {
        flags |= flag::NO_XATTRS;
    }
    if checked.options.fragments == Fragments::AllTails {
        flags |= flag::ALWAYS_FRAGMENTS;
    }
    flags
}

/// Writes all tables, whose places go into `superblock`. Answers where the image ends.
fn write_tables(
    checked: &Checked<'_>,
    data: &Data,
    target: &dyn WriteAt,
    superblock: &mut Superblock,
) -> Result<u64> {
    let options = &checked.options;
    let encoder = || Encoder::new(options.compression, options.block_size);
    let mut inodes = MetadataWriter::new(encoder()?);
    let mut folders = MetadataWriter::new(encoder()?);
    let places = write_inodes(checked, data, &mut inodes, &mut folders)?;
    let place_of = |id: tree::InodeId| places.get(id.index()).copied().unwrap_or_default();
    superblock.root = place_of(checked.tree.root()).to_reference();
    superblock.inode_table = data.end;
    let (bytes, encoder) = inodes.finish()?;
    superblock.directory_table = append(target, data.end, &bytes)?;
    let (bytes, _) = folders.finish()?;
    let mut at = append(target, superblock.directory_table, &bytes)?;
    let mut write_table = |records: &[u8], encoder: Encoder| -> Result<(u64, Encoder)> {
        let table: IndexedTable = indexed_table(records, at, encoder)?;
        at = append(target, at, &table.bytes)?;
        at = append(target, at, &table.list)?;
        Ok((table.list_at, table.encoder))
    };
    let (list_at, encoder) = write_table(&data.fragments, encoder)?;
    superblock.fragment_table = list_at;
    superblock.export_table = NO_TABLE;
    let mut encoder = encoder;
    if options.exportable {
        let references = checked.order.iter();
        let references = references.map(|numbered| place_of(numbered.id).to_reference());
        let records: Vec<u8> = references.flat_map(u64::to_le_bytes).collect();
        (superblock.export_table, encoder) = write_table(&records, encoder)?;
    }
    let records: Vec<u8> = checked.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    (superblock.id_table, encoder) = write_table(&records, encoder)?;
    superblock.xattr_table = NO_TABLE;
    if let Some(tables) = checked.xattrs.tables(at, encoder)? {
        superblock.xattr_table = tables.header_at;
        at = append(target, at, &tables.bytes)?;
    }
    Ok(at)
}

/// Writes all inodes and listings. Answers by [`InodeId::index`](tree::InodeId::index) where the inodes are.
fn write_inodes(
    checked: &Checked<'_>,
    data: &Data,
    inodes: &mut MetadataWriter,
    folders: &mut MetadataWriter,
) -> Result<Vec<Position>> {
    let mut places = vec![Position::default(); checked.tree.id_bound()];
    for numbered in &checked.order {
        let id = numbered.id;
        let listing = match &checked.tree.inode(id).node {
            Node::Directory(_) => Some(write_listing(checked, id, &places, folders)?),
            _ => None,
        };
        if let Some(place) = places.get_mut(id.index()) {
            *place = inodes.position();
        }
        let bytes = inode_bytes(checked, data, (id, numbered.parent), listing.as_ref())?;
        inodes.push(&bytes)?;
    }
    Ok(places)
}

/// Writes `bytes` at `at` and answers where they end.
fn append(target: &dyn WriteAt, at: u64, bytes: &[u8]) -> Result<u64> {
    if !bytes.is_empty() {
        target.write_all_at(bytes, at)?;
    }
    Ok(at.saturating_add(wide(bytes.len())))
}
