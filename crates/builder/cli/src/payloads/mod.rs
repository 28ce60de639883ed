//! The large payloads, as what the media are written from.

mod hash_tree;

use std::io::BufWriter;

use block::{Content, Error, ReadAt as _, Result, WriteAt};
use config::InitramfsPlan;
use formats::squashfs;
use media::late::{Late, Progress, Sequential};
use media::pending::Pending;
use payload::full_os;

pub(crate) use hash_tree::HashTree;
use hash_tree::passed_on;

/// A root file system image that is compressed straight into its place, with a hash tree behind it where that is wanted.
#[derive(Debug)]
pub(crate) struct RootImage<'a> {
    checked: squashfs::Checked<'a>,
    tree: HashTree,
}

impl<'a> RootImage<'a> {
    /// The image of `checked`.
    pub(crate) fn new(checked: squashfs::Checked<'a>, tree: HashTree) -> Self {
        Self { checked, tree }
    }
}

impl Late for RootImage<'_> {
    fn path(&self) -> &str {
        contract::media::ROOT_IMAGE
    }

    fn max_len(&self) -> u64 {
        self.tree.len_with(self.checked.max_len())
    }

    fn write(&self, target: &dyn WriteAt, progress: &(dyn Fn(Progress) + Sync)) -> Result<u64> {
        let step = |state: squashfs::Progress| {
            progress(Progress {
                done: state.done,
                total: state.total,
            });
        };
        self.tree.write(target, &|out| {
            squashfs::write(&self.checked, out, &step).map(|written| written.len)
        })
    }

    fn pending(&self) -> Option<Pending> {
        self.tree.pending()
    }
}

/// An initramfs that is the whole system, and whom to tell what is known of its size.
pub(crate) struct FullOs<'a> {
    pub(crate) checked: full_os::Checked,
    pub(crate) tell: &'a crate::progress::Progress,
}

impl Late for FullOs<'_> {
    fn path(&self) -> &str {
        contract::media::FULL_OS_INITRAMFS
    }

    fn max_len(&self) -> u64 {
        self.checked.max_len()
    }

    fn write(&self, target: &dyn WriteAt, progress: &(dyn Fn(Progress) + Sync)) -> Result<u64> {
        let step = |state: full_os::Progress| {
            progress(Progress {
                done: state.done,
                total: state.total,
            });
        };
        let mut out = BufWriter::with_capacity(1 << 20, Sequential::new(target));
        let written = full_os::write(&self.checked, &mut out, &step)?;
        written
            .warnings
            .iter()
            .for_each(|text| self.tell.warn(text));
        let flushed = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let out = flushed.map_err(|error| Error::io("writing the initramfs", error))?;
        Ok(out.written())
    }
}

/// A payload of the input media that is passed on as it is.
#[derive(Debug)]
pub(crate) struct PassedOn {
    path: &'static str,
    content: Content,
    tree: HashTree,
}

impl PassedOn {
    /// The payload that `initramfs` wants. A root file system image has its hash tree along with it, or loses it where none is wanted.
    ///
    /// # Errors
    ///
    /// What reading it answers.
    pub(crate) fn new(initramfs: InitramfsPlan, content: Content, tree: HashTree) -> Result<Self> {
        let (path, (content, tree)) = match initramfs {
            InitramfsPlan::Bootstrap { .. } => {
                (contract::media::ROOT_IMAGE, passed_on(content, tree)?)
            }
            InitramfsPlan::FullOs => (contract::media::FULL_OS_INITRAMFS, (content, tree)),
        };
        Ok(Self {
            path,
            content,
            tree,
        })
    }
}

impl Late for PassedOn {
    fn path(&self) -> &str {
        self.path
    }

    fn max_len(&self) -> u64 {
        self.tree.len_with(self.content.len())
    }

    fn write(&self, target: &dyn WriteAt, progress: &(dyn Fn(Progress) + Sync)) -> Result<u64> {
        self.tree.write(target, &|out| self.copy(out, progress))
    }

    fn pending(&self) -> Option<Pending> {
        self.tree.pending()
    }
}

impl PassedOn {
    fn copy(&self, target: &dyn WriteAt, progress: &(dyn Fn(Progress) + Sync)) -> Result<u64> {
        const PART: usize = 4 << 20;
        let total = self.content.len();
        let mut buffer = vec![0; PART];
        let mut done = 0;
        while done < total {
            let len = usize::try_from(total - done).map_or(PART, |rest| rest.min(PART));
            let part = buffer.get_mut(..len).unwrap_or_default();
            self.content.read_exact_at(part, done)?;
            target.write_all_at(part, done)?;
            done += len as u64;
            progress(Progress { done, total });
        }
        Ok(total)
    }
}
