//! `/etc/resolv.conf` of the host, for as long as a program has the network.

use std::io;
use std::os::fd::AsFd as _;

use block::{Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::scan::{self, Stamp};
use super::scratch::Scratch;

/// Where the image's own waits, in the scratch beside the root.
const ASIDE: &str = "resolv.conf";
/// The longest that is lent: the resolver reads three name servers and six domains of it.
const MAX_LEN: u64 = 1 << 20;

/// What was lent, and has to be taken back.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    /// The inode of our file; `None` where nothing was lent.
    lent: Option<u64>,
    /// Whether the image has one of its own.
    has_own: bool,
    /// Whether the image's own was as it was remembered.
    is_unchanged: bool,
}

impl Resolver {
    /// Puts the host's in the place of the image's own. Where the host has none, or the image has no `/etc`, nothing happens.
    pub(super) fn lend(scratch: &Scratch) -> Result<Self> {
        Self::try_lend(scratch)
            .map_err(|error| Error::io("lending /etc/resolv.conf to the sandbox", error))
    }

    fn try_lend(scratch: &Scratch) -> io::Result<Self> {
        let Ok(host) = std::fs::File::open("/etc/resolv.conf") else {
            return Ok(Self::default());
        };
        let mut text = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(host, MAX_LEN), &mut text)?;
        let Ok(etc) = scan::open_folder(scratch.root(), b"etc") else {
            return Ok(Self::default());
        };
        let mut lent = Self::default();
        if let Ok(stat) = scan::stat(etc.as_fd(), NAME.as_bytes()) {
            let known = scratch.stamps.get(PATH.as_bytes());
            lent.is_unchanged = known == Some(&Stamp::of(&stat));
            rustix::fs::renameat(&etc, NAME, scratch.top(), ASIDE)?;
            lent.has_own = true;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&etc, NAME, flags, Mode::from_raw_mode(0o644))?;
        io::Write::write_all(&mut std::fs::File::from(file), &text)?;
        lent.lent = Some(scan::stat(etc.as_fd(), NAME.as_bytes())?.stx_ino);
        Ok(lent)
    }

    /// Puts the image's own back. A symbolic link that the program made stays: a package of the image owns the name now.
    pub(super) fn take_back(self, scratch: &mut Scratch) -> Result<()> {
        self.try_take_back(scratch)
            .map_err(|error| Error::io("taking /etc/resolv.conf back", error))
    }

    fn try_take_back(self, scratch: &mut Scratch) -> io::Result<()> {
        let Some(lent) = self.lent else {
            return Ok(());
        };
        let etc = scan::open_folder(scratch.root(), b"etc")?;
        let now = scan::stat(etc.as_fd(), NAME.as_bytes()).ok();
        let is_link = now
            .as_ref()
            .is_some_and(|stat| FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Symlink);
        let is_ours = now.as_ref().is_some_and(|stat| stat.stx_ino == lent);
        if now.is_some() && !is_link && (is_ours || self.has_own) {
            scratch.remove_below(etc.as_fd(), NAME.as_bytes())?;
        }
        if !self.has_own {
            return Ok(());
        }
        if is_link {
            return match rustix::fs::unlinkat(scratch.top(), ASIDE, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        rustix::fs::renameat(scratch.top(), ASIDE, &etc, NAME)?;
        if self.is_unchanged {
            let stat = scan::stat(etc.as_fd(), NAME.as_bytes())?;
            scratch
                .stamps
                .insert(PATH.as_bytes().to_vec(), Stamp::of(&stat));
        }
        Ok(())
    }
}

const NAME: &str = "resolv.conf";
const PATH: &str = "etc/resolv.conf";
