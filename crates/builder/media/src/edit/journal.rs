//! The journal: all changes of an ISO that are in force, and what the changed bytes were before.
//!
//! It has two slots, one after the other. A change is written to the slot that is not in force and counts from the moment at which all of
//! it is there, which its digest says; so there is always one that is whole. Contents of files are not in it, but beside it, by their
//! digest.
//!
//! ```text
//!  0  16  signature          24  32  BLAKE3 digest of what follows
//! 16   8  length             56      the state as JSON
//! ```

use std::collections::BTreeMap;

use block::{Error, ReadAt, Result, read_vec};
use bootloader::edit::Parameters;
use serde::{Deserialize, Serialize};

use super::room::Home;

/// The length of one slot in bytes: room for what 100 sectors of directory records were and became.
pub(super) const SLOT_LEN: u64 = 256 << 10;
/// The slots of a journal: the one in force, and the one for the next state.
pub(super) const SLOTS: u64 = 2;

const WHAT: &str = "the journal of changes";
const SIGNATURE: &[u8; 16] = b"LIVEOS CHANGES 1";
const HEADER_LEN: u64 = 56;
/// The longest run of bytes of one write: they never cross a sector's end.
const MAX_WRITE: usize = 2048;

/// What is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// The higher one counts.
    pub(super) sequence: u64,
    /// How long the media were in bytes, where they got longer.
    pub(super) grown_from: Option<u64>,
    pub(super) delete: Vec<String>,
    pub(super) replace: Vec<(String, String)>,
    pub(super) append: Vec<String>,
    /// Files that were added, by path, with the digest of their content.
    pub(super) files: BTreeMap<String, String>,
    /// The digest of the archive that is unpacked over the initramfs.
    pub(super) additions: Option<String>,
    /// Where contents lie, by their digest: offset and length in bytes.
    pub(super) blobs: BTreeMap<String, (u64, u64)>,
    /// What changed of the metadata.
    pub(super) writes: Vec<Write>,
    /// The sectors that say how long the media are and where the area is.
    pub(super) descriptors: Vec<u64>,
    /// The sectors that got new names.
    pub(super) inserted: Vec<u64>,
}

/// A few bytes that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Write {
    /// In bytes from the start of the ISO.
    pub(super) at: u64,
    #[serde(with = "hex")]
    pub(super) old: Vec<u8>,
    #[serde(with = "hex")]
    pub(super) new: Vec<u8>,
}

impl State {
    pub(super) fn parameters(&self) -> Parameters {
        Parameters {
            delete: self.delete.clone(),
            replace: self.replace.clone(),
            append: self.append.clone(),
        }
    }

    /// How long the media are without the changes, when they have `len` bytes with them.
    pub(super) fn original_len(&self, len: u64) -> u64 {
        self.grown_from.unwrap_or(len)
    }

    /// Holds that the state is one that could have been written to media of `len` bytes: the media may come from anywhere.
    fn check(&self, home: &Home, len: u64) -> Result<()> {
        let corrupt = |message: &str| Err(Error::corrupt(WHAT, message).at(home.offset));
        let original = self.original_len(len);
        if original > len {
            return corrupt("the media were longer than they are");
        }
        for write in &self.writes {
            let end = write.at.checked_add(ReadAt::len(&write.old));
            let whole = write.old.len() == write.new.len()
                && (1..=MAX_WRITE).contains(&write.old.len())
                && end.is_some_and(|end| end <= original && !home.overlaps(write.at, end));
            if !whole {
                return corrupt("it changes what it cannot have changed");
            }
        }
        for (offset, blob_len) in self.blobs.values() {
            let end = offset.checked_add(*blob_len);
            if end.is_none_or(|end| end > len || !home.may_hold(*offset, end, original)) {
                return corrupt("contents lie where they cannot lie");
            }
        }
        let known = |digest: &String| self.blobs.contains_key(digest);
        if !self.files.values().chain(&self.additions).all(known) {
            return corrupt("a content is missing");
        }
        Ok(())
    }

    /// The bytes of a slot.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](block::Kind::Limit) where it does not fit into one.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let json =
            serde_json::to_vec(self).map_err(|error| Error::corrupt(WHAT, "").caused_by(error))?;
        let len = ReadAt::len(&json);
        if len + HEADER_LEN > SLOT_LEN {
            let message = format!(
                "{len} bytes, and it holds {}: too many files change",
                SLOT_LEN - HEADER_LEN
            );
            return Err(Error::limit(WHAT, message));
        }
        let digest = blake3::hash(&json);
        Ok([&SIGNATURE[..], &len.to_le_bytes(), digest.as_bytes(), &json].concat())
    }
}

/// The state in force, and the number of its slot; `None` where nothing was changed.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where the newest state is whole and cannot be one; what reading answers.
pub(super) fn read(source: &dyn ReadAt, home: &Home) -> Result<Option<(u64, State)>> {
    let mut newest: Option<(u64, State)> = None;
    for slot in 0..SLOTS {
        let Some(state) = read_slot(source, home.offset + slot * SLOT_LEN)? else {
            continue;
        };
        if newest
            .as_ref()
            .is_none_or(|(_, known)| known.sequence < state.sequence)
        {
            newest = Some((slot, state));
        }
    }
    if let Some((_, state)) = &newest {
        state.check(home, source.len())?;
    }
    Ok(newest)
}

/// The state of one slot; `None` where it is not whole.
fn read_slot(source: &dyn ReadAt, at: u64) -> Result<Option<State>> {
    let limit = usize::try_from(SLOT_LEN).unwrap_or(usize::MAX);
    if at.saturating_add(HEADER_LEN) > source.len() {
        return Ok(None);
    }
    let header = read_vec(source, at, HEADER_LEN, limit, WHAT)?;
    let Some((signature, rest)) = header.split_first_chunk::<16>() else {
        return Ok(None);
    };
    let Some((len, digest)) = rest.split_first_chunk::<8>() else {
        return Ok(None);
    };
    let len = u64::from_le_bytes(*len);
    let is_inside = len <= SLOT_LEN - HEADER_LEN && at + HEADER_LEN + len <= source.len();
    if signature != SIGNATURE || !is_inside {
        return Ok(None);
    }
    let json = read_vec(source, at + HEADER_LEN, len, limit, WHAT)?;
    if blake3::hash(&json).as_bytes() != digest {
        return Ok(None);
    }
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| Error::corrupt(WHAT, "").at(at).caused_by(error))
}

/// Bytes as hexadecimal digits.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&contract::hex::print(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        contract::hex::parse(&text).ok_or_else(|| D::Error::custom("no hexadecimal digits"))
    }
}
