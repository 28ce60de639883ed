//! What is written goes to the disk while the rest is still being made: little is left to wait for when the file is synced as a whole.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use block::{DiskFile, Error, Result};

/// How much is written before the disk is told to take it, in bytes. Measured for a gibibyte on a disk of some 3 GB/s: from 8 to 32 MiB
/// the copy and the disk are busy all the time, with 64 MiB the disk waits for the first of them and is waited for after the last.
pub(crate) const STRIDE: u64 = 16 << 20;

/// Counts what is written, and has it taken to the disk.
#[derive(Debug)]
pub(crate) struct WriteBack {
    since: AtomicU64,
    strides: SyncSender<()>,
}

impl WriteBack {
    /// Says that `len` more bytes were written.
    pub(crate) fn written(&self, len: u64) {
        if self
            .since
            .fetch_add(len, Ordering::Relaxed)
            .saturating_add(len)
            >= STRIDE
        {
            self.since.store(0, Ordering::Relaxed);
            // Where one is waiting already it takes these bytes too.
            let _ = self.strides.try_send(());
        }
    }
}

/// Does `work`. What it says of bytes that it wrote to `file` sends these to the disk; syncing what is left is for the caller.
///
/// # Errors
///
/// What `work` answers; [`Kind::Io`](block::Kind::Io) where the disk did not take something. A later sync would not say so again: the
/// kernel tells an open file of each such error once (Linux, `lib/errseq.c`).
pub(crate) fn while_writing<R>(
    file: &DiskFile,
    work: impl FnOnce(&WriteBack) -> Result<R>,
) -> Result<R> {
    std::thread::scope(|scope| {
        let (strides, wanted) = sync_channel(1);
        let syncing = scope.spawn(move || {
            let mut wanted = wanted.iter();
            wanted.try_for_each(|()| file.file().sync_data())
        });
        let disk = WriteBack {
            since: AtomicU64::new(0),
            strides,
        };
        let done = work(&disk);
        drop(disk);
        let synced = syncing.join().unwrap_or(Ok(()));
        let done = done?;
        synced.map_err(|error| Error::io("writing to the disk", error).in_file(file.path()))?;
        Ok(done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::WriteAt as _;

    fn file(options: &mut std::fs::OpenOptions, path: &str) -> DiskFile {
        DiskFile::from_file(options.open(path).unwrap(), path).unwrap()
    }

    #[test]
    fn what_the_work_answers_is_handed_on_after_all_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut options = std::fs::File::options();
        let options = options.read(true).write(true).create(true);
        let target = file(options, path.to_str().unwrap());
        let answer = while_writing(&target, |disk| {
            for at in 0..5 {
                target.write_all_at(b"x", at * STRIDE)?;
                disk.written(STRIDE);
            }
            Ok(7)
        });
        assert_eq!(answer.unwrap(), 7);
        assert_eq!(
            target
                .remeasured()
                .unwrap()
                .file()
                .metadata()
                .unwrap()
                .len(),
            4 * STRIDE + 1
        );
        let refused = while_writing(&target, |disk| -> Result<()> {
            disk.written(STRIDE);
            Err(Error::corrupt("working", "no"))
        });
        assert_eq!(refused.unwrap_err().kind(), block::Kind::Corrupt);
    }

    #[test]
    fn what_the_disk_does_not_take_is_an_error_although_the_work_is_done() {
        // A pipe has no disk: syncing it is refused (EINVAL).
        let (_reader, writer) = rustix::pipe::pipe().unwrap();
        let target = DiskFile::from_file(writer.into(), "a pipe").unwrap();
        let answer = while_writing(&target, |disk| {
            disk.written(STRIDE);
            Ok(())
        });
        assert_eq!(answer.unwrap_err().kind(), block::Kind::Io);
    }
}
