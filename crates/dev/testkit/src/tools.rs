//! Programs of other packages: whether they are there, how they get there, and how they are run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// The folders that a user's search path may lack, and that have `mkfs` and its kind.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// Whether this is a continuous integration run, where a missing tool is a failure and not a skipped test.
#[must_use]
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// Whether we are root.
#[must_use]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The search path for programs that we start: the caller's own and the system's folders.
#[must_use]
pub fn search_path() -> std::ffi::OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&own).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    std::env::join_paths(folders).unwrap_or(own)
}

/// The path of the program `name`, which may be a path itself: of a file, or of a folder that a package brings.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file() || (name.starts_with('/') && path.exists()))
}

/// Whether all of `programs`, names or paths, are there; for the first that is not, says so on the standard error.
///
/// # Panics
///
/// As [`skipped`], where one is missing.
#[must_use]
pub fn available(programs: &[&str]) -> bool {
    match programs.iter().find(|program| find(program).is_none()) {
        None => true,
        Some(missing) => {
            skipped(missing);
            false
        }
    }
}

/// Says on the standard error that a test is left out, for want of `needed`.
///
/// # Panics
///
/// In a continuous integration run: a test that was not run must not look like one that passed.
#[expect(clippy::print_stderr, reason = "a skipped test says so in its output")]
pub fn skipped(needed: &str) {
    assert!(!in_ci(), "needs {needed}");
    eprintln!("SKIPPED: needs {needed}");
}

/// The variable that asks for the tests that do not fit into every run; `cargo xtask test --all` sets it.
pub const ALL_TESTS: &str = "LIVEOS_TEST_ALL";

/// Whether slow tests were asked for; if not, says so on the standard error.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test says so in its output")]
pub fn slow_tests() -> bool {
    let asked = std::env::var_os(ALL_TESTS).is_some();
    if !asked {
        eprintln!("SKIPPED: slow, a part of `cargo xtask test --all`");
    }
    asked
}

/// A command with the system's folders in its search path, plain messages, and no input.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "starting other packages' programs is what this module is for"
    )]
    let mut command = Command::new(program);
    command
        .env("PATH", search_path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

/// Runs `program` with `arguments` and answers with its standard output.
///
/// # Errors
///
/// Where it cannot be started, or ends with another status than 0: then with what it printed.
pub fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<String> {
    output(command(program).args(arguments))
}

/// Runs `command` and answers with its standard output.
///
/// # Errors
///
/// As [`run`].
pub fn output(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("starting {}", Path::new(command.get_program()).display()))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let both = format!("{}\n{}", stdout.trim_end(), stderr.trim_end());
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    bail!(
        "{} {} ended with {status}\n{}",
        Path::new(command.get_program()).display(),
        words.join(" "),
        last_lines(both.trim(), 40),
    )
}

/// The last `count` lines of `text`.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> &str {
    let mut starts = text
        .rmatch_indices('\n')
        .map(|(at, _)| at.saturating_add(1));
    match count.checked_sub(1).and_then(|more| starts.nth(more)) {
        Some(start) => text.get(start..).unwrap_or(text),
        None => text,
    }
}

pub use install::need;
mod install;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a\nb\nc", 3), "a\nb\nc");
        assert_eq!(last_lines("a", 5), "a");
    }

    #[test]
    fn a_failing_program_is_an_error_with_its_last_words() {
        let error = run("sh", ["-c", "echo why >&2; exit 3"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("why"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run("no-such-program", [""; 0]).unwrap_err();
        assert_eq!(error.to_string(), "starting no-such-program");
    }
}
