//! What the test runner prints, counted.

use std::fmt;

/// The tests so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Tests that ran and passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Each test that did not run, with its reason.
    skipped: Vec<(String, String)>,
    /// How many were skipped since the last result, which counts them as passed.
    pending: u64,
    /// The test whose output is being read.
    current: String,
    /// Whether the output of tests that passed is being read.
    quiet: bool,
}

impl Counts {
    /// Takes one line of the runner's output; answers whether a reader wants to see it.
    ///
    /// The runner calls a skipped test passed; it is known by a line that begins with `SKIPPED: `.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            name.clone_into(&mut self.current);
        } else if let Some((_, reason)) = line.split_once("SKIPPED: ") {
            if !self.current.is_empty() {
                let name = std::mem::take(&mut self.current);
                self.skipped.push((name, reason.to_owned()));
                self.pending += 1;
            }
        } else if line == "successes:" {
            self.quiet = true;
        } else if line == "failures:" {
            self.quiet = false;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.quiet = false;
            self.passed +=
                number_before(result, " passed").saturating_sub(std::mem::take(&mut self.pending));
            self.failed += number_before(result, " failed");
            let ignored = number_before(result, " ignored");
            for _ in 0..ignored {
                self.skipped
                    .push(("(ignored)".to_owned(), "is marked to be ignored".to_owned()));
            }
            return !result.starts_with("ok. 0 passed");
        }
        !self.quiet && !line.is_empty() && line != "running 0 tests"
    }

    /// Prints each skipped test with its reason.
    pub(crate) fn print_skipped(&self) {
        for (name, reason) in &self.skipped {
            println!("skipped: {name}: {reason}");
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            ..
        } = self;
        write!(
            f,
            "{passed} passed, {failed} failed, {} skipped",
            skipped.len()
        )
    }
}

/// The number that stands before `word` in `text`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().unwrap_or_default();
    let digits = before
        .rsplit(|character: char| !character.is_ascii_digit())
        .next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "
running 3 tests
test a::reads ... ok
test ref_kernel_agrees ... ok
test b ... FAILED

successes:

---- ref_kernel_agrees stdout ----
SKIPPED: needs mkfs.xfs
SKIPPED: needs mkfs.xfs

successes:
    a::reads
    ref_kernel_agrees

failures:

---- b stdout ----
panicked

failures:
    b

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 12 filtered out; finished in 0.88s
";

    #[test]
    fn a_skipped_test_is_not_counted_as_passed() {
        let mut counts = Counts::default();
        for line in RUN.lines() {
            counts.take(line);
        }
        assert_eq!(counts.to_string(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn the_output_of_tests_that_passed_is_not_shown() {
        let mut counts = Counts::default();
        let shown: Vec<&str> = RUN.lines().filter(|line| counts.take(line)).collect();
        assert!(shown.contains(&"panicked"));
        assert!(!shown.iter().any(|line| line.contains("SKIPPED")));
        assert!(shown.last().unwrap().starts_with("test result"));
    }
}
