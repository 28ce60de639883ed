//! The change of a `grub.cfg`: words of `linux` and `initrd` commands, and variables that stand in them.

use std::collections::{BTreeMap, BTreeSet};

use block::Result;

use super::parameters::{Fate, Plan, is_separator};
use super::{Change, Changed, Line, beside};
use crate::grub::{Command, Edits, Script, Visit, Word, quote};
use crate::live::{is_initrd, is_linux, menu_title};

/// What a value in a script may not hold so that its parameters can be told apart.
const OPAQUE: [char; 3] = ['"', '\'', '\\'];

/// Changes every entry.
pub(super) fn edit(bytes: &[u8], change: &Change<'_>) -> Result<Changed> {
    let script = Script::parse(bytes)?;
    let visits = script.commands();
    let used: BTreeSet<&str> = visits
        .iter()
        .filter(|visit| is_linux(visit.command))
        .flat_map(|visit| arguments(visit.command))
        .filter_map(Word::variable)
        .collect();
    let mut editor = Editor {
        change,
        edits: Edits::new(),
        values: BTreeMap::new(),
        warnings: BTreeSet::new(),
    };
    for visit in &visits {
        editor.assignment(&script, visit, &used);
    }
    let mut lines: Vec<Line> = Vec::new();
    for visit in &visits {
        if is_linux(visit.command) {
            lines.push(editor.linux(&script, visit));
        } else if is_initrd(visit.command) {
            editor.initrd(&script, visit.command, lines.last_mut());
        }
    }
    Ok(Changed {
        bytes: editor.edits.apply(bytes),
        lines,
        warnings: editor.warnings.into_iter().collect(),
    })
}

struct Editor<'a> {
    change: &'a Change<'a>,
    edits: Edits,
    /// The parameters in variables, as they were.
    values: BTreeMap<String, Vec<String>>,
    warnings: BTreeSet<String>,
}

impl Editor<'_> {
    /// A variable that stands in command lines loses and gets what parameters in it do; what comes new comes to the command lines.
    fn assignment(&mut self, script: &Script, visit: &Visit<'_>, used: &BTreeSet<&str>) {
        let words = visit.command.words.as_slice();
        let word = match (visit.command.name(), words) {
            (Some("set"), [_, word, ..]) => word,
            (Some("set"), _) => return,
            (_, [word]) => word,
            _ => return,
        };
        let raw = script.text(&word.span).into_owned();
        let Some((name, raw)) = raw.split_once('=').filter(|(name, _)| used.contains(name)) else {
            return;
        };
        let (open, inner) = unquoted(raw);
        if inner.contains(OPAQUE) {
            self.warnings.insert(format!(
                "the variable {name} holds parameters in quotes of their own, which stay as they are"
            ));
            return;
        }
        let old: Vec<String> = inner.split_ascii_whitespace().map(str::to_owned).collect();
        let mut plan = self.change.parameters.plan();
        let mut new: Vec<String> = Vec::new();
        for argument in &old {
            match plan.next(argument) {
                Fate::Stays => new.push(argument.clone()),
                Fate::Goes => {}
                Fate::Becomes(argument) => new.push(argument),
            }
        }
        if new != old {
            let text = new.join(" ").replace(OPAQUE, "");
            let text = match open {
                "" => quote(&text),
                open => format!("{open}{text}{open}"),
            };
            self.edits
                .replace(word.span.clone(), format!("{name}={text}"));
        }
        self.values.entry(name.to_owned()).or_default().extend(old);
    }

    fn linux(&mut self, script: &Script, visit: &Visit<'_>) -> Line {
        let command = visit.command;
        let mut plan = self.change.parameters.plan();
        let mut parameters = Vec::new();
        let mut end = command
            .words
            .get(1)
            .map_or(command.span.end, |path| path.span.end);
        let mut insert_at = None;
        let mut place = None;
        for pair in command.words.get(1..).unwrap_or_default().windows(2) {
            let [before, word] = pair else {
                continue;
            };
            if word.literal().is_some_and(is_separator) && insert_at.is_none() {
                insert_at = Some(before.span.end);
                place = Some(parameters.len());
            }
            match self.fate(script, word, &mut plan) {
                Fate::Stays => parameters.push(script.text(&word.span).into_owned()),
                Fate::Goes => self.edits.replace(before.span.end..word.span.end, ""),
                Fate::Becomes(new) => {
                    self.edits.replace(word.span.clone(), quote(&new));
                    parameters.push(new);
                }
            }
            end = word.span.end;
        }
        let rest = plan.rest();
        for new in &rest {
            self.edits
                .insert(insert_at.unwrap_or(end), format!(" {}", quote(new)));
        }
        let place = place.unwrap_or(parameters.len());
        parameters.splice(place..place, rest);
        Line {
            title: menu_title(visit).unwrap_or_default().to_owned(),
            kernel: command
                .arguments()
                .first()
                .map(|path| script.text(&path.span).into_owned())
                .unwrap_or_default(),
            initramfs: Vec::new(),
            parameters,
        }
    }

    /// What becomes of one word of a command line.
    fn fate(&mut self, script: &Script, word: &Word, plan: &mut Plan<'_>) -> Fate {
        if let Some(literal) = word.literal() {
            return plan.next(literal);
        }
        match (word.variable(), word.name()) {
            (Some(name), _) => match self.values.get(name) {
                // The variable itself was changed; here only what it holds is taken note of.
                Some(arguments) => {
                    for argument in arguments {
                        plan.next(argument);
                    }
                }
                None if !self.change.parameters.is_empty() => {
                    self.warnings.insert(format!(
                        "parameters in the variable {name}, which the file does not set, stay as they are"
                    ));
                }
                None => {}
            },
            // `name=$value`: the name is enough to know what becomes of it.
            (None, Some(_)) => {
                let text = script.text(&word.span).into_owned();
                return plan.next(text.trim_matches(OPAQUE));
            }
            (None, None) => {}
        }
        Fate::Stays
    }

    fn initrd(&mut self, script: &Script, command: &Command, line: Option<&mut Line>) {
        let words = command.arguments();
        let mut paths: Vec<String> = words
            .iter()
            .map(|word| script.text(&word.span).into_owned())
            .collect();
        if let (Some(path), Some(first), Some(last)) =
            (self.change.initramfs, words.first(), words.last())
        {
            let new = match first.literal() {
                Some(known) => quote(&beside(known, path)),
                None => {
                    let raw = script.text(&first.span).into_owned();
                    let (open, inner) = unquoted(&raw);
                    format!("{open}{}{open}", beside(inner, path))
                }
            };
            self.edits.insert(last.span.end, format!(" {new}"));
            paths.push(new);
        }
        if let Some(line) = line {
            line.initramfs = paths;
        }
    }
}

/// The words behind the kernel.
fn arguments(command: &Command) -> &[Word] {
    command.words.get(2..).unwrap_or_default()
}

/// A word without the quotes around all of it, and which they were.
fn unquoted(raw: &str) -> (&str, &str) {
    for open in ["\"", "'"] {
        let inner = raw
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(open));
        if let Some(inner) = inner {
            return (if open == "'" { "'" } else { "\"" }, inner);
        }
    }
    ("", raw)
}
