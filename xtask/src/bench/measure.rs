//! What a program cost: time, processor time, memory.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use testkit::tools;

/// What one run cost, with all the programs that it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// Time that passed, in seconds.
    pub(crate) wall: f64,
    /// Processor time in user mode and in the kernel, in seconds.
    pub(crate) cpu: f64,
    /// The largest resident size of any one process, in KiB.
    pub(crate) peak_kib: f64,
}

impl Cost {
    /// The cost of both, one after the other.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
            peak_kib: self.peak_kib.max(other.peak_kib),
        }
    }
}

/// Runs `program` with `arguments` in `folder` under GNU time, which asks the kernel (`wait4`) what it cost.
///
/// # Errors
///
/// Where it fails, or GNU time is not there.
pub(crate) fn cost<A: AsRef<OsStr>>(
    folder: &Path,
    program: &OsStr,
    arguments: impl IntoIterator<Item = A>,
) -> Result<Cost> {
    let report = folder.join(".cost");
    let mut command: Command = tools::command("/usr/bin/time");
    command
        .args(["--format", "%e %U %S %M", "--output"])
        .arg(&report)
        .arg(program)
        .args(arguments)
        .current_dir(folder);
    tools::output(&mut command)?;
    let text = std::fs::read_to_string(&report)?;
    std::fs::remove_file(report)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [wall, user, system, peak_kib] = numbers[..] else {
        anyhow::bail!("GNU time says {text:?}");
    };
    Ok(Cost {
        wall,
        cpu: user + system,
        peak_kib,
    })
}

/// The value in the middle; of an even number of values the lower of the two.
///
/// # Errors
///
/// Where there is none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Result<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().context("nothing was measured")
}

/// The number of runs that was asked for, or `default`.
///
/// # Errors
///
/// Where the argument is no positive number.
pub(crate) fn runs(words: &[String], default: usize) -> Result<usize> {
    match words.first() {
        None => Ok(default),
        Some(word) => match word.parse() {
            Ok(runs) if runs > 0 => Ok(runs),
            _ => anyhow::bail!("{word:?} is no number of runs"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_measured_value() {
        assert_eq!(median([3.0, 1.0, 2.0]).unwrap(), 2.0);
        assert_eq!(median([4.0, 1.0]).unwrap(), 1.0);
        assert!(median([]).is_err());
    }

    #[test]
    fn ref_a_program_has_its_cost_and_that_of_its_children() {
        if !tools::available(&["time"]) {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let arguments = [
            "-c",
            "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; true",
        ];
        let cost = cost(folder.path(), OsStr::new("sh"), arguments).unwrap();
        assert!(cost.cpu > 0.0 && cost.peak_kib > 0.0, "{cost:?}");
    }

    #[test]
    fn a_number_of_runs_is_positive() {
        assert_eq!(runs(&[], 3).unwrap(), 3);
        assert_eq!(runs(&["5".into()], 3).unwrap(), 5);
        assert!(runs(&["0".into()], 3).is_err());
        assert!(runs(&["many".into()], 3).is_err());
    }
}
