//! The last program of the system: unmounts what the live root was made of, and ends the machine.
//!
//! systemd-shutdown makes [`contract::media::RUN_INITRAMFS`] the root, with the old one at `/oldroot`, and starts `/shutdown` with one
//! word: `poweroff`, `reboot`, `halt` or `kexec`. Everything is best effort, as the machine ends whatever happens.
//!
//! The mounts hold each other in a circle: the medium's mount point lies in `/run`, which lies in the overlay, whose lower layer is an
//! image on the medium. What does not go is therefore set aside, out of the circle, and then goes.
//!
//! Device-mapper and loop devices hang in chains (a snapshot on a hash tree on a loop device): each round takes those that nobody holds.

use std::io;

use contract::cmdline::Cmdline;
use contract::parameter;

/// How the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    PowerOff,
    Reboot,
    Halt,
    Kexec,
}

impl End {
    /// What systemd's word means; an unknown one powers off.
    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "reboot" | "soft-reboot" => Self::Reboot,
            "halt" => Self::Halt,
            "kexec" => Self::Kexec,
            _ => Self::PowerOff,
        }
    }
}

/// What this role needs of the machine.
pub(crate) trait Teardown {
    /// `/proc/self/mountinfo`.
    fn mount_table(&self) -> String;
    /// Unmounts; `lazily` when nothing else helps.
    fn unmount(&mut self, path: &str, lazily: bool) -> io::Result<()>;
    /// Takes a mount out of the old root, to a place in ours with this number.
    fn set_aside(&mut self, path: &str, number: usize) -> io::Result<()>;
    /// Takes the write access away from what lies at a mount point, so that what was written is whole.
    fn freeze(&mut self, path: &str) -> io::Result<()>;
    /// Detaches every loop device that has a file.
    fn detach_loops(&mut self);
    /// The names of the device-mapper devices.
    fn mapped(&self) -> Vec<String>;
    /// Removes a device-mapper device; refused while it is used.
    fn unmap(&mut self, name: &str) -> io::Result<()>;
    /// The device of the live medium, as long as nothing is unmounted.
    fn medium(&self) -> Option<String>;
    /// The kernel's command line.
    fn cmdline(&self) -> String;
    /// Puts the medium out of its drive.
    fn eject(&mut self, device: &str) -> io::Result<()>;
    /// Writes all that is not written.
    fn sync(&mut self);
    /// Ends the machine; answers only where that is refused.
    fn end(&mut self, end: End) -> io::Error;
    /// A line on the console.
    fn tell(&mut self, text: &str);
}

/// What is kept until the end: where we stand, and what we talk to the kernel through.
const KEPT: [&str; 4] = ["/", "/proc", "/sys", "/dev"];

/// Where systemd leaves the root that it came from.
const OLD_ROOT: &str = "/oldroot";

/// How often the mounts are gone through: each round frees at least one, or is the last. More than any stack of mounts has.
const MAX_ROUNDS: usize = 64;

/// Releases everything and ends the machine.
pub(crate) fn run(system: &mut dyn Teardown, end: End) {
    let ejected = to_eject(system);
    system.sync();
    for path in release(system) {
        // What a program holds open is whole all the same.
        let _ = system.freeze(&path);
        match system.unmount(&path, true) {
            // One above it took it along.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => system.tell(&format!("liveos-init: {path} stays mounted: {error}\n")),
            Ok(()) => system.tell(&format!("liveos-init: {path} was still in use\n")),
        }
    }
    release_devices(system);
    for name in system.mapped() {
        system.tell(&format!(
            "liveos-init: the device {name} was still in use\n"
        ));
    }
    system.sync();
    // The next kernel may boot from it.
    if let Some(device) = ejected.filter(|_| end != End::Kexec)
        && let Err(error) = system.eject(&device)
    {
        system.tell(&format!("liveos-init: {device} was not ejected: {error}\n"));
    }
    let error = system.end(end);
    system.tell(&format!("liveos-init: {end:?} was refused: {error}\n"));
    // A kernel to start may not be there; the machine must end all the same.
    if end == End::Kexec {
        system.end(End::Reboot);
    }
}

/// The medium to put out of its drive, where the command line asks for that.
fn to_eject(system: &dyn Teardown) -> Option<String> {
    let cmdline = Cmdline::parse(&system.cmdline());
    if !cmdline.boolean(&[parameter::EJECT], false) {
        return None;
    }
    system.medium()
}

/// Frees devices as long as one goes: each may be what held the next one.
fn release_devices(system: &mut dyn Teardown) {
    for _ in 0..MAX_ROUNDS {
        let mut gone = false;
        for name in system.mapped() {
            gone |= system.unmap(&name).is_ok();
        }
        system.detach_loops();
        if !gone {
            break;
        }
    }
}

