//! The page of parameters says what the tables do.

use std::fs;
use std::path::Path;

use contract::parameter::{all, reference::reference};

/// What stands before the tables on the page.
const MARK: &str = "anew. -->\n\n";

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variable asks for the page to be written"
)]
fn the_page_has_every_parameter() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/parameters.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, tables) = text.split_once(MARK).unwrap();
    if std::env::var("LIVEOS_UPDATE_DOCS").is_ok() {
        fs::write(&path, format!("{before}{MARK}{}", reference())).unwrap();
        return;
    }
    assert!(
        tables == reference(),
        "docs/parameters.md is not what is read: run this test with LIVEOS_UPDATE_DOCS=1"
    );
    for parameter in all() {
        assert!(
            text.contains(&format!("| `{}` |", parameter.name)),
            "{}",
            parameter.name
        );
    }
}
