//! The shapes of single values, lists and maps.

use std::collections::BTreeMap;

use super::fields::{Context, Shape};
use super::form::Form;
use super::nearest::nearest;
use super::node::{Node, Value};

/// A rule for text: `Err` says what is wrong, to follow the key: `has no name in it`.
pub(super) type Rule = fn(&str) -> Result<(), String>;

/// Text. Numbers and truth values that are written without quotes are taken as they are written, as in `version: 3.0`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    says: &'static str,
    pattern: Option<&'static str>,
    rule: Option<Rule>,
    may_be_empty: bool,
}

impl Text {
    /// Any text but none. `says` is what it is: `a name`.
    pub(super) const fn any(says: &'static str) -> Self {
        Self {
            says,
            pattern: None,
            rule: None,
            may_be_empty: false,
        }
    }

    /// Text that keeps a rule.
    pub(super) const fn of(says: &'static str, rule: Rule) -> Self {
        Self {
            rule: Some(rule),
            ..Self::any(says)
        }
    }

    /// With the regular expression that the schema has for the rule.
    pub(super) const fn pattern(self, pattern: &'static str) -> Self {
        Self {
            pattern: Some(pattern),
            ..self
        }
    }

    /// Text that may have no character.
    pub(super) const fn or_empty(self) -> Self {
        Self {
            may_be_empty: true,
            ..self
        }
    }
}

impl Shape for Text {
    type Value = String;

    fn read(&self, node: &Node, context: &mut Context) -> Option<String> {
        let Value::Scalar { text, .. } = &node.value else {
            let message = format!("is {}, and must be {}", node.kind(), self.says);
            context.refuse(node.position, &message);
            return None;
        };
        let text = if node.is_null() { "" } else { text.as_str() };
        if text.is_empty() && !self.may_be_empty {
            context.refuse(node.position, "is empty");
            return None;
        }
        if text.contains('\0') {
            context.refuse(
                node.position,
                "holds a character of number zero, which no text has",
            );
            return None;
        }
        if let Some(Err(message)) = self.rule.map(|rule| rule(text)) {
            context.refuse(node.position, &message);
            return None;
        }
        Some(text.to_owned())
    }

    fn form(&self) -> Form {
        Form::Text {
            says: self.says,
            pattern: self.pattern,
        }
    }

    fn empty_is_absent(&self) -> bool {
        !self.may_be_empty
    }
}

/// `true` or `false`, and the other words that YAML 1.1 has for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag;

impl Shape for Flag {
    type Value = bool;

    fn read(&self, node: &Node, context: &mut Context) -> Option<bool> {
        let word = match &node.value {
            Value::Scalar {
                text,
                is_plain: true,
            } => text.as_str(),
            _ => "",
        };
        match word {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
                Some(true)
            }
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n"
            | "N" => Some(false),
            _ => {
                let message = format!("is {}, and must be `true` or `false`", given(node));
                context.refuse(node.position, &message);
                None
            }
        }
    }

    fn form(&self) -> Form {
        Form::Flag
    }
}

/// A whole number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integer {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Shape for Integer {
    type Value = i64;

    fn read(&self, node: &Node, context: &mut Context) -> Option<i64> {
        let number = match &node.value {
            Value::Scalar {
                text,
                is_plain: true,
            } => integer(text),
            _ => None,
        };
        let Some(number) = number else {
            let message = format!("is {}, and must be a whole number", given(node));
            context.refuse(node.position, &message);
            return None;
        };
        if (self.least..=self.most).contains(&number) {
            return Some(number);
        }
        let message = format!(
            "is {number}, and must be from {} to {}",
            self.least, self.most
        );
        context.refuse(node.position, &message);
        None
    }

    fn form(&self) -> Form {
        Form::Integer {
            least: self.least,
            most: self.most,
        }
    }
}

/// A number as YAML 1.2 writes it. A zero before other digits is none: for YAML 1.1 it is octal.
fn integer(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok();
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok();
    }
    let digits = text.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    text.parse().ok()
}

/// A value as a message shows it: the text itself where it is short, else what it is.
fn given(node: &Node) -> String {
    const LONGEST: usize = 40;
    match &node.value {
        Value::Scalar { text, is_plain } if !node.is_null() && text.chars().count() <= LONGEST => {
            let text = text.escape_debug();
            if *is_plain {
                format!("`{text}`")
            } else {
                format!("the text \"{text}\"")
            }
        }
        _ => node.kind().to_owned(),
    }
}

/// One of some words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T, &'static str)]);

impl<T: Copy> Shape for Choice<T> {
    type Value = T;

