//! `os.modules`: which kernel modules are loaded at every start, which never, and with what options.
//!
//! The three files are Image Customizer's own, so that an image that went through it is read and changed as it would.

use std::collections::BTreeMap;

use block::{Content, Error, Result};
use config::settings::{KernelModule, LoadMode};
use tree::{Timestamp, Tree};

use super::place;

/// Modules that systemd loads at every start, one name each line.
const LOAD: &str = "/etc/modules-load.d/modules-load.conf";
/// Modules that are not loaded by their aliases: `blacklist NAME`.
const DISABLED: &str = "/etc/modprobe.d/modules-disabled.conf";
/// `options NAME KEY=VALUE…`.
const OPTIONS: &str = "/etc/modprobe.d/module-options.conf";

/// Brings the three files to what the settings ask for. A line that is there is not written again.
///
/// # Errors
///
/// [`block::Kind::Unsupported`] for options of a module that is disabled; what the tree answers.
///
/// Source: Image Customizer 1.6 `customizekernelmodules.go`. Otherwise than there, names are compared as a whole (its check finds
/// `vfio` in `blacklist xvfio`) and as the kernel does, for which `-` and `_` are one.
pub fn apply(tree: &mut Tree<Content>, modules: &[KernelModule], time: Timestamp) -> Result<()> {
    let mut load = Lines::read(tree, LOAD)?;
    let mut disabled = Lines::read(tree, DISABLED)?;
    let mut options = Lines::read(tree, OPTIONS)?;
    for module in modules {
        let name = module.name.as_str();
        let is_disabled = |disabled: &Lines| disabled.lines.iter().any(|line| disables(line, name));
        match module.load_mode {
            LoadMode::Always | LoadMode::Auto => {
                disabled.lines.retain(|line| !disables(line, name));
                let is_listed = load.lines.iter().any(|line| same(line.trim(), name));
                if module.load_mode == LoadMode::Always && !is_listed {
                    load.lines.push(name.to_owned());
                }
            }
            LoadMode::Disable if !is_disabled(&disabled) => {
                disabled.lines.push(format!("blacklist {name}"));
            }
            LoadMode::Disable | LoadMode::Inherit => {}
        }
        if module.options.is_empty() {
            continue;
        }
        if is_disabled(&disabled) {
            let message = "the module is disabled, so options have no effect: set `loadMode` to auto or always";
            return Err(Error::unsupported(format!("os.modules: {name}"), message));
        }
        set_options(&mut options.lines, name, &module.options);
    }
    load.write(tree, LOAD, time)?;
    disabled.write(tree, DISABLED, time)?;
    options.write(tree, OPTIONS, time)
}

/// Whether two names are of one module.
fn same(one: &str, two: &str) -> bool {
    one.replace('-', "_") == two.replace('-', "_")
}

/// Whether a line is `blacklist NAME`.
fn disables(line: &str, name: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("blacklist") && words.next().is_some_and(|word| same(word, name))
}

/// Changes the line of a module's options, or adds it. Options that the settings do not name stay.
fn set_options(lines: &mut Vec<String>, name: &str, options: &BTreeMap<String, String>) {
    let is_line = |line: &&mut String| {
        let mut words = line.split_whitespace();
        words.next() == Some("options") && words.next().is_some_and(|word| same(word, name))
    };
    let mut left = options.clone();
    let mut last = None;
    for line in lines.iter_mut().filter(is_line) {
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| match word.split_once('=') {
                Some((key, _)) if options.contains_key(key) => {
                    left.remove(key);
                    format!("{key}={}", options.get(key).cloned().unwrap_or_default())
                }
                _ => word.to_owned(),
            })
            .collect();
        *line = words.join(" ");
        last = Some(line);
    }
    let added: String = left
        .iter()
        .map(|(key, value)| format!(" {key}={value}"))
        .collect();
    match last {
        Some(line) => line.push_str(&added),
        None => lines.push(format!("options {name}{added}")),
    }
}

/// A file of lines.
struct Lines {
    before: Vec<String>,
    lines: Vec<String>,
}

impl Lines {
    fn read(tree: &Tree<Content>, path: &str) -> Result<Self> {
        let text = place::text(tree, path)?.unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        Ok(Self {
            before: lines.clone(),
            lines,
        })
    }

    fn write(&self, tree: &mut Tree<Content>, path: &str, time: Timestamp) -> Result<()> {
        if self.before == self.lines {
            return Ok(());
        }
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        place::write(tree, path, text.into_bytes(), &place::metadata(0o644, time))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};

    fn module(name: &str, load_mode: LoadMode, options: &[(&str, &str)]) -> KernelModule {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        KernelModule {
            name: name.to_owned(),
            load_mode,
            options,
        }
    }

    #[test]
    fn each_load_mode_does_what_it_says_and_once() {
        let mut tree = tree_of(&[
            (
                "etc/modprobe.d/modules-disabled.conf",
                "blacklist vfio\nblacklist xvfio\nblacklist ib_core\n",
            ),
            (
                "etc/modprobe.d/module-options.conf",
                "# note\noptions loop max_loop=1 x=2\n",
            ),
        ]);
        let modules = [
            module("br_netfilter", LoadMode::Always, &[]),
            module("vfio", LoadMode::Auto, &[("enable", "1")]),
            module("floppy", LoadMode::Disable, &[]),
            module("loop", LoadMode::Inherit, &[("max_loop", "8"), ("y", "3")]),
            module("ib-core", LoadMode::Always, &[]),
            module("quiet", LoadMode::Inherit, &[]),
        ];
        for _ in 0..2 {
            apply(&mut tree, &modules, TIME).unwrap();
            assert_eq!(text_of(&tree, LOAD), "br_netfilter\nib-core\n");
            assert_eq!(
                text_of(&tree, DISABLED),
                "blacklist xvfio\nblacklist floppy\n"
            );
            assert_eq!(
                text_of(&tree, OPTIONS),
                "# note\noptions loop max_loop=8 x=2 y=3\noptions vfio enable=1\n"
            );
        }
    }

    #[test]
    fn files_that_nothing_asks_for_are_not_made() {
        let mut tree = tree_of(&[]);
        apply(&mut tree, &[module("a", LoadMode::Inherit, &[])], TIME).unwrap();
        assert_eq!(tree.walk().count(), 1);
    }

    #[test]
    fn options_of_a_disabled_module_are_refused() {
        for load_mode in [LoadMode::Disable, LoadMode::Inherit] {
            let mut tree = tree_of(&[("etc/modprobe.d/modules-disabled.conf", "blacklist a\n")]);
            let error = apply(&mut tree, &[module("a", load_mode, &[("x", "1")])], TIME);
            assert!(error.unwrap_err().to_string().contains("os.modules: a"));
        }
    }
}
