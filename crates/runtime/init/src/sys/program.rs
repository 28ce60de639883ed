//! Programs of the initramfs, run to their end.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::system::Finished;

/// How much of a program's output is kept, in bytes; what it writes beyond that is read and dropped.
const KEPT: u64 = 64 * 1024;

/// Runs a program with these bytes for its input; what it writes on both outputs is one text.
///
/// The input is written before the output is read, and a pipe holds 64 KiB: input is a passphrase or a few lines.
#[expect(
    clippy::disallowed_methods,
    reason = "file systems and encrypted volumes are made by the image's own programs"
)]
pub(super) fn run(program: &str, arguments: &[&str], input: &[u8]) -> io::Result<Finished> {
    let (mut reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn()?;
    // The ends for writing that this process holds: as long as one is open the pipe does not end.
    drop(command);
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input says by its end how it went.
        let _ = stdin.write_all(input);
    }
    let mut output = Vec::new();
    reader.by_ref().take(KEPT).read_to_end(&mut output)?;
    io::copy(&mut reader, &mut io::sink())?;
    let succeeded = child.wait()?.success();
    let output = String::from_utf8_lossy(&output).trim().to_owned();
    Ok(Finished { succeeded, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_its_input_and_both_of_its_outputs_are_kept() {
        let script = "read line; echo \"out $line\"; echo err >&2; exit 3";
        let finished = run("/bin/sh", &["-c", script], b"word\n").unwrap();
        assert!(!finished.succeeded);
        assert_eq!(finished.output, "out word\nerr");
    }

    #[test]
    fn output_beyond_what_is_kept_does_not_block_the_program() {
        let finished = run("/bin/sh", &["-c", "yes | head -c 1000000"], b"").unwrap();
        assert!(finished.succeeded);
        assert!(finished.output.len() <= 64 * 1024);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(run("/nowhere/program", &[], b"").is_err());
    }
}
