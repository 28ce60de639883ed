//! Fast commits: changes that are described instead of copied, behind the log.
//!
//! They say, in an order that counts: this inode has these fields, this range of it lies there, this name leads to it. Here they are
//! collected; they take effect where an inode, its blocks or a folder's names are read. Source: `fs/ext4/fast_commit.{c,h}`.

use std::collections::BTreeMap;

use block::{Error, Result};

use super::log::Log;
use super::superblock::JournalSuperblock;
use crate::ext4::checksum::crc32c;
use crate::ext4::field::Fields;

/// The most changes that are replayed; more is [`Limit`](block::Kind::Limit).
const MAX_CHANGES: usize = 1 << 20;
/// The length of `fc_tag` and `fc_len`.
const HEADER_LEN: usize = 4;
/// Where `i_generation` lies in an inode.
const GENERATION: usize = 0x64;

/// `fc_tag`.
mod tag {
    pub(super) const ADD_RANGE: u16 = 1;
    pub(super) const DEL_RANGE: u16 = 2;
    pub(super) const CREAT: u16 = 3;
    pub(super) const LINK: u16 = 4;
    pub(super) const UNLINK: u16 = 5;
    pub(super) const INODE: u16 = 6;
    pub(super) const PAD: u16 = 7;
    pub(super) const TAIL: u16 = 8;
    pub(super) const HEAD: u16 = 9;
}

/// A range of a file, in blocks, and where it lies now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Range {
    pub(in super::super) logical: u64,
    pub(in super::super) len: u64,
    /// The first block in the file system and whether it holds something; `None` where the range became a hole.
    pub(in super::super) place: Option<(u64, bool)>,
}

/// A name and the inode that it leads to now, if any.
pub(in super::super) type NameChange = (Vec<u8>, Option<u32>);

/// What fast commits changed, by the inode concerned.
#[derive(Debug, Default)]
pub(in super::super) struct FastCommits {
    /// The inode without xattrs, as `i_mode` up to the last of its fields.
    inodes: BTreeMap<u32, Vec<u8>>,
    ranges: BTreeMap<u32, Vec<Range>>,
    /// By folder.
    names: BTreeMap<u32, Vec<NameChange>>,
    count: usize,
}

/// One change, before it is known whether its fast commit is whole.
enum Change {
    Inode(u32, Vec<u8>),
    Range(u32, Range),
    Name(u32, Vec<u8>, Option<u32>),
}

impl FastCommits {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The fields of the inode `number`, where they changed.
    pub(in super::super) fn inode(&self, number: u32) -> Option<&[u8]> {
        self.inodes.get(&number).map(Vec::as_slice)
    }

    /// The ranges of the inode `number` that changed, in their order.
    pub(in super::super) fn ranges(&self, number: u32) -> &[Range] {
        self.ranges.get(&number).map_or(&[], Vec::as_slice)
    }

    /// The names in the folder `number` that changed, in their order.
    pub(in super::super) fn names(&self, number: u32) -> &[NameChange] {
        self.names.get(&number).map_or(&[], Vec::as_slice)
    }

    fn apply(&mut self, change: Change) {
        self.count = self.count.saturating_add(1);
        match change {
            Change::Inode(number, fields) => {
                let known = self.inodes.get(&number);
                let generation = Fields(&fields).u32(GENERATION);
                if known.is_some_and(|known| Fields(known).u32(GENERATION) != generation) {
                    // The number was freed and used again: what lay in the first inode does not lie in this one.
                    self.ranges.remove(&number);
                }
                self.inodes.insert(number, fields);
            }
            Change::Range(number, range) => {
                self.ranges.entry(number).or_default().push(range);
            }
            Change::Name(folder, name, target) => {
                self.names.entry(folder).or_default().push((name, target));
            }
        }
    }
}

