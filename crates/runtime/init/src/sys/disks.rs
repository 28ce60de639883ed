//! Disks that are written to.
#![expect(
    unsafe_code,
    reason = "ioctl(2) takes what its request says, which no type can"
)]

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use block::{Error, ReadAt, WriteAt};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::ioctl::{Opcode, Setter, ioctl};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::{Machine, loopdev};
use crate::disks::{Disk, Disks};

/// Source: Linux, `include/uapi/linux/blkpg.h`.
const BLKPG: Opcode = 0x1269;
const ADD_PARTITION: i32 = 1;
/// The longest line that is taken as an answer, in bytes: cryptsetup's own limit for a passphrase that is typed.
const ANSWER: usize = 512;

/// `struct blkpg_partition`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Partition {
    start: i64,
    length: i64,
    number: i32,
    names: [u8; 128],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Argument {
    op: i32,
    flags: i32,
    length: i32,
    data: *const Partition,
}

const _: () = assert!(size_of::<Partition>() == 152);

/// A device or a file that is open for both.
#[derive(Debug)]
struct Opened {
    file: File,
    path: String,
    len: u64,
}

impl ReadAt for Opened {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> block::Result<()> {
        let end = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        if offset.saturating_add(end) > self.len {
            let message = format!("it ends at byte {}", self.len);
            return Err(Error::corrupt("reading", message)
                .at(offset)
                .in_file(&self.path));
        }
        let read = self.file.read_exact_at(buf, offset);
        read.map_err(|error| Error::io("reading", error).at(offset).in_file(&self.path))
    }
}

impl WriteAt for Opened {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> block::Result<()> {
        let written = self.file.write_all_at(buf, offset);
        written.map_err(|error| Error::io("writing", error).at(offset).in_file(&self.path))
    }
}

impl Disk for Opened {
    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Disks for Machine {
    fn open_to_write(&mut self, path: &str) -> io::Result<Box<dyn Disk>> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let len = file.seek(SeekFrom::End(0))?;
        let path = path.to_owned();
        Ok(Box::new(Opened { file, path, len }))
    }

    fn attach_part(&mut self, file: &str, offset: u64, len: u64) -> io::Result<String> {
        let (device, path) = loopdev::attach_part(file, offset, len)?;
        self.loops.push((path.clone(), device));
        Ok(path)
    }

    fn add_partition(&mut self, disk: &str, number: u32, range: (u64, u64)) -> io::Result<()> {
        let too_large = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let partition = Partition {
            start: range.0.try_into().map_err(too_large)?,
            length: range.1.try_into().map_err(too_large)?,
            number: number.try_into().map_err(too_large)?,
            names: [0; 128],
        };
        let argument = Argument {
            op: ADD_PARTITION,
            flags: 0,
            length: i32::try_from(size_of::<Partition>()).map_err(too_large)?,
            data: &raw const partition,
        };
        let disk = File::open(disk)?;
        // SAFETY: BLKPG reads a `struct blkpg_ioctl_arg`, which `Argument` is, and through it a `struct blkpg_partition`, size
        // checked above, which outlives the call.
        Ok(unsafe { ioctl(&disk, Setter::<BLKPG, Argument>::new(argument)) }?)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    }

    fn free_space(&self, path: &str) -> io::Result<u64> {
        let space = rustix::fs::statvfs(path)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn sync(&mut self) {
        rustix::fs::sync();
    }

    fn random(&mut self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn date(&self) -> u32 {
        u32::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or_default()
    }

    fn prompt(&mut self, question: &str, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut console = File::options()
            .read(true)
            .write(true)
            .open("/dev/console")?;
        let shown = tcgetattr(&console)?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ICANON);
        tcsetattr(&console, OptionalActions::Flush, &hidden)?;
        let answer = console
            .write_all(question.as_bytes())
            .and_then(|()| read_line(&mut console, limit));
        tcsetattr(&console, OptionalActions::Flush, &shown)?;
        console.write_all(b"\n")?;
        answer
    }
}

/// A line of the console without its end; `None` where it is not there in time.
fn read_line(console: &mut File, limit: Duration) -> io::Result<Option<Vec<u8>>> {
    let end = Instant::now().checked_add(limit);
    let mut line = vec![0; ANSWER];
    let left = end.map_or(limit, |end| end.saturating_duration_since(Instant::now()));
    let wait = Timespec::try_from(left).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(console, PollFlags::IN)];
    if poll(&mut fds, Some(&wait))? == 0 {
        return Ok(None);
    }
    // The terminal hands out whole lines.
    let len = console.read(&mut line)?;
    line.truncate(len);
    while line.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
    Ok(Some(line))
}
