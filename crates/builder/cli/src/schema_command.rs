//! `liveos schema`: the JSON schema of the configuration, for editors and other programs.

use std::io::Write as _;

use crate::failure::{Exit, Failure, Result};

/// Prints the schema.
pub(crate) fn run() -> Result<()> {
    let text = format!("{:#}\n", config::file::schema());
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(Exit::Output, "printing the schema", error))
}
