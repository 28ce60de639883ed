//! The media check table, made right again after a change: only the chunks with changed bytes are read.

use std::collections::BTreeSet;
use std::ops::Range;

use block::{Error, ReadAt, Result, read_vec};
use contract::checksums::{Algorithm, Checksums, DIGEST_LEN, MAX_LEN, blank_out};
use contract::hex;
use formats::iso9660::Editor;

use super::room::path_of;
use super::target::Target;

/// A table on the media.
#[derive(Debug)]
pub(super) struct Table {
    /// Where its text lies, in bytes.
    offset: u64,
    checksums: Checksums,
    /// The length of what stands before the digests.
    header: u64,
}

impl Table {
    /// The table of the media, if they have one that can be read.
    pub(super) fn find(editor: &Editor, source: &dyn ReadAt) -> Result<Option<Self>> {
        let extent = match editor.extent(&path_of(contract::media::CHECKSUMS)?) {
            Ok(extent) => extent,
            Err(error) if error.kind() == block::Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let what = "the media check table";
        let bytes = read_vec(source, extent.offset, extent.len, MAX_LEN, what)?;
        let text = String::from_utf8_lossy(&bytes);
        let checksums = Checksums::parse(&text)
            .map_err(|error| Error::corrupt(what, "").at(extent.offset).caused_by(error))?;
        let lines = ReadAt::len(&bytes);
        let digests = u64::try_from(checksums.digests.len()).unwrap_or(u64::MAX);
        let header = lines.saturating_sub(digests.saturating_mul(LINE));
        // A table that was written otherwise than ours cannot be changed digest by digest.
        if checksums.print().as_bytes() != bytes.as_slice() {
            let message = "it is not written as this program writes it";
            return Err(Error::unsupported(what, message).at(extent.offset));
        }
        Ok(Some(Self {
            offset: extent.offset,
            checksums,
            header,
        }))
    }

    /// The chunks that have one of these bytes.
    pub(super) fn chunks(&self, ranges: &[Range<u64>]) -> BTreeSet<u64> {
        let chunk = self.checksums.chunk.max(1);
        let inside = ranges
            .iter()
            .map(|range| range.start..range.end.min(self.checksums.covered));
        inside
            .filter(|range| range.start < range.end)
            .flat_map(|range| range.start / chunk..range.end.div_ceil(chunk))
            .collect()
    }

    /// Holds that these chunks are what the table says.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) with the place of one that is not; what reading answers.
    pub(super) fn verify(&self, source: &dyn ReadAt, chunks: &BTreeSet<u64>) -> Result<()> {
        for (offset, known, now) in self.compare(source, chunks)? {
            if known != now {
                let message =
                    "the media check table says that it was something else; the media are damaged";
                return Err(Error::corrupt("checking what is to be changed", message).at(offset));
            }
        }
        Ok(())
    }

    /// Writes the digests of these chunks as they are in `source`.
    pub(super) fn update(
        &self,
        source: &dyn ReadAt,
        chunks: &BTreeSet<u64>,
        target: &dyn Target,
    ) -> Result<()> {
        let new = self.compare(source, chunks)?;
        for (number, (_, known, now)) in chunks.iter().zip(new) {
            if known != now {
                let text = hex::print(&now);
                let at = self.offset + self.header + number * LINE;
                target.write_all_at(text.as_bytes(), at)?;
            }
        }
        Ok(())
    }

    /// Of each chunk its place, the digest in the table, and its digest now.
    #[expect(clippy::type_complexity, reason = "one row for each chunk")]
    fn compare(
        &self,
        source: &dyn ReadAt,
        chunks: &BTreeSet<u64>,
    ) -> Result<Vec<(u64, [u8; DIGEST_LEN], [u8; DIGEST_LEN])>> {
        let Algorithm::Blake3 = self.checksums.algorithm else {
            let message = "its algorithm is unknown";
            return Err(Error::unsupported("the media check table", message));
        };
        let limit = usize::try_from(contract::checksums::MAX_CHUNK).unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        for (number, (offset, len, known)) in (0..).zip(self.checksums.chunks()) {
            if chunks.contains(&number) {
                let what = "a chunk of the media";
                let mut bytes = read_vec(source, offset, len, limit, what)?;
                blank_out(&self.checksums.blanks, &mut bytes, offset);
                rows.push((offset, *known, *blake3::hash(&bytes).as_bytes()));
            }
        }
        Ok(rows)
    }
}

/// The length of a digest's line in bytes.
const LINE: u64 = 2 * DIGEST_LEN as u64 + 1;
