//! A configuration file with all that it builds on: read depth first, the base before what is derived from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::fault::Fault;
use super::fields::{Context, Marked, Report, Section, Shape as _};
use super::node::Node;
use super::section::{self, FileValues};
use super::source::{Mark, Position, Source};
use super::yaml;

/// The most files of a chain, lists of packages among them; a longer chain is refused.
const MAX_FILES: usize = 256;

/// Files in the order in which they apply, with what they say.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) files: Vec<(Rc<Source>, FileValues)>,
    pub(super) report: Report,
}

/// Reads the chain that ends with the file at `path`.
pub(super) fn read(path: &Path) -> Chain {
    match Source::read(path, 0) {
        Ok(source) => of_source(source),
        Err(fault) => Chain::broken(fault),
    }
}

impl Chain {
    /// A chain whose last file cannot be read.
    pub(super) fn broken(fault: Fault) -> Self {
        let mut report = Report::default();
        report.faults.push(fault);
        Self {
            files: Vec::new(),
            report,
        }
    }
}

/// Reads the chain that ends with `source`.
pub(super) fn of_source(source: Source) -> Chain {
    let mut report = Report::default();
    report.files = 1;
    let id = identity(&source.path);
    let context = Context::new(Rc::new(source), report);
    let mut walk = Walk {
        context,
        files: Vec::new(),
        seen: Vec::new(),
    };
    let source = walk.context.source.clone();
    walk.file(source, id);
    Chain {
        files: walk.files,
        report: walk.context.report,
    }
}

/// What makes two paths the same file: the absolute path without links, as far as it can be had.
fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

struct Walk {
    context: Context,
    files: Vec<(Rc<Source>, FileValues)>,
    /// The files that were begun, by their identity; those that are complete are no longer open.
    seen: Vec<Seen>,
}

struct Seen {
    id: PathBuf,
    path: PathBuf,
    is_open: bool,
}

impl Walk {
    /// Reads a file and, before it, what it builds on.
    fn file(&mut self, source: Rc<Source>, id: PathBuf) {
        self.context.source = source.clone();
        self.seen.push(Seen {
            id: id.clone(),
            path: source.path.clone(),
            is_open: true,
        });
        let values = read_document(&mut self.context, &section::FILE).unwrap_or_default();
        for base in &values.base_configs {
            self.base(base);
        }
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.id == id) {
            seen.is_open = false;
        }
        self.files.push((source, values));
    }

    fn base(&mut self, base: &Marked<PathBuf>) {
        let id = identity(&base.value);
        if let Some(seen) = self.seen.iter().find(|seen| seen.id == id) {
            let fault = match seen.is_open {
                true => base.mark.fault(format!(
                    "`baseConfigs` goes in a circle: {}",
                    self.circle(&id)
                )),
                false => base.mark.fault(format!(
                    "`baseConfigs` has {} for the second time in this chain",
                    seen.path.display()
                )),
            };
            self.context.report.faults.push(fault);
            return;
        }
        if let Some(source) = self.context.open(&base.value, &base.mark) {
            self.file(Rc::new(source), id);
        }
    }

    /// The open files from `id` on, and `id` again.
    fn circle(&self, id: &Path) -> String {
        let open = self.seen.iter().filter(|seen| seen.is_open);
        let mut names: Vec<String> = open
            .skip_while(|seen| seen.id != id)
            .map(|seen| seen.path.display().to_string())
            .collect();
        names.extend(names.first().cloned());
        names.join(" → ")
    }
}

impl Context {
    /// Opens a file that the value at `mark` names.
    pub(super) fn open(&mut self, path: &Path, mark: &Mark) -> Option<Source> {
        let order = self.report.files;
        if order >= MAX_FILES {
            let message = format!("is one file more than the {MAX_FILES} that a chain may have");
            self.report.is_broken = true;
            self.report.faults.push(mark.fault(message));
            return None;
        }
        self.report.files = order.saturating_add(1);
        match Source::read(path, order) {
            Ok(source) => Some(source),
            Err(fault) => {
                self.report.is_broken = true;
                self.report.faults.push(fault);
                None
            }
        }
    }
}

/// Reads a file of its own, which the file being read names.
pub(super) fn document<T>(
    context: &mut Context,
    source: Source,
    section: &Section<T>,
) -> Option<T> {
    context.in_file(source, |context| read_document(context, section))
}

/// Reads the document of the context's file; one without a document is an empty section.
fn read_document<T>(context: &mut Context, section: &Section<T>) -> Option<T> {
    let node = match yaml::parse(&context.source) {
        Ok(Some(node)) if !node.is_null() => node,
        Ok(_) => Rc::new(Node::map(Position::START, Vec::new())),
        Err(faults) => {
            context.report.is_broken = true;
            for fault in faults {
                context.report.faults.push(fault);
            }
            return None;
        }
    };
    section.read(&node, context)
}
