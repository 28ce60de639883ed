//! Where the table of blocks and the metadata are.

use super::{ALIGNMENT, checksum};
use crate::field::{array, u32_le, u64_le};
use crate::partition::Guid;
use crate::{Error, ReadAt, Result, read_vec};

/// Where the two copies of the table are.
const PLACES: [u64; 2] = [192 << 10, 256 << 10];
const LEN: usize = 64 << 10;
const MAX_ENTRIES: u32 = 2047;

const BAT: Guid = Guid::new(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
const METADATA: Guid = Guid::new(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e);

const WHAT: &str = "the VHDX region table";

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// In bytes from the start of the file, a multiple of 1 MiB.
    pub(super) offset: u64,
    /// In bytes, a multiple of 1 MiB.
    pub(super) len: u64,
}

/// The regions that this reads.
///
/// ```text
/// offset  size  name
///      0     4  signature: "regi"
///      4     4  checksum: CRC-32C of the 64 KiB
///      8     4  number of entries
///     16        entries of 32 bytes: GUID (16), offset (8), length (4), whether it is required (4)
/// ```
#[derive(Debug)]
pub(super) struct Regions {
    pub(super) bat: Region,
    pub(super) metadata: Region,
}

impl Regions {
    /// Reads the first copy, or the second where the first one is damaged. Answers with it and with what is damaged.
    pub(super) fn read(source: &dyn ReadAt) -> Result<(Self, Option<String>)> {
        let [first, second] = PLACES.map(|at| table(source, at));
        let named = |error: Error| Some(format!("{error}; its copy was taken"));
        let [at, copy] = PLACES;
        let (bytes, at, damage) = match (first, second) {
            (Ok(bytes), second) => (bytes, at, second.err().and_then(named)),
            (Err(first), Ok(bytes)) => (bytes, copy, named(first)),
            (Err(first), Err(second)) => {
                let message = format!("both copies are unusable; the second one: {second}");
                return Err(Error::corrupt(WHAT, message).caused_by(first));
            }
        };
        let regions = Self::parse(&bytes).map_err(|error| error.at(at))?;
        Ok((regions, damage))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let count = usize::try_from(u32_le(bytes, 8)).unwrap_or(usize::MAX);
        let (mut bat, mut metadata) = (None, None);
        let entries = bytes.get(16..).unwrap_or_default().chunks_exact(32);
        for entry in entries.take(count) {
            let guid = Guid::from_bytes(array(entry, 0));
            let region = Region {
                offset: u64_le(entry, 16),
                len: u32_le(entry, 24).into(),
            };
            let slot = match guid {
                BAT => &mut bat,
                METADATA => &mut metadata,
                _ if u32_le(entry, 28) & 1 != 0 => {
                    let message = format!("the region {guid} is required and not known");
                    return Err(Error::unsupported(WHAT, message));
                }
                _ => continue,
            };
            if region.offset < ALIGNMENT
                || !region.offset.is_multiple_of(ALIGNMENT)
                || region.len == 0
            {
                let message = format!(
                    "the region {guid} has {} bytes at byte {}",
                    region.len, region.offset
                );
                return Err(Error::corrupt(WHAT, message));
            }
            if slot.replace(region).is_some() {
                let message = format!("the region {guid} is there twice");
                return Err(Error::corrupt(WHAT, message));
            }
        }
        let missing = |what: &str| Error::corrupt(WHAT, format!("there is no region of {what}"));
        Ok(Self {
            bat: bat.ok_or_else(|| missing("blocks"))?,
            metadata: metadata.ok_or_else(|| missing("metadata"))?,
        })
    }
}

/// The bytes of the copy at `at`, checked.
fn table(source: &dyn ReadAt, at: u64) -> Result<Vec<u8>> {
    let bytes = read_vec(source, at, 64 << 10, LEN, WHAT)?;
    let corrupt = |message: String| Err(Error::corrupt(WHAT, message).at(at));
    if !bytes.starts_with(b"regi") {
        return corrupt("there is no signature".to_owned());
    }
    let (expected, found) = (u32_le(&bytes, 4), checksum(&bytes, 4));
    if expected != found {
        return corrupt(format!(
            "its checksum is {found:08x}, and it says {expected:08x}"
        ));
    }
    let count = u32_le(&bytes, 8);
    if count > MAX_ENTRIES {
        return corrupt(format!("{count} entries, of at most {MAX_ENTRIES}"));
    }
    Ok(bytes)
}
