//! The two headers, of which the newer one counts.

use super::{ALIGNMENT, checksum};
use crate::field::{array, u16_le, u32_le, u64_le};
use crate::partition::Guid;
use crate::{Error, ReadAt, Result};

/// Where the two headers are.
const PLACES: [u64; 2] = [64 << 10, 128 << 10];
const LEN: usize = 4096;

const WHAT: &str = "the VHDX header";

/// What the headers say of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogPlace {
    /// What the entries that count have in them.
    pub(super) guid: Guid,
    /// In bytes from the start of the file.
    pub(super) offset: u64,
    /// In bytes, a multiple of 1 MiB.
    pub(super) len: u64,
}

/// A header, checked.
///
/// ```text
/// offset  size  name
///      0     4  signature: "head"
///      4     4  checksum: CRC-32C of the 4096 bytes
///      8     8  sequence number
///     16    16  file write GUID
///     32    16  data write GUID
///     48    16  log GUID; zeros where there is nothing to replay
///     64     2  log version: 0
///     66     2  version: 1
///     68     4  log length
///     72     8  log offset
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    sequence: u64,
    /// `None` where there is nothing to replay.
    pub(super) log: Option<LogPlace>,
}

impl Header {
    /// Reads both headers. Answers with the newer one, and with what is damaged.
    pub(super) fn read(source: &dyn ReadAt) -> Result<(Self, Option<String>)> {
        let [first, second] = PLACES.map(|at| Self::read_one(source, at));
        let named = |error: Error| Some(format!("{error}; the other header was taken"));
        match (first, second) {
            (Ok(first), Ok(second)) if first.sequence > second.sequence => Ok((first, None)),
            (Ok(first), Ok(second)) if first.sequence == second.sequence && first != second => {
                let message = "both headers are equally new, and say different things";
                Err(Error::corrupt(WHAT, message))
            }
            (Ok(_), Ok(second)) => Ok((second, None)),
            (Ok(header), Err(error)) | (Err(error), Ok(header)) => Ok((header, named(error))),
            (Err(first), Err(second)) => {
                let message = format!("both are unusable; the second one: {second}");
                Err(Error::new(first.kind(), WHAT, message).caused_by(first))
            }
        }
    }

    fn read_one(source: &dyn ReadAt, at: u64) -> Result<Self> {
        let mut bytes = [0; LEN];
        source
            .read_exact_at(&mut bytes, at)
            .map_err(|error| error.while_doing(WHAT))?;
        let corrupt = |message: String| Err(Error::corrupt(WHAT, message).at(at));
        if !bytes.starts_with(b"head") {
            return corrupt("there is no signature".to_owned());
        }
        let (expected, found) = (u32_le(&bytes, 4), checksum(&bytes, 4));
        if expected != found {
            return corrupt(format!(
                "its checksum is {found:08x}, and it says {expected:08x}"
            ));
        }
        let unsupported = |message: String| Err(Error::unsupported(WHAT, message).at(at));
        let version = u16_le(&bytes, 66);
        if version != 1 {
            return unsupported(format!("version {version}"));
        }
        let guid = Guid::from_bytes(array(&bytes, 48));
        let place = LogPlace {
            guid,
            offset: u64_le(&bytes, 72),
            len: u32_le(&bytes, 68).into(),
        };
        let is_empty = guid == Guid::default() || place.len == 0;
        if !is_empty {
            let version = u16_le(&bytes, 64);
            if version != 0 {
                return unsupported(format!("a log of version {version}"));
            }
            if place.offset < ALIGNMENT
                || !place.offset.is_multiple_of(ALIGNMENT)
                || !place.len.is_multiple_of(ALIGNMENT)
            {
                return corrupt(format!(
                    "a log of {} bytes at byte {}",
                    place.len, place.offset
                ));
            }
        }
        Ok(Self {
            sequence: u64_le(&bytes, 8),
            log: (!is_empty).then_some(place),
        })
    }
}
