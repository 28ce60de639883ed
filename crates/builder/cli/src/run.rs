//! The way through the program: arguments in, exit code out. The environment is read here and nowhere else.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};
use crate::failure::{Exit, Failure, Result};
use crate::{
    build, check_command, customize_command, edit_command, explain_command, inspect_command,
    machine_command, plan_command, report_command, schema_command,
};

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `SOURCE_DATE_EPOCH`: the time of everything that has no time of its own, in seconds since 1970.
    pub(crate) source_date_epoch: Option<i64>,
    /// `PATH`, for the programs that `run` starts.
    pub(crate) path: std::ffi::OsString,
}

impl Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the environment is read"
    )]
    fn read() -> Result<Self> {
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => Some(text.trim().parse().map_err(|_| {
                let fact =
                    format!("SOURCE_DATE_EPOCH is \"{text}\", which is no number of seconds");
                Failure::new(Exit::Arguments, "reading the environment", fact)
            })?),
            Err(_) => None,
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        Ok(Self {
            source_date_epoch: epoch,
            path,
        })
    }
}

/// Runs the command that was typed.
pub(crate) fn main() -> ExitCode {
    // Clap prints its own errors and ends with exit code 2, as we would.
    let arguments = Arguments::parse();
    let result = Environment::read().and_then(|environment| match arguments.command {
        Command::Build(arguments) => build::run(&arguments, &environment),
        Command::Edit(arguments) => edit_command::run(&arguments),
        Command::Plan(arguments) => plan_command::run(&arguments, &environment),
        Command::Customize(arguments) => customize_command::run(&arguments, &environment),
        Command::Schema => schema_command::run(),
        Command::Inspect(arguments) => inspect_command::run(&arguments),
        Command::Check(arguments) => check_command::run(&arguments),
        Command::Explain(arguments) => explain_command::run(&arguments),
        Command::Run(arguments) => machine_command::run(&arguments, &environment),
        Command::Report(arguments) => report_command::run(&arguments),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error that is closed changes nothing about the exit code.
            let _ = std::io::stderr().write_all(failure.render().as_bytes());
            ExitCode::from(failure.exit_code())
        }
    }
}
