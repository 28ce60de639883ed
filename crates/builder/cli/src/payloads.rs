//! The large payloads, as what the media are written from.

use block::{Result, WriteAt};
use formats::squashfs;
use media::late::{Late, Progress};

/// A root file system image that is compressed straight into its place.
#[derive(Debug)]
pub(crate) struct RootImage<'a>(pub(crate) squashfs::Checked<'a>);

impl Late for RootImage<'_> {
    fn path(&self) -> &str {
        contract::media::ROOT_IMAGE
    }

    fn max_len(&self) -> u64 {
        self.0.max_len()
    }

    fn write(&self, target: &dyn WriteAt, progress: &(dyn Fn(Progress) + Sync)) -> Result<u64> {
        let step = |state: squashfs::Progress| {
            progress(Progress {
                done: state.done,
                total: state.total,
            });
        };
        squashfs::write(&self.0, target, &step).map(|written| written.len)
    }
}
