//! `liveos explain`: what the runtime would do with a kernel command line.

use std::io::{Read as _, Write as _};

use contract::cmdline::Cmdline;
use contract::explain::{Explanation, explain};
use contract::parameter::reference::reference;
use serde_json::{Value, json};

use crate::args::ExplainArguments;
use crate::failure::{Exit, Failure, Result};

/// This machine's own kernel command line.
const OWN: &str = "/proc/cmdline";
/// The longest command line that is read, in bytes; the kernel takes 4096.
const LONGEST: u64 = 1 << 20;

/// Explains the command line, or prints all parameters.
pub(crate) fn run(arguments: &ExplainArguments) -> Result<()> {
    let text = if arguments.parameters {
        reference()
    } else {
        let given = arguments.command_line.join(" ");
        let line = match given.as_str() {
            "" | "-" => own()?,
            _ => given,
        };
        let explanation = explain(&Cmdline::parse(&line));
        match arguments.json {
            true => format!("{:#}\n", as_json(&explanation)),
            false => as_text(&explanation),
        }
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(Exit::Output, "printing the explanation", error))
}

fn own() -> Result<String> {
    let failed = |error| Failure::new(Exit::Host, format!("reading {OWN}"), error);
    let file = std::fs::File::open(OWN).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The explanation as JSON: an interface.
fn as_json(explanation: &Explanation) -> Value {
    let step = |(about, text): &(&str, String)| json!({ "about": about, "text": text });
    let parameters = explanation.parameters.iter().map(|given| {
        json!({
            "text": given.text,
            "name": given.parameter.name,
            "dialect": given.parameter.dialect.describe(),
            "standing": match given.is_read {
                true => given.parameter.standing.describe(),
                false => NOT_READ,
            },
            "help": given.parameter.help,
        })
    });
    json!({
        "boots": explanation.failure.is_none(),
        "steps": explanation.steps.iter().map(step).collect::<Vec<_>>(),
        "parameters": parameters.collect::<Vec<_>>(),
        "others": explanation.others,
        "notices": explanation.notices,
        "failure": explanation.failure.as_ref().map(|failure| json!({
            "code": failure.code.code,
            "title": failure.code.title,
            "cause": failure.cause,
            "advice": failure.code.advice,
        })),
    })
}

/// A parameter of a dialect that the line is not in.
const NOT_READ: &str = "not read";

/// The same for people.
fn as_text(explanation: &Explanation) -> String {
    let mut text = String::new();
    if let Some(failure) = &explanation.failure {
        text.push_str(&format!(
            "the boot stops: {}: {}\n  cause: {}\n  help: {}\n",
            failure.code.code, failure.code.title, failure.cause, failure.code.advice
        ));
    }
    for (about, what) in &explanation.steps {
        text.push_str(&format!("{about}: {what}\n"));
    }
    for notice in &explanation.notices {
        text.push_str(&format!("warning: {notice}\n"));
    }
    if !explanation.parameters.is_empty() {
        text.push_str("\nparameters:\n");
    }
    for given in &explanation.parameters {
        let standing = match given.is_read {
            true => given.parameter.standing.describe(),
            false => NOT_READ,
        };
        text.push_str(&format!(
            "  {} ({standing}): {}\n",
            given.text, given.parameter.help
        ));
    }
    if !explanation.others.is_empty() {
        text.push_str(&format!(
            "left to the kernel and the system: {}\n",
            explanation.others.join(" ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_are_told_the_same() {
        let line = "root=live:LABEL=x rd.live.dir=a verify=y quiet foo persistence rd.live.nothing";
        let explanation = explain(&Cmdline::parse(line));
        let (text, json) = (as_text(&explanation), as_json(&explanation));
        for part in [
            "dialect: dmsquash-live and KIWI\n",
            "medium: the first device with the label \"x\"\n",
            "warning: rd.live.nothing: unknown, and nothing is done for it\n",
            "  rd.live.dir=a (honoured): the folder",
            "  verify=y (not read): ",
            "left to the kernel and the system: foo rd.live.nothing\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(json["boots"], true);
        assert_eq!(json["parameters"].as_array().unwrap().len(), 5);
        assert_eq!(json["parameters"][2]["standing"], "not read");
        assert_eq!(json["others"], json!(["foo", "rd.live.nothing"]));
    }

    #[test]
    fn a_line_that_does_not_boot_has_its_code_and_what_to_do() {
        let explanation = explain(&Cmdline::parse("root=live:nonsense"));
        let (text, json) = (as_text(&explanation), as_json(&explanation));
        assert!(text.starts_with("the boot stops: L0102: "), "{text}");
        assert!(text.contains("\n  help: use live:LABEL="), "{text}");
        assert_eq!(json["failure"]["code"], "L0102");
        assert_eq!(json["boots"], false);
    }
}
