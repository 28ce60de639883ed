//! What happened, for people on the console and for programs in [`media::REPORT`].

use std::fmt::Write as _;
use std::time::Duration;

use contract::failure::Failure;
use contract::media;

use crate::stage::find::Medium;
use crate::system::{Level, System};

/// What is known of this boot so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// When `/init` began, since the kernel's start.
    pub(crate) began: Duration,
    /// The medium, once it was found.
    pub(crate) medium: Option<Medium>,
    /// What was asked for and not done.
    pub(crate) notices: Vec<String>,
    /// The stages so far, each with its beginning since the kernel's start; it ends where the next one begins.
    pub(crate) stages: Vec<(&'static str, Duration)>,
}

impl Report {
    /// A stage begins, and the one before it ends.
    pub(crate) fn begin(&mut self, stage: &'static str, now: Duration) {
        self.stages.push((stage, now));
    }

    /// The stages with their beginning and length, as a JSON list.
    fn stages(&self, now: Duration) -> String {
        let ends = self.stages.iter().skip(1).map(|(_, began)| *began);
        let rows: Vec<String> = self
            .stages
            .iter()
            .zip(ends.chain([now]))
            .map(|((name, began), end)| {
                format!(
                    "{{\"name\": {}, \"began_seconds\": {}, \"seconds\": {}}}",
                    string(name),
                    seconds(*began),
                    seconds(end.saturating_sub(*began))
                )
            })
            .collect();
        format!("[{}]", rows.join(", "))
    }

    /// Writes the report of a boot that goes on (`None`) or stops. A system without a report is still a system.
    pub(crate) fn save(&self, system: &mut dyn System, failure: Option<&Failure>) {
        let text = self.json(system.clock(), failure);
        let folder = media::REPORT
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let saved = system
            .make_dir(folder)
            .and_then(|()| system.write(media::REPORT, text.as_bytes()));
        if let Err(error) = saved {
            system.log(Level::Detail, &format!("{}: {error}", media::REPORT));
        }
    }

    fn json(&self, now: Duration, failure: Option<&Failure>) -> String {
        let mut text = String::from("{\n");
        let mut put = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}: {value},", string(name));
        };
        put("version", "1");
        put("began_seconds", &seconds(self.began));
        put("ended_seconds", &seconds(now));
        put("stages", &self.stages(now));
        if let Some(medium) = &self.medium {
            let labels: Vec<String> = medium.identity.labels.iter().map(|l| string(l)).collect();
            put("medium", &string(&medium.path()));
            if let Some(url) = &medium.url {
                put("medium_url", &string(url));
            }
            put("medium_file_system", &string(medium.identity.kind));
            put("medium_labels", &format!("[{}]", labels.join(", ")));
            put("medium_uuid", &string(&medium.identity.uuid));
        }
        let notices: Vec<String> = self.notices.iter().map(|n| string(n)).collect();
        put("notices", &format!("[{}]", notices.join(", ")));
        match failure {
            None => text.push_str("  \"result\": \"switched\"\n}\n"),
            Some(failure) => {
                put("code", &string(failure.code.code));
                put("stage", &string(failure.code.stage.name()));
                put("title", &string(failure.code.title));
                put("cause", &string(&failure.cause));
                put("advice", &string(failure.code.advice));
                text.push_str("  \"result\": \"stopped\"\n}\n");
            }
        }
        text
    }
}

/// Seconds with milliseconds, as JSON and people read them.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

/// A JSON string.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if u32::from(c) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Tells a failure: code, stage, cause and what to do, one line each.
pub(crate) fn tell(system: &mut dyn System, failure: &Failure) {
    let code = failure.code;
    let lines = [
        ("liveos-init", format!("{}: {}", code.code, code.title)),
        ("      stage", code.stage.name().to_owned()),
        ("      cause", failure.cause.replace(char::is_control, " ")),
        (" what to do", code.advice.to_owned()),
    ];
    let mut text = String::from("\n");
    for (name, line) in lines {
        system.log(Level::Detail, &format!("{}: {line}", name.trim()));
        text.extend([name, ": ", &line, "\n"]);
    }
    text.push('\n');
    system.console(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use contract::failure::MEDIUM_NOT_FOUND;

    #[test]
    fn a_failure_is_four_lines_on_the_console() {
        let mut fake = Fake::default();
        tell(
            &mut fake,
            &Failure::new(MEDIUM_NOT_FOUND, "no device\nat all"),
        );
        let lines: Vec<_> = fake.screen.lines().filter(|l| !l.is_empty()).collect();
        assert_eq!(lines[0], "liveos-init: L0201: the medium did not appear");
        assert_eq!(lines[1], "      stage: find the medium");
        assert_eq!(lines[2], "      cause: no device at all");
        assert!(lines[3].starts_with(" what to do: check that"));
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn the_report_is_json_whatever_the_texts_are() {
        let report = Report {
            began: Duration::from_millis(1234),
            medium: None,
            notices: vec!["a \"b\" \\ \n".into()],
            stages: vec![
                ("find", Duration::from_millis(1250)),
                ("switch", Duration::from_millis(1750)),
            ],
        };
        let failure = Failure::new(MEDIUM_NOT_FOUND, "x\u{1}");
        let text = report.json(Duration::from_secs(2), Some(&failure));
        assert_eq!(
            text.lines().take(6).collect::<Vec<_>>(),
            [
                "{",
                "  \"version\": 1,",
                "  \"began_seconds\": 1.234,",
                "  \"ended_seconds\": 2.000,",
                "  \"stages\": [{\"name\": \"find\", \"began_seconds\": 1.250, \"seconds\": 0.500}, \
                    {\"name\": \"switch\", \"began_seconds\": 1.750, \"seconds\": 0.250}],",
                "  \"notices\": [\"a \\\"b\\\" \\\\ \\u000a\"],"
            ]
        );
        assert!(
            text.contains("\"cause\": \"x\\u0001\",")
                && text.ends_with("\"result\": \"stopped\"\n}\n")
        );
        assert!(
            report
                .json(Duration::ZERO, None)
                .ends_with("\"result\": \"switched\"\n}\n")
        );
    }
}
