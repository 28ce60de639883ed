//! The sandbox's processes, for tests that make sandboxes themselves: `liveos` is its own child elsewhere.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::child_main(std::env::args_os()).unwrap_or(ExitCode::from(2))
}
