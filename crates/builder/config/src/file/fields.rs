//! Reading a section: its keys one after the other, then what is left over.
//!
//! A section is a function of [`Fields`] that asks for its keys. With a document behind them, the fields answer with values, and faults go
//! to the [`Context`]; without one they write down what was asked for: the section's [`Form`].

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::fault::{Fault, Faults, visible};
use super::form::{Form, Key, KeyForm, ObjectForm};
use super::nearest::nearest;
use super::node::{Entry, Node, Value};
use super::source::{Mark, Position, Source};
use crate::settings::Place;

/// What a value may be, and how it is read.
pub(super) trait Shape {
    /// The value.
    type Value;

    /// Reads the value; what is wrong goes to the context. `None` is a value that cannot be used.
    fn read(&self, node: &Node, context: &mut Context) -> Option<Self::Value>;

    /// What is accepted.
    fn form(&self) -> Form;

    /// Whether text without a character is the same as no value.
    fn empty_is_absent(&self) -> bool {
        false
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Marked<T> {
    pub(super) value: T,
    pub(super) mark: Mark,
}

/// The file being read, and what was found so far in all files.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) source: Rc<Source>,
    pub(super) report: Report,
    /// The keys and numbers that lead to the value being read.
    path: Vec<String>,
}

/// What was found in all files.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) faults: Faults,
    /// Warnings with the number of their file and their line.
    pub(super) warnings: Vec<(usize, u32, String)>,
    /// Where each key is given, by the number of the file.
    pub(super) places: BTreeMap<usize, Vec<(String, Place)>>,
    /// How many files were read.
    pub(super) files: usize,
    /// Whether a file of the chain could not be read at all, so that nothing can be said of the chain as a whole.
    pub(super) is_broken: bool,
    /// The lines that hold a secret, by the number of their file.
    secret_lines: BTreeSet<(usize, u32)>,
}

impl Report {
    /// The faults, in order and without secrets, if there are any.
    pub(super) fn check(&mut self) -> Result<(), Faults> {
        let mut faults = std::mem::take(&mut self.faults);
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort();
        faults.hide(|order, line| self.secret_lines.contains(&(order, line)));
        Err(faults)
    }

    /// The warnings, in order.
    pub(super) fn warnings(&mut self) -> Vec<String> {
        self.warnings.sort();
        let warnings = std::mem::take(&mut self.warnings);
        warnings.into_iter().map(|(_, _, text)| text).collect()
    }

    pub(super) fn warn(&mut self, mark: &Mark, message: &str) {
        let text = visible(&format!("{mark}: {message}"));
        let entry = (mark.source.order, mark.position.line, text);
        self.warnings.push(entry);
    }
}

impl Context {
    pub(super) fn new(source: Rc<Source>, report: Report) -> Self {
        Self {
            source,
            report,
            path: Vec::new(),
        }
    }

    /// The value's path: `os.users[0].name`.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        path
    }

    /// The path of a key of the section being read.
    pub(super) fn path_of(&self, name: &str) -> String {
        let path = self.path();
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    }

    /// A fault of the value being read: its path comes first.
    pub(super) fn refuse(&mut self, position: Position, message: &str) {
        if self.report.faults.has_room() {
            let fault = self.wrong(position, message);
            self.report.faults.push(fault);
        } else {
            self.report.faults.count_one();
        }
    }

    /// The same, with what to do about it.
    pub(super) fn refuse_with(&mut self, position: Position, message: &str, help: String) {
        let fault = self.wrong(position, message).help(help);
        self.report.faults.push(fault);
    }

    fn wrong(&self, position: Position, message: &str) -> Fault {
        let path = self.path();
        let message = match path.as_str() {
            "" => message.to_owned(),
            path => format!("`{path}` {message}"),
        };
        Fault::at(&self.source, position, message)
    }

    /// Reads with one more step of the path.
    pub(super) fn within<T>(&mut self, step: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let value = read(self);
        self.path.pop();
        value
    }

    /// Reads another file, with a path of its own.
    pub(super) fn in_file<T>(&mut self, source: Source, read: impl FnOnce(&mut Self) -> T) -> T {
        let source = std::mem::replace(&mut self.source, Rc::new(source));
        let path = std::mem::take(&mut self.path);
        let value = read(self);
        self.source = source;
        self.path = path;
        value
    }

    pub(super) fn mark(&self, position: Position) -> Mark {
        Mark {
            source: self.source.clone(),
            position,
        }
    }

    /// The value holds a secret: its lines are not shown with a fault.
    pub(super) fn keep_secret(&mut self, position: Position) {
        let lines = position.line..=position.last_line.max(position.line);
        let order = self.source.order;
        self.report
            .secret_lines
            .extend(lines.map(|line| (order, line)));
    }

    fn remember(&mut self, position: Position) {
        if self.path.iter().any(|step| step.starts_with('[')) {
            return;
        }
        let place = Place {
            file: self.source.path.clone(),
            line: position.line,
        };
        let path = self.path();
        let places = self.report.places.entry(self.source.order).or_default();
        places.push((path, place));
    }
}

