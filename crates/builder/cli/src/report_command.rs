//! `liveos report`: what `liveos-init` did when this machine booted, or why it stopped, for people. `docs/boot-report.md` has the fields.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use contract::media;
use serde::Deserialize;

use crate::args::ReportArguments;
use crate::failure::{Exit, Failure, Result};

/// The longest report that is read, in bytes: one has a few KiB.
const MAX_REPORT: u64 = 1 << 20;

/// A report. What is not in it was not reached, or was not known to the version that wrote it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BootReport {
    version: u32,
    began_seconds: f64,
    ended_seconds: f64,
    stages: Vec<StageTime>,
    medium: Option<String>,
    medium_url: Option<String>,
    medium_file_system: Option<String>,
    medium_labels: Vec<String>,
    notices: Vec<String>,
    result: String,
    code: Option<String>,
    stage: Option<String>,
    title: Option<String>,
    cause: Option<String>,
    advice: Option<String>,
}

/// A stage with its time.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StageTime {
    name: String,
    began_seconds: f64,
    seconds: f64,
}

/// Prints it on standard output.
pub(crate) fn run(arguments: &ReportArguments) -> Result<()> {
    let path = arguments.file.as_deref();
    let shown = path.map_or(media::REPORT.to_owned(), |path| path.display().to_string());
    let doing = format!("reading the report {shown}");
    let mut bytes = Vec::new();
    let read = match path {
        Some(path) if path.as_os_str() == "-" => std::io::stdin()
            .lock()
            .take(MAX_REPORT)
            .read_to_end(&mut bytes),
        _ => std::fs::File::open(&shown)
            .and_then(|file| file.take(MAX_REPORT).read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        Failure::new(Exit::Input, doing.clone(), error).help(
            "a system that liveos-init started has its report there; a report from elsewhere can be named",
        )
    })?;
    let report = parse(&bytes).map_err(|error| Failure::new(Exit::Input, doing.clone(), error))?;
    std::io::stdout()
        .write_all(render(&report).as_bytes())
        .map_err(|error| Failure::new(Exit::Output, doing, error))
}

/// A report always has a result.
fn parse(bytes: &[u8]) -> serde_json::Result<BootReport> {
    let report: BootReport = serde_json::from_slice(bytes)?;
    if report.result.is_empty() {
        let error = "it has no result, and is no report of a boot";
        return Err(serde::de::Error::custom(error));
    }
    Ok(report)
}

/// The report as lines. Texts of the report are any bytes: control characters do not reach the terminal.
fn render(report: &BootReport) -> String {
    let mut text = String::new();
    // OK, here and below: writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let value = value.replace(char::is_control, " ");
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("result", &report.result);
    for (name, value) in [
        ("code", &report.code),
        ("stage", &report.stage),
        ("what", &report.title),
        ("cause", &report.cause),
        ("what to do", &report.advice),
        ("fetched", &report.medium_url),
    ] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    if let Some(medium) = &report.medium {
        let kind = report.medium_file_system.as_deref().unwrap_or("unknown");
        let labels = report.medium_labels.join(", ");
        line("medium", &format!("{medium} ({kind}, {labels})"));
    }
    for notice in &report.notices {
        line("notice", notice);
    }
    if report.version > 1 {
        line(
            "version",
            "newer than this program; there may be more in it",
        );
    }
    let _ = writeln!(text, "\n{:>9} {:>9}  stage", "began, s", "took, s");
    for stage in &report.stages {
        let name = stage.name.replace(char::is_control, " ");
        let _ = writeln!(
            text,
            "{:>9.3} {:>9.3}  {name}",
            stage.began_seconds, stage.seconds
        );
    }
    let all = report.ended_seconds - report.began_seconds;
    let _ = writeln!(text, "{:>9.3} {all:>9.3}  in all", report.began_seconds);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(json: &str) -> String {
        render(&parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn a_boot_is_shown_with_the_time_of_each_stage() {
        let text = rendered(
            r#"{"version": 1, "began_seconds": 1.5, "ended_seconds": 2.25, "result": "switched",
            "stages": [{"name": "find", "began_seconds": 1.5, "seconds": 0.5}, {"name": "base", "began_seconds": 2.0, "seconds": 0.25}],
            "medium": "/dev/sr0", "medium_file_system": "iso9660", "medium_labels": ["CDROM"], "notices": ["a"], "of tomorrow": 1}"#,
        );
        let expected = "result      switched\n\
            medium      /dev/sr0 (iso9660, CDROM)\n\
            notice      a\n\n \
            began, s   took, s  stage\n    \
            1.500     0.500  find\n    \
            2.000     0.250  base\n    \
            1.500     0.750  in all\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_failure_is_shown_with_what_to_do_and_without_control_characters() {
        let text = rendered(
            r#"{"result": "stopped", "code": "L0201", "title": "the medium did not appear", "cause": "x\u001b[2J", "advice": "check"}"#,
        );
        assert!(text.contains("code        L0201\n") && text.contains("what to do  check\n"));
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for json in ["", "[]", "{}", "{\"result\": \"switched\", \"stages\": 1}"] {
            assert!(parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
