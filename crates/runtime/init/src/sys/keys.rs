//! Keys that somebody presses on a console, without waiting for them.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::console;

/// Consoles that are read from key by key; they are as they were when this goes.
#[derive(Debug, Default)]
pub(super) struct Keys {
    consoles: Vec<(File, Termios)>,
}

impl Keys {
    /// Opens every console that there is.
    pub(super) fn watch() -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let mut keys = Self::default();
        for name in console::names() {
            match open(&name) {
                Ok(console) => keys.consoles.push(console),
                Err(error) => last = error,
            }
        }
        if keys.consoles.is_empty() {
            return Err(last);
        }
        Ok(keys)
    }

    /// What was pressed since the last time.
    pub(super) fn pressed(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        for (console, _) in &mut self.consoles {
            let mut some = [0; 64];
            let count = console.read(&mut some).unwrap_or(0);
            all.extend_from_slice(some.get(..count).unwrap_or_default());
        }
        all
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        for (console, before) in &self.consoles {
            // A console that is gone needs no mode.
            let _ = tcsetattr(console, OptionalActions::Now, before);
        }
    }
}

fn open(name: &str) -> io::Result<(File, Termios)> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let console = File::options()
        .read(true)
        .custom_flags(flags)
        .open(format!("/dev/{name}"))?;
    let before = tcgetattr(&console)?;
    let mut single = before.clone();
    single.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO);
    single.special_codes[SpecialCodeIndex::VMIN] = 0;
    single.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&console, OptionalActions::Now, &single)?;
    Ok((console, before))
}
