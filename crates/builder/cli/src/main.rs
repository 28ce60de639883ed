//! The `liveos` command: arguments, progress, error text and exit codes. What it does is in [`run`].

mod args;
mod bios;
mod boot_files;
mod build;
mod carried;
mod check_command;
mod customise;
mod customize_command;
mod edit_command;
mod explain_command;
mod failure;
mod inspect_command;
mod job;
mod machine_command;
mod payloads;
mod plan_command;
mod progress;
mod report;
mod report_command;
mod run;
mod runtime;
mod schema_command;
mod system;
mod write;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Where this is a process of a sandbox that another `liveos` made, that is all it does.
    sandbox::child_main(std::env::args_os()).unwrap_or_else(run::main)
}
