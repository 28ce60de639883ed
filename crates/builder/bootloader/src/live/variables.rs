//! Variables of a `grub.cfg`, as far as they can be known without running it, and the environment blocks that it loads.

use std::collections::{BTreeMap, BTreeSet};

use block::Result;

use super::arguments::kept;
use crate::cmdline;
use crate::grub::{Command, EnvironmentBlock, Piece, Script, Word};

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

/// The longest value that is followed, in bytes; Linux takes command lines of up to 4096. What is longer is cut off there.
const VALUE_LIMIT: usize = 8 << 10;
/// The most variables that are followed; real configurations have under 50. Further ones count as unknown.
const VARIABLE_LIMIT: usize = 1000;
/// The most environment blocks that are read; real configurations have up to 3. Further ones count as missing.
const BLOCK_LIMIT: usize = 16;

/// What is known before the script runs.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Environment blocks by the path at which the media's `grub.cfg` looks for them, already fit for media; `None` for missing ones.
    blocks: BTreeMap<String, Option<EnvironmentBlock>>,
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
        variables.set("prefix", grub_folder.to_owned());
        for visit in script.commands() {
            let command = visit.command;
            if let Some((name, value)) = assignment(command) {
                let value = variables
                    .expand(value)
                    .split_once('=')
                    .map(|(_, value)| value.to_owned());
                // A default under a condition gives way to what an environment block says.
                if !(visit.nested && variables.is_loaded(name)) {
                    variables.set(name, value.unwrap_or_default());
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
        for (name, value) in read_block(&path, file)?.unwrap_or_default().variables {
            if !self.values.contains_key(&name) {
                self.set(&name, value);
            }
        }
        Ok(())
    }

    fn load(&mut self, path: &str, file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>) -> Result<()> {
        if !self.blocks.contains_key(path) {
            if self.blocks.len() >= BLOCK_LIMIT {
                return Ok(());
            }
            self.blocks.insert(path.to_owned(), read_block(path, file)?);
        }
        let block = self.blocks.get(path).cloned().flatten().unwrap_or_default();
        for (name, value) in block.variables {
            self.set(&name, value);
        }
        Ok(())
    }

    fn set(&mut self, name: &str, mut value: String) {
        cut(&mut value);
        if self.values.len() < VARIABLE_LIMIT || self.values.contains_key(name) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Whether an environment block has this variable.
    fn is_loaded(&self, name: &str) -> bool {
        let mut blocks = self.blocks.values().flatten();
        blocks.any(|block| block.variables.contains_key(name))
    }

    /// The value of a variable, if it is known.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// A word with the values that are known, up to the length that a value can have.
    pub(super) fn expand(&self, word: &Word) -> String {
        let mut text = String::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Variable { name, .. } => {
                    text.push_str(self.values.get(name).map_or("", String::as_str))
                }
            }
            if text.len() > VALUE_LIMIT {
                cut(&mut text);
                break;
            }
        }
        text
    }

    /// A text that is no script, with `$name` and `${name}` replaced as GRUB's `blscfg` does, up to the same length.
    pub(super) fn expand_text(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let (inner, braced) = after
                .strip_prefix('{')
                .map_or((after, false), |inner| (inner, true));
            let len = inner
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                .count();
            let (name, after_name) = inner.split_at(len);
            rest = match (braced, after_name.strip_prefix('}')) {
                (true, Some(rest)) => rest,
                _ => after_name,
            };
            match name {
                "" => expanded.push('$'),
                name => expanded.push_str(self.values.get(name).map_or("", String::as_str)),
            }
            if expanded.len() > VALUE_LIMIT {
                break;
            }
        }
        expanded.push_str(rest);
        cut(&mut expanded);
        expanded
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
        let block = self.blocks.get(&environment_path(command, self));
        block.is_some_and(Option::is_some)
    }

    /// The environment blocks for the media.
    pub(super) fn environment_files(&self) -> BTreeMap<String, Vec<u8>> {
        let blocks = self.blocks.iter();
        blocks
            .filter_map(|(path, block)| Some((path.clone(), block.as_ref()?.print())))
            .collect()
    }
}

/// Cuts a value off at the length that is followed.
fn cut(value: &mut String) {
    let mut len = value.len().min(VALUE_LIMIT);
    while !value.is_char_boundary(len) {
        len -= 1;
    }
    value.truncate(len);
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

/// The file at `path`; one that is too large to be read is no environment block.
fn small_file(
    path: &str,
    file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Option<Vec<u8>>> {
    match file(path) {
        Err(error) if error.kind() == block::Kind::Limit => Ok(None),
        answer => answer,
    }
}

/// Whether an environment block may be at this path on the media: the script chooses it, and it must not take the place of anything else.
fn is_block_path(path: &str) -> bool {
    let Some(inner) = path.strip_prefix('/') else {
        return false;
    };
    let mut names = inner.split('/');
    let plain = names.all(|name| !matches!(name, "" | "." | "..") && name.len() < 256);
    let other = ["vmlinuz-", "initramfs-", "grub.cfg", "efiboot.img"]
        .iter()
        .any(|other| path.contains(other));
    // A file in the root, or in /boot: not in the folders of the live system and of EFI programs.
    plain && !other && (inner.starts_with("boot/") || !inner.contains('/')) && inner != "boot"
}

/// The image's environment block at `path`, fit for media: without memory and without arguments that name the installed root.
/// What is no environment block counts as none.
///
/// Where `/boot` is a file system of its own, its files are under `/boot` in the image's tree.
fn read_block(
    path: &str,
    file: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Option<EnvironmentBlock>> {
    if !is_block_path(path) {
        return Ok(None);
    }
    let bytes = match small_file(path, file)? {
        Some(bytes) => Some(bytes),
        None => small_file(&format!("/boot{path}"), file)?,
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
