//! The project's own commands: `cargo xtask <command>`; without one, their list.
//!
//! Each command is a file of its name. Only Cargo is needed to begin; what else a command needs it names, and
//! installs where it may.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a developer in a terminal"
)]

use std::process::ExitCode;

use anyhow::{Result, bail};

mod bench;
mod ci;
mod demo;
mod dist;
mod fixtures;
mod steps;
mod test;
mod tidy;

/// A command: its name, its arguments, what it does, and its function.
type Command = (
    &'static str,
    &'static str,
    &'static str,
    fn(&[String]) -> Result<()>,
);

const COMMANDS: [Command; 10] = [
    (
        "demo",
        "",
        "make a sample disk image, build an ISO from it, boot that and log in",
        demo::run,
    ),
    (
        "test",
        "[--all] [TIER…]",
        "every tier of tests, and what was skipped and why",
        test::run,
    ),
    (
        "ci",
        "",
        "tidy, formatting, lints: what can fail before a test runs",
        ci::run,
    ),
    (
        "tidy",
        "",
        "what no compiler checks: dependency direction, comments, sizes, names",
        tidy::run,
    ),
    (
        "dist",
        "",
        "the two programs as they are shipped, static, in target/dist",
        dist::run,
    ),
    (
        "bench build",
        "[RUNS]",
        "time, processor time and memory of a build against the classical pipeline",
        bench::build::run,
    ),
    (
        "bench boot",
        "[RUNS]",
        "time from /init to switch_root, and what is read, against dmsquash-live, kiwi-live and live-boot",
        bench::boot::run,
    ),
    (
        "bench edit",
        "[RUNS]",
        "time to change a kernel parameter of media of a GiB, in place and in a copy, against cp",
        bench::edit::run,
    ),
    (
        "bench full-os",
        "[RUNS]",
        "time of a build whose initramfs is the whole system against cpio | zstd",
        bench::full_os::run,
    ),
    (
        "fixtures",
        "[NAME…]",
        "make the disk images that tests stand on: test-system, debian, dracut, peers, large",
        fixtures::run,
    ),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  cause: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[String]) -> Result<()> {
    if words.is_empty() {
        list();
        return Ok(());
    }
    for (name, _, _, function) in COMMANDS {
        let names: Vec<&str> = name.split(' ').collect();
        let given = words.get(..names.len()).unwrap_or_default();
        if given == names {
            return function(words.get(names.len()..).unwrap_or_default());
        }
    }
    list();
    bail!("there is no command {:?}", words.join(" "))
}

fn list() {
    println!("cargo xtask COMMAND\n");
    for (name, arguments, purpose, _) in COMMANDS {
        println!("  {:<28} {purpose}", format!("{name} {arguments}"));
    }
}
