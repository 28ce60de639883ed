//! One entry of the log.
//!
//! ```text
//! offset  size  name
//!      0     4  signature: "loge"
//!      4     4  checksum: CRC-32C of the whole entry
//!      8     4  entry length, a multiple of 4096
//!     12     4  tail: position of the oldest entry that is not yet in the file
//!     16     8  sequence number
//!     24     4  number of descriptors
//!     32    16  log GUID
//!     48     8  how long the file has to be
//!     56     8  how long the file is to become
//!     64        descriptors of 32 bytes, up to the end of a sector
//!               a sector for each descriptor of data
//! ```
//!
//! A descriptor: `desc`, the last 4 bytes of the sector, its first 8, its place in the file (8), the sequence number (8); or `zero`, 4
//! bytes, a length (8), a place (8), the sequence number. A sector: `data`, the upper half of the sequence number, 4084 bytes, the lower
//! half.

use super::SECTOR;
use super::ring::Ring;
use crate::field::{array, u32_le, u64_le};
use crate::partition::Guid;
use crate::{ReadAt, Result};

/// The length of the fields before the descriptors.
const HEADER: u64 = 64;
const DESCRIPTOR: u64 = 32;
/// How much of the log is read at once to sum it up, in bytes.
const PIECE: usize = 64 << 10;

/// What an entry says of the file, at a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// In bytes from the start of the file, a multiple of 4096.
    pub(super) offset: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// So many zeros.
    Zeros { len: u64 },
    /// One sector.
    Sector(Sector),
}

/// A sector of the file, of which the middle stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sector {
    /// The position of the sector of the log.
    position: u64,
    first: [u8; 8],
    last: [u8; 4],
}

impl Sector {
    /// The whole sector.
    pub(super) fn read(&self, ring: &Ring) -> Result<[u8; 4096]> {
        let mut bytes = [0; 4096];
        ring.read(&mut bytes, self.position)?;
        // What marks the sector of the log stands where the first and last bytes belong.
        for (range, from) in [(0..8, self.first.as_slice()), (4092..4096, &self.last)] {
            if let Some(to) = bytes.get_mut(range) {
                to.copy_from_slice(from);
            }
        }
        Ok(bytes)
    }
}

/// An entry that is whole.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its own position.
    pub(super) position: u64,
    /// In bytes.
    pub(super) len: u64,
    pub(super) tail: u64,
    pub(super) sequence: u64,
    /// How long the file has to be, in bytes.
    pub(super) file_len: u64,
    /// How long the file is to become, in bytes.
    pub(super) new_len: u64,
    pub(super) changes: Vec<Change>,
}

impl Entry {
    /// Reads the entry at `position`; `None` where there is none, or it is not whole. `left` is how many bytes may still be summed
    /// up; an entry that goes beyond counts as not whole, and leaves 0.
    pub(super) fn read(
        ring: &Ring,
        position: u64,
        guid: Guid,
        left: &mut u64,
    ) -> Result<Option<Self>> {
        let mut header = [0; 64];
        ring.read(&mut header, position)?;
        let len = u64::from(u32_le(&header, 8));
        let tail = u64::from(u32_le(&header, 12));
        let sequence = u64_le(&header, 16);
        let count = u64::from(u32_le(&header, 24));
        let before_data = HEADER
            .saturating_add(count.saturating_mul(DESCRIPTOR))
            .next_multiple_of(SECTOR);
        let is_plausible = header.starts_with(b"loge")
            && len.is_multiple_of(SECTOR)
            && (SECTOR..=ring.len).contains(&len)
            && tail.is_multiple_of(SECTOR)
            && tail < ring.len
            && sequence > 0
            && Guid::from_bytes(array(&header, 32)) == guid
            && before_data <= len;
        if !is_plausible {
            return Ok(None);
        }
        let Some(rest) = left.checked_sub(len) else {
            *left = 0;
            return Ok(None);
        };
        *left = rest;
        if checksum(ring, position, len)? != u32_le(&header, 4) {
            return Ok(None);
        }
        let descriptors = Descriptors {
            ring,
            position,
            count,
            sequence,
            next_data: before_data,
            end: len,
        };
        let Some(changes) = descriptors.read()? else {
            return Ok(None);
        };
        Ok(Some(Self {
            position,
            len,
            tail,
            sequence,
            file_len: u64_le(&header, 48),
            new_len: u64_le(&header, 56),
            changes,
        }))
    }
}

/// The CRC-32C of the entry, with its own field as zeros.
fn checksum(ring: &Ring, position: u64, len: u64) -> Result<u32> {
    let mut buf = vec![0; PIECE];
    let mut sum = 0;
    let mut done = 0;
    while done < len {
        let rest = usize::try_from(len.saturating_sub(done)).unwrap_or(usize::MAX);
        let take = rest.min(PIECE);
        let piece = buf.get_mut(..take).unwrap_or_default();
        ring.read(piece, ring.step(position, done))?;
        if done == 0
            && let Some(own) = piece.get_mut(4..8)
        {
            own.fill(0);
        }
        sum = crc32c::crc32c_append(sum, piece);
        done = done.saturating_add(ReadAt::len(&*piece));
    }
    Ok(sum)
}

/// The descriptors of an entry whose checksum is right.
struct Descriptors<'a> {
    ring: &'a Ring,
    /// The entry's position.
    position: u64,
    count: u64,
    sequence: u64,
    /// How far into the entry the next sector of data is.
    next_data: u64,
    /// The entry's length.
    end: u64,
}

impl Descriptors<'_> {
    /// What they say; `None` where one of them, or a sector of data, is not of this entry.
    fn read(mut self) -> Result<Option<Vec<Change>>> {
        let mut changes = Vec::new();
        for index in 0..self.count {
            let at = HEADER.saturating_add(index.saturating_mul(DESCRIPTOR));
            let mut bytes = [0; 32];
            self.ring
                .read(&mut bytes, self.ring.step(self.position, at))?;
            let Some(change) = self.one(&bytes)? else {
                return Ok(None);
            };
            changes.push(change);
        }
        Ok(Some(changes))
    }

    fn one(&mut self, bytes: &[u8; 32]) -> Result<Option<Change>> {
        let offset = u64_le(bytes, 16);
        if u64_le(bytes, 24) != self.sequence || !offset.is_multiple_of(SECTOR) {
            return Ok(None);
        }
        let what = match array(bytes, 0) {
            [b'z', b'e', b'r', b'o'] => {
                let len = u64_le(bytes, 8);
                let is_right = len.is_multiple_of(SECTOR) && offset.checked_add(len).is_some();
                is_right.then_some(What::Zeros { len })
            }
            [b'd', b'e', b's', b'c'] => self.data(bytes)?.map(What::Sector),
            _ => None,
        };
        Ok(what.map(|what| Change { offset, what }))
    }

    /// The next sector of data; `None` where it is not of this entry.
    fn data(&mut self, descriptor: &[u8; 32]) -> Result<Option<Sector>> {
        if self.next_data >= self.end {
            return Ok(None);
        }
        let position = self.ring.step(self.position, self.next_data);
        self.next_data = self.next_data.saturating_add(SECTOR);
        let mut bytes = [0; 4096];
        self.ring.read(&mut bytes, position)?;
        let sequence = u64::from(u32_le(&bytes, 4)) << 32 | u64::from(u32_le(&bytes, 4092));
        let is_ours = bytes.starts_with(b"data") && sequence == self.sequence;
        Ok(is_ours.then(|| Sector {
            position,
            first: array(descriptor, 8),
            last: array(descriptor, 4),
        }))
    }
}
