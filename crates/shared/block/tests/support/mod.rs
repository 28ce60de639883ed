//! Reference tools, started by tests.
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::process::{Command, Stdio};

/// Whether `tool` can be run; a test that needs it fails without it where `CI` is set.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start reference tools, and read CI"
)]
pub(crate) fn need(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    assert!(found || std::env::var("CI").is_err(), "needs {tool}");
    if !found {
        eprintln!("SKIPPED: needs {tool}");
    }
    found
}

/// Runs `tool`, with `input` on its standard input, and answers with what it printed.
#[expect(clippy::disallowed_methods, reason = "tests start reference tools")]
pub(crate) fn run(tool: &str, args: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{tool} {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
