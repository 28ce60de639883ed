//! The media check table, made while the bytes go by.
//!
//! The medium is cut into chunks; each has a BLAKE3 digest. Most bytes are written once and in order, so a chunk's digest is made from
//! the bytes on their way to the file. A chunk that was written out of order or changed later is read again at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use block::{Error, ReadAt, Result, WriteAt, read_vec};

/// The length of a chunk in bytes.
pub const CHUNK: u64 = contract::checksums::DEFAULT_CHUNK;

/// A target that makes the digest of every chunk on the way.
#[derive(Debug)]
pub struct SummingTarget<T> {
    target: T,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Digests of chunks that are whole.
    done: BTreeMap<u64, blake3::Hash>,
    /// The chunk that is being written in order, with the bytes seen of it.
    current: Option<(u64, u64, Box<blake3::Hasher>)>,
}

impl State {
    /// Takes note of `buf` written at `offset`, chunk by chunk.
    fn note(&mut self, mut buf: &[u8], mut offset: u64) {
        while !buf.is_empty() {
            let (chunk, inside) = (offset / CHUNK, offset % CHUNK);
            let room = usize::try_from(CHUNK - inside).unwrap_or(usize::MAX);
            let (now, later) = buf.split_at(room.min(buf.len()));
            self.note_in_chunk(now, chunk, inside);
            offset += ReadAt::len(now);
            buf = later;
        }
    }

    fn note_in_chunk(&mut self, buf: &[u8], chunk: u64, inside: u64) {
        self.done.remove(&chunk);
        match &mut self.current {
            Some((current, seen, hasher)) if *current == chunk && *seen == inside => {
                hasher.update(buf);
                *seen += ReadAt::len(buf);
            }
            Some((current, ..)) if *current == chunk => self.current = None,
            _ if inside == 0 => {
                let mut hasher = Box::new(blake3::Hasher::new());
                hasher.update(buf);
                self.current = Some((chunk, ReadAt::len(buf), hasher));
            }
            _ => {}
        }
        if let Some((chunk, CHUNK, hasher)) = &self.current {
            self.done.insert(*chunk, hasher.finalize());
            self.current = None;
        }
    }
}

impl<T: WriteAt + ReadAt> SummingTarget<T> {
    /// A target that hands everything on to `target`, which is empty.
    pub fn new(target: T) -> Self {
        Self {
            target,
            state: Mutex::default(),
        }
    }

    /// The digests of the chunks of the first `covered` bytes, the last chunk being as short as it is.
    ///
    /// `read` reads what was written (the target's own length was taken when it was still empty).
    ///
    /// # Errors
    ///
    /// Whatever reading back answers.
    pub fn digests(&self, covered: u64, read: &dyn ReadAt) -> Result<Vec<[u8; 32]>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut digests = Vec::new();
        let mut start = 0;
        while start < covered {
            let len = CHUNK.min(covered - start);
            let known = state.done.get(&(start / CHUNK)).filter(|_| len == CHUNK);
            let digest = match known {
                Some(digest) => *digest,
                None => {
                    let limit = usize::try_from(CHUNK).unwrap_or(usize::MAX);
                    blake3::hash(&read_vec(
                        read,
                        start,
                        len,
                        limit,
                        "reading back the media",
                    )?)
                }
            };
            digests.push(*digest.as_bytes());
            start += len;
        }
        Ok(digests)
    }
}

impl<T: WriteAt> WriteAt for SummingTarget<T> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.target.write_all_at(buf, offset)?;
        self.state
            .lock()
            .map_err(|_| Error::corrupt("summing the media", "another thread gave up"))?
            .note(buf, offset);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::MemoryTarget;

    fn expected(bytes: &[u8]) -> Vec<[u8; 32]> {
        bytes
            .chunks(CHUNK as usize)
            .map(|chunk| *blake3::hash(chunk).as_bytes())
            .collect()
    }

    #[derive(Debug, Default)]
    struct Null;
    impl WriteAt for Null {
        fn write_all_at(&self, _: &[u8], _: u64) -> Result<()> {
            Ok(())
        }
    }
    impl ReadAt for Null {
        fn len(&self) -> u64 {
            0
        }
        fn read_exact_at(&self, _: &mut [u8], offset: u64) -> Result<()> {
            Err(Error::corrupt("null", "read back").at(offset))
        }
    }

    #[test]
    fn bytes_in_order_need_no_reading_back() {
        let bytes: Vec<u8> = (0..3 * CHUNK).map(|at| (at / 7) as u8).collect();
        let target = SummingTarget::new(Null);
        for (index, piece) in bytes.chunks(100_001).enumerate() {
            target.write_all_at(piece, index as u64 * 100_001).unwrap();
        }
        assert_eq!(target.digests(3 * CHUNK, &Null).unwrap(), expected(&bytes));
    }

    #[test]
    fn what_was_changed_later_or_written_out_of_order_is_read_again() {
        let mut bytes: Vec<u8> = (0..2 * CHUNK + 77).map(|at| (at / 5) as u8).collect();
        let memory = MemoryTarget::new();
        let target = SummingTarget::new(Both(memory));
        let split = CHUNK as usize + 5;
        target.write_all_at(&bytes[split..], split as u64).unwrap();
        target.write_all_at(&bytes[..split], 0).unwrap();
        bytes[10] = 0xee;
        target.write_all_at(&bytes[10..11], 10).unwrap();
        assert_eq!(
            target.digests(bytes.len() as u64, &bytes).unwrap(),
            expected(&bytes)
        );
    }

    #[derive(Debug)]
    struct Both(MemoryTarget);
    impl WriteAt for Both {
        fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
            self.0.write_all_at(buf, offset)
        }
    }
    impl ReadAt for Both {
        fn len(&self) -> u64 {
            0
        }
        fn read_exact_at(&self, _: &mut [u8], offset: u64) -> Result<()> {
            Err(Error::corrupt("both", "read back").at(offset))
        }
    }
}
