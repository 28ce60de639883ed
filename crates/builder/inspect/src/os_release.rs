//! `os-release`: what the system calls itself.

use std::collections::BTreeMap;

use block::{Content, Result};
use serde::Serialize;
use tree::{Tree, TreePath};

use crate::{file, show};

/// The fields of `os-release`.
///
/// Source: os-release(5) of systemd 257.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OsRelease {
    /// Every assignment, unquoted; of a name that is assigned twice the last one counts, as in a shell.
    pub fields: BTreeMap<String, String>,
    /// The file that they come from.
    #[serde(serialize_with = "show::path")]
    pub path: TreePath,
}

impl OsRelease {
    /// The distribution as a lower-case word, `debian`; `linux` where it does not say, as the manual has it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.field("ID").unwrap_or("linux")
    }

    /// The distributions that this one is made from, the closest first.
    pub fn id_like(&self) -> impl Iterator<Item = &str> {
        self.field("ID_LIKE").unwrap_or_default().split_whitespace()
    }

    /// Whether the distribution is `id` or made from it.
    #[must_use]
    pub fn is_like(&self, id: &str) -> bool {
        self.id() == id || self.id_like().any(|like| like == id)
    }

    /// The version as it is compared, `12`; `None` for rolling releases.
    #[must_use]
    pub fn version_id(&self) -> Option<&str> {
        self.field("VERSION_ID")
    }

    /// The name for people: `PRETTY_NAME`, else `NAME`, else `Linux`.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.field("PRETTY_NAME").or_else(|| self.field("NAME"));
        name.unwrap_or("Linux")
    }

    /// One field; `None` where it is not set or empty.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let value = self.fields.get(name)?;
        (!value.is_empty()).then_some(value.as_str())
    }
}

/// Reads `/etc/os-release`, else `/usr/lib/os-release`.
pub(crate) fn find(tree: &Tree<Content>) -> Result<Option<OsRelease>> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        if let Some(text) = file::text(tree, path)? {
            let path = tree.resolve(path).map(|(path, _)| path).unwrap_or_default();
            let fields = parse(&text);
            return Ok(Some(OsRelease { fields, path }));
        }
    }
    Ok(None)
}

/// The assignments of an `os-release` file. Lines that are none are passed over.
fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_name = !name.is_empty() && name.chars().all(valid);
            is_name.then(|| (name.to_owned(), unquote(value)))
        })
        .collect()
}

/// Takes a shell word apart as the shell would: `'…'` is literal, `"…"` has backslash escapes of `$`, `"`, `\` and `` ` ``, and
/// outside of quotes a backslash escapes anything. A blank outside of quotes ends the word.
pub(crate) fn unquote(word: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, ' ' | '\t') => break,
            (None, '\\') => out.extend(chars.next()),
            (Some('"'), '\\') => match chars.next() {
                Some(next @ ('$' | '"' | '\\' | '`')) => out.push(next),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_as_a_shell_would() {
        for (word, value) in [
            ("debian", "debian"),
            (
                "\"Debian GNU/Linux 12 (bookworm)\"",
                "Debian GNU/Linux 12 (bookworm)",
            ),
            ("'it is \"so\" $1'", "it is \"so\" $1"),
            (r#""a \"b\" \$c \\ \n""#, r#"a "b" $c \ \n"#),
            (r"a\ b", "a b"),
            ("a b", "a"),
            ("\"open", "open"),
            ("", ""),
            ("\"\\", "\\"),
        ] {
            assert_eq!(unquote(word), value, "{word}");
        }
    }

    #[test]
    fn the_last_assignment_counts_and_what_is_none_is_passed_over() {
        let fields = parse("# comment\nID=a\nnonsense\n=x\nA-B=c\nID=\"b\"\n  NAME=n  \n");
        let expected = [("ID", "b"), ("NAME", "n")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields, BTreeMap::from(expected));
    }

    #[test]
    fn a_distribution_is_like_itself_and_what_it_is_made_from() {
        let os = OsRelease {
            fields: parse("ID=rocky\nID_LIKE=\"rhel centos fedora\"\n"),
            path: TreePath::root(),
        };
        assert!(os.is_like("rocky") && os.is_like("fedora") && !os.is_like("debian"));
        assert_eq!(os.name(), "Linux");
        assert_eq!(os.version_id(), None);
    }
}
