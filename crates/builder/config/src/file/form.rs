//! What the reader accepts, as a value: the JSON schema and the reference page are printed from it.
//!
//! A form comes out of the functions that read: each runs once without a document, and writes down the keys that it asks for. So a key is
//! in the schema and in the reference exactly if it is read.

/// What a value may be.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A single value, taken as text.
    Text {
        /// What it is: `a host name`.
        says: &'static str,
        /// A regular expression of the schema's.
        pattern: Option<&'static str>,
    },
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer { least: i64, most: i64 },
    /// One of these words, each with its meaning.
    Choice(Vec<(&'static str, &'static str)>),
    /// The bits of a file's permissions, in octal.
    Permissions,
    /// Any number of these.
    List(Box<Form>),
    /// Names that the user chooses, with text.
    Map { says: &'static str },
    /// A section.
    Object(ObjectForm),
    /// One or the other.
    Either(Box<Form>, Box<Form>),
}

/// A section.
#[derive(Clone, Debug)]
pub(super) struct ObjectForm {
    /// Its name among the schema's definitions.
    pub(super) name: &'static str,
    /// Its keys, in the order in which they are explained.
    pub(super) keys: Vec<KeyForm>,
}

/// A key and what may stand there.
#[derive(Clone, Debug)]
pub(super) struct KeyForm {
    pub(super) key: Key,
    pub(super) form: Form,
}

/// A key of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// As it is written.
    pub(super) name: &'static str,
    /// What it does, in a sentence or two of Markdown.
    pub(super) about: &'static str,
    /// What holds without it.
    pub(super) default: Option<&'static str>,
    /// Whether it has to be there.
    pub(super) is_needed: bool,
    /// Whether Image Customizer does not have it.
    pub(super) is_ours: bool,
    /// Why it has no effect, where it has none on live media.
    pub(super) idle: Option<&'static str>,
}

/// A key with what it does.
pub(super) const fn key(name: &'static str, about: &'static str) -> Key {
    Key {
        name,
        about,
        default: None,
        is_needed: false,
        is_ours: false,
        idle: None,
    }
}

impl Key {
    pub(super) const fn default(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    pub(super) const fn needed(self) -> Self {
        Self {
            is_needed: true,
            ..self
        }
    }

    pub(super) const fn ours(self) -> Self {
        Self {
            is_ours: true,
            ..self
        }
    }

    /// Accepted, and without effect on live media: a warning says why.
    pub(super) const fn idle(self, why: &'static str) -> Self {
        Self {
            idle: Some(why),
            ..self
        }
    }
}

impl Form {
    /// The section that the value is or lists, if it is or lists one.
    pub(super) fn object(&self) -> Option<&ObjectForm> {
        match self {
            Self::Object(object) => Some(object),
            Self::List(item) => item.object(),
            Self::Either(one, other) => one.object().or_else(|| other.object()),
            _ => None,
        }
    }
}

impl ObjectForm {
    /// The paths of the sections that have the key `name`, as far as this one reaches.
    pub(super) fn homes(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.find_homes(name, "", &mut found);
        found
    }

    fn find_homes(&self, name: &str, path: &str, found: &mut Vec<String>) {
        if self.keys.iter().any(|key| key.key.name == name) {
            found.push(path.to_owned());
        }
        for key in &self.keys {
            if let Some(object) = key.form.object() {
                let dot = if path.is_empty() { "" } else { "." };
                let list = if matches!(key.form, Form::List(_)) {
                    "[]"
                } else {
                    ""
                };
                let path = format!("{path}{dot}{}{list}", key.key.name);
                object.find_homes(name, &path, found);
            }
        }
    }
}
