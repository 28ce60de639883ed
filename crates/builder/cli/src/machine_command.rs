//! `liveos run`: media in a virtual machine.

use vm::{Attach, Firmware, Host, Machine};

use crate::args::{AttachName, FirmwareName, RunArguments};
use crate::failure::{Exit, Failure, Result};
use crate::run::Environment;

/// Boots the media with the console in this terminal, and ends when the machine does.
pub(crate) fn run(arguments: &RunArguments, environment: &Environment) -> Result<()> {
    let mut machine = Machine::booting(&arguments.media);
    machine.firmware = match arguments.firmware {
        FirmwareName::Bios => Firmware::Bios,
        FirmwareName::Uefi => Firmware::Uefi,
        FirmwareName::Secure => Firmware::Secure,
    };
    if let Some(media) = &mut machine.media {
        media.attach = match arguments.attach {
            AttachName::Cd => Attach::Cd,
            AttachName::Usb => Attach::Usb,
            AttachName::Disk => Attach::Disk,
        };
    }
    machine.memory_mib = arguments.memory;
    let doing = format!("running {}", arguments.media.display());
    let failed = |error: vm::Error| {
        let help = error.help();
        let exit = if matches!(error, vm::Error::Media { .. }) {
            Exit::Input
        } else {
            Exit::Host
        };
        let failure = Failure::new(exit, doing.clone(), error);
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    };
    let status = vm::run(&machine, &Host::new(&environment.path)).map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Host,
        doing,
        format!("QEMU ended with {status}"),
    ))
}
