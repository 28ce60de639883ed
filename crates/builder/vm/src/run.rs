//! A machine with its console in the terminal.

use std::process::{Command, ExitStatus};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::accelerator;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::machine::Machine;
use crate::prepare::prepare;

/// Runs `machine` until it ends and answers with QEMU's status.
///
/// QEMU puts the terminal into raw mode itself and gives it back; where it is killed before it can, the
/// terminal is put back here.
///
/// # Errors
///
/// As [`prepare`]; [`Error::Io`] where QEMU cannot be started.
pub fn run(machine: &Machine, host: &Host) -> Result<ExitStatus> {
    let accelerator = accelerator::choose(&host.qemu()?, accelerator::DEADLINE)?;
    let prepared = prepare(machine, host, accelerator)?;
    let _terminal = Terminal::keep();
    #[expect(
        clippy::disallowed_methods,
        reason = "starting QEMU is what this crate is for"
    )]
    Command::new(&prepared.program)
        .args(&prepared.arguments)
        .status()
        .map_err(|error| Error::io(format!("starting {}", prepared.program.display()), error))
}

/// The terminal's settings as they were, put back at the end.
struct Terminal(Option<Termios>);

impl Terminal {
    /// Keeps the settings of the standard input, if that is a terminal.
    fn keep() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // Nothing better can be done about a terminal that has gone away meanwhile.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, settings);
        }
    }
}
