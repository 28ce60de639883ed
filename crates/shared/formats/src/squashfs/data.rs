//! Writing the data: threads read and compress in any order, one place puts the answers into the image in the order of the units.
//!
//! What a fragment block holds depends on what was read, so it is compressed after its files were read; it is written a fixed
//! number of units later, by when it is ready. So the image does not depend on which thread was faster.

use std::collections::{BTreeMap, VecDeque};

use block::{Error, Result, WriteAt};
use crossbeam_channel::{Receiver, Sender, unbounded};
use tree::InodeId;

use super::checked::Checked;
use super::fields::{narrow, wide, word};
use super::fragments::{Fragments, Place};
use super::options::Progress;
use super::units::{Tail, Unit, Units, batch_len, largest_unit};
use super::worker::{Answer, Desk, Done, Job, Numbered, work};

/// The most memory that units under way may take, in bytes, however many threads there are (each has one at least).
const MEMORY: usize = 64 << 20;
/// How many units each thread may be ahead.
const AHEAD: usize = 4;

/// Where the data of one file is.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileData {
    /// Where its blocks begin, in bytes from the start of the image.
    pub(crate) start: u64,
    /// The blocks' sizes as inodes hold them.
    pub(crate) blocks: Vec<u32>,
    /// Where its end is, where that is in a fragment.
    pub(crate) fragment: Option<Place>,
    /// How many bytes are in blocks of zeros, which take no place.
    pub(crate) sparse: u64,
}

/// Where all data is.
#[derive(Debug, Default)]
pub(crate) struct Data {
    files: Vec<FileData>,
    /// By [`InodeId::index`]: which of `files`, plus one.
    of_inodes: Vec<u32>,
    /// The fragment table's records.
    pub(crate) fragments: Vec<u8>,
    /// How many fragment blocks there are.
    pub(crate) fragment_count: u32,
    /// Where the data ends, in bytes from the start of the image.
    pub(crate) end: u64,
    /// How many files share what another one has.
    pub(crate) duplicates: u64,
}

impl Data {
    /// The data of a regular file.
    pub(crate) fn of(&self, id: InodeId) -> Option<&FileData> {
        let known = narrow(u64::from(*self.of_inodes.get(id.index())?));
        self.files.get(known.checked_sub(1)?)
    }

    /// The data of `id`, made now where there is none.
    fn entry(&mut self, id: InodeId) -> Option<&mut FileData> {
        let place = self.of_inodes.get_mut(id.index())?;
        if *place == 0 {
            self.files.push(FileData::default());
            *place = word(self.files.len());
        }
        let index = narrow(u64::from(*place)).checked_sub(1)?;
        self.files.get_mut(index)
    }

    fn share(&mut self, id: InodeId, original: InodeId) {
        let known = self.of_inodes.get(original.index()).copied();
        if let (Some(place), Some(known)) = (self.of_inodes.get_mut(id.index()), known) {
            *place = known;
        }
        self.duplicates = self.duplicates.saturating_add(1);
    }
}

/// Writes all data to `target` from byte `start` on.
pub(crate) fn write_data(
    checked: &Checked<'_>,
    target: &dyn WriteAt,
    start: u64,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Data> {
    let units = Units::new(checked)?;
    let options = &checked.options;
    let threads = options.workers();
    let (jobs, job_receiver) = unbounded();
    let (urgent, urgent_receiver) = unbounded();
    let (done_sender, done) = unbounded();
    let desk = Desk {
        urgent: urgent_receiver,
        jobs: job_receiver,
        done: done_sender,
    };
    std::thread::scope(|scope| {
        let start_one = || {
            let desk = desk.clone();
            scope.spawn(move || work(&desk, options.compression, options.block_size))
        };
        let workers: Vec<_> = (0..threads).map(|_| start_one()).collect();
        drop(desk);
        let memory = MEMORY.checked_div(largest_unit(options.block_size).saturating_mul(2));
        let writer = Writer {
            checked,
            target,
            progress,
            units,
            jobs,
            urgent,
            done,
            limit: threads
                .saturating_mul(AHEAD)
                .min(memory.unwrap_or(1))
                .max(threads.saturating_add(1)),
            steps: VecDeque::new(),
            first: 0,
            under_way: 0,
            answers: BTreeMap::new(),
            spare: Vec::new(),
            fragments: Fragments::new(options.block_size),
            data: Data {
                of_inodes: vec![0; checked.tree.id_bound()],
                end: start,
                ..Data::default()
            },
            consumed: 0,
        };
        // The writer is gone with this, which closes the channels, which ends the threads.
        let data = writer.run();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
        data
    })
}

/// What a unit still waits for.
#[derive(Debug)]
enum Step {
    File(InodeId),
    Hole {
        blocks: u64,
        len: u64,
    },
    Same {
        id: InodeId,
        original: InodeId,
    },
    /// The answer of this number.
    Answer {
        number: u64,
        id: Option<InodeId>,
        len: u64,
    },
}

struct Writer<'a> {
    checked: &'a Checked<'a>,
    target: &'a dyn WriteAt,
    progress: &'a (dyn Fn(Progress) + Sync),
    units: Units<'a>,
    jobs: Sender<Numbered<'a>>,
    urgent: Sender<Numbered<'a>>,
    done: Receiver<Done<'a>>,
    /// The most units under way.
    limit: usize,
    /// The units under way in order.
    steps: VecDeque<Step>,
    /// The number of the next job.
    first: u64,
    under_way: usize,
    answers: BTreeMap<u64, Answer<'a>>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    fragments: Fragments,
    data: Data,
    consumed: u64,
}

