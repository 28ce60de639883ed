//! `cargo xtask ci`: what can fail before a test runs.

use std::process::Command;

use anyhow::{Context, Result, bail};
use testkit::programs::cargo;

use crate::steps::Steps;
use crate::tidy;

/// Tidy, formatting, lints.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("tidy", || tidy::run(words))?;
    steps.step("formatting", || {
        shown(cargo().args(["fmt", "--all", "--check"]))
    })?;
    steps.step("lints", || {
        let lints = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ];
        shown(cargo().args(lints))
    })?;
    steps.print();
    Ok(())
}

/// Runs `command` with its output where ours goes.
fn shown(command: &mut Command) -> Result<()> {
    let status = command.status().context("starting cargo")?;
    if !status.success() {
        bail!("cargo ended with {status}");
    }
    Ok(())
}
