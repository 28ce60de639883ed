//! Builds by the program that users have: `liveos build` in its own process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use testkit::programs::{self, Optimised, Programs};
use testkit::tools;

/// The two programs, built at the first call.
///
/// # Errors
///
/// Where they cannot be built.
pub fn programs() -> Result<Programs> {
    programs::build(Optimised::Tried)
}

/// `liveos` with an empty environment: no search path, no locale, no home.
///
/// # Errors
///
/// Where it cannot be built.
pub fn liveos() -> Result<Command> {
    let mut command = tools::command(programs()?.liveos);
    command.env_clear();
    Ok(command)
}

/// Builds the ISO `output` from `disk`, with further arguments.
///
/// # Errors
///
/// Where it fails; with what it printed.
pub fn build(disk: &Path, output: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = liveos()?;
    command
        .arg("build")
        .arg(disk)
        .arg("-o")
        .arg(output)
        .args(arguments);
    let done = command.output().context("starting liveos")?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if !done.status.success() {
        bail!("liveos build ended with {}:\n{said}", done.status);
    }
    Ok(said)
}

/// An ISO of `disk`, made at the first call for it in this process's folder.
///
/// # Errors
///
/// As [`build`].
pub fn iso(disk: &Path, folder: &Path) -> Result<PathBuf> {
    let output = folder.join("live.iso");
    if !output.exists() {
        build(disk, &output, &[])?;
    }
    Ok(output)
}

/// How a refusal looked from outside.
#[derive(Debug)]
pub struct Refusal {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it printed on standard error.
    pub said: String,
}

impl Refusal {
    /// A build that is expected to be refused.
    ///
    /// # Errors
    ///
    /// Where the build did not fail.
    pub fn of(done: &Output) -> Result<Self> {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() {
            bail!("this was not refused:\n{said}");
        }
        Ok(Self {
            code: done.status.code(),
            said,
        })
    }
}
