//! The reference tools of the tests.

use std::path::Path;

/// Whether a reference tool is there; where it must be and is not, the test fails.
#[expect(clippy::print_stderr, reason = "says what was not tested")]
pub(crate) fn need(tool: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).exists()))
        || Path::new(tool).exists();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{tool} is missing");
        eprintln!("SKIPPED: needs {tool}");
    }
    found
}
