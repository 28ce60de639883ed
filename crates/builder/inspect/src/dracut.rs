//! The declarative part of a system's dracut configuration: plain assignments, read without running a shell.

use std::collections::BTreeMap;

use block::{Content, Result};
use serde::Serialize;
use tree::Tree;

use crate::{file, os_release};

/// What the configuration files of dracut assign.
///
/// The files are shell code to dracut; only lines of the form `name="…"` and `name+="…"` are understood here, and everything else is
/// named in a warning.
///
/// Source: dracut.conf(5) of dracut-ng 106.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DracutConfig {
    /// Each name's value after all files.
    pub settings: BTreeMap<String, String>,
    /// The files that were read, in order.
    pub files: Vec<String>,
    /// Lines that were not understood, one sentence each.
    pub warnings: Vec<String>,
}

impl DracutConfig {
    /// The words of the setting `name`: `add_drivers`, `force_drivers`, `omit_drivers`, `install_items`, `filesystems`, ….
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        let value = self.settings.get(name).map_or("", String::as_str);
        value.split_whitespace()
    }

    /// Takes in what one file says.
    fn read(&mut self, path: &str, text: &str) {
        self.files.push(path.to_owned());
        for (index, line) in joined_lines(text) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, append, value)) = assignment(line) else {
                self.warnings.push(format!(
                    "{path} line {index}: not a plain assignment, so it was passed over: {line}"
                ));
                continue;
            };
            let setting = self.settings.entry(name.to_owned()).or_default();
            if !append {
                setting.clear();
            }
            setting.push_str(&value);
        }
    }
}

/// The lines, with those that end in a backslash joined to the next; each with the number of its first line, from 1.
fn joined_lines(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let (line, continues) = match line.strip_suffix('\\') {
            Some(line) if !line.trim_start().starts_with('#') => (line, true),
            _ => (line, false),
        };
        match out.last_mut() {
            Some((_, last)) if open => last.push_str(line),
            _ => out.push((index.saturating_add(1), line.to_owned())),
        }
        open = continues;
    }
    out
}

/// Takes `name=value` and `name+=value` apart: name, whether it appends, value. `None` for anything that a shell would have to run.
fn assignment(line: &str) -> Option<(&str, bool, String)> {
    let (name, value) = line.split_once('=')?;
    let (name, append) = match name.strip_suffix('+') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(valid) || value.contains(['$', '`', '(', ';', '|']) {
        return None;
    }
    let quoted = value.starts_with(['"', '\'']);
    let end = if quoted {
        let quote = value.chars().next()?;
        let close = value.get(1..)?.find(quote)?;
        value.get(close.checked_add(2)?..)?
    } else {
        value
            .find([' ', '\t'])
            .and_then(|at| value.get(at..))
            .unwrap_or_default()
    };
    let rest = end.trim();
    let nothing_follows = rest.is_empty() || rest.starts_with('#');
    nothing_follows.then(|| (name, append, os_release::unquote(value)))
}

/// Reads `/usr/lib/dracut/dracut.conf.d/*.conf` and `/etc/dracut.conf.d/*.conf` (of two with one name only the one in `/etc` counts),
/// by name, after `/etc/dracut.conf`.
pub(crate) fn find(tree: &Tree<Content>) -> Result<DracutConfig> {
    let mut config = DracutConfig::default();
    if let Some(text) = file::text(tree, "/etc/dracut.conf")? {
        config.read("/etc/dracut.conf", &text);
    }
    let mut files = BTreeMap::new();
    for folder in ["/usr/lib/dracut/dracut.conf.d", "/etc/dracut.conf.d"] {
        for (name, ..) in file::files_in(tree, folder) {
            if name.ends_with(".conf") {
                files.insert(name.clone(), format!("{folder}/{name}"));
            }
        }
    }
    for path in files.into_values() {
        if let Some(text) = file::text(tree, &path)? {
            config.read(&path, &text);
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DracutConfig {
        let mut config = DracutConfig::default();
        config.read("/etc/dracut.conf", text);
        config
    }

    #[test]
    fn plain_assignments_add_up() {
        let config = read(
            "# c\nadd_drivers=\"gone\"\nadd_drivers=\" a b \"\nadd_drivers+=\" c \" # why\nhostonly=no\ninstall_items+=' /x '\n",
        );
        assert!(config.words("add_drivers").eq(["a", "b", "c"]));
        assert!(config.words("install_items").eq(["/x"]));
        assert!(config.words("hostonly").eq(["no"]));
        assert_eq!(config.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_line_may_go_on_in_the_next() {
        let config = read("add_drivers+=\" a \\\n b \"\n");
        assert!(config.words("add_drivers").eq(["a", "b"]));
    }

    #[test]
    fn what_a_shell_would_have_to_run_is_named_in_a_warning() {
        for line in [
            "if [ -e /x ]; then",
            "a=$(ls)",
            "a=\"$b\"",
            "a=b c",
            "a=\"b\" c",
            "a=\"open",
            "source /x",
            "[[ $a = b ]]",
        ] {
            let config = read(line);
            assert_eq!(config.warnings.len(), 1, "{line}");
            assert!(config.warnings[0].contains(line));
            assert!(config.settings.is_empty(), "{line}");
        }
    }
}
