//! Runs a program of the image apart from the host, and hands back what changed.
//!
//! A [`Sandbox`] unpacks a tree into a folder once, runs programs in it, and reads back what they changed; files that no program
//! touched stay ranges of the input. Three processes stand between `liveos` and a program, all of them this same executable, which
//! calls [`child_main`] before anything else:
//!
//! * the *keeper* owns the folder, and removes it when `liveos` is gone;
//! * the *runner* makes namespaces and mounts for one program;
//! * *init* is process 1 of them: the program and all that it starts end with it.
//!
//! As root there is no user namespace, as an ordinary user there is one with the ranges of `/etc/subuid` and `/etc/subgid`; programs
//! see the same in both.
//!
//! **Invariants:** `liveos` may be killed at any point: no mount, no process and no file is left. A program sees nothing of the host
//! but its kernel, a few harmless devices, what was bound, and the network where it was asked for. Unsafe code is in `sys.rs` only.

mod changes;
mod diff;
mod identity;
mod inside;
mod keeper;
mod message;
mod program;
mod sandbox;
mod spec;
mod sys;
mod wire;
mod xattrs;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub use changes::Changes;
pub use program::{Bind, Ended, LentFile, Network, Program};
pub use sandbox::{Options, Sandbox};

/// The first argument that makes this executable the keeper.
const KEEPER: &str = "liveos-sandbox-keeper";
/// The first argument that makes it a runner.
const RUNNER: &str = "liveos-sandbox-runner";
/// The first argument that makes it process 1.
const INIT: &str = "liveos-sandbox-init";

/// Whether a keeper is in a user namespace, as its arguments say it.
const AS_USER: &str = "user";
const AS_ROOT: &str = "root";

/// Does the work of a process of the sandbox, where `arguments` (with the program's name first) say that this is one; `None` for
/// any other command. A program that makes sandboxes calls it first of all, while it has one thread.
pub fn child_main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    let role = arguments.next()?;
    match role.to_str()? {
        KEEPER => {
            let in_user_namespace = arguments.next()?.to_str()? == AS_USER;
            let base = arguments.next()?;
            Some(keeper::main(Path::new(&base), in_user_namespace))
        }
        RUNNER => Some(inside::runner_main()),
        INIT => Some(inside::init_main()),
        _ => None,
    }
}
