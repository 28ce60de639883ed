//! The last program of the system: unmounts what the live root was made of, and ends the machine.
//!
//! systemd-shutdown makes [`contract::media::RUN_INITRAMFS`] the root, with the old one at `/oldroot`, and starts `/shutdown` with one
//! word: `poweroff`, `reboot`, `halt` or `kexec`. Everything is best effort, as the machine ends whatever happens.

use std::io;

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
    /// Detaches every loop device that has a file.
    fn detach_loops(&mut self);
    /// Writes all that is not written.
    fn sync(&mut self);
    /// Ends the machine; answers only where that is refused.
    fn end(&mut self, end: End) -> io::Error;
    /// A line on the console.
    fn tell(&mut self, text: &str);
}

/// What is kept until the end: where we stand, and what we talk to the kernel through.
const KEPT: [&str; 4] = ["/", "/proc", "/sys", "/dev"];

/// How often the mounts are gone through: each round frees at least one, or is the last. More than any stack of mounts has.
const MAX_ROUNDS: usize = 64;

/// Releases everything and ends the machine.
pub(crate) fn run(system: &mut dyn Teardown, end: End) {
    system.sync();
    let mut left = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let before = mount_points(&system.mount_table());
        // The last mounted is on top.
        left = before
            .iter()
            .rev()
            .filter(|path| system.unmount(path, false).is_err())
            .cloned()
            .collect();
        system.detach_loops();
        if left.is_empty() || left.len() == before.len() {
            break;
        }
    }
    for path in &left {
        if system.unmount(path, true).is_err() {
            system.tell(&format!("liveos-init: {path} stays mounted\n"));
        }
    }
    system.sync();
    let error = system.end(end);
    system.tell(&format!("liveos-init: {end:?} was refused: {error}\n"));
    // A kernel to start may not be there; the machine must end all the same.
    if end == End::Kexec {
        system.end(End::Reboot);
    }
}

/// The mount points in a table in the kernel's order, without those that are kept.
fn mount_points(table: &str) -> Vec<String> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let below = |path: &str, top: &str| {
        path.strip_prefix(top)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    points
        .map(unescape)
        .filter(|path| {
            !KEPT.contains(&path.as_str())
                && !["/proc", "/sys", "/dev"].iter().any(|top| below(path, top))
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

    /// A machine whose mounts hold each other: one can only go when those that need it are gone.
    struct Stack {
        mounts: Vec<&'static str>,
        busy: Vec<(&'static str, &'static str)>,
        loops: bool,
        done: Vec<String>,
    }

    impl Teardown for Stack {
        fn mount_table(&self) -> String {
            self.mounts
                .iter()
                .map(|path| format!("1 1 0:1 / {path} rw - tmpfs tmpfs rw\n"))
                .collect()
        }
        fn unmount(&mut self, path: &str, lazily: bool) -> io::Result<()> {
            let held = self.busy.iter().any(|(held, by)| {
                *held == path && (self.mounts.contains(by) || (*by == "loop" && self.loops))
            });
            if held && !lazily {
                return Err(io::Error::from_raw_os_error(16));
            }
            self.mounts.retain(|mount| unescape(mount) != path);
            self.done
                .push(format!("{}{path}", if lazily { "lazily " } else { "" }));
            Ok(())
        }
        fn detach_loops(&mut self) {
            self.loops = self.mounts.contains(&"/oldroot/run/initramfs/squashfs");
        }
        fn sync(&mut self) {
            self.done.push("sync".into());
        }
        fn end(&mut self, end: End) -> io::Error {
            self.done.push(format!("{end:?}"));
            io::Error::from_raw_os_error(22)
        }
        fn tell(&mut self, _: &str) {}
    }

    fn stack() -> Stack {
        Stack {
            mounts: vec![
                "/",
                "/oldroot",
                "/oldroot/run",
                "/oldroot/run/initramfs/live",
                "/oldroot/run/initramfs/squashfs",
                "/oldroot/run/with\\040space",
                "/proc",
                "/sys",
                "/sys/fs/cgroup",
                "/dev",
            ],
            busy: vec![
                ("/oldroot/run/initramfs/live", "loop"),
                ("/oldroot/run/initramfs/squashfs", "/oldroot"),
                ("/oldroot/run", "/oldroot/run/initramfs/live"),
            ],
            loops: true,
            done: Vec::new(),
        }
    }

    #[test]
    fn everything_is_released_in_as_many_rounds_as_it_takes() {
        let mut stack = stack();
        run(&mut stack, End::Reboot);
        assert_eq!(
            stack.mounts,
            ["/", "/proc", "/sys", "/sys/fs/cgroup", "/dev"]
        );
        assert!(!stack.loops);
        assert!(
            !stack.done.iter().any(|line| line.starts_with("lazily")),
            "{:?}",
            stack.done
        );
        assert!(stack.done.contains(&"/oldroot/run/with space".to_owned()));
        assert!(
            stack
                .done
                .ends_with(&["sync".to_owned(), "Reboot".to_owned()])
        );
    }

    #[test]
    fn what_stays_busy_goes_lazily_and_the_machine_ends_all_the_same() {
        let mut stack = stack();
        stack.busy.push(("/oldroot", "/"));
        run(&mut stack, End::PowerOff);
        assert!(stack.done.contains(&"lazily /oldroot".to_owned()));
        assert_eq!(stack.done.last().unwrap(), "PowerOff");
    }

    #[test]
    fn without_a_kernel_to_start_the_machine_reboots() {
        let mut stack = stack();
        run(&mut stack, End::Kexec);
        assert!(
            stack
                .done
                .ends_with(&["Kexec".to_owned(), "Reboot".to_owned()])
        );
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
