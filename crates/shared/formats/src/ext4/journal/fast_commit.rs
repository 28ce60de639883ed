//! Fast commits: changes that are described instead of copied, behind the log. They are found, and refused.

use block::{Error, Result};

use super::log::Log;
use super::superblock::JournalSuperblock;
use crate::ext4::checksum::crc32c;
use crate::ext4::field::Fields;

/// The tags that begin and end a fast commit (`EXT4_FC_TAG_HEAD`, `EXT4_FC_TAG_TAIL`), and the largest one.
const HEAD: u16 = 9;
const TAIL: u16 = 8;
/// The length of `fc_tag` and `fc_len`.
const HEADER_LEN: usize = 4;

/// Refuses a journal with a whole fast commit of the transaction `sequence`, the one after the last that the log holds.
///
/// # Errors
///
/// [`Kind::Unsupported`](block::Kind::Unsupported) where there is one; what reading answers.
pub(super) fn refuse(log: &mut Log, journal: &JournalSuperblock, sequence: u32) -> Result<()> {
    let mut sum = 0;
    let mut first = true;
    // As the kernel counts: one block behind the log stays unused.
    for block in journal.last.saturating_add(1)..journal.end {
        let bytes = log.read(block)?;
        let mut rest = bytes.as_slice();
        while rest.len() >= HEADER_LEN {
            let (fc_tag, fc_len) = (Fields(rest).u16(0), Fields(rest).u16(2));
            let len = HEADER_LEN.saturating_add(usize::from(fc_len));
            let Some(value) = rest.get(HEADER_LEN..len) else {
                return Ok(());
            };
            if first && (fc_tag != HEAD || Fields(value).u32(4) != sequence) {
                return Ok(());
            }
            first = false;
            match fc_tag {
                TAIL => {
                    let covered = rest.get(..HEADER_LEN.saturating_add(4)).unwrap_or_default();
                    let whole = crc32c(sum, covered) == Fields(value).u32(4);
                    if whole && Fields(value).u32(0) == sequence {
                        let message = "changes are in fast commits, which are not read; mount and unmount it once";
                        return Err(
                            Error::unsupported("ext4 journal", message).at(log.offset(block)?)
                        );
                    }
                    return Ok(());
                }
                1..=HEAD => sum = crc32c(sum, rest.get(..len).unwrap_or_default()),
                _ => return Ok(()),
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    Ok(())
}
