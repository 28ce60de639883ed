//! What was to be written when the image was last open, laid over the file in memory.
//!
//! ```text
//! ring.rs      the part of the file that holds the log; what is written past its end goes on at its start
//! entry.rs     one entry: sectors of the file with what is to be in them
//! sequence.rs  which entries count: the newest row of them that is whole
//! overlay.rs   the file with what they say laid over it
//! ```

mod entry;
mod overlay;
mod ring;
mod sequence;

use std::sync::Arc;

use super::header::LogPlace;
use crate::{Error, ReadAt, Result};
use overlay::Overlay;
use ring::Ring;

/// How long a log may be, in bytes: 64 MiB. Hyper-V and QEMU make logs of 1 MiB; what a log says is held in memory.
const MAX_LEN: u64 = 64 << 20;
/// A sector of the log, and the unit of what it says, in bytes.
const SECTOR: u64 = 4096;

const WHAT: &str = "the VHDX log";

/// The file with its log laid over it; the file itself where the log holds no entry that is whole, as after an image was opened and
/// nothing was written. That is no error to QEMU either.
///
/// # Errors
///
/// `Corrupt` where the log is not in the file, or the file is shorter than it was when the log was written; `Limit` for a log of more
/// than 64 MiB.
pub(super) fn replay(source: Arc<dyn ReadAt>, place: &LogPlace) -> Result<Arc<dyn ReadAt>> {
    if place.len > MAX_LEN {
        let message = format!("{} MiB, of at most {}", place.len >> 20, MAX_LEN >> 20);
        return Err(Error::limit(WHAT, message).at(place.offset));
    }
    let ring = Ring::new(Arc::clone(&source), place)?;
    let entries = sequence::active(&ring, place.guid)?;
    if entries.is_empty() {
        return Ok(source);
    }
    let mut overlay = Overlay::new(source, ring);
    for entry in entries {
        overlay.add(&entry)?;
    }
    Ok(Arc::new(overlay))
}
