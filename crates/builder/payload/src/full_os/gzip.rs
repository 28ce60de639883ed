//! One gzip member by several threads: pieces of the input are compressed apart, each with the end of the piece before it as its
//! dictionary, and ended at a byte's border, so that they make one stream.
//!
//! The kernel's decoder takes one member for an archive, so members in a row would not do.
//!
//! Source: RFC 1951, RFC 1952; the idea is pigz's.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use flate2::{Compress, FlushCompress, Status};

/// The length of a piece, in bytes. The output depends on it.
const PIECE: usize = 1 << 20;
/// How far back deflate looks, in bytes.
const WINDOW: usize = 32 << 10;

/// The header: deflate, no flags, no time, no hint, Unix.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// A piece of the input.
struct Job {
    dictionary: Vec<u8>,
    bytes: Vec<u8>,
    last: bool,
    answer: Sender<io::Result<Done>>,
}

/// A piece of the output.
struct Done {
    bytes: Vec<u8>,
    crc: crc32fast::Hasher,
}

/// A member that is being written.
pub(super) struct ParallelGzip<'a> {
    out: &'a mut dyn Write,
    /// `None` when there are no more pieces.
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
    /// The answers that are waited for, in the order of the input.
    waiting: VecDeque<Receiver<io::Result<Done>>>,
    most_waiting: usize,
    piece: Vec<u8>,
    dictionary: Vec<u8>,
    crc: crc32fast::Hasher,
    len: u64,
}

impl<'a> ParallelGzip<'a> {
    /// Begins a member.
    pub(super) fn new(out: &'a mut dyn Write, level: u32, threads: usize) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        let (jobs, todo) = unbounded::<Job>();
        let threads = threads.max(1);
        let mut workers = Vec::new();
        for _ in 0..threads {
            let todo = todo.clone();
            let worker = std::thread::Builder::new().name("gzip".to_owned());
            workers.push(worker.spawn(move || work(&todo, level))?);
        }
        Ok(Self {
            out,
            jobs: Some(jobs),
            workers,
            waiting: VecDeque::new(),
            most_waiting: threads.saturating_mul(3),
            piece: Vec::with_capacity(PIECE),
            dictionary: Vec::new(),
            crc: crc32fast::Hasher::new(),
            len: 0,
        })
    }

    /// Ends the member.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.submit(true)?;
        while self.take_one()? {}
        let crc = std::mem::take(&mut self.crc).finalize();
        self.out.write_all(&crc.to_le_bytes())?;
        // RFC 1952: the length modulo 2^32.
        let len = u32::try_from(self.len % (1 << 32)).unwrap_or(0);
        self.out.write_all(&len.to_le_bytes())
    }

    /// Gives the piece to the workers, and waits where they have enough to do.
    fn submit(&mut self, last: bool) -> io::Result<()> {
        while self.waiting.len() >= self.most_waiting {
            self.take_one()?;
        }
        let bytes = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let start = bytes.len().saturating_sub(WINDOW);
        let next = bytes.get(start..).unwrap_or_default().to_vec();
        let dictionary = std::mem::replace(&mut self.dictionary, next);
        let (answer, wait) = bounded(1);
        let job = Job {
            dictionary,
            bytes,
            last,
            answer,
        };
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(job));
        if !matches!(sent, Some(Ok(()))) {
            return Err(lost());
        }
        self.waiting.push_back(wait);
        Ok(())
    }

    /// Writes the next piece of the output; `false` where none is waited for.
    fn take_one(&mut self) -> io::Result<bool> {
        let Some(wait) = self.waiting.pop_front() else {
            return Ok(false);
        };
        let done = wait.recv().map_err(|_| lost())??;
        self.crc.combine(&done.crc);
        self.out.write_all(&done.bytes)?;
        Ok(true)
    }
}

impl Write for ParallelGzip<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.piece.len());
        let take = buf.get(..room.min(buf.len())).unwrap_or_default();
        self.piece.extend_from_slice(take);
        self.len = self.len.saturating_add(take.len() as u64);
        if self.piece.len() >= PIECE {
            self.submit(false)?;
        }
        Ok(take.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ParallelGzip<'_> {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // OK: a panic was seen as an answer that did not come.
            let _ = worker.join();
        }
    }
}

fn lost() -> io::Error {
    io::Error::other("a thread that compresses is gone")
}

fn work(todo: &Receiver<Job>, level: u32) {
    for job in todo {
        let done = deflate(&job, level);
        // OK: where nobody waits any more, the writing was given up.
        let _ = job.answer.send(done);
    }
}

fn deflate(job: &Job, level: u32) -> io::Result<Done> {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&job.bytes);
    let mut encoder = Compress::new(flate2::Compression::new(level), false);
    if !job.dictionary.is_empty() {
        encoder
            .set_dictionary(&job.dictionary)
            .map_err(io::Error::other)?;
    }
    let flush = if job.last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut bytes = Vec::with_capacity(job.bytes.len() / 2 + 1024);
    loop {
        let used = usize::try_from(encoder.total_in()).map_err(io::Error::other)?;
        let rest = job.bytes.get(used..).unwrap_or_default();
        let status = encoder.compress_vec(rest, &mut bytes, flush)?;
        let room = bytes.capacity() > bytes.len();
        let all = encoder.total_in() == job.bytes.len() as u64;
        match status {
            Status::StreamEnd => break,
            // A flush is done where the output was not filled.
            _ if !job.last && all && room => break,
            _ => bytes.reserve(job.bytes.len() / 2 + 1024),
        }
    }
    Ok(Done { bytes, crc })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Bytes that repeat over pieces, and some that do not.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        };
        (0..len)
            .map(|n| {
                if n % 5000 < 700 {
                    noise()
                } else {
                    b"some words "[n % 11]
                }
            })
            .collect()
    }

    fn packed(bytes: &[u8], level: u32, threads: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = ParallelGzip::new(&mut out, level, threads).unwrap();
        for piece in bytes.chunks(100_001) {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap();
        out
    }

    #[test]
    fn it_is_one_member_that_unpacks_to_what_it_was() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 12_345] {
            let bytes = sample(len);
            let out = packed(&bytes, 6, 2);
            let mut decoder = flate2::bufread::GzDecoder::new(out.as_slice());
            let mut back = Vec::new();
            decoder.read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{len}");
            assert!(decoder.into_inner().is_empty(), "{len}: there is more");
        }
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_number_of_threads() {
        let bytes = sample(5 * PIECE + 99);
        let one = packed(&bytes, 6, 1);
        assert!(packed(&bytes, 6, 3) == one && packed(&bytes, 6, 8) == one);
        assert!(packed(&bytes, 1, 3) != one);
    }

    #[test]
    fn a_writer_that_fails_ends_it_without_waiting() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.0 = self
                    .0
                    .checked_sub(buf.len())
                    .ok_or(io::ErrorKind::StorageFull)?;
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut full = Full(5000);
        let mut writer = ParallelGzip::new(&mut full, 1, 2).unwrap();
        let written = writer.write_all(&sample(20 * PIECE));
        let error = written.and_then(|()| writer.finish()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
