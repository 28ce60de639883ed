//! The sandbox's processes on their own, for the tests of this crate: `liveos` is its own child elsewhere.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::child_main(std::env::args_os()).unwrap_or(ExitCode::from(2))
}
