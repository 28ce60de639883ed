//! The reference page of all keys, as Markdown.

use std::collections::BTreeSet;

use super::form::{Form, KeyForm, ObjectForm};

/// The reference of all keys: a heading and a table for each section, in Markdown.
///
/// `docs/configuration.md` holds it between two marks, and a test compares.
#[must_use]
pub fn reference() -> String {
    let form = super::section::form();
    let mut page = Page {
        text: String::new(),
        done: BTreeSet::new(),
    };
    page.section("The file", "", form);
    page.text
}

struct Page {
    text: String,
    /// The sections that are on the page already: some stand in several places.
    done: BTreeSet<&'static str>,
}

impl Page {
    fn section(&mut self, title: &str, path: &str, form: &ObjectForm) {
        self.text.push_str(&format!(
            "### {title}\n\n| key | type | meaning |\n|---|---|---|\n"
        ));
        for key in &form.keys {
            let row = format!(
                "| {} | {} | {} |\n",
                name(key),
                shape(&key.form),
                meaning(key)
            );
            self.text.push_str(&row);
        }
        self.text.push('\n');
        for key in &form.keys {
            let Some(object) = key.form.object() else {
                continue;
            };
            let list = if matches!(key.form, Form::List(_)) {
                "[]"
            } else {
                ""
            };
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{}{list}", key.key.name);
            if self.done.insert(object.name) {
                self.section(&format!("`{path}`: {}", object.name), &path, object);
            }
        }
    }
}

/// The key, with a mark where it has to be there.
fn name(key: &KeyForm) -> String {
    let needed = if key.key.is_needed { " (needed)" } else { "" };
    format!("`{}`{needed}", key.key.name)
}

/// The type in a word or two.
fn shape(form: &Form) -> String {
    match form {
        Form::Text { says, .. } => (*says).to_owned(),
        Form::Flag => "`true` or `false`".to_owned(),
        Form::Integer { least, most } => format!("number, {least} to {most}"),
        Form::Choice(_) => "word".to_owned(),
        Form::Permissions => "permissions in octal".to_owned(),
        Form::List(item) => format!("list of: {}", shape(item)),
        Form::Map { says } => format!("{says}: names with values"),
        Form::Object(object) => object.name.to_owned(),
        Form::Either(one, other) => format!("{}, or {}", shape(one), shape(other)),
    }
}

/// What it does, its words, its default, and how it differs from Image Customizer's.
fn meaning(key: &KeyForm) -> String {
    let mut text = String::new();
    if key.key.is_ours {
        text.push_str("*Ours.* ");
    }
    text.push_str(key.key.about);
    if let Some(why) = key.key.idle {
        text.push_str(&format!(
            " **Without effect on live media**, with a warning: {why}."
        ));
    }
    let words = match &key.form {
        Form::Choice(words) => Some(words),
        Form::List(item) => match &**item {
            Form::Choice(words) => Some(words),
            _ => None,
        },
        _ => None,
    };
    for (word, says) in words.into_iter().flatten() {
        text.push_str(&format!("<br>`{word}`: {says}"));
    }
    if let Some(default) = key.key.default {
        text.push_str(&format!("<br>Default: {default}"));
    }
    text
}