/// The keys of a section, being read or being written down.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    reading: Option<Reading<'a>>,
    /// What was asked for, when it is written down.
    asked: Vec<KeyForm>,
    /// The names of all that was asked for.
    known: Vec<&'static str>,
}

#[derive(Debug)]
struct Reading<'a> {
    node: &'a Node,
    entries: BTreeMap<&'a str, &'a Entry>,
    context: &'a mut Context,
}

impl Fields<'_> {
    /// The value of a key; `None` where it is not given, or cannot be used.
    pub(super) fn get<S: Shape>(&mut self, key: Key, shape: &S) -> Option<S::Value> {
        self.known.push(key.name);
        let Some(reading) = &mut self.reading else {
            let form = shape.form();
            self.asked.push(KeyForm { key, form });
            return None;
        };
        let position = reading.node.position;
        match reading.given(key.name, shape) {
            Some(entry) => reading.value(key, entry, shape),
            None => {
                if key.is_needed {
                    let message = format!("needs the key `{}`", key.name);
                    reading.context.refuse(position, &message);
                }
                None
            }
        }
    }

    /// The value of a key that has to be there. Where it is not, that is a fault, and the value stands in for it.
    pub(super) fn need<S: Shape<Value: Default>>(&mut self, key: Key, shape: &S) -> S::Value {
        self.get(key.needed(), shape).unwrap_or_default()
    }

    /// The items of a list, none where it is not given.
    pub(super) fn list<S: Shape>(&mut self, key: Key, item: S) -> Vec<S::Value> {
        self.get(key, &super::shape::List(item)).unwrap_or_default()
    }

    /// The value of a key that was asked for already, read once more as something else.
    pub(super) fn again<S: Shape>(&mut self, name: &str, shape: &S) -> Option<S::Value> {
        let reading = self.reading.as_mut()?;
        let entry = reading.given(name, shape)?;
        reading
            .context
            .within(name.to_owned(), |context| shape.read(&entry.node, context))
    }

    /// The value of a key with its place.
    pub(super) fn marked<S: Shape>(&mut self, key: Key, shape: &S) -> Option<Marked<S::Value>> {
        let value = self.get(key, shape)?;
        let mark = self.mark(key.name)?;
        Some(Marked { value, mark })
    }

    /// The place of a key, as far as it is given; `None` where nothing is read.
    pub(super) fn mark(&self, name: &str) -> Option<Mark> {
        let reading = self.reading.as_ref()?;
        let entry = reading.entries.get(name)?;
        Some(reading.context.mark(entry.position))
    }

    /// Whether a key is given and has text in it, or more than text.
    pub(super) fn has(&self, name: &str) -> bool {
        self.node(name).is_some_and(|node| !node.is_empty_text())
    }

    /// Whether a key is given, with empty text too.
    pub(super) fn has_any(&self, name: &str) -> bool {
        self.node(name).is_some_and(|node| !node.is_null())
    }

    fn node(&self, name: &str) -> Option<&Node> {
        let entry = self.reading.as_ref()?.entries.get(name)?;
        Some(&entry.node)
    }

    /// A fault of the key `name`, or of the section where the key is not given.
    pub(super) fn refuse(&mut self, name: &str, message: &str) {
        if let Some(reading) = &mut self.reading {
            match reading.entries.get(name) {
                Some(entry) => {
                    let position = entry.position;
                    reading
                        .context
                        .within(name.to_owned(), |context| context.refuse(position, message));
                }
                None => reading.context.refuse(reading.node.position, message),
            }
        }
    }

    /// A fault unless exactly one of two keys is given: each by its name and whether it is.
    pub(super) fn need_one_of(&mut self, one: (&str, bool), other: (&str, bool)) {
        let message = match (one.1, other.1) {
            (true, true) => format!("cannot stand beside `{}`: give one of the two", one.0),
            (false, false) => format!("needs one of the keys `{}` and `{}`", one.0, other.0),
            _ => return,
        };
        let at = if one.1 { other.0 } else { "" };
        self.refuse(at, &message);
    }

    /// The context, where something is read.
    pub(super) fn context(&mut self) -> Option<&mut Context> {
        self.reading.as_mut().map(|reading| &mut *reading.context)
    }
}

