//! The end of the machine.

use std::fs::File;
use std::io::{self, Write as _};

use rustix::mount::{MountFlags, UnmountFlags, mount_move, mount_remount, unmount};
use rustix::system::{RebootCommand, reboot};

use super::{eject, files, loopdev, mapper};
use crate::role::shutdown::{End, Teardown};

/// The longest mount table that is read, in bytes.
const MOUNTS: usize = 16 << 20;

/// The longest command line, and the longest name of a device, that are read, in bytes.
const CMDLINE: usize = 64 * 1024;
const NAME: usize = 4096;

/// The link to the live medium's device, seen from what was `/run/initramfs` and is the root now.
const MEDIUM: &str = "/livedev";

/// The machine, when all that is left to do is to end it.
#[derive(Debug)]
pub(crate) struct Last;

impl Teardown for Last {
    fn mount_table(&self) -> String {
        let table = files::read("/proc/self/mountinfo", MOUNTS).unwrap_or_default();
        String::from_utf8_lossy(&table).into_owned()
    }

    fn unmount(&mut self, path: &str, lazily: bool) -> io::Result<()> {
        let flags = if lazily {
            UnmountFlags::DETACH | UnmountFlags::NOFOLLOW
        } else {
            UnmountFlags::NOFOLLOW
        };
        Ok(unmount(path, flags)?)
    }

    fn set_aside(&mut self, path: &str, number: usize) -> io::Result<()> {
        let place = format!("/aside/{number}");
        std::fs::create_dir_all(&place)?;
        Ok(mount_move(path, place)?)
    }

    fn freeze(&mut self, path: &str) -> io::Result<()> {
        Ok(mount_remount(path, MountFlags::RDONLY, "")?)
    }

    fn mapped(&self) -> Vec<String> {
        let devices = files::list("/sys/block").unwrap_or_default();
        let names = devices.iter().filter(|name| name.starts_with("dm-"));
        names
            .filter_map(|name| files::read(&format!("/sys/block/{name}/dm/name"), NAME).ok())
            .map(|name| String::from_utf8_lossy(&name).trim_end().to_owned())
            .collect()
    }

    fn unmap(&mut self, name: &str) -> io::Result<()> {
        mapper::remove(name)
    }

    fn medium(&self) -> Option<String> {
        let device = std::fs::read_link(MEDIUM).ok()?;
        let device = device.to_str()?;
        // Nothing else has a door.
        device.starts_with("/dev/sr").then(|| device.to_owned())
    }

    fn cmdline(&self) -> String {
        let text = files::read("/proc/cmdline", CMDLINE).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn eject(&mut self, device: &str) -> io::Result<()> {
        eject::eject(device)
    }

    fn detach_loops(&mut self) {
        for name in files::list("/sys/block").unwrap_or_default() {
            if files::kind(&format!("/sys/block/{name}/loop/backing_file")).is_ok() {
                // One that is in use is tried again in the next round.
                let _ = loopdev::detach(&format!("/dev/{name}"));
            }
        }
    }

    fn sync(&mut self) {
        rustix::fs::sync();
    }

    fn end(&mut self, end: End) -> io::Error {
        let command = match end {
            End::PowerOff => RebootCommand::PowerOff,
            End::Reboot => RebootCommand::Restart,
            End::Halt => RebootCommand::Halt,
            End::Kexec => RebootCommand::Kexec,
        };
        match reboot(command) {
            Ok(()) => io::Error::other("the kernel came back"),
            Err(error) => error.into(),
        }
    }

    fn tell(&mut self, text: &str) {
        let console = File::options().write(true).open("/dev/console");
        let _ = console.and_then(|mut console| console.write_all(text.as_bytes()));
    }
}
