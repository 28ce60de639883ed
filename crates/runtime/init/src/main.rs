//! `liveos-init`: the program in the initramfs.
//!
//! As process 1 it starts a system that is the initramfs itself, or finds the live medium, puts a writable layer on the root file system image and starts the system in it; from
//! [`contract::media::SHUTDOWN`] it releases the medium at the end; in an initramfs that dracut made it does the same for a hook.
//!
//! * [`role`]: what the program is, by how it was started.
//! * [`stage`]: the boot, one file a stage.
//! * [`system`]: what the stages need of the machine; [`sys`] has it, and is the only place with unsafe code.
//! * [`net`]: the network, as far as a medium is fetched from it; only with the feature `network`.
//! * [`disks`]: what persistence needs of it besides.
//! * [`probe`], [`modules`], [`uevent`], [`glob`]: what needs no machine.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing
    )
)]
#![cfg_attr(
    not(feature = "network"),
    expect(dead_code, reason = "what only a fetched medium needs of the machine")
)]

mod disks;
mod glob;
mod modules;
#[cfg(feature = "network")]
mod net;
#[cfg(not(feature = "network"))]
#[path = "no_net.rs"]
mod net;
mod probe;
mod report;
mod role;
mod stage;
mod sys;
mod system;
mod uevent;

#[cfg(test)]
mod fake;

use std::process::ExitCode;

use contract::failure::{Failure, INTERNAL};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let name = arguments.next().unwrap_or_default();
    if std::process::id() != 1 {
        let arguments: Vec<String> = arguments.collect();
        let Some(hook) = role::hook::Hook::parse(&arguments) else {
            sys::usage();
            return ExitCode::FAILURE;
        };
        return match role::hook::run(&mut sys::Machine::default(), &hook) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    // Process 1 must not end: where we are at fault that is told, and the machine rests.
    std::panic::set_hook(Box::new(|fault| {
        let failure = Failure::new(INTERNAL, fault.to_string());
        report::tell(&mut sys::Machine::default(), &failure);
        sys::rest()
    }));
    if name.rsplit('/').next() == Some("shutdown") {
        let end = role::shutdown::End::parse(&arguments.next().unwrap_or_default());
        role::shutdown::run(&mut sys::Last, end);
        sys::rest()
    }
    role::pid1::run(&mut sys::Machine::default())
}
