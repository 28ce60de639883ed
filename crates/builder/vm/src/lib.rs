//! Starts media in QEMU: what `liveos run` does, and what the boot tests start their machines with.
//!
//! * [`Machine`] says what is wanted; [`Host`] says where programs and firmware are looked for.
//! * [`prepare`] turns both into a [`Prepared`] command (program, arguments, private firmware variables);
//!   the arguments themselves come from a pure function, so that they are tested without a machine.
//! * [`accelerator::choose`] decides between hardware virtualisation and emulation by a race with a deadline:
//!   a `/dev/kvm` that exists and cannot run a guest never hangs the caller.
//! * [`run`] does all of it with the console in the terminal.
//!
//! QEMU is the one program that this crate starts. It reads no environment variable: the search path is a value.
#![forbid(unsafe_code)]

pub mod accelerator;
mod arguments;
mod error;
mod firmware;
mod host;
mod machine;
mod prepare;
mod run;

pub use accelerator::Accelerator;
pub use arguments::arguments;
pub use error::{Error, Result};
pub use firmware::{FirmwareFiles, find as find_firmware};
pub use host::Host;
pub use machine::{Attach, Console, DirectKernel, Firmware, Machine, Media, Network};
pub use prepare::{Prepared, prepare};
pub use run::run;
