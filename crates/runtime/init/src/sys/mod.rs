//! The real machine: system calls, through rustix' safe wrappers wherever there is one. The only unsafe code is in `disks`, `eject`,
//! `extent`, `loopdev`, `mapper` and `network`.

mod console;
mod disks;
mod eject;
mod extent;
mod files;
mod keys;
mod last;
mod loopdev;
mod mapper;
#[cfg(feature = "network")]
mod network;
mod over;
mod program;
mod relocate;
mod root;
mod uevents;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use contract::attributes::Attributes;
use contract::request::{Emergency, Verbosity};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount, mount_bind, mount_move, mount_remount, unmount};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

pub(crate) use last::Last;

use crate::role::shutdown::{End, Teardown as _};
use crate::system::{
    Access, Bytes, Finished, Kind, Level, Mount, MountFlags, Moved, System, Target, Wait,
};

/// Where a shell may be in an initramfs.
const SHELLS: [&str; 4] = ["/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash"];

/// The machine that we run on.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    console: console::Console,
    keys: keys::Keys,
    uevents: Option<OwnedFd>,
    /// Loop devices go with their last user: we are one until something is mounted.
    loops: Vec<(String, File)>,
    #[cfg(feature = "network")]
    sockets: network::Sockets,
}

impl System for Machine {
    fn clock(&self) -> Duration {
        Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
    }

    fn set_clock_floor(&mut self, path: &str) -> io::Result<bool> {
        let floor = std::fs::metadata(path)?.mtime();
        if clock_gettime(ClockId::Realtime).tv_sec >= floor {
            return Ok(false);
        }
        let floor = Timespec {
            tv_sec: floor,
            tv_nsec: 0,
        };
        clock_settime(ClockId::Realtime, floor)?;
        Ok(true)
    }

    fn set_verbosity(&mut self, verbosity: Verbosity) {
        self.console.set_verbosity(verbosity);
    }

    fn log(&mut self, level: Level, text: &str) {
        self.console.log(level, text);
    }

    fn console(&mut self, text: &str) {
        self.console.show(text);
    }

    fn watch_keys(&mut self) -> io::Result<()> {
        self.keys = keys::Keys::watch()?;
        Ok(())
    }

    fn pressed_keys(&mut self) -> Vec<u8> {
        self.keys.pressed()
    }

    fn ignore_keys(&mut self) {
        self.keys = keys::Keys::default();
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        files::read(path, limit)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        files::list(path)
    }

    fn kind(&self, path: &str) -> io::Result<Kind> {
        files::kind(path)
    }

    fn make_dir(&mut self, path: &str) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn link(&mut self, target: &str, path: &str) -> io::Result<()> {
        files::link(target, path)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Bytes>> {
        files::open(path)
    }

    fn create(&mut self, path: &str) -> io::Result<Box<dyn io::Write>> {
        Ok(Box::new(File::create(path)?))
    }

    fn create_sparse(&mut self, path: &str, len: u64) -> io::Result<()> {
        File::create(path)?.set_len(len)
    }

    fn copy(&mut self, from: &str, to: &str) -> io::Result<()> {
        files::copy(from, to)
    }

    fn copy_over(&mut self, from: &str, root: &str) -> io::Result<u64> {
        over::copy_over(from, root)
    }

    fn copy_attributes(&mut self, from: &str, to: &str) -> io::Result<()> {
        files::copy_attributes(from, to)
    }

    fn move_tree(&mut self, from: &str, to: &str, list: &Attributes) -> io::Result<Moved> {
        relocate::relocate(from, to, list)
    }

    fn mount(&mut self, it: &Mount<'_>) -> io::Result<()> {
        let data = CString::new(it.data)?;
        Ok(mount(
            it.source,
            it.target,
            it.kind,
            it.flags,
            data.as_c_str(),
        )?)
    }

    fn remount(&mut self, target: &str, flags: MountFlags, data: &str) -> io::Result<()> {
        Ok(mount_remount(target, flags, data)?)
    }

    fn bind(&mut self, from: &str, to: &str) -> io::Result<()> {
        Ok(mount_bind(from, to)?)
    }

    fn move_mount(&mut self, from: &str, to: &str) -> io::Result<()> {
        Ok(mount_move(from, to)?)
    }

    fn unmount(&mut self, path: &str) -> io::Result<()> {
        Ok(unmount(path, UnmountFlags::empty())?)
    }

    fn attach_loop(&mut self, file: &str, access: Access) -> io::Result<String> {
        let (device, path) = loopdev::attach(file, access)?;
        self.loops.push((path.clone(), device));
        Ok(path)
    }

    fn detach_loop(&mut self, device: &str) -> io::Result<()> {
        // The device's last user takes the file along: that may be this handle.
        self.loops.retain(|(path, _)| path != device);
        match loopdev::detach(device) {
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(()),
            other => other,
        }
    }

    fn extent(&self, path: &str) -> io::Result<u64> {
        extent::extent(path)
    }

    fn eject(&mut self, device: &str) -> io::Result<()> {
        eject::eject(device)
    }

    fn map(
        &mut self,
        name: &str,
        uuid: &str,
        table: &[Target<'_>],
        access: Access,
    ) -> io::Result<String> {
        let path = mapper::create(name, uuid, table, access)?;
        let node = path.trim_start_matches("/dev/");
        files::link(&format!("../{node}"), &format!("/dev/mapper/{name}"))?;
        Ok(path)
    }

    fn unmap(&mut self, name: &str) -> io::Result<()> {
        mapper::remove(name)?;
        match std::fs::remove_file(format!("/dev/mapper/{name}")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn run(&mut self, program: &str, arguments: &[&str], input: &[u8]) -> io::Result<Finished> {
        program::run(program, arguments, input)
    }

    fn load_module(&mut self, path: &str, parameters: &str) -> io::Result<()> {
        let file = File::open(path)?;
        let parameters = CString::new(parameters)?;
        Ok(rustix::system::finit_module(&file, &parameters, 0)?)
    }

    fn listen(&mut self) -> io::Result<()> {
        self.uevents = Some(uevents::listen()?);
        Ok(())
    }

    fn next_event(&mut self, wait: Wait) -> io::Result<Option<Vec<u8>>> {
        uevents::next(self.uevents.as_ref(), wait)
    }

    fn has_program(&self, root: &str, path: &str) -> bool {
        root::has_program(root, path)
    }

    fn change_root(&mut self, root: &str) -> io::Result<()> {
        root::change(root)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this process becomes the system's init here"
    )]
    fn execute(&mut self, program: &str) -> io::Error {
        Command::new(program)
            .args(std::env::args_os().skip(1))
            .exec()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the command line asked for a shell"
    )]
    fn shell(&mut self) -> io::Result<()> {
        for shell in SHELLS {
            match Command::new(shell).status() {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("there is none in the initramfs"))
    }

    fn power(&mut self, how: Emergency) -> io::Error {
        let end = match how {
            Emergency::Reboot => End::Reboot,
            Emergency::PowerOff => End::PowerOff,
            Emergency::Halt => End::Halt,
        };
        Last.sync();
        Last.end(end)
    }

    fn rest(&mut self) -> ! {
        rest()
    }
}

/// Sleeps for ever. The kernel starts the machine again when it sees ctrl-alt-del.
pub(crate) fn rest() -> ! {
    loop {
        rustix::event::pause();
    }
}

/// Somebody started this program by hand.
pub(crate) fn usage() {
    let text = "liveos-init is the first program of an initramfs (process 1); elsewhere it only does `hook claim` and `hook mount <folder>`, for dracut\n";
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
}
