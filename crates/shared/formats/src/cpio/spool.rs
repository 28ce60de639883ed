//! Where an unpacked archive goes: into memory while it is small, then into a file without a name.

use std::path::Path;
use std::sync::Arc;

use block::{DiskFile, Error, ReadAt, Result, WriteAt as _};

/// The longest archive that stays in memory, in bytes: a usual initramfs does. A longer one goes into the file, whole.
const MAX_IN_MEMORY: usize = 64 << 20;

/// Bytes that come one after the other.
#[derive(Debug)]
pub(super) struct Spool<'a> {
    folder: &'a Path,
    memory: Vec<u8>,
    file: Option<DiskFile>,
    len: u64,
}

impl<'a> Spool<'a> {
    /// Nothing yet; the file will lie in `folder`.
    pub(super) fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            memory: Vec::new(),
            file: None,
            len: 0,
        }
    }

    /// How many bytes came.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// `Io` where the folder takes no file, or has no room.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let at = self.len;
        self.len = at.saturating_add(ReadAt::len(bytes));
        if let Some(file) = &self.file {
            return write(file, bytes, at);
        }
        if self.memory.len().saturating_add(bytes.len()) <= MAX_IN_MEMORY {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let file = tempfile::tempfile_in(self.folder).map_err(|error| self.io(error))?;
        let file = DiskFile::from_file(file, self.folder)?;
        write(&file, &std::mem::take(&mut self.memory), 0)?;
        write(&file, bytes, at)?;
        self.file = Some(file);
        Ok(())
    }

    /// All bytes, to be read.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub(super) fn finish(self) -> Result<Arc<dyn ReadAt>> {
        let Some(file) = &self.file else {
            return Ok(Arc::new(self.memory));
        };
        let file = file.file();
        file.set_len(self.len).map_err(|error| self.io(error))?;
        let file = file.try_clone().map_err(|error| self.io(error))?;
        Ok(Arc::new(DiskFile::from_file(file, self.folder)?))
    }

    fn io(&self, error: std::io::Error) -> Error {
        Error::io("writing a temporary file", error).in_file(self.folder)
    }
}

/// Writes `bytes` at `at`; zeros are what is there already.
fn write(file: &DiskFile, bytes: &[u8], at: u64) -> Result<()> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    file.write_all_at(bytes, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_memory_and_from_the_file() {
        let folder = std::env::temp_dir();
        for rounds in [1, 5] {
            let mut spool = Spool::new(&folder);
            let piece = |round: u8| vec![round; 20 << 20];
            for round in 0..rounds {
                spool.push(&piece(round)).unwrap();
            }
            spool.push(&[0; 100]).unwrap();
            assert_eq!(spool.file.is_some(), rounds == 5);
            let len = spool.len();
            let all = spool.finish().unwrap();
            assert_eq!(all.len(), len);
            let mut found = vec![0; 20 << 20];
            for round in 0..rounds {
                let at = u64::from(round) * (20 << 20);
                all.read_exact_at(&mut found, at).unwrap();
                assert_eq!(found, piece(round));
            }
            let mut tail = [1; 100];
            all.read_exact_at(&mut tail, len - 100).unwrap();
            assert_eq!(tail, [0; 100]);
        }
    }

    #[test]
    fn a_folder_that_takes_no_file_is_named() {
        let mut spool = Spool::new(Path::new("/nowhere"));
        spool.push(&vec![0; MAX_IN_MEMORY]).unwrap();
        let error = spool.push(&[1]).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Io);
        assert!(error.to_string().contains("/nowhere"), "{error}");
    }
}
