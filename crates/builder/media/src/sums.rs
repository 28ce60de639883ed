//! The media check table, made while the media are written.
//!
//! The medium is cut into chunks; each has a BLAKE3 digest. Most bytes are written once and in order, so another thread reads each chunk
//! back as soon as the writing is past it, from the kernel's memory, and makes its digest. A chunk that changed after that, and what is
//! shorter than a chunk, is read again at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use block::{DiskFile, Error, ReadAt, Result, WriteAt};
use contract::checksums::{BLANKS, blank_out};

use crate::write_back::WriteBack;

/// The length of a chunk in bytes.
pub(crate) const CHUNK: u64 = contract::checksums::DEFAULT_CHUNK;
/// How much is read at a time: what the processor's own memory holds beside the rest.
const PART: u64 = 256 << 10;

/// A file of which a digest of every chunk is made.
#[derive(Debug)]
pub(crate) struct SummingTarget<'a> {
    file: &'a DiskFile,
    disk: &'a WriteBack,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The chunks before this one were handed on.
    past: u64,
    /// Those of them that were written to later.
    changed: BTreeSet<u64>,
    whole: Sender<u64>,
}

impl State {
    /// Takes note of `len` bytes at `offset`.
    fn note(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        let touched = offset / CHUNK..end.div_ceil(CHUNK).min(self.past);
        self.changed.extend(touched);
        while self.past.saturating_add(1).saturating_mul(CHUNK) <= end {
            // Where nobody listens any more, all is read at the end.
            let _ = self.whole.send(self.past);
            self.past += 1;
        }
    }
}

impl WriteAt for SummingTarget<'_> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(buf, offset)?;
        self.disk.written(ReadAt::len(buf));
        let state = self.state.lock();
        state
            .unwrap_or_else(PoisonError::into_inner)
            .note(offset, ReadAt::len(buf));
        Ok(())
    }
}

/// Digests of a file's chunks, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    known: BTreeMap<u64, blake3::Hash>,
}

/// Does `write`, which writes to a target that makes the digests of what gets into `file`; the file holds nothing yet.
///
/// # Errors
///
/// What `write` answers.
pub(crate) fn summed<R>(
    file: &DiskFile,
    disk: &WriteBack,
    write: impl FnOnce(&dyn WriteAt) -> Result<R>,
) -> Result<(R, Sums)> {
    std::thread::scope(|scope| {
        let (whole, chunks) = channel();
        let summing = scope.spawn(move || Sums::follow(file, &chunks));
        let target = SummingTarget {
            file,
            disk,
            state: Mutex::new(State {
                past: 0,
                changed: BTreeSet::new(),
                whole,
            }),
        };
        let written = write(&target);
        let state = target.state.into_inner();
        let State { changed, whole, .. } = state.unwrap_or_else(PoisonError::into_inner);
        drop(whole);
        // A thread that gave up knows nothing: all is read at the end.
        let mut sums = summing.join().unwrap_or_default();
        sums.known.retain(|chunk, _| !changed.contains(chunk));
        Ok((written?, sums))
    })
}

impl Sums {
    /// Makes the digest of each chunk that comes; one that cannot be read is left out, and is tried again at the end.
    fn follow(file: &DiskFile, chunks: &Receiver<u64>) -> Self {
        let mut known = BTreeMap::new();
        for chunk in chunks {
            let start = chunk.saturating_mul(CHUNK);
            let digest = file.remeasured().and_then(|now| digest(&now, start, CHUNK));
            known.extend(digest.map(|digest| (chunk, digest)));
        }
        Self { known }
    }

    /// The digests of the chunks of the first `covered` bytes of `written`, the last chunk being as short as it is; [`BLANKS`] count as
    /// zeros.
    ///
    /// # Errors
    ///
    /// Whatever reading back answers.
    pub(crate) fn digests(&self, covered: u64, written: &dyn ReadAt) -> Result<Vec<[u8; 32]>> {
        let mut digests = Vec::new();
        let mut start = 0;
        while start < covered {
            let len = CHUNK.min(covered - start);
            let known = self.known.get(&(start / CHUNK));
            let digest = match known.filter(|_| len == CHUNK) {
                Some(digest) => *digest,
                None => digest(written, start, len)?,
            };
            digests.push(*digest.as_bytes());
            start += len;
        }
        Ok(digests)
    }
}

/// The digest of `len` bytes from `start` on.
fn digest(source: &dyn ReadAt, start: u64, len: u64) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut buf = vec![0; usize::try_from(PART.min(len)).unwrap_or(0)];
    let mut at = 0;
    while at < len {
        let now = usize::try_from(len - at)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let part = buf.get_mut(..now).unwrap_or_default();
        let read = source.read_exact_at(part, start.saturating_add(at));
        read.map_err(|error| Error::while_doing(error, "reading back the media"))?;
        blank_out(&BLANKS, part, start.saturating_add(at));
        hasher.update(part);
        at += ReadAt::len(&*part);
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_back::while_writing;

    fn expected(bytes: &[u8]) -> Vec<[u8; 32]> {
        let mut bytes = bytes.to_vec();
        blank_out(&BLANKS, &mut bytes, 0);
        bytes
            .chunks(CHUNK as usize)
            .map(|chunk| *blake3::hash(chunk).as_bytes())
            .collect()
    }

    /// Writes these pieces; answers with what the file then is, and what is known of it.
    fn written(pieces: &[(u64, &[u8])]) -> (Vec<u8>, Sums) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut options = std::fs::File::options();
        let options = options.read(true).write(true).create(true);
        let file = DiskFile::from_file(options.open(&path).unwrap(), &path).unwrap();
        let ((), sums) = while_writing(&file, |disk| {
            summed(&file, disk, |target| {
                let mut pieces = pieces.iter();
                pieces.try_for_each(|(at, bytes)| target.write_all_at(bytes, *at))
            })
        })
        .unwrap();
        (std::fs::read(path).unwrap(), sums)
    }

    #[test]
    fn bytes_in_order_are_known_when_they_are_written() {
        let bytes: Vec<u8> = (0..3 * CHUNK).map(|at| (at / 7) as u8).collect();
        let pieces: Vec<_> = (0..).step_by(100_001).zip(bytes.chunks(100_001)).collect();
        let (_, sums) = written(&pieces);
        // Nothing can be read of it: whatever is not known fails.
        let known: Vec<_> = sums.known.values().map(|hash| *hash.as_bytes()).collect();
        assert_eq!(known, expected(&bytes));
    }

    #[test]
    fn what_was_changed_later_or_written_out_of_order_is_read_again() {
        let bytes: Vec<u8> = (0..2 * CHUNK + 77).map(|at| (at / 5) as u8).collect();
        let split = CHUNK as usize + 5;
        let (file, sums) = written(&[
            (split as u64, &bytes[split..]),
            (0, &bytes[..split]),
            (10, &[0xee]),
        ]);
        assert_eq!(file[10], 0xee);
        let digests = sums.digests(file.len() as u64, &file).unwrap();
        assert_eq!(digests, expected(&file));
    }

    #[test]
    fn what_was_never_written_is_zeros() {
        let (file, sums) = written(&[(3 * CHUNK - 1, b"x")]);
        let digests = sums.digests(file.len() as u64, &file).unwrap();
        assert_eq!(digests, expected(&file));
    }
}
