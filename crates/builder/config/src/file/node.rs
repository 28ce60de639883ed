//! A YAML document as a value in which every key and every value knows its place.

use std::rc::Rc;

use super::source::Position;

/// What a value weighs besides its text.
pub(super) const VALUE_WEIGHT: u64 = 16;

/// A value of a document.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) value: Value,
    /// What it costs to go through it: [`VALUE_WEIGHT`] for each value, itself included, and one for each byte of text.
    pub(super) weight: u64,
    /// How many levels it has, a scalar one.
    pub(super) depth: usize,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Value {
    /// Text, as it is after quotes and escapes. Plain (unquoted) text may mean a number, a truth value or nothing.
    Scalar { text: String, is_plain: bool },
    /// A list.
    List(Vec<Rc<Node>>),
    /// Keys and their values, in the order of the file; each key once.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where the key is.
    pub(super) position: Position,
    pub(super) node: Rc<Node>,
}

impl Node {
    pub(super) fn scalar(position: Position, text: String, is_plain: bool) -> Self {
        Self {
            position,
            weight: (text.len() as u64).saturating_add(VALUE_WEIGHT),
            depth: 1,
            value: Value::Scalar { text, is_plain },
        }
    }

    pub(super) fn list(position: Position, items: Vec<Rc<Self>>) -> Self {
        Self {
            position,
            weight: sum(items.iter()),
            depth: deepest(items.iter()),
            value: Value::List(items),
        }
    }

    pub(super) fn map(position: Position, entries: Vec<Entry>) -> Self {
        let nodes = || entries.iter().map(|entry| &entry.node);
        Self {
            position,
            weight: sum(nodes()),
            depth: deepest(nodes()),
            value: Value::Map(entries),
        }
    }

    /// Whether it stands for nothing: an empty value, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, is_plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Whether it is text without a character, or nothing.
    pub(super) fn is_empty_text(&self) -> bool {
        self.is_null() || matches!(&self.value, Value::Scalar { text, .. } if text.is_empty())
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { is_plain: true, .. } => "a single value",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a section with keys",
        }
    }
}

fn sum<'a>(nodes: impl Iterator<Item = &'a Rc<Node>>) -> u64 {
    nodes.fold(VALUE_WEIGHT, |sum: u64, node| {
        sum.saturating_add(node.weight)
    })
}

fn deepest<'a>(nodes: impl Iterator<Item = &'a Rc<Node>>) -> usize {
    nodes
        .map(|node| node.depth)
        .max()
        .unwrap_or(0)
        .saturating_add(1)
}
