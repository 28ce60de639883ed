//! What the stages need of the machine, as a trait: [`crate::sys`] has the real one, tests have one that only writes down what
//! was asked of it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use contract::attributes::Attributes;
use contract::request::{Emergency, Verbosity};
pub(crate) use rustix::mount::MountFlags;

use crate::disks::Disks;
use crate::net::Network;

/// Bytes of a device or a file.
pub(crate) trait Bytes {
    /// The length in bytes.
    fn len(&self) -> u64;

    /// Fills `buf` from `offset` on; an error also where it ends before.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A mount, as `mount(2)` takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mount<'a> {
    pub(crate) source: &'a str,
    pub(crate) target: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) flags: MountFlags,
    pub(crate) data: &'a str,
}

/// How loud a line is, as syslog's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Shown on the console also with `quiet`.
    Warning,
    /// A step.
    Step,
    /// A device or a module; in the kernel's log only.
    Detail,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// At most this long.
    For(Duration),
    /// Without end.
    Forever,
}

/// What lies at a path, links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
    Other,
}

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A row of a device-mapper table, in sectors of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The first sector of the device that it makes.
    pub(crate) start: u64,
    pub(crate) sectors: u64,
    /// `verity`, `snapshot`, `linear`, `crypt`…
    pub(crate) kind: &'a str,
    /// As the kernel's page about this kind of target has them.
    pub(crate) parameters: &'a str,
}

/// What a program came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finished {
    /// Whether it ended with 0.
    pub(crate) succeeded: bool,
    /// What it wrote on both of its outputs, cut off where it is very long.
    pub(crate) output: String,
}

/// What was moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The bytes of all files.
    pub(crate) content_len: u64,
    /// How many of the names in the list are there.
    pub(crate) listed: usize,
    /// How many files did not get an attribute, by its name.
    pub(crate) lost: BTreeMap<String, u64>,
}

/// The machine.
pub(crate) trait System: Network + Disks {
    /// The time since the kernel started.
    fn clock(&self) -> Duration;
    /// Sets the machine's clock to the time of the file at `path`, if it is behind that: whether it was.
    fn set_clock_floor(&mut self, path: &str) -> io::Result<bool>;
    /// How much of what is logged the console is to show.
    fn set_verbosity(&mut self, verbosity: Verbosity);
    /// Writes a line to the kernel's log, which the console shows or not.
    fn log(&mut self, level: Level, text: &str);
    /// Writes text to the console at once, whatever `quiet` says.
    fn console(&mut self, text: &str);

    /// Begins to see keys that are pressed on the consoles.
    fn watch_keys(&mut self) -> io::Result<()>;
    /// What was pressed since the last time, as the consoles send it; does not wait.
    fn pressed_keys(&mut self) -> Vec<u8>;
    /// The consoles are as they were before [`watch_keys`](Self::watch_keys).
    fn ignore_keys(&mut self);

    /// The bytes of a small file; an error where it has more than `limit`.
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>>;
    /// Writes a small file.
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// The names in a folder, sorted.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// What lies at a path.
    fn kind(&self, path: &str) -> io::Result<Kind>;
    /// Makes a folder and those above it; one that is there is fine.
    fn make_dir(&mut self, path: &str) -> io::Result<()>;
    /// Makes a symbolic link, in the place of one that is there.
    fn link(&mut self, target: &str, path: &str) -> io::Result<()>;
    /// Opens a device or a file for reading.
    fn open(&self, path: &str) -> io::Result<Box<dyn Bytes>>;
    /// Makes an empty file to be written.
    fn create(&mut self, path: &str) -> io::Result<Box<dyn io::Write>>;
    /// Makes a file of `len` zeros that takes up no room until it is written.
    fn create_sparse(&mut self, path: &str, len: u64) -> io::Result<()>;
    /// Copies a file's bytes and mode.
    fn copy(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Copies a tree over the tree `root`, whose links are followed as if it were the root: how many files there were.
    fn copy_over(&mut self, from: &str, root: &str) -> io::Result<u64>;
    /// Gives the folder `to` the mode, owner and extended attributes of the folder `from`.
    fn copy_attributes(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Moves the system at `from` to `to`, a file system with nothing in it, and gives its files what `list` has for them.
    fn move_tree(&mut self, from: &str, to: &str, list: &Attributes) -> io::Result<Moved>;

    /// Mounts.
    fn mount(&mut self, mount: &Mount<'_>) -> io::Result<()>;
    /// Changes the options of the mount at `target`.
    fn remount(&mut self, target: &str, flags: MountFlags, data: &str) -> io::Result<()>;
    /// Makes `from` visible at `to` too.
    fn bind(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Takes the mount at `from` to `to`.
    fn move_mount(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Unmounts.
    fn unmount(&mut self, path: &str) -> io::Result<()>;
    /// Attaches a file to a free loop device, which goes with its last user; the device's path.
    fn attach_loop(&mut self, file: &str, access: Access) -> io::Result<String>;
    /// Detaches what [`attach_loop`](Self::attach_loop) attached; the file is in use until the device's last user goes.
    fn detach_loop(&mut self, device: &str) -> io::Result<()>;
    /// Where the bytes of a file begin on its file system's device, in bytes; an error where they lie in several pieces.
    fn extent(&self, path: &str) -> io::Result<u64>;
    /// Opens the drive that this device is.
    fn eject(&mut self, device: &str) -> io::Result<()>;
    /// Makes a device-mapper device with this table, and its link `/dev/mapper/<name>`; the path of its node.
    fn map(
        &mut self,
        name: &str,
        uuid: &str,
        table: &[Target<'_>],
        access: Access,
    ) -> io::Result<String>;
    /// Removes a device-mapper device and its link; refused while it is used.
    fn unmap(&mut self, name: &str) -> io::Result<()>;
    /// Runs a program of the initramfs to its end, with these bytes for its input.
    fn run(&mut self, program: &str, arguments: &[&str], input: &[u8]) -> io::Result<Finished>;

    /// Loads a kernel module with its parameters.
    fn load_module(&mut self, path: &str, parameters: &str) -> io::Result<()>;
    /// Starts to listen for what the kernel says of devices.
    fn listen(&mut self) -> io::Result<()>;
    /// The next message of the kernel; `None` where none came in time.
    fn next_event(&mut self, wait: Wait) -> io::Result<Option<Vec<u8>>>;

    /// Whether a program is at this path of the folder `root`, links followed as if that folder were the root.
    fn has_program(&self, root: &str, path: &str) -> bool;
    /// Makes `root`, a mount, the root of everything, and frees the memory of the one before.
    fn change_root(&mut self, root: &str) -> io::Result<()>;
    /// Becomes this program, with the arguments that the kernel gave; answers only where that is refused.
    fn execute(&mut self, program: &str) -> io::Error;
    /// Starts a shell on the console and waits for its end.
    fn shell(&mut self) -> io::Result<()>;
    /// Ends the machine; answers only where that is refused.
    fn power(&mut self, how: Emergency) -> io::Error;
    /// Does nothing any more, for ever; the kernel's ctrl-alt-del still works.
    fn rest(&mut self) -> !;
}
