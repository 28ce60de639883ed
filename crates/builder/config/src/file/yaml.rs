//! YAML and JSON, text to [`Node`]: one document, of bounded depth and size, each key once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::fault::Fault;
use super::node::{Entry, Node, Value};
use super::source::{Position, Source};

/// The most levels of a document. The schema has ten; a deeper document is refused.
const MAX_DEPTH: usize = 32;
/// The most that a document may weigh after its aliases are followed (see [`Node::weight`]), so that a small file cannot stand for a huge
/// one; a heavier document is refused.
const MAX_WEIGHT: u64 = 8 << 20;
/// The key whose value's keys are taken over where the section does not have them itself: YAML 1.1's merge key.
const MERGE_KEY: &str = "<<";

/// Parses the text of `source`. `None` is a file without a document: nothing but comments.
///
/// # Errors
///
/// All faults that the text's syntax has; the first that leaves the rest unreadable is the last.
pub(super) fn parse(source: &Source) -> Result<Option<Rc<Node>>, Vec<Fault>> {
    let text = escapes(&source.text);
    let mut parser = Parser::new_from_str(&text);
    let mut builder = Builder::new(source);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let at = error.marker();
                let position = position(Span::empty(*at));
                let message = format!("is no YAML: {}", error.info());
                Err(Fault::at(source, position, message))
            }
        };
        if let Err(fault) = taken {
            builder.faults.push(discreet(source, fault));
            break;
        }
    }
    if builder.faults.is_empty() {
        Ok(builder.root)
    } else {
        Err(builder.faults)
    }
}

/// A fault of the syntax is not known to lie in a password or not: the line of what looks like one is not shown.
fn discreet(source: &Source, fault: Fault) -> Fault {
    let line = usize::try_from(fault.line.saturating_sub(1)).unwrap_or(0);
    let first = line.saturating_sub(2);
    let mut near = source.text.lines().skip(first).take(5);
    if near.any(|line| line.contains("value") || line.contains("password")) {
        fault.without_excerpt()
    } else {
        fault
    }
}

/// A list or a section that is not complete yet.
struct Frame {
    position: Position,
    /// The anchor's number; 0 without.
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        /// The line of each key.
        lines: BTreeMap<String, u32>,
        /// The key whose value comes next.
        key: Option<(String, Position)>,
    },
}

