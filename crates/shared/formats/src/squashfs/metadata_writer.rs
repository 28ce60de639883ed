//! Writing metadata blocks, and tables of records that are found through a list of their blocks.

use block::Result;

use super::codec::{Encoder, room_for};
use super::fields::{half, wide, word};
use super::format::{METADATA_LEN, METADATA_RAW, Position};

/// A growing table of metadata blocks, held in memory: a system's inodes and names come to a few megabytes.
pub(crate) struct MetadataWriter {
    encoder: Encoder,
    done: Vec<u8>,
    open: Vec<u8>,
    scratch: Vec<u8>,
}

impl MetadataWriter {
    /// An empty table.
    pub(crate) fn new(encoder: Encoder) -> Self {
        Self {
            encoder,
            done: Vec::new(),
            open: Vec::with_capacity(METADATA_LEN),
            scratch: vec![0; room_for(METADATA_LEN)],
        }
    }

    /// Where the next byte goes. A table of 4 GiB or more, which only billions of inodes make, is refused by `Checked`.
    pub(crate) fn position(&self) -> Position {
        Position {
            block: word(self.done.len()),
            offset: half(self.open.len()),
        }
    }

    /// How many bytes the open block takes until the next one begins.
    pub(crate) fn room(&self) -> usize {
        METADATA_LEN.saturating_sub(self.open.len())
    }

    /// Appends `bytes`.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.room().min(bytes.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.room() == 0 {
                self.close()?;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let encoded = self.encoder.encode(&self.open, &mut self.scratch)?;
        let (header, bytes) = match encoded.and_then(|len| self.scratch.get(..len)) {
            Some(bytes) => (half(bytes.len()), bytes),
            None => (half(self.open.len()) | METADATA_RAW, self.open.as_slice()),
        };
        self.done.extend_from_slice(&header.to_le_bytes());
        self.done.extend_from_slice(bytes);
        self.open.clear();
        Ok(())
    }

    /// The whole table as it is stored, and its compressor for the next one.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, Encoder)> {
        if !self.open.is_empty() {
            self.close()?;
        }
        Ok((self.done, self.encoder))
    }
}

/// A table of records with the list of its blocks behind it.
pub(crate) struct IndexedTable {
    /// The blocks.
    pub(crate) bytes: Vec<u8>,
    /// Where each block begins in the image, as the list holds it.
    pub(crate) list: Vec<u8>,
    /// Where the list is to stand in the image.
    pub(crate) list_at: u64,
    /// The compressor, for the next table.
    pub(crate) encoder: Encoder,
}

/// Stores `records` in blocks that begin at byte `at` of the image.
pub(crate) fn indexed_table(records: &[u8], at: u64, encoder: Encoder) -> Result<IndexedTable> {
    let mut writer = MetadataWriter::new(encoder);
    let mut list = Vec::new();
    for block in records.chunks(METADATA_LEN) {
        let place = at.saturating_add(u64::from(writer.position().block));
        list.extend_from_slice(&place.to_le_bytes());
        writer.push(block)?;
    }
    let (bytes, encoder) = writer.finish()?;
    Ok(IndexedTable {
        list_at: at.saturating_add(wide(bytes.len())),
        bytes,
        list,
        encoder,
    })
}

impl std::fmt::Debug for MetadataWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetadataWriter")
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