/// Reads the fast commits that came after the last transaction of the log; `sequence` is the number of the one after it.
///
/// The first that is not whole ends them: it was being written when writing stopped.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where a change of a whole fast commit is too short;
/// [`Kind::Unsupported`](block::Kind::Unsupported) where they use features not known; [`Kind::Limit`](block::Kind::Limit).
pub(super) fn read(log: &Log, journal: &JournalSuperblock, sequence: u32) -> Result<FastCommits> {
    let mut commits = FastCommits::default();
    let mut pending = Vec::new();
    let mut sum = 0;
    let mut first = true;
    // As the kernel counts: one block behind the log stays unused.
    for block in journal.last.saturating_add(1)..journal.end {
        let at = log.offset(block)?;
        let bytes = log.read_at(at)?;
        let mut rest = bytes.as_slice();
        while rest.len() >= HEADER_LEN {
            let (fc_tag, fc_len) = (Fields(rest).u16(0), Fields(rest).u16(2));
            let len = HEADER_LEN
                .saturating_add(usize::from(fc_len))
                .min(rest.len());
            let (record, later) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            let value = record.get(HEADER_LEN..).unwrap_or_default();
            if first && fc_tag != tag::HEAD {
                return Ok(commits);
            }
            first = false;
            match fc_tag {
                tag::HEAD => {
                    if Fields(value).u32(4) != sequence {
                        return Ok(commits);
                    }
                    check_features(Fields(value).u32(0)).map_err(|error| error.at(at))?;
                }
                tag::TAIL => {
                    // What fills the block behind these two fields is not covered.
                    let covered = record
                        .get(..HEADER_LEN.saturating_add(4))
                        .unwrap_or_default();
                    let whole = crc32c(sum, covered) == Fields(value).u32(4);
                    if !whole || Fields(value).u32(0) != sequence {
                        return Ok(commits);
                    }
                    pending.drain(..).for_each(|change| commits.apply(change));
                    sum = 0;
                    rest = later;
                    continue;
                }
                tag::PAD => {}
                _ => match change(fc_tag, value) {
                    Some(change) => pending.push(change),
                    None => return Ok(commits),
                },
            }
            if pending.len().saturating_add(commits.len()) > MAX_CHANGES {
                let message = format!("more than {MAX_CHANGES} changes in fast commits");
                return Err(Error::limit("replaying the ext4 journal", message).at(at));
            }
            sum = crc32c(sum, record);
            rest = later;
        }
    }
    Ok(commits)
}

fn check_features(fc_features: u32) -> Result<()> {
    if fc_features == 0 {
        return Ok(());
    }
    let message = format!("fast commits with the features {fc_features:#x} are not known");
    Err(Error::unsupported("ext4 journal", message))
}

/// One change; `None` where it is too short or unknown, which a record never is that was written whole.
///
/// ```text
/// ADD_RANGE              fc_ino, then an extent as in a tree (12 bytes)
/// DEL_RANGE              fc_ino, fc_lblk, fc_len
/// CREAT, LINK, UNLINK    fc_parent_ino, fc_ino, fc_dname
/// INODE                  fc_ino, then the inode without its xattrs
/// ```
fn change(fc_tag: u16, value: &[u8]) -> Option<Change> {
    let fields = Fields(value);
    let number = fields.u32(0);
    match fc_tag {
        tag::ADD_RANGE if value.len() >= 16 => {
            let extent = crate::ext4::extent::parse(Fields(value.get(4..)?));
            let place = Some((extent.physical, extent.written));
            let range = Range {
                logical: extent.logical,
                len: extent.len,
                place,
            };
            Some(Change::Range(number, range))
        }
        tag::DEL_RANGE if value.len() >= 12 => {
            let range = Range {
                logical: u64::from(fields.u32(4)),
                len: u64::from(fields.u32(8)),
                place: None,
            };
            Some(Change::Range(number, range))
        }
        tag::CREAT | tag::LINK | tag::UNLINK if value.len() > 8 => {
            let target = (fc_tag != tag::UNLINK).then(|| fields.u32(4));
            Some(Change::Name(number, value.get(8..)?.to_vec(), target))
        }
        tag::INODE if value.len() >= 4 + 128 => {
            Some(Change::Inode(number, value.get(4..)?.to_vec()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_used_again_keeps_no_ranges_of_the_first_inode() {
        let inode = |generation: u8| {
            let mut fields = vec![0; 132];
            fields[GENERATION] = generation;
            Change::Inode(12, fields)
        };
        let range = |logical| {
            let place = Some((500, true));
            Change::Range(
                12,
                Range {
                    logical,
                    len: 1,
                    place,
                },
            )
        };
        let mut commits = FastCommits::default();
        for change in [range(0), inode(1), range(1), inode(1), range(2)] {
            commits.apply(change);
        }
        assert_eq!(commits.ranges(12).len(), 3);
        commits.apply(inode(2));
        assert_eq!(commits.ranges(12), []);
        commits.apply(range(7));
        assert_eq!(commits.ranges(12)[0].logical, 7);
    }

    #[test]
    fn changes_that_are_too_short_or_unknown_are_none() {
        for (fc_tag, len) in [
            (1, 15),
            (2, 11),
            (3, 8),
            (4, 0),
            (5, 8),
            (6, 131),
            (7, 99),
            (10, 99),
        ] {
            assert!(change(fc_tag, &vec![1; len]).is_none(), "{fc_tag}");
        }
        for (fc_tag, len) in [(1, 16), (2, 12), (3, 9), (4, 9), (5, 9), (6, 132)] {
            assert!(change(fc_tag, &vec![1; len]).is_some(), "{fc_tag}");
        }
    }
}
