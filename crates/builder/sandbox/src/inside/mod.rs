//! The processes around a program: one makes its namespaces and mounts, one is their first process.
//!
//! ```text
//! keeper ── runner ── init (process 1) ── the program
//!           makes the  enters the root,
//!           mounts     drops capabilities, reaps
//! ```
//!
//! Each dies with its parent, and with process 1 the kernel ends everything that runs beside it; the mounts go with their last process.
//! Standard input of the two holds the [`Spec`], standard output is the program's, standard error takes the report.

mod capabilities;
mod init;
mod loopback;
mod mounts;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, ExitCode, Stdio};

use block::{Error, Result};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Signal};
use rustix::thread::UnshareFlags;

use crate::message::{Answer, Fault};
use crate::spec::Spec;
use crate::{INIT, sys};

pub(crate) use init::main as init_main;
pub(crate) use mounts::MOUNT_POINTS;

/// A file in memory that holds `bytes`, to be read from its start.
pub(crate) fn memory(name: &str, bytes: &[u8], flags: MemfdFlags) -> io::Result<OwnedFd> {
    let file = File::from(rustix::fs::memfd_create(name, flags)?);
    file.write_all_at(bytes, 0)?;
    Ok(file.into())
}

/// Reads what this process is to do.
fn read_spec() -> io::Result<Spec> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let len = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Spec::decode(&bytes)
}

/// Writes the report that the keeper reads.
fn report(answer: &Answer) -> ExitCode {
    let written = (|| {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        file.write_all_at(answer.encode().as_bytes(), 0)
    })();
    match (written, answer) {
        (Ok(()), Answer::Ended(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Dies with the parent from now on.
fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Error::io("binding a process to its parent", error.into()))
}

/// The runner's way from start to end.
pub(crate) fn runner_main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&Answer::Failed(Fault::new(&error))),
    }
}

fn run() -> Result<()> {
    let parent = rustix::process::getppid();
    die_with_parent()?;
    if rustix::process::getppid() != parent || parent == Some(Pid::INIT) {
        return Err(Error::corrupt(
            "starting a process of the sandbox",
            "its parent is gone",
        ));
    }
    let spec = read_spec().map_err(|error| Error::io("reading the orders of a run", error))?;
    let mut flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if !spec.network {
        flags |= UnshareFlags::NEWNET;
    }
    sys::unshare(flags).map_err(|error| {
        Error::unsupported(
            "making namespaces for the sandbox",
            "the kernel refuses; where AppArmor restricts user namespaces, set the sysctl \
             kernel.apparmor_restrict_unprivileged_userns to 0, or run as root",
        )
        .caused_by(error)
    })?;
    rustix::system::sethostname(b"localhost")
        .map_err(|error| Error::io("naming the sandbox", error.into()))?;
    if !spec.network {
        loopback::up().map_err(|error| Error::io("bringing up the loopback device", error))?;
    }
    mounts::set_up(&spec)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "running programs is what this crate is for"
    )]
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(INIT)
        .env_clear()
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit());
    let status = command
        .status()
        .map_err(|error| Error::io("starting the first process of the sandbox", error))?;
    // How it ended is in its report; without one, this is what is known.
    let is_silent = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|file| File::from(file).metadata())
        .is_ok_and(|metadata| metadata.len() == 0);
    if is_silent {
        let message = format!("its first process ended with {status}");
        return Err(Error::corrupt("running a program in the sandbox", message));
    }
    Ok(())
}
