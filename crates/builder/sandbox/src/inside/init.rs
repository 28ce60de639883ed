//! Process 1 of a run: enters the root, starts the program, and waits for whatever ends.

use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, ExitCode, Stdio};

use block::{Error, Result};
use rustix::fs::{MemfdFlags, Mode};
use rustix::process::{Pid, Resource, Rlimit, WaitOptions};

use super::{capabilities, die_with_parent, memory, mounts, read_spec, report};
use crate::message::{Answer, Fault};
use crate::spec::{Spec, os_str, path_of};

/// Its way from start to end: when it ends, the kernel ends what is left.
pub(crate) fn main() -> ExitCode {
    let result = run();
    report(&match result {
        Ok(status) => Answer::Ended(status),
        Err(error) => Answer::Failed(Fault::new(&error)),
    })
}

fn run() -> Result<i32> {
    die_with_parent()?;
    let spec = read_spec().map_err(|error| Error::io("reading the orders of a run", error))?;
    mounts::enter(&path_of(&spec.root))?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let no_cores = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, no_cores)
        .map_err(|error| Error::io("switching core dumps off", error.into()))?;
    capabilities::drop_others()?;
    // It takes a new parent and new credentials to get here: both take the signal away.
    die_with_parent()?;
    let program = start(&spec)?;
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == program => return Ok(status.as_raw()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::io("waiting for the program", error.into())),
        }
    }
}

/// Starts the program: its number.
fn start(spec: &Spec) -> Result<Pid> {
    let words: Vec<_> = spec.arguments.iter().map(|word| os_str(word)).collect();
    let Some((name, arguments)) = words.split_first() else {
        return Err(Error::not_found(
            "starting a program in the sandbox",
            "it has no name",
        ));
    };
    let doing = |error| Error::io("starting a program in the sandbox", error);
    let input = memory("input", &spec.input, MemfdFlags::CLOEXEC).map_err(doing)?;
    let output = std::io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(doing)?;
    let errors = output.try_clone().map_err(doing)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "running programs is what this crate is for"
    )]
    let mut command = Command::new(name);
    command
        .args(arguments)
        .env_clear()
        .envs(
            spec.environment
                .iter()
                .map(|(name, value)| (os_str(name), os_str(value))),
        )
        .current_dir(path_of(&spec.directory))
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(errors));
    let child = command.spawn().map_err(|error| refused(name, error))?;
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    number.ok_or_else(|| Error::corrupt("starting a program in the sandbox", "it has no number"))
}

/// Why a program cannot be started.
fn refused(name: &std::ffi::OsStr, error: std::io::Error) -> Error {
    let what = format!(
        "starting {} in the sandbox",
        String::from_utf8_lossy(name.as_bytes())
    );
    match error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error)
    {
        Some(rustix::io::Errno::NOEXEC) => Error::unsupported(
            what,
            "this machine cannot run it: it is for another architecture, and binfmt_misc has no interpreter for it",
        ),
        Some(rustix::io::Errno::NOENT) => Error::not_found(
            what,
            "neither it, nor the interpreter or loader that it names, may be missing in the image",
        ),
        _ => Error::io(what, error),
    }
}