impl<'a> Writer<'a> {
    fn run(mut self) -> Result<Data> {
        let mut more = true;
        loop {
            while more
                && self.under_way < self.limit
                && self.steps.len() < self.limit.saturating_mul(64)
            {
                more = self.begin_next()?;
            }
            if self.finish_first()? {
                continue;
            }
            if self.steps.is_empty() && !more {
                break;
            }
            self.wait()?;
        }
        self.finish_fragments()?;
        self.data.fragments = self.fragments.table();
        self.data.fragment_count = self.fragments.count();
        Ok(self.data)
    }

    /// Hands out the next unit. Answers whether there was one.
    fn begin_next(&mut self) -> Result<bool> {
        let unit = self.units.next()?;
        let step = match unit {
            None => return Ok(false),
            Some(Unit::File(id)) => Step::File(id),
            Some(Unit::Hole { blocks, len }) => Step::Hole { blocks, len },
            Some(Unit::Same { id, original }) => Step::Same { id, original },
            Some(Unit::Run(run)) => Step::Answer {
                id: Some(run.id),
                len: wide(run.len),
                number: self.send(Job::Run(run))?,
            },
            Some(Unit::Batch(tails)) => Step::Answer {
                id: None,
                len: batch_len(&tails),
                number: self.send(Job::Batch(tails))?,
            },
        };
        self.steps.push_back(step);
        Ok(true)
    }

    fn send(&mut self, job: Job<'a>) -> Result<u64> {
        let number = self.first;
        self.first = number.saturating_add(1);
        let output = self.spare.pop().unwrap_or_default();
        let (channel, counted) = match job {
            Job::Fragment(_) => (&self.urgent, 0),
            _ => (&self.jobs, 1),
        };
        self.under_way = self.under_way.saturating_add(counted);
        let job = Numbered {
            number,
            job,
            output,
        };
        channel.send(job).map_err(|_| lost())?;
        Ok(number)
    }

    /// Waits for an answer.
    fn wait(&mut self) -> Result<()> {
        let Done { number, answer } = self.done.recv().map_err(|_| lost())?;
        if let Answer::Lost = answer {
            return Err(lost());
        }
        self.answers.insert(number, answer);
        Ok(())
    }

    /// Puts the first unit under way into the image, where all that it needs is there. Answers whether it did.
    fn finish_first(&mut self) -> Result<bool> {
        let Some(step) = self.steps.front() else {
            return Ok(false);
        };
        // A file's blocks stand together: fragment blocks come before a file or between batches, never between its runs.
        let (missing, between) = match step {
            Step::Answer { number, id, .. } => (!self.answers.contains_key(number), id.is_none()),
            Step::File(_) => (false, true),
            Step::Hole { .. } | Step::Same { .. } => (false, false),
        };
        if missing || (between && !self.finish_due_fragments()?) {
            return Ok(false);
        }
        match self.steps.pop_front() {
            Some(Step::File(id)) => {
                let start = self.data.end;
                if let Some(file) = self.data.entry(id) {
                    file.start = start;
                }
            }
            Some(Step::Hole { blocks, len }) => {
                if let Some(file) = self.data.files.last_mut() {
                    let blocks = file.blocks.len().saturating_add(narrow(blocks));
                    file.blocks.resize(blocks, 0);
                    file.sparse = file.sparse.saturating_add(len);
                }
                self.consume(len);
            }
            Some(Step::Same { id, original }) => {
                self.data.share(id, original);
                if let tree::Node::File(content) = &self.checked.tree.inode(id).node {
                    self.consume(block::ReadAt::len(content));
                }
            }
            Some(Step::Answer { number, id, len }) => {
                self.under_way = self.under_way.saturating_sub(1);
                self.fragments.unit_done();
                if let Some(answer) = self.answers.remove(&number) {
                    self.place(answer, id)?;
                }
                self.consume(len);
            }
            None => {}
        }
        Ok(true)
    }

