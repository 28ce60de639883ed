//! `liveos inspect`: what a disk image or an ISO holds.

use std::io::Write as _;

use crate::args::InspectArguments;
use crate::build::source_options;
use crate::failure::{Exit, Failure, Result};
use crate::report::{Report, text};

/// Prints it on standard output.
pub(crate) fn run(arguments: &InspectArguments) -> Result<()> {
    let doing = format!("inspecting {}", arguments.source.display());
    let options = source_options(arguments.allow_backing_anywhere, None);
    let report = Report::of(&arguments.source, &options)
        .map_err(|error| Failure::input(doing.clone(), error))?;
    let printed = if arguments.json {
        let json = serde_json::to_string_pretty(&report);
        json.map_err(|error| Failure::new(Exit::Bug, doing.clone(), error))? + "\n"
    } else {
        text::render(&report)
    };
    std::io::stdout()
        .write_all(printed.as_bytes())
        .map_err(|error| Failure::new(Exit::Output, doing, error))
}