    fn read(&self, node: &Node, context: &mut Context) -> Option<T> {
        let words = || self.0.iter().map(|(word, ..)| *word);
        let Value::Scalar { text, .. } = &node.value else {
            let message = format!("is {}, and must be {}", node.kind(), listed(words()));
            context.refuse(node.position, &message);
            return None;
        };
        if let Some((_, value, _)) = self.0.iter().find(|(word, ..)| word == text) {
            return Some(*value);
        }
        let message = format!("is {}, and must be {}", given(node), listed(words()));
        match nearest(text, words()) {
            Some(word) => {
                let help = format!("did you mean `{word}`?");
                context.refuse_with(node.position, &message, help);
            }
            None => context.refuse(node.position, &message),
        }
        None
    }

    fn form(&self) -> Form {
        Form::Choice(
            self.0
                .iter()
                .map(|(word, _, says)| (*word, *says))
                .collect(),
        )
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}

/// ``one of `a`, `b` and `c` ``.
pub(super) fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("one of {} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The bits of a file's permissions: octal digits, in quotes or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permissions;

/// The permissions' bits; there are none for set-user-ID and the like.
const PERMISSION_BITS: u16 = 0o777;

impl Shape for Permissions {
    type Value = u16;

    fn read(&self, node: &Node, context: &mut Context) -> Option<u16> {
        let bits = match &node.value {
            Value::Scalar { text, .. } => {
                let digits = text.strip_prefix("0o").unwrap_or(text);
                let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
                u16::from_str_radix(digits, 8).ok().filter(|_| is_octal)
            }
            _ => None,
        };
        match bits {
            Some(bits) if bits & !PERMISSION_BITS == 0 => return Some(bits),
            Some(bits) => {
                let message = format!("is {bits:o}, and may have the bits of 777 only");
                context.refuse(node.position, &message);
            }
            None => {
                let message = format!(
                    "is {}, and must be permissions in octal, as \"644\"",
                    given(node)
                );
                context.refuse(node.position, &message);
            }
        }
        None
    }

    fn form(&self) -> Form {
        Form::Permissions
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}

/// Any number of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<S>(pub(super) S);

impl<S: Shape> Shape for List<S> {
    type Value = Vec<S::Value>;

    fn read(&self, node: &Node, context: &mut Context) -> Option<Self::Value> {
        let Value::List(items) = &node.value else {
            let message = format!("is {}, and must be a list", node.kind());
            context.refuse(node.position, &message);
            return None;
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let value = context.within(format!("[{index}]"), |context| {
                let is_empty = self.0.empty_is_absent() && item.is_empty_text();
                if is_empty || item.is_null() {
                    context.refuse(item.position, "is empty");
                    return None;
                }
                self.0.read(item, context)
            });
            values.extend(value);
        }
        Some(values)
    }

    fn form(&self) -> Form {
        Form::List(Box::new(self.0.form()))
    }
}

/// Names that the user chooses, with text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map {
    /// What it holds: `environment variables`.
    pub(super) says: &'static str,
    /// The rule for the names.
    pub(super) name: Rule,
    /// The rule for the text.
    pub(super) value: Rule,
}

impl Shape for Map {
    type Value = BTreeMap<String, String>;

    fn read(&self, node: &Node, context: &mut Context) -> Option<Self::Value> {
        let Value::Map(entries) = &node.value else {
            let message = format!("is {}, and must be names with values", node.kind());
            context.refuse(node.position, &message);
            return None;
        };
        let mut values = BTreeMap::new();
        for entry in entries {
            if let Err(message) = (self.name)(&entry.name) {
                let message = format!("has a name that {message}");
                context.refuse(entry.position, &message);
            }
            let text = Text::of("text", self.value).or_empty();
            let value = context.within(entry.name.clone(), |context| {
                text.read(&entry.node, context)
            });
            values.extend(value.map(|value| (entry.name.clone(), value)));
        }
        Some(values)
    }

    fn form(&self) -> Form {
        Form::Map { says: self.says }
    }
}

/// A section, or a single value that stands for one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short<S, T> {
    /// The single value.
    pub(super) short: S,
    /// The section.
    pub(super) long: T,
}

impl<S: Shape, T: Shape<Value = S::Value>> Shape for Short<S, T> {
    type Value = S::Value;

    fn read(&self, node: &Node, context: &mut Context) -> Option<Self::Value> {
        match &node.value {
            Value::Scalar { .. } => self.short.read(node, context),
            _ => self.long.read(node, context),
        }
    }

    fn form(&self) -> Form {
        Form::Either(Box::new(self.short.form()), Box::new(self.long.form()))
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}