    fn place(&mut self, answer: Answer<'a>, id: Option<InodeId>) -> Result<()> {
        match answer {
            Answer::Blocks { sizes, bytes, used } => {
                self.append(&bytes, used)?;
                self.spare.push(bytes);
                self.add_blocks(id, &sizes)
            }
            Answer::Batch {
                tails,
                digests,
                bytes,
            } => {
                let mut rest = bytes.as_slice();
                for (tail, digest) in tails.iter().zip(digests) {
                    let (now, later) = rest.split_at(tail.len.min(rest.len()));
                    self.add_tail(tail, digest, now)?;
                    rest = later;
                }
                self.spare.push(bytes);
                Ok(())
            }
            Answer::Failed(error, id) => Err(self.told(error, id)),
            Answer::Fragment { .. } | Answer::Lost => Err(lost()),
        }
    }

    /// The error with the path of the file that it is about.
    fn told(&self, error: Error, id: Option<InodeId>) -> Error {
        match id {
            Some(id) => self.checked.told(error, id),
            None => error.while_doing("storing small files"),
        }
    }

    /// Writes the first `used` of `bytes` where the image ends now.
    fn append(&mut self, bytes: &[u8], used: usize) -> Result<()> {
        let bytes = bytes.get(..used).unwrap_or_default();
        if !bytes.is_empty() {
            self.target.write_all_at(bytes, self.data.end)?;
            self.data.end = self.data.end.saturating_add(wide(used));
        }
        Ok(())
    }

    fn add_blocks(&mut self, id: Option<InodeId>, sizes: &[u32]) -> Result<()> {
        let block_size = u64::from(self.checked.options.block_size);
        let Some((id, file)) = id.and_then(|id| Some((id, self.data.entry(id)?))) else {
            return Ok(());
        };
        let tree::Node::File(content) = &self.checked.tree.inode(id).node else {
            return Ok(());
        };
        let len = block::ReadAt::len(content);
        for size in sizes {
            if *size == 0 {
                let before = wide(file.blocks.len()).saturating_mul(block_size);
                let zeros = len.saturating_sub(before).min(block_size);
                file.sparse = file.sparse.saturating_add(zeros);
            }
            file.blocks.push(*size);
        }
        Ok(())
    }

    fn add_tail(
        &mut self,
        tail: &Tail<'a>,
        digest: Option<super::same::Digest>,
        bytes: &[u8],
    ) -> Result<()> {
        if let Some(original) = self.fragments.known(digest, tail) {
            self.data.share(tail.id, original);
            return Ok(());
        }
        if let Some(full) = self.fragments.make_room(bytes.len()) {
            self.close_fragment(full)?;
        }
        let place = self.fragments.add(bytes);
        if let Some(file) = self.data.entry(tail.id) {
            file.fragment = Some(place);
        }
        Ok(())
    }

    fn close_fragment(&mut self, full: Vec<u8>) -> Result<()> {
        let number = self.send(Job::Fragment(full))?;
        self.fragments.sent(number);
        Ok(())
    }

    /// Writes the fragment blocks whose turn it is. Answers whether all of them were ready.
    fn finish_due_fragments(&mut self) -> Result<bool> {
        while let Some(number) = self.fragments.due() {
            if !self.finish_fragment(number)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn finish_fragment(&mut self, number: u64) -> Result<bool> {
        match self.answers.remove(&number) {
            None => Ok(false),
            Some(Answer::Fragment {
                size,
                bytes,
                used,
                gathered,
            }) => {
                self.fragments.placed(self.data.end, size, gathered);
                self.append(&bytes, used)?;
                self.spare.push(bytes);
                Ok(true)
            }
            Some(Answer::Failed(error, id)) => Err(self.told(error, id)),
            Some(_) => Err(lost()),
        }
    }

    fn finish_fragments(&mut self) -> Result<()> {
        if let Some(last) = self.fragments.take_open() {
            self.close_fragment(last)?;
        }
        while let Some(number) = self.fragments.next_sent() {
            while !self.finish_fragment(number)? {
                self.wait()?;
            }
        }
        Ok(())
    }

    fn consume(&mut self, len: u64) {
        self.consumed = self.consumed.saturating_add(len);
        (self.progress)(Progress {
            done: self.consumed,
            total: self.checked.content_len,
        });
    }
}

/// A thread is gone by a bug of ours; the panic itself follows when the threads are joined.
fn lost() -> Error {
    Error::unsupported("storing files", "a thread was lost")
}
