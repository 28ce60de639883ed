//! Reference programs of these tests, and the tree that they make media of.

use std::path::Path;
use std::process::Command;

use block::{Content, ReadAt as _};
use tree::Tree;

/// Whether the programs are there. Where one is not, the test is skipped, which CI does not accept.
pub(crate) use testkit::tools::available as need;

/// Runs a program and answers with what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Writes a file, with the folders above it.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// All bytes of the file at `path` of `tree`.
pub(crate) fn bytes(tree: &Tree<Content>, path: &str) -> Vec<u8> {
    let content = tree.file(path);
    let content = content.unwrap_or_else(|| panic!("{path} is not there"));
    let mut bytes = vec![0; usize::try_from(content.len()).unwrap()];
    content.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
