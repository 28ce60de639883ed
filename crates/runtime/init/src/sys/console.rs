//! The kernel's log, and the consoles.

use std::fs::File;
use std::io::Write as _;

use contract::request::Verbosity;

use super::files;
use crate::system::Level;

const KMSG: &str = "/dev/kmsg";
/// Limits how often a program may write to the log, unless it says `on`.
const KMSG_LIMIT: &str = "/proc/sys/kernel/printk_devkmsg";
/// The level of what the console shows; the first of four numbers.
const CONSOLE_LEVEL: &str = "/proc/sys/kernel/printk";
/// The names of all consoles. `/dev/console` is only the last of them.
const ACTIVE: &str = "/sys/class/tty/console/active";

const ERROR: u8 = 3;
const INFO: u8 = 6;
const DEBUG: u8 = 7;

/// The consoles' names, as the kernel has them.
pub(super) fn names() -> Vec<String> {
    let names = files::read(ACTIVE, 4096).unwrap_or_default();
    let names = String::from_utf8_lossy(&names);
    names.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Console {
    kmsg: Option<File>,
    screens: Vec<File>,
    step: u8,
    /// `None` keeps details to ourselves: the kernel takes ten lines in five seconds, and what counts must not be cut off.
    detail: Option<u8>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            kmsg: None,
            screens: Vec::new(),
            step: INFO,
            detail: None,
        }
    }
}

impl Console {
    /// What is to be told gets a level that the console shows, though the kernel itself may have to be quiet.
    pub(super) fn set_verbosity(&mut self, verbosity: Verbosity) {
        let level = files::read(CONSOLE_LEVEL, 64).ok().and_then(|bytes| {
            let text = String::from_utf8(bytes).ok()?;
            text.split_ascii_whitespace().next()?.parse::<u8>().ok()
        });
        let shown = level.unwrap_or(DEBUG).saturating_sub(1).max(1);
        if verbosity >= Verbosity::Normal {
            self.step = INFO.min(shown);
        }
        if verbosity == Verbosity::Debug {
            self.detail = Some(self.step);
            // Where it cannot be lifted some lines are missing.
            let _ = std::fs::write(KMSG_LIMIT, "on\n");
        }
    }

    pub(super) fn log(&mut self, level: Level, text: &str) {
        let level = match level {
            Level::Warning => Some(ERROR),
            Level::Step => Some(self.step),
            Level::Detail => self.detail,
        };
        let Some(level) = level else {
            return;
        };
        if self.kmsg.is_none() {
            self.kmsg = File::options().write(true).open(KMSG).ok();
        }
        let line = format!("<{level}>liveos-init: {text}\n");
        // A line is one write; where there is no log nobody reads it.
        let _ = self
            .kmsg
            .as_mut()
            .map(|kmsg| kmsg.write_all(line.as_bytes()));
    }

    pub(super) fn show(&mut self, text: &str) {
        if self.screens.is_empty() {
            self.screens = names()
                .iter()
                .map(String::as_str)
                .chain(["console"])
                .map(|name| File::options().write(true).open(format!("/dev/{name}")))
                .filter_map(Result::ok)
                .collect();
            // The list names what `/dev/console` leads to.
            if self.screens.len() > 1 {
                self.screens.pop();
            }
        }
        for screen in &mut self.screens {
            let _ = screen.write_all(text.as_bytes());
        }
        if self.screens.is_empty() {
            let _ = rustix::io::write(rustix::stdio::stdout(), text.as_bytes());
        }
    }
}
