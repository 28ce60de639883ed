//! The image's wishes about modules: `/etc/modprobe.d` and its like.

use std::collections::{BTreeMap, BTreeSet};

use block::{Content, Result};
use contract::module_index::normalise;
use tree::{Node, Tree};

use super::modinfo::soft_dependencies;

/// What the configuration of modprobe says; module names are normalised.
///
/// Source: modprobe.d(5) of kmod 34.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modprobe {
    /// Parameters for modules.
    pub(crate) options: BTreeMap<String, Vec<String>>,
    /// Modules that no device may ask for.
    pub(crate) blacklist: BTreeSet<String>,
    /// Modules to load before others.
    pub(crate) soft_pre: BTreeMap<String, Vec<String>>,
    /// Modules to load after others.
    pub(crate) soft_post: BTreeMap<String, Vec<String>>,
    /// What was passed over, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// The largest configuration file; larger ones are an error with their path.
const MAX_FILE: usize = 1 << 20;

/// Folders in rising order of weight: a file hides those of its name in the folders before.
const FOLDERS: [&str; 4] = [
    "/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/etc/modprobe.d",
];

impl Modprobe {
    /// Reads all `*.conf` files, by name.
    pub(crate) fn find(tree: &Tree<Content>) -> Result<Self> {
        let mut files = BTreeMap::new();
        for folder in FOLDERS {
            for (name, _) in tree.list(folder) {
                let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
                if name.ends_with(".conf") {
                    files.insert(name.clone(), format!("{folder}/{name}"));
                }
            }
        }
        let mut found = Self::default();
        for path in files.into_values() {
            let Ok((_, id)) = tree.resolve(&path) else {
                continue;
            };
            if let Node::File(content) = &tree.inode(id).node {
                let bytes = content
                    .read_all(MAX_FILE)
                    .map_err(|error| error.in_file(&path))?;
                found.read(&path, &String::from_utf8_lossy(&bytes));
            }
        }
        Ok(found)
    }

    fn read(&mut self, path: &str, text: &str) {
        let text = text.replace("\\\n", " ");
        for line in text.lines() {
            let line = line.trim();
            let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let rest = rest.trim();
            let (module, value) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            let (module, value) = (normalise(module), value.trim());
            match word {
                "options" => {
                    let list = self.options.entry(module).or_default();
                    list.extend(parameters(value));
                }
                "blacklist" => {
                    self.blacklist.insert(module);
                }
                "softdep" => {
                    let pre = self.soft_pre.entry(module.clone()).or_default();
                    let post = self.soft_post.entry(module).or_default();
                    soft_dependencies(value, pre, post);
                }
                // "install x /bin/true" is how a module is forbidden, also to those that depend on it.
                "install" if matches!(value, "/bin/true" | "/bin/false" | "/usr/bin/true" | "/usr/bin/false") => {
                    self.blacklist.insert(module);
                }
                "install" | "remove" => self.warnings.push(format!(
                    "{path}: \"{line}\" runs a program, which the initramfs does not have, so it was passed over"
                )),
                _ => {}
            }
        }
    }
}

/// Cuts `a=1 b="2 3"` at its blanks, but not inside of quotes.
fn parameters(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut quoted = false;
    let mut open = false;
    for c in text.chars() {
        quoted ^= c == '"';
        if !quoted && matches!(c, ' ' | '\t') {
            open = false;
            continue;
        }
        match out.last_mut() {
            Some(last) if open => last.push(c),
            _ => out.push(c.to_string()),
        }
        open = true;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_blacklist_and_soft_dependencies_are_read() {
        let mut found = Modprobe::default();
        found.read(
            "/etc/modprobe.d/x.conf",
            "# c\noptions usb-storage quirks=\"1 2\" \\\n delay_use=3\nblacklist\tpcspkr\ninstall floppy /bin/false\ninstall a /bin/sh -c b\nsoftdep a pre: b post: c-d\nalias x y\n",
        );
        assert_eq!(
            found.options["usb_storage"],
            ["quirks=\"1 2\"", "delay_use=3"]
        );
        assert_eq!(
            found.blacklist,
            ["floppy", "pcspkr"].map(str::to_owned).into()
        );
        assert_eq!(found.soft_pre["a"], ["b"]);
        assert_eq!(found.soft_post["a"], ["c-d"]);
        assert_eq!(found.warnings.len(), 1);
        assert!(found.warnings[0].contains("install a /bin/sh"));
    }
}