struct Builder<'a> {
    source: &'a Source,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    documents: usize,
    weight: u64,
    faults: Vec<Fault>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Source) -> Self {
        Self {
            source,
            frames: Vec::new(),
            anchors: BTreeMap::new(),
            root: None,
            documents: 0,
            weight: 0,
            faults: Vec::new(),
        }
    }

    fn fault(&self, position: Position, message: impl Into<String>) -> Fault {
        Fault::at(self.source, position, message)
    }

    /// Takes the next event; an error ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let position = position(span);
        match event {
            Event::DocumentStart(_) => self.document(position),
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = self.is_plain(style, tag.as_deref(), position)?;
                let node = Rc::new(Node::scalar(position, text.into_owned(), is_plain));
                self.anchor(anchor, &node);
                let weight = node.weight;
                self.put(node, position, weight)
            }
            Event::SequenceStart(anchor, tag) => {
                self.known_tag(tag.as_deref(), position)?;
                self.open(position, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.known_tag(tag.as_deref(), position)?;
                let content = Content::Map {
                    entries: Vec::new(),
                    lines: BTreeMap::new(),
                    key: None,
                };
                self.open(position, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    let weight = node.weight;
                    self.put(node, position, weight)
                }
                None => Err(self.fault(position, "this alias stands for a value that it is in")),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self, position: Position) -> Result<(), Fault> {
        self.documents = self.documents.saturating_add(1);
        if self.documents > 1 {
            let message = "a second document begins here, and a configuration file has one";
            return Err(self.fault(position, message).help(
                "put the second in a file of its own and name the first in its `baseConfigs`",
            ));
        }
        Ok(())
    }

    fn open(&mut self, position: Position, anchor: usize, content: Content) -> Result<(), Fault> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.too_deep(position));
        }
        self.frames.push(Frame {
            position,
            anchor,
            content,
        });
        Ok(())
    }

    fn too_deep(&self, position: Position) -> Fault {
        let message = format!("lies deeper than {MAX_DEPTH} levels, the most that are read");
        self.fault(position, message)
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let position = frame.position;
        let node = match frame.content {
            Content::List(items) => Node::list(position, items),
            Content::Map { entries, .. } => Node::map(position, self.merged(entries)?),
        };
        let node = Rc::new(node);
        self.anchor(frame.anchor, &node);
        // OK: what is in it was weighed when it was put there.
        self.put(node, position, super::node::VALUE_WEIGHT)
    }

    fn anchor(&mut self, anchor: usize, node: &Rc<Node>) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    /// Puts a complete value where it belongs; `weight` is what it adds to the document's.
    fn put(&mut self, node: Rc<Node>, position: Position, weight: u64) -> Result<(), Fault> {
        if self.frames.len().saturating_add(node.depth) > MAX_DEPTH.saturating_add(1) {
            return Err(self.too_deep(position));
        }
        self.weight = self.weight.saturating_add(weight);
        if self.weight > MAX_WEIGHT {
            let message =
                "what is before this place is all that is read of a file, its aliases followed";
            return Err(self.fault(position, message));
        }
        let mut fault = None;
        match self.frames.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map {
                entries,
                lines,
                key,
            }) => match key.take() {
                None => *key = Some(key_of(self.source, &node, position)?),
                Some((name, position)) => {
                    if let Some(line) = lines.insert(name.clone(), position.line) {
                        let message =
                            format!("`{name}` is given twice: line {line} has it already");
                        fault = Some(Fault::at(self.source, position, message));
                    } else {
                        entries.push(Entry {
                            name,
                            position,
                            node,
                        });
                    }
                }
            },
        }
        self.faults.extend(fault);
        Ok(())
    }

    /// The entries, with those of merge keys that are not given beside them.
    fn merged(&mut self, entries: Vec<Entry>) -> Result<Vec<Entry>, Fault> {
        if entries.iter().all(|entry| entry.name != MERGE_KEY) {
            return Ok(entries);
        }
        let (merges, mut kept): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| entry.name == MERGE_KEY);
        let mut names: std::collections::BTreeSet<String> =
            kept.iter().map(|entry| entry.name.clone()).collect();
        for merge in merges {
            let sections = match &merge.node.value {
                Value::List(items) => items.clone(),
                _ => vec![merge.node.clone()],
            };
            for section in sections {
                let Value::Map(more) = &section.value else {
                    let message = format!(
                        "`{MERGE_KEY}` takes over a section, and this is {}",
                        section.kind()
                    );
                    return Err(self.fault(merge.position, message));
                };
                for entry in more {
                    if names.insert(entry.name.clone()) {
                        kept.push(entry.clone());
                    }
                }
            }
        }
        Ok(kept)
    }

    /// Whether text may mean something else than itself.
    fn is_plain(&self, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<bool, Fault> {
        self.known_tag(tag, at)?;
        let is_text = tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix.is_empty());
        Ok(style == ScalarStyle::Plain && !is_text)
    }

    fn known_tag(&self, tag: Option<&Tag>, position: Position) -> Result<(), Fault> {
        const KNOWN: [&str; 7] = ["str", "int", "float", "bool", "null", "seq", "map"];
        match tag {
            Some(tag) if tag.is_yaml_core_schema() && KNOWN.contains(&tag.suffix.as_str()) => {
                Ok(())
            }
            Some(tag) if tag.handle == "!" && tag.suffix.is_empty() => Ok(()),
            Some(tag) => Err(self.fault(position, format!("the tag `{tag}` is not known"))),
            None => Ok(()),
        }
    }
}

fn key_of(source: &Source, node: &Node, position: Position) -> Result<(String, Position), Fault> {
    match &node.value {
        Value::Scalar { text, .. } => Ok((text.clone(), position)),
        _ => {
            let message = format!("a key is text, and this is {}", node.kind());
            Err(Fault::at(source, position, message))
        }
    }
}

fn position(span: Span) -> Position {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (start, end) = (span.start, span.end);
    let width = if start.line() == end.line() {
        end.col().saturating_sub(start.col())
    } else {
        1
    };
    Position {
        line: number(start.line()).max(1),
        column: number(start.col()).saturating_add(1),
        width: number(width).max(1),
        last_line: number(end.line()).max(1),
    }
}

/// The text with JSON's escapes of characters beyond U+FFFF, which are two surrogates, as YAML's, which is one number.
///
/// Source: RFC 8259 7 and YAML 1.2.2 5.7, which has no surrogates. Only in a file that is JSON: elsewhere `\u` need not be an escape.
fn escapes(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('{') || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        if let Some(letter) = surrogates(escape) {
            out.push_str(&format!("\\U{:08X}", u32::from(letter)));
            rest = escape.get(12..).unwrap_or_default();
        } else {
            // OK: what follows a backslash is not the beginning of another escape.
            let len = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
            let (escape, after) = escape.split_at(len);
            out.push_str(escape);
            rest = after;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of two escapes at the beginning of `text`.
fn surrogates(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let units = [unit(0)?, unit(6)?];
    let mut letters = char::decode_utf16(units);
    match (letters.next(), letters.next()) {
        (Some(Ok(letter)), None) => Some(letter),
        _ => None,
    }
}
