//! Disk images that say for each part of the disk where in the file it is.

use std::ops::Range;

use crate::{ReadAt, Result};

/// The shortest run of data of which the file is asked whether it has holes; asking costs two system calls.
const ASK_BELOW: u64 = 1 << 20;
/// How far a range of data is followed before it is handed on.
const MAX_RANGE: u64 = 1 << 30;

/// Where bytes of the disk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: zeros.
    Zeros,
    /// In the file from `host` on.
    Data { host: u64 },
}

/// Bytes of the disk that are in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) place: Place,
    /// In bytes, at least 1.
    pub(crate) len: u64,
}

/// A disk in a file.
pub(crate) trait Mapped {
    /// The file.
    fn file(&self) -> &dyn ReadAt;

    /// The length of the disk in bytes.
    fn disk_len(&self) -> u64;

    /// Where the bytes from `offset` (before the end of the disk) on are, `limit` of them at most. The run may end before the place
    /// changes.
    fn run(&self, offset: u64, limit: u64) -> Result<Run>;
}

/// Fills `buf`, which lies inside the disk.
pub(crate) fn read(image: &impl Mapped, buf: &mut [u8], offset: u64) -> Result<()> {
    let mut rest = buf;
    let mut position = offset;
    while !rest.is_empty() {
        let run = image.run(position, ReadAt::len(&*rest))?;
        let len = usize::try_from(run.len)
            .unwrap_or(usize::MAX)
            .min(rest.len());
        let (now, later) = std::mem::take(&mut rest).split_at_mut(len);
        match run.place {
            Place::Zeros => now.fill(0),
            Place::Data { host } => image.file().read_exact_at(now, host)?,
        }
        position = position.saturating_add(run.len);
        rest = later;
    }
    Ok(())
}

/// The first range of data from `offset` on.
pub(crate) fn next_data(image: &impl Mapped, offset: u64) -> Result<Option<Range<u64>>> {
    let mut found: Option<Range<u64>> = None;
    let mut position = offset;
    while position < image.disk_len() {
        let run = image.run(position, image.disk_len().saturating_sub(position))?;
        let end = position.saturating_add(run.len);
        let data = data_in(image, run, position)?;
        match (&mut found, data) {
            (Some(found), Some(data)) if found.end == data.start => found.end = data.end,
            (Some(_), _) => break,
            (None, data) => found = data,
        }
        let is_followed =
            |found: &Range<u64>| found.end == end && end.saturating_sub(found.start) < MAX_RANGE;
        if !found.as_ref().is_none_or(is_followed) {
            break;
        }
        position = end;
    }
    Ok(found)
}

/// The first range of data in `run`, which begins at `position`.
fn data_in(image: &impl Mapped, run: Run, position: u64) -> Result<Option<Range<u64>>> {
    let end = position.saturating_add(run.len);
    let Place::Data { host } = run.place else {
        return Ok(None);
    };
    let file = image.file();
    let is_there = host
        .checked_add(run.len)
        .is_some_and(|end| end <= file.len());
    // What is missing at the end of the file has to be found out by reading it.
    if run.len < ASK_BELOW || !is_there {
        return Ok(Some(position..end));
    }
    let to_disk = |at: u64| at.saturating_sub(host).saturating_add(position);
    Ok(file.next_data(host)?.and_then(|found| {
        let range = to_disk(found.start)..to_disk(found.end).min(end);
        (!range.is_empty()).then_some(range)
    }))
}
