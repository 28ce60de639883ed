//! A target in memory that remembers each write, to be able to say what a power cut would have left.

use std::sync::{Arc, Mutex};

use block::{ReadAt, Result, WriteAt};
use media::edit::target::Target;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write(u64, Vec<u8>),
    Cut(u64),
    Sync,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    start: Vec<u8>,
    state: Mutex<(Vec<u8>, Vec<Step>)>,
    grows: bool,
}

impl Recorder {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            start: bytes.to_vec(),
            state: Mutex::new((bytes.to_vec(), Vec::new())),
            grows: true,
        }
    }

    /// One that cannot get longer.
    pub(crate) fn fixed(bytes: &[u8]) -> Self {
        Self {
            grows: false,
            ..Self::of(bytes)
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().0.clone()
    }

    pub(crate) fn writes(&self) -> usize {
        let steps = &self.state.lock().unwrap().1;
        steps
            .iter()
            .filter(|step| !matches!(step, Step::Sync))
            .count()
    }

    /// What a power cut may leave: after each step all that was written so far, and of what was not synced only the last step, or half
    /// of it.
    pub(crate) fn after_power_cuts(&self) -> Vec<Vec<u8>> {
        let steps = self.state.lock().unwrap().1.clone();
        let mut all = vec![self.start.clone()];
        let (mut synced, mut now) = (self.start.clone(), self.start.clone());
        for step in steps {
            apply(&mut now, &step);
            match &step {
                Step::Sync => synced = now.clone(),
                Step::Cut(_) => all.push(now.clone()),
                Step::Write(at, bytes) => {
                    let mut alone = synced.clone();
                    apply(&mut alone, &step);
                    let mut half = synced.clone();
                    apply(
                        &mut half,
                        &Step::Write(*at, bytes[..bytes.len() / 2].to_vec()),
                    );
                    // A sector is written or not: half of one is not what a disk leaves.
                    if bytes.len() > 2048 {
                        all.push(half);
                    }
                    all.push(alone);
                    all.push(now.clone());
                }
            }
        }
        all
    }
}

fn apply(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Sync => {}
        Step::Cut(len) => bytes.truncate(*len as usize),
        Step::Write(at, new) => {
            let end = *at as usize + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at as usize..end].copy_from_slice(new);
        }
    }
}

impl WriteAt for Recorder {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let mut state = self.state.lock().unwrap();
        let step = Step::Write(offset, buf.to_vec());
        assert!(self.grows || offset as usize + buf.len() <= state.0.len());
        apply(&mut state.0, &step);
        state.1.push(step);
        Ok(())
    }
}

impl Target for Recorder {
    fn reader(&self) -> Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(self.bytes()))
    }
    fn sync(&self) -> Result<()> {
        self.state.lock().unwrap().1.push(Step::Sync);
        Ok(())
    }
    fn cut(&self, len: u64) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        apply(&mut state.0, &Step::Cut(len));
        state.1.push(Step::Cut(len));
        Ok(())
    }
    fn grows(&self) -> bool {
        self.grows
    }
}
