//! A large file of the media, written before the others and summed on the way.

use std::sync::{Arc, Mutex, PoisonError};

use block::{DiskFile, Result, WriteAt};

use super::manifest::{self, Entry, Summed};
use crate::late::{Late, Progress};
use crate::write_back::{WriteBack, while_writing};

/// A large file.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) path: String,
    pub(super) file: Arc<DiskFile>,
    /// Its entry, where it was written from its start to its end.
    entry: Option<Entry>,
}

impl Payload {
    /// The file that `file` will be, at `path` of the media.
    pub(super) fn new(path: &str, file: Arc<DiskFile>) -> Self {
        Self {
            path: path.to_owned(),
            file,
            entry: None,
        }
    }

    /// Writes all of it, and answers with its length in bytes.
    ///
    /// # Errors
    ///
    /// What `late` answers.
    pub(super) fn write(
        &mut self,
        late: &dyn Late,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<u64> {
        let (len, summed) = while_writing(&self.file, |disk| {
            let target = Target {
                file: &self.file,
                disk,
                summed: Mutex::new(Some(Summed::default())),
            };
            let len = late.write(&target, progress)?;
            let summed = target.summed.into_inner();
            Ok((len, summed.unwrap_or_else(PoisonError::into_inner)))
        })?;
        let summed = summed.filter(|summed| summed.len() == len);
        self.entry = summed.map(|summed| summed.entry(&self.path));
        Ok(len)
    }

    /// Its entry; it is read again where it was written in another order.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub(super) fn entry(&self) -> Result<Entry> {
        match &self.entry {
            Some(entry) => Ok(entry.clone()),
            None => manifest::entry(&self.path, &self.file.remeasured()?),
        }
    }
}

/// The file, and what came of it in order; nothing once something came out of order.
#[derive(Debug)]
struct Target<'a> {
    file: &'a DiskFile,
    disk: &'a WriteBack,
    summed: Mutex<Option<Summed>>,
}

impl WriteAt for Target<'_> {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(buf, offset)?;
        self.disk.written(block::ReadAt::len(buf));
        let mut summed = self.summed.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *summed {
            Some(known) if known.len() == offset => known.take(buf),
            _ => *summed = None,
        }
        Ok(())
    }
}
