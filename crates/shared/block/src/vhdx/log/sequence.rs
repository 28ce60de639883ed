//! Which entries count: the newest row of them that is whole.
//!
//! Entries that follow each other in the log and in their numbers are a row. The last one says where the row has to begin for all
//! that is not in the file yet; a row that does not reach back so far, as after its start was written over, is none.
//!
//! Source: MS-VHDX 2.3.3, "Log Replay".

use super::entry::Entry;
use super::ring::Ring;
use super::{SECTOR, WHAT};
use crate::partition::Guid;
use crate::{Error, Result};

/// How often all of the log may be summed up. Each entry is tried as the end of one row and as the start of the next; entries that lie
/// in each other do not occur, and would take hours.
const MAX_SUMS: u64 = 4;

/// The entries that have to be replayed, the oldest first; none where there is no row.
pub(super) fn active(ring: &Ring, guid: Guid) -> Result<Vec<Entry>> {
    let mut left = ring.len.saturating_mul(MAX_SUMS);
    let mut newest: Vec<Entry> = Vec::new();
    let mut start = 0;
    while start < ring.len {
        let row = row(ring, start, guid, &mut left)?;
        let row_len: u64 = row
            .iter()
            .map(|entry| entry.len)
            .fold(0, u64::saturating_add);
        let row = since_the_tail(row);
        if last_sequence(&row) > last_sequence(&newest) {
            newest = row;
        }
        // A row that wraps around ends the search, as all before its start was looked at.
        start = start.saturating_add(row_len.max(SECTOR));
        if left < SECTOR {
            let message = "its entries lie in each other";
            return Err(Error::corrupt(WHAT, message));
        }
    }
    Ok(newest)
}

fn last_sequence(row: &[Entry]) -> u64 {
    row.last().map_or(0, |entry| entry.sequence)
}

/// The entries from `start` on, as far as they follow each other.
fn row(ring: &Ring, start: u64, guid: Guid, left: &mut u64) -> Result<Vec<Entry>> {
    let mut row: Vec<Entry> = Vec::new();
    let mut len = 0_u64;
    while let Some(entry) = Entry::read(ring, ring.step(start, len), guid, left)? {
        let follows = row
            .last()
            .is_none_or(|last| last.sequence.checked_add(1) == Some(entry.sequence));
        let all = len.saturating_add(entry.len);
        if !follows || all > ring.len {
            break;
        }
        len = all;
        row.push(entry);
    }
    Ok(row)
}

/// The entries from the one on that the last one calls the tail; none where it is not among them.
fn since_the_tail(mut row: Vec<Entry>) -> Vec<Entry> {
    let tail = row.last().map(|entry| entry.tail);
    match row.iter().position(|entry| Some(entry.position) == tail) {
        Some(first) => row.split_off(first),
        None => Vec::new(),
    }
}
