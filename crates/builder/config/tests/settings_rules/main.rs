//! Every rule of configuration files that refuses, refusing: with the line, the key and the reason.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where a step fails"
)]
#![expect(clippy::too_many_lines, reason = "a table has a row for each rule")]

mod chain;
mod files;
mod hostile;
mod keys;
mod storage;
mod values;

use std::fs;
use std::path::Path;

use config::file::{Faults, Overrides, load};
use config::settings::Settings;

/// A folder for configuration files, with a few that others name.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("file.txt", "text\n");
        folder.write("script.sh", "true\n");
        folder.write("folder/inner.txt", "text\n");
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn load(&self, name: &str) -> Result<Settings, Faults> {
        load(&self.path().join(name), Overrides::default())
    }
}

/// Reads `text` as a file of its own.
fn read(text: &str) -> Result<Settings, Faults> {
    let folder = Folder::new();
    folder.write("config.yaml", text);
    folder.load("config.yaml")
}

/// Stands in a text before the place of its fault.
const HERE: char = '¦';

/// The faults of `text`, each as `line:column message`.
fn faults(text: &str) -> Vec<String> {
    let faults = read(text).expect_err(text);
    let shown = faults.iter().map(|fault| {
        assert!(fault.file.ends_with("config.yaml"), "{fault}");
        format!("{}:{} {}", fault.line, fault.column, fault.message)
    });
    shown.collect()
}

/// Each text has one fault, at [`HERE`]; its message begins with what stands beside the text.
fn refused(rows: &[(&str, &str)]) {
    for (marked, expected) in rows {
        let (before, after) = marked.split_once(HERE).expect(marked);
        let line = before.matches('\n').count() + 1;
        let column = before
            .chars()
            .rev()
            .take_while(|letter| *letter != '\n')
            .count()
            + 1;
        let expected = format!("{line}:{column} {expected}");
        let faults = faults(&format!("{before}{after}"));
        assert!(
            matches!(faults.as_slice(), [fault] if fault.starts_with(&expected)),
            "{marked}\nexpected: {expected}\nfaults: {faults:#?}"
        );
    }
}

/// Each text is accepted.
fn accepted(texts: &[&str]) {
    for text in texts {
        if let Err(faults) = read(text) {
            panic!("{text}\n{faults}");
        }
    }
}
