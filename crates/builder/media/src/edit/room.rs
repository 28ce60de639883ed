//! Where new bytes go: into the area that the media keep free, else behind their end.

use std::collections::BTreeMap;

use block::{Error, ReadAt, Result};
use formats::iso9660::{APPLICATION_USE_LEN, Editor};
use tree::TreePath;

use super::journal::{SLOT_LEN, SLOTS};

/// What every content's place is a multiple of: the sector of ISO 9660.
pub(super) const SECTOR: u64 = 2048;

/// Where in the field for applications of the first volume descriptor the place of an area behind the end is noted. Its beginning is where
/// `implantisomd5` has its own.
const NOTE_AT: usize = APPLICATION_USE_LEN - NOTE_LEN;
const NOTE_LEN: usize = 64;
const NOTE: &[u8; 24] = b"LIVEOS CHANGES AT BYTE: ";

/// The area with the journal and new contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    /// In bytes; the journal is here.
    pub(super) offset: u64,
    pub(super) kind: Kind,
}

/// Where an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In the file that was made for it.
    Reserved {
        /// The length of the whole area in bytes.
        len: u64,
    },
    /// Behind the end of media that had none.
    Behind,
}

impl Home {
    /// The area of an ISO; `None` where it has none so far.
    pub(super) fn find(editor: &Editor, source: &dyn ReadAt) -> Result<Option<Self>> {
        let path = path_of(contract::media::RESERVED)?;
        match editor.extent(&path) {
            Ok(extent) => {
                let end = extent.offset.checked_add(extent.len);
                let whole = end.is_some_and(|end| end <= source.len())
                    && extent.len > SLOT_LEN * SLOTS
                    && extent.offset.is_multiple_of(SECTOR);
                if whole {
                    return Ok(Some(Self {
                        offset: extent.offset,
                        kind: Kind::Reserved { len: extent.len },
                    }));
                }
            }
            Err(error) if error.kind() == block::Kind::NotFound => {}
            Err(error) => return Err(error),
        }
        let field = editor.application_use()?;
        let note = field.get(NOTE_AT..).unwrap_or_default();
        let digits = note
            .strip_prefix(NOTE)
            .map(|rest| String::from_utf8_lossy(rest).trim().to_owned());
        let offset = digits.and_then(|digits| digits.parse::<u64>().ok());
        Ok(offset
            .filter(|offset| *offset < source.len() && offset.is_multiple_of(SECTOR))
            .map(|offset| Self {
                offset,
                kind: Kind::Behind,
            }))
    }

    /// An area behind media of `len` bytes.
    pub(super) fn behind(len: u64) -> Self {
        Self {
            offset: len.next_multiple_of(SECTOR),
            kind: Kind::Behind,
        }
    }

    /// Notes the place of an area behind the end, where the next change finds it.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) where something else is noted there.
    pub(super) fn note(&self, editor: &mut Editor) -> Result<()> {
        let field = editor.application_use()?;
        let free = |byte: &u8| matches!(byte, 0 | b' ');
        // A separator before it, where checkmedia would take it for a part of its last word.
        let at = NOTE_AT - 1;
        if !field.get(at..).unwrap_or_default().iter().all(free) {
            let message = "the place where it is noted holds something else; build media with room for changes";
            return Err(Error::unsupported(
                "making room for changes behind the end of the media",
                message,
            ));
        }
        let mut note = b";".to_vec();
        note.extend(NOTE);
        note.extend(self.offset.to_string().bytes());
        note.resize(NOTE_LEN + 1, b' ');
        editor.set_application_use(at, &note)
    }

    /// The first byte behind the journal.
    pub(super) fn data(&self) -> u64 {
        self.offset + SLOT_LEN * SLOTS
    }

    /// The first byte behind the area, where that is inside of the media.
    pub(super) fn end(&self) -> Option<u64> {
        match self.kind {
            Kind::Reserved { len } => Some(self.offset + len),
            Kind::Behind => None,
        }
    }

    /// Whether the area has one of these bytes.
    pub(super) fn overlaps(&self, start: u64, end: u64) -> bool {
        self.end().is_none_or(|own| start < own) && end > self.offset
    }

    /// Whether a content may lie there on media that had `original` bytes.
    pub(super) fn may_hold(&self, start: u64, end: u64, original: u64) -> bool {
        let inside = start >= self.data() && self.end().is_none_or(|own| end <= own);
        inside || start >= original.next_multiple_of(SECTOR).max(self.offset)
    }

    /// Places for contents beside those that are there.
    pub(super) fn room(
        &self,
        original: u64,
        grows: bool,
        taken: &BTreeMap<String, (u64, u64)>,
    ) -> Room {
        let mut parts = Vec::new();
        match self.kind {
            Kind::Reserved { len } => {
                parts.push((self.data(), self.offset + len));
                if grows {
                    parts.push((original.next_multiple_of(SECTOR), u64::MAX));
                }
            }
            Kind::Behind => parts.push((self.data(), u64::MAX)),
        }
        let mut taken: Vec<(u64, u64)> = taken
            .values()
            .map(|(offset, len)| (*offset, offset + len.next_multiple_of(SECTOR)))
            .collect();
        taken.sort_unstable();
        Room { parts, taken }
    }
}

/// Free places.
#[derive(Debug)]
pub(super) struct Room {
    /// Where contents may lie: start and end.
    parts: Vec<(u64, u64)>,
    /// Where contents lie, in order.
    taken: Vec<(u64, u64)>,
}

impl Room {
    /// The first place that is large enough.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](block::Kind::Limit) where there is none, with the figures.
    pub(super) fn take(&mut self, len: u64) -> Result<u64> {
        let needed = len.next_multiple_of(SECTOR);
        for (start, end) in self.parts.iter().copied() {
            let mut at = start;
            for (from, to) in self.taken.iter().copied() {
                if to > at && from < at.saturating_add(needed) {
                    at = to;
                }
            }
            if at.checked_add(needed).is_some_and(|to| to <= end) {
                self.taken.push((at, at + needed));
                self.taken.sort_unstable();
                return Ok(at);
            }
        }
        let whole: u64 = self.parts.iter().map(|(start, end)| end - start).sum();
        let used: u64 = self.taken.iter().map(|(start, end)| end - start).sum();
        let message = format!(
            "{needed} bytes are needed in one piece, and {used} of {whole} are in use, those of the change before too; \
             write a new ISO with -o, or build media with a larger reserved area"
        );
        Err(Error::limit("finding room for what changes", message))
    }
}

/// A path of the media as a value.
pub(super) fn path_of(path: &str) -> Result<TreePath> {
    TreePath::parse(path).map_err(|error| {
        Error::unsupported(format!("the path {path} on the media"), "").caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_never_overlap_and_a_full_area_says_its_figures() {
        let home = Home {
            offset: 4096,
            kind: Kind::Reserved {
                len: SLOT_LEN * SLOTS + 5 * SECTOR,
            },
        };
        let taken = BTreeMap::from([("a".to_owned(), (home.data() + SECTOR, 10))]);
        let mut room = home.room(1 << 30, false, &taken);
        assert_eq!(room.take(SECTOR + 1).unwrap(), home.data() + 2 * SECTOR);
        assert_eq!(room.take(1).unwrap(), home.data());
        let error = room.take(2 * SECTOR).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Limit);
        assert!(error.to_string().contains("4096 bytes"), "{error}");
        let mut room = home.room(1_000_001, true, &taken);
        assert_eq!(room.take(1 << 20).unwrap(), 1_001_472);
    }
}
