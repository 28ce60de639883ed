//! The threads that read and compress: each has one compressor and one buffer for all its work.

use block::{ReadAt as _, Result};
use crossbeam_channel::{Receiver, Sender, select_biased};
use tree::InodeId;

use super::codec::{Encoder, room_for};
use super::fields::word;
use super::format::BLOCK_RAW;
use super::same::Digest;
use super::units::{Run, Tail, largest_unit};
use crate::squashfs::Compression;

/// Something to do. `output` is a buffer that was used before, for the answer.
#[derive(Debug)]
pub(crate) enum Job<'a> {
    /// Read and compress blocks.
    Run(Run<'a>),
    /// Read ends of files and digest those that may repeat.
    Batch(Vec<Tail<'a>>),
    /// Compress a fragment block.
    Fragment(Vec<u8>),
}

/// A job with the number by which its answer is known.
#[derive(Debug)]
pub(crate) struct Numbered<'a> {
    pub(crate) number: u64,
    pub(crate) job: Job<'a>,
    pub(crate) output: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Done<'a> {
    pub(crate) number: u64,
    pub(crate) answer: Answer<'a>,
}

/// What a job came to.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// The blocks' sizes as inodes hold them, and their bytes one after another.
    Blocks {
        sizes: Vec<u32>,
        bytes: Vec<u8>,
        /// How much of `bytes` is used.
        used: usize,
    },
    /// The ends' bytes one after another, and the digests of those that may repeat.
    Batch {
        tails: Vec<Tail<'a>>,
        digests: Vec<Option<Digest>>,
        bytes: Vec<u8>,
    },
    /// The size as the fragment table holds it, and the buffer that the fragment was gathered in.
    Fragment {
        size: u32,
        bytes: Vec<u8>,
        used: usize,
        gathered: Vec<u8>,
    },
    /// What could not be read or compressed, and whose content it is.
    Failed(block::Error, Option<InodeId>),
    /// The thread is gone by a bug, and its panic will be told when it is joined.
    Lost,
}

/// Where jobs come from and answers go.
#[derive(Clone, Debug)]
pub(crate) struct Desk<'a> {
    /// Jobs that others wait for.
    pub(crate) urgent: Receiver<Numbered<'a>>,
    pub(crate) jobs: Receiver<Numbered<'a>>,
    pub(crate) done: Sender<Done<'a>>,
}

/// Tells that a thread is gone, so that nobody waits for it.
struct Alarm<'a>(Sender<Done<'a>>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lost = Done {
                number: u64::MAX,
                answer: Answer::Lost,
            };
            // OK: where nobody listens any more, nobody waits either.
            let _ = self.0.send(lost);
        }
    }
}

/// Works until there are no more jobs.
pub(crate) fn work(desk: &Desk<'_>, compression: Compression, block_size: u32) {
    let _alarm = Alarm(desk.done.clone());
    let mut worker = Worker {
        encoder: None,
        compression,
        block_size,
        input: Vec::new(),
    };
    loop {
        let job = select_biased! {
            recv(desk.urgent) -> job => job,
            recv(desk.jobs) -> job => job,
        };
        let Ok(Numbered {
            number,
            job,
            output,
        }) = job
        else {
            return;
        };
        let answer = worker.answer(job, output);
        let answer = answer.unwrap_or_else(|(error, id)| Answer::Failed(error, id));
        if desk.done.send(Done { number, answer }).is_err() {
            return;
        }
    }
}

/// An answer, or an error and whose content it is about.
type Outcome<'a> = std::result::Result<Answer<'a>, (block::Error, Option<InodeId>)>;

struct Worker {
    encoder: Option<Encoder>,
    compression: Compression,
    block_size: u32,
    input: Vec<u8>,
}

impl Worker {
    fn answer<'a>(&mut self, job: Job<'a>, mut output: Vec<u8>) -> Outcome<'a> {
        match job {
            Job::Run(run) => self.run(run, output).map_err(|error| (error, Some(run.id))),
            Job::Batch(tails) => read_batch(tails, output),
            Job::Fragment(gathered) => {
                room(&mut output, room_for(largest_unit(self.block_size)));
                let (size, used) = self
                    .block(&gathered, &mut output)
                    .map_err(|error| (error, None))?;
                Ok(Answer::Fragment {
                    size,
                    bytes: output,
                    used,
                    gathered,
                })
            }
        }
    }

    fn run<'a>(&mut self, run: Run<'a>, mut output: Vec<u8>) -> Result<Answer<'a>> {
        let mut buffer = std::mem::take(&mut self.input);
        let input = room(&mut buffer, run.len);
        run.content.read_exact_at(input, run.offset)?;
        room(&mut output, room_for(largest_unit(self.block_size)));
        let mut sizes = Vec::new();
        let mut used: usize = 0;
        for block in input.chunks(super::fields::narrow(u64::from(self.block_size))) {
            if is_zero(block) {
                sizes.push(0);
                continue;
            }
            let (size, len) = self.block(block, output.get_mut(used..).unwrap_or_default())?;
            sizes.push(size);
            used = used.saturating_add(len);
        }
        self.input = buffer;
        Ok(Answer::Blocks {
            sizes,
            bytes: output,
            used,
        })
    }

    /// Compresses one block to the start of `output`. Answers its size as it is stored in tables, and its length.
    fn block(&mut self, block: &[u8], output: &mut [u8]) -> Result<(u32, usize)> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::new(self.compression, self.block_size)?),
        };
        if let Some(len) = encoder.encode(block, output)? {
            return Ok((word(len), len));
        }
        if let Some(place) = output.get_mut(..block.len()) {
            place.copy_from_slice(block);
        }
        Ok((word(block.len()) | BLOCK_RAW, block.len()))
    }
}

fn read_batch<'a>(tails: Vec<Tail<'a>>, mut bytes: Vec<u8>) -> Outcome<'a> {
    let len = super::fields::narrow(super::units::batch_len(&tails));
    let mut rest = room(&mut bytes, len);
    let mut digests = Vec::with_capacity(tails.len());
    for tail in &tails {
        let (now, later) = rest.split_at_mut(tail.len.min(rest.len()));
        tail.content
            .read_exact_at(now, tail.offset)
            .map_err(|error| (error, Some(tail.id)))?;
        let digest = tail.may_repeat.then(|| *blake3::hash(now).as_bytes());
        digests.push(digest);
        rest = later;
    }
    Ok(Answer::Batch {
        tails,
        digests,
        bytes,
    })
}

/// The first `len` bytes of a buffer that only grows: to shrink it would mean to clear it again later.
fn room(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    buffer.get_mut(..len).unwrap_or_default()
}

/// Whether all bytes are zero; what is not, mostly shows it at once.
fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(64)
        .all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_is_not_zero() {
        for len in [1, 63, 64, 65, 200] {
            assert!(is_zero(&vec![0; len]));
            for at in 0..len {
                let mut bytes = vec![0; len];
                bytes[at] = 1;
                assert!(!is_zero(&bytes), "{at} of {len}");
            }
        }
    }
}
