//! Variables of a `grub.cfg`, as far as they can be known without running it, and the environment blocks that it loads.

use std::collections::{BTreeMap, BTreeSet};

use block::Result;

use super::arguments::kept;
use crate::cmdline;
use crate::grub::{Command, EnvironmentBlock, Script, Word};

/// What GRUB remembers from boot to boot. Media are read-only, and another machine's memory means nothing.
const MEMORY: &[&str] = &[
    "saved_entry",
    "prev_saved_entry",
    "next_entry",
    "prev_entry",
    "boot_success",
    "boot_indeterminate",
    "boot_counter",
    "menu_auto_hide",
    "recordfail",
    "menu_show_once",
    "menu_show_once_timeout",
    "initrdfail",
    "initrdless_boot_fallback_triggered",
];

/// What is known before the script runs.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Environment blocks by the path at which the media's `grub.cfg` looks for them, already fit for media.
    blocks: BTreeMap<String, EnvironmentBlock>,
    /// Names that stand as a whole word in the arguments of a kernel.
    command_line: BTreeSet<String>,
}

impl Variables {
    /// Goes through the script once, in its order; the last assignment wins, whatever condition it stands under.
    pub(super) fn collect(
        script: &Script,
        file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
        grub_folder: &str,
    ) -> Result<Self> {
        let mut variables = Self::default();
        variables
            .values
            .insert("prefix".to_owned(), grub_folder.to_owned());
        for visit in script.commands() {
            let command = visit.command;
            if let Some((name, value)) = assignment(command) {
                let value = variables
                    .expand(value)
                    .split_once('=')
                    .map(|(_, value)| value.to_owned());
                // A default under a condition gives way to what an environment block says.
                if !(visit.nested && variables.is_loaded(name)) {
                    variables
                        .values
                        .insert(name.to_owned(), value.unwrap_or_default());
                }
            } else if command.name() == Some("load_env") {
                variables.load(&environment_path(command, &variables), file)?;
            } else if command.name().is_some_and(|name| name.starts_with("linux")) {
                let whole = command
                    .arguments()
                    .iter()
                    .skip(1)
                    .filter_map(Word::variable);
                variables.command_line.extend(whole.map(str::to_owned));
            }
        }
        Ok(variables)
    }

    /// Loads GRUB's own environment block, for entries that use its variables without a script.
    pub(super) fn add_default_environment(
        &mut self,
        file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
        grub_folder: &str,
    ) -> Result<()> {
        let path = format!("{grub_folder}/grubenv");
        if self.blocks.contains_key(&path) {
            return Ok(());
        }
        let Some(block) = read_block(&path, file)? else {
            return Ok(());
        };
        for (name, value) in block.variables {
            self.values.entry(name).or_insert(value);
        }
        Ok(())
    }

    fn load(&mut self, path: &str, file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>) -> Result<()> {
        if let Some(block) = read_block(path, file)? {
            self.values.extend(block.variables.clone());
            self.blocks.insert(path.to_owned(), block);
        }
        Ok(())
    }

    /// Whether an environment block has this variable.
    fn is_loaded(&self, name: &str) -> bool {
        self.blocks
            .values()
            .any(|block| block.variables.contains_key(name))
    }

    /// The value of a variable, if it is known.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// A word with the values that are known.
    pub(super) fn expand(&self, word: &Word) -> String {
        word.expand(&|name| self.value(name))
    }

    /// Whether every variable of a word is known.
    pub(super) fn is_complete(&self, word: &Word) -> bool {
        word.variables().all(|name| self.values.contains_key(name))
    }

    /// Whether this variable holds arguments of a kernel.
    pub(super) fn is_command_line(&self, name: &str) -> bool {
        matches!(name, "kernelopts" | "default_kernelopts") || self.command_line.contains(name)
    }

    /// Whether the media have the environment block that this `load_env` reads.
    pub(super) fn has_block(&self, command: &Command) -> bool {
        self.blocks.contains_key(&environment_path(command, self))
    }

    /// The environment blocks for the media.
    pub(super) fn environment_files(&self) -> BTreeMap<String, Vec<u8>> {
        self.blocks
            .iter()
            .map(|(path, block)| (path.clone(), block.print()))
            .collect()
    }
}

/// The name that a command gives a value to, and the word with name and value: `set a=b`, `a=b`.
pub(super) fn assignment(command: &Command) -> Option<(&str, &Word)> {
    let word = match (command.name(), command.words.as_slice()) {
        (Some("set"), [_, word, ..]) => word,
        (Some("set"), _) => return None,
        (_, [word]) => word,
        _ => return None,
    };
    let name = word.name()?;
    let identifier = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (identifier && !name.is_empty() && word.has_equals()).then_some((name, word))
}

/// The path that a `load_env` reads, without its device.
fn environment_path(command: &Command, variables: &Variables) -> String {
    let mut arguments = command.arguments().iter();
    let mut path = "$prefix/grubenv".to_owned();
    path = path.replace("$prefix", &variables.value("prefix").unwrap_or_default());
    while let Some(word) = arguments.next() {
        let text = variables.expand(word);
        if text == "-f" || text == "--file" {
            path = arguments
                .next()
                .map(|word| variables.expand(word))
                .unwrap_or_default();
        } else if let Some(value) = text.strip_prefix("--file=") {
            path = value.to_owned();
        }
    }
    match path.split_once(')') {
        Some((device, path)) if device.starts_with('(') => path.to_owned(),
        _ => path,
    }
}

/// The image's environment block at `path`, fit for media: without memory and without arguments that name the installed root.
/// What is no environment block counts as none.
///
/// Where `/boot` is a file system of its own, its files are under `/boot` in the image's tree.
fn read_block(
    path: &str,
    file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Option<EnvironmentBlock>> {
    if !path.starts_with('/') {
        return Ok(None);
    }
    let bytes = match file(path)? {
        Some(bytes) => Some(bytes),
        None => file(&format!("/boot{path}"))?,
    };
    let block = bytes.and_then(|bytes| EnvironmentBlock::parse(&bytes).ok());
    Ok(block.map(|mut block| {
        block
            .variables
            .retain(|name, _| !MEMORY.contains(&name.as_str()));
        for value in block.variables.values_mut() {
            let arguments = kept(value);
            if arguments != cmdline::split(value) {
                *value = cmdline::join(&arguments);
            }
        }
        block
    }))
}