/// Unmounts in as many rounds as it takes: what is left, the last mounted first.
fn release(system: &mut dyn Teardown) -> Vec<String> {
    let mut left = Vec::new();
    let mut aside: usize = 0;
    for _ in 0..MAX_ROUNDS {
        let before = mount_points(&system.mount_table());
        left.clear();
        // The last mounted is on top.
        for path in before.iter().rev() {
            if system.unmount(path, false).is_err() {
                left.push(path.clone());
            }
        }
        release_devices(system);
        if left.is_empty() {
            break;
        }
        if left.len() < before.len() {
            continue;
        }
        let of_old_root = left.iter().filter(|path| is_below(path, OLD_ROOT));
        let mut moved = false;
        for path in of_old_root {
            aside = aside.saturating_add(1);
            moved |= system.set_aside(path, aside).is_ok();
        }
        if !moved {
            break;
        }
    }
    left
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// The mount points in a table in the kernel's order, without those that are kept.
fn mount_points(table: &str) -> Vec<String> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .map(unescape)
        .filter(|path| {
            !KEPT.contains(&path.as_str())
                && !["/proc", "/sys", "/dev"]
                    .iter()
                    .any(|top| is_below(path, top))
        })
        .collect()
}

/// The kernel writes white space and `\` as `\` and three octal digits.
fn unescape(path: &str) -> String {
    let mut pieces = path.split('\\');
    let mut text = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let code = piece
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                text.push(code);
                text.extend(piece.bytes().skip(3));
            }
            None => {
                text.push(b'\\');
                text.extend(piece.bytes());
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose mounts hold each other, as those of a live system do.
    struct Stack {
        mounts: Vec<String>,
        /// The first cannot go while the second is there.
        held: Vec<(&'static str, &'static str)>,
        /// Device-mapper devices, each with the mount or device that it cannot go before.
        mapped: Vec<(&'static str, &'static str)>,
        cmdline: &'static str,
        done: Vec<String>,
    }

    impl Stack {
        fn is_busy(&self, path: &str) -> bool {
            let name = path.rsplit('/').next().unwrap();
            let below = format!("{path}/");
            self.mounts.iter().any(|mount| mount.starts_with(&below))
                || self.held.iter().any(|(held, by)| {
                    held.ends_with(name) && self.mounts.iter().any(|mount| mount == by)
                })
        }
    }

    impl Teardown for Stack {
        fn mount_table(&self) -> String {
            let line = |path: &String| format!("1 1 0:1 / {path} rw - tmpfs tmpfs rw\n");
            self.mounts.iter().map(line).collect()
        }
        fn unmount(&mut self, path: &str, lazily: bool) -> io::Result<()> {
            if !self.mounts.iter().any(|mount| unescape(mount) == path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if self.is_busy(path) && !lazily {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            let below = format!("{path}/");
            self.mounts
                .retain(|mount| unescape(mount) != path && !mount.starts_with(&below));
            self.done
                .push(format!("{}{path}", if lazily { "lazily " } else { "" }));
            Ok(())
        }
        fn set_aside(&mut self, path: &str, number: usize) -> io::Result<()> {
            if self.is_busy(path)
                && self
                    .mounts
                    .iter()
                    .any(|m| m.starts_with(&format!("{path}/")))
            {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            let name = path.rsplit('/').next().unwrap();
            let place = self.mounts.iter_mut().find(|mount| *mount == path).unwrap();
            *place = format!("/aside/{number}/{name}");
            Ok(())
        }
        fn freeze(&mut self, path: &str) -> io::Result<()> {
            self.done.push(format!("freeze {path}"));
            Ok(())
        }
        fn detach_loops(&mut self) {}
        fn mapped(&self) -> Vec<String> {
            self.mapped
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect()
        }
        fn unmap(&mut self, name: &str) -> io::Result<()> {
            let (_, holder) = self.mapped.iter().find(|(n, _)| *n == name).unwrap();
            let is_held = self.mapped.iter().any(|(n, _)| n == holder)
                || self.mounts.iter().any(|mount| mount.ends_with(holder));
            if is_held {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            self.mapped.retain(|(n, _)| *n != name);
            self.done.push(format!("unmap {name}"));
            Ok(())
        }
        fn medium(&self) -> Option<String> {
            let there = self.mounts.iter().any(|mount| mount.ends_with("/live"));
            there.then(|| "/dev/sr0".to_owned())
        }
        fn cmdline(&self) -> String {
            self.cmdline.to_owned()
        }
        fn eject(&mut self, device: &str) -> io::Result<()> {
            self.done.push(format!("eject {device}"));
            Ok(())
        }
        fn sync(&mut self) {
            self.done.push("sync".into());
        }
        fn end(&mut self, end: End) -> io::Error {
            self.done.push(format!("{end:?}"));
            io::ErrorKind::InvalidInput.into()
        }
        fn tell(&mut self, text: &str) {
            self.done.push(text.trim().to_owned());
        }
    }

    fn stack() -> Stack {
        let mounts = [
            "/",
            "/oldroot",
            "/oldroot/proc",
            "/oldroot/run",
            "/oldroot/run/initramfs",
            "/oldroot/run/initramfs/live",
            "/oldroot/run/initramfs/squashfs",
            "/oldroot/run/with\\040space",
            "/proc",
            "/sys",
            "/sys/fs/cgroup",
            "/dev",
        ];
        Stack {
            mounts: mounts.map(str::to_owned).to_vec(),
            // The overlay's lower layer is an image on the medium.
            held: vec![("live", "/oldroot")],
            mapped: Vec::new(),
            cmdline: "root=live:CDLABEL=CDROM",
            done: Vec::new(),
        }
    }

    #[test]
    fn what_holds_each_other_in_a_circle_is_released() {
        let mut stack = stack();
        run(&mut stack, End::Reboot);
        assert_eq!(
            stack.mounts,
            ["/", "/proc", "/sys", "/sys/fs/cgroup", "/dev"]
        );
        let lazy = stack
            .done
            .iter()
            .filter(|l| l.starts_with("lazily") || l.contains("liveos-init"));
        assert_eq!(lazy.count(), 1, "{:?}", stack.done);
        assert!(stack.done.contains(&"/oldroot/run/with space".to_owned()));
        let end = stack.done.iter().position(|line| line == "Reboot").unwrap();
        assert_eq!(stack.done[end - 1], "sync");
    }

    #[test]
    fn what_stays_busy_goes_lazily_and_the_machine_ends_all_the_same() {
        let mut stack = stack();
        stack.held.push(("oldroot", "/"));
        run(&mut stack, End::PowerOff);
        assert!(stack.done.contains(&"lazily /oldroot".to_owned()));
        assert!(stack.done.contains(&"PowerOff".to_owned()));
    }

    #[test]
    fn devices_go_in_the_order_in_which_they_hold_each_other() {
        let mut stack = stack();
        // A mount holds the snapshot, the snapshot the hash tree, whatever their names' order is.
        stack.mapped = vec![("a-verity", "live-rw"), ("live-rw", "/squashfs")];
        run(&mut stack, End::PowerOff);
        assert!(stack.mapped.is_empty(), "{:?}", stack.done);
        let unmapped: Vec<_> = stack
            .done
            .iter()
            .filter(|line| line.starts_with("unmap"))
            .collect();
        assert_eq!(unmapped, ["unmap live-rw", "unmap a-verity"]);
        assert!(!stack.done.iter().any(|line| line.contains("in use")));
    }

    #[test]
    fn a_device_that_stays_is_named_and_what_was_written_is_made_whole() {
        let mut stack = stack();
        stack.held.push(("oldroot", "/"));
        stack.mapped = vec![("persistence", "proc")];
        run(&mut stack, End::PowerOff);
        let place = |text: &str| stack.done.iter().position(|line| line == text);
        assert!(
            place("freeze /oldroot") < place("lazily /oldroot"),
            "{:?}",
            stack.done
        );
        assert!(place("liveos-init: the device persistence was still in use").is_some());
        assert!(place("PowerOff").is_some());
    }

    #[test]
    fn the_medium_is_ejected_only_where_that_is_asked_for_and_when_all_is_released() {
        let mut quiet = stack();
        run(&mut quiet, End::PowerOff);
        assert!(!quiet.done.iter().any(|line| line.starts_with("eject")));
        let mut stack = stack();
        stack.cmdline = "root=live:CDLABEL=CDROM rd.live.eject";
        run(&mut stack, End::Reboot);
        let lines = stack.done.len();
        assert_eq!(stack.done[lines - 3], "eject /dev/sr0", "{:?}", stack.done);
    }

    #[test]
    fn without_a_kernel_to_start_the_machine_reboots() {
        let mut stack = stack();
        run(&mut stack, End::Kexec);
        assert_eq!(stack.done.last().unwrap(), "Reboot");
    }

    #[test]
    fn words_and_paths_are_understood() {
        assert_eq!(End::parse("reboot"), End::Reboot);
        assert_eq!(End::parse("halt"), End::Halt);
        assert_eq!(End::parse("kexec"), End::Kexec);
        assert_eq!(End::parse("poweroff"), End::PowerOff);
        assert_eq!(End::parse(""), End::PowerOff);
        assert_eq!(unescape("/a\\040b\\134c\\9"), "/a b\\c\\9");
    }
}