impl<'a> Reading<'a> {
    /// The entry of a key that is given and not empty.
    fn given<S: Shape>(&self, name: &str, shape: &S) -> Option<&'a Entry> {
        let entry = self.entries.get(name).copied()?;
        let is_absent = if shape.empty_is_absent() {
            entry.node.is_empty_text()
        } else {
            entry.node.is_null()
        };
        (!is_absent).then_some(entry)
    }

    fn value<S: Shape>(&mut self, key: Key, entry: &Entry, shape: &S) -> Option<S::Value> {
        self.context.within(key.name.to_owned(), |context| {
            if let Some(why) = key.idle {
                let mark = context.mark(entry.position);
                let message = format!("`{}` has no effect on live media: {why}", context.path());
                context.report.warn(&mark, &message);
            }
            context.remember(entry.position);
            shape.read(&entry.node, context)
        })
    }

    /// A fault for every key that nothing asked for.
    fn check_left_over(&mut self, known: &[&'static str]) {
        let mut left: Vec<&Entry> = self.entries.values().copied().collect();
        left.retain(|entry| !known.contains(&entry.name.as_str()));
        left.sort_by_key(|entry| (entry.position.line, entry.position.column));
        for entry in left {
            // OK: of a file of nothing but unknown keys only the first are looked into.
            if !self.context.report.faults.has_room() {
                self.context.report.faults.count_one();
                continue;
            }
            let path = self.context.path_of(&shown(&entry.name));
            let message = format!("unknown key `{path}`");
            let mut fault = Fault::at(&self.context.source, entry.position, message);
            fault.help = help_for(&entry.name, known).map(|help| visible(&help));
            self.context.report.faults.push(fault);
        }
    }
}

/// A key as a message shows it: no longer than a line.
fn shown(name: &str) -> String {
    const LONGEST: usize = 60;
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    let start: String = name.chars().take(LONGEST).collect();
    format!("{start}…")
}

fn help_for(name: &str, known: &[&'static str]) -> Option<String> {
    if let Some(near) = nearest(name, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let homes = super::section::form().homes(name);
    match homes.as_slice() {
        [] => {
            let mut words: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            words.sort();
            Some(format!("the keys here are {}", words.join(", ")))
        }
        [home] if home.is_empty() => Some(format!("`{name}` stands at the top of the file")),
        homes => {
            let homes: Vec<String> = homes.iter().map(|home| format!("`{home}`")).collect();
            Some(format!("`{name}` is a key of {}", homes.join(" and ")))
        }
    }
}

/// A section: its name among the schema's definitions, and the function that asks for its keys.
#[derive(Debug)]
pub(super) struct Section<T>(pub(super) &'static str, pub(super) fn(&mut Fields<'_>) -> T);

impl<T> Clone for Section<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Section<T> {}

impl<T> Section<T> {
    /// What the section accepts.
    pub(super) fn object_form(&self) -> ObjectForm {
        let mut fields = Fields {
            reading: None,
            asked: Vec::new(),
            known: Vec::new(),
        };
        (self.1)(&mut fields);
        ObjectForm {
            name: self.0,
            keys: fields.asked,
        }
    }
}

impl<T> Shape for Section<T> {
    type Value = T;

    fn read(&self, node: &Node, context: &mut Context) -> Option<T> {
        let Value::Map(entries) = &node.value else {
            let message = format!("is {}, and must be a section with keys", node.kind());
            context.refuse(node.position, &message);
            return None;
        };
        let entries = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry))
            .collect();
        let mut fields = Fields {
            reading: Some(Reading {
                node,
                entries,
                context,
            }),
            asked: Vec::new(),
            known: Vec::new(),
        };
        let value = (self.1)(&mut fields);
        let Fields { reading, known, .. } = fields;
        if let Some(mut reading) = reading {
            reading.check_left_over(&known);
        }
        Some(value)
    }

    fn form(&self) -> Form {
        Form::Object(self.object_form())
    }
}
