//! What is wrong with configuration files: every fault of every file of the chain, each with its place and the line that it is on.

use std::fmt;
use std::path::{Path, PathBuf};

use super::source::{Position, Source};

/// The most faults that are listed; of the others only the number is said.
const MOST_FAULTS: usize = 100;
/// The most characters of a line that are shown with a fault: of a longer line the part around the fault.
const EXCERPT_LEN: usize = 100;

/// Configuration files that cannot be used: all of their faults.
#[derive(Debug, Default)]
pub struct Faults {
    /// The faults, in the order of the files and of their lines.
    faults: Vec<Fault>,
    /// How many more there are than are listed.
    unlisted: usize,
}

/// One fault of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where the fault is the file's as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 where the fault is the file's as a whole.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The number of the file in the order in which the files were read.
    order: usize,
    excerpt: Option<Box<Excerpt>>,
}

/// The line of a fault, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// How many characters stand before the fault.
    before: usize,
    /// How many characters the fault has, at least one.
    width: usize,
}

impl Faults {
    /// The faults, in the order of the files and of their lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }

    /// How many faults there are, listed or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.faults.len().saturating_add(self.unlisted)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether a further fault would be listed.
    pub(super) fn has_room(&self) -> bool {
        self.faults.len() < MOST_FAULTS
    }

    pub(super) fn push(&mut self, fault: Fault) {
        if self.has_room() {
            self.faults.push(fault);
        } else {
            self.count_one();
        }
    }

    /// One fault more than are listed.
    pub(super) fn count_one(&mut self) {
        self.unlisted = self.unlisted.saturating_add(1);
    }

    pub(super) fn sort(&mut self) {
        self.faults
            .sort_by_key(|fault| (fault.order, fault.line, fault.column));
    }

    /// Takes away the excerpts of lines that hold secrets.
    pub(super) fn hide(&mut self, is_secret: impl Fn(usize, u32) -> bool) {
        for fault in &mut self.faults {
            if is_secret(fault.order, fault.line) {
                fault.excerpt = None;
            }
        }
    }
}

impl Fault {
    /// A fault at a place in a file.
    pub(super) fn at(source: &Source, position: Position, message: impl Into<String>) -> Self {
        Self {
            file: source.path.clone(),
            line: position.line,
            column: position.column,
            message: visible(&message.into()),
            help: None,
            order: source.order,
            excerpt: Excerpt::of(source, position),
        }
    }

    /// A fault of a file as a whole.
    pub(super) fn of_file(path: &Path, order: usize, message: impl Into<String>) -> Self {
        Self {
            file: path.to_owned(),
            line: 0,
            column: 0,
            message: visible(&message.into()),
            help: None,
            order,
            excerpt: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(visible(&help.into()));
        self
    }

    /// The same fault without its line, for lines that may hold a secret.
    pub(super) fn without_excerpt(mut self) -> Self {
        self.excerpt = None;
        self
    }
}

/// Text with nothing in it that moves the cursor of a terminal: names of files and keys are anyone's.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => out.extend(letter.escape_debug()),
            false => out.push(letter),
        }
    }
    out
}

impl Excerpt {
    fn of(source: &Source, position: Position) -> Option<Box<Self>> {
        let line = usize::try_from(position.line).ok()?.checked_sub(1)?;
        let line = source.text.lines().nth(line)?;
        let column = usize::try_from(position.column).ok()?.checked_sub(1)?;
        let first = column.saturating_sub(EXCERPT_LEN / 2);
        // OK: a tab or a character that moves the cursor would put the mark elsewhere, or play tricks on the terminal.
        let shown = line
            .chars()
            .skip(first)
            .take(EXCERPT_LEN)
            .map(|letter| if letter.is_control() { ' ' } else { letter });
        let text: String = shown.collect();
        let before = column.saturating_sub(first);
        let rest = text.chars().count().saturating_sub(before);
        Some(Box::new(Self {
            text,
            before,
            width: usize::try_from(position.width)
                .unwrap_or(1)
                .min(rest)
                .max(1),
        }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.file.display().to_string()))?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(excerpt) = &self.excerpt {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            let before = " ".repeat(excerpt.before);
            let mark = "^".repeat(excerpt.width);
            write!(f, "\n  {number} | {}", excerpt.text)?;
            write!(f, "\n  {margin} | {before}{mark}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        if self.unlisted > 0 {
            write!(f, "\nand {} more faults", self.unlisted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
