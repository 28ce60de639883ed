//! `os.kernelCommandLine`: kernel parameters of the image's own boot configuration, from which the media's is made.
//!
//! Image Customizer changes `/etc/default/grub` and runs `grub2-mkconfig`. No program of the image runs here, so what that would write
//! is edited too: every `linux` command of `grub.cfg`, the entries of the Boot Loader Specification, `/etc/kernel/cmdline`.

use block::{Content, Result};
use bootloader::bls::BlsEntry;
use bootloader::cmdline;
use bootloader::grub::{Command, Edits, Script, Word, quote};
use tree::{Timestamp, Tree};

use super::place;
use crate::Warning;

/// Where GRUB's configuration is, besides the folders of [`EFI_FOLDER`].
const GRUB_CONFIGS: [&str; 2] = ["/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"];
/// Older systems have theirs beside GRUB's EFI program.
const EFI_FOLDER: &str = "/boot/efi/EFI";
/// What `grub-mkconfig` reads.
const GRUB_DEFAULTS: &str = "/etc/default/grub";
/// Entries of the Boot Loader Specification.
const BLS_FOLDER: &str = "/boot/loader/entries";
/// What new entries are made from.
const KERNEL_COMMAND_LINE: &str = "/etc/kernel/cmdline";

/// Changes of a kernel command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Names of parameters of which none may stay.
    pub remove: Vec<String>,
    /// Arguments that come to the end, without quoting; one that is there already is not added again.
    pub append: Vec<String>,
    /// Where they belong in `/etc/default/grub`.
    pub variable: Variable,
}

/// A variable of `/etc/default/grub`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `GRUB_CMDLINE_LINUX`: of every entry.
    Always,
    /// `GRUB_CMDLINE_LINUX_DEFAULT`: of every entry but those for recovery.
    Default,
}

impl Variable {
    fn name(self) -> &'static str {
        match self {
            Self::Always => "GRUB_CMDLINE_LINUX",
            Self::Default => "GRUB_CMDLINE_LINUX_DEFAULT",
        }
    }
}

impl Edit {
    /// Arguments to add, as `extraCommandLine` has them.
    #[must_use]
    pub fn append(arguments: &[String]) -> Self {
        Self {
            remove: Vec::new(),
            append: arguments.to_vec(),
            variable: Variable::Default,
        }
    }

    /// Whether an argument may not stay.
    fn removes(&self, argument: &str) -> bool {
        let name = cmdline::name(argument);
        self.remove.iter().any(|remove| remove == name)
    }

    /// A command line after the edit.
    fn of(&self, arguments: &[String]) -> Vec<String> {
        let mut kept = arguments.to_vec();
        kept.retain(|argument| !self.removes(argument));
        for argument in &self.append {
            if !kept.contains(argument) {
                kept.push(argument.clone());
            }
        }
        kept
    }
}

/// Edits every command line of the image's boot configuration. `key` is the setting that asks for it, for warnings.
///
/// # Errors
///
/// What reading the files answers. A `grub.cfg` or entry that cannot be read is a warning: media are then booted by a new one.
pub fn apply(
    tree: &mut Tree<Content>,
    key: &'static str,
    edit: &Edit,
    time: Timestamp,
) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    if edit.append.is_empty() && edit.remove.is_empty() {
        return Ok(warnings);
    }
    let mut rewrite = |tree: &mut Tree<Content>, path: &str, change: Change<'_>| -> Result<bool> {
        let Some(bytes) = place::read(tree, path)? else {
            return Ok(false);
        };
        match change(&bytes) {
            Ok(new) if new == bytes => {}
            Ok(new) => {
                place::write(tree, path, new, &place::metadata(0o644, time))?;
            }
            Err(error) => {
                let text = format!("{path} stays as it is: {error}");
                warnings.push(Warning::setting(key, text));
            }
        }
        Ok(true)
    };
    let mut is_any = rewrite(tree, GRUB_DEFAULTS, &|bytes| Ok(defaults(bytes, edit)))?;
    for path in grub_configs(tree) {
        is_any |= rewrite(tree, &path, &|bytes| grub_config(bytes, edit))?;
    }
    for name in entries(tree) {
        let path = format!("{BLS_FOLDER}/{name}");
        is_any |= rewrite(tree, &path, &|bytes| entry(&name, bytes, edit))?;
    }
    is_any |= rewrite(tree, KERNEL_COMMAND_LINE, &|bytes| {
        let old = cmdline::split(&String::from_utf8_lossy(bytes));
        let new = edit.of(&old);
        Ok(match new == old {
            true => bytes.to_vec(),
            false => format!("{}\n", cmdline::join(&new)).into_bytes(),
        })
    })?;
    if !is_any {
        let text = "the image has no boot configuration that could be edited: neither grub.cfg, nor /etc/default/grub, nor entries in /boot/loader/entries";
        warnings.push(Warning::setting(key, text));
    }
    Ok(warnings)
}

/// Makes new bytes of a file's.
type Change<'a> = &'a dyn Fn(&[u8]) -> Result<Vec<u8>>;

/// The places of GRUB's configuration.
fn grub_configs(tree: &Tree<Content>) -> Vec<String> {
    let of_efi = tree.list(EFI_FOLDER).map(|(name, _)| {
        let vendor = String::from_utf8_lossy(name.as_bytes());
        format!("{EFI_FOLDER}/{vendor}/grub.cfg")
    });
    let places = GRUB_CONFIGS.map(str::to_owned).into_iter();
    places.chain(of_efi).collect()
}

/// The names of the entries.
fn entries(tree: &Tree<Content>) -> Vec<String> {
    tree.list(BLS_FOLDER)
        .map(|(name, _)| String::from_utf8_lossy(name.as_bytes()).into_owned())
        .filter(|name| name.ends_with(".conf"))
        .collect()
}

/// An entry after the edit; those for rescue stay as they are.
fn entry(name: &str, bytes: &[u8], edit: &Edit) -> Result<Vec<u8>> {
    let mut entry = BlsEntry::parse(name, bytes)?;
    let title = entry.value("title").unwrap_or_default().to_lowercase();
    if name.contains("rescue") || title.contains("rescue") || title.contains("recovery") {
        return Ok(bytes.to_vec());
    }
    let old = entry.options();
    let added: Vec<String> = edit
        .append
        .iter()
        .filter(|argument| !old.contains(argument) || edit.removes(argument))
        .cloned()
        .collect();
    // What is removed and added again would change its place each time.
    if edit.of(&old) == old {
        return Ok(bytes.to_vec());
    }
    entry.edit_options(&|argument| !edit.removes(argument), &added);
    Ok(entry.print().into_bytes())
}

/// A `grub.cfg` after the edit.
fn grub_config(bytes: &[u8], edit: &Edit) -> Result<Vec<u8>> {
    let script = Script::parse(bytes)?;
    let mut edits = Edits::new();
    for visit in script.commands() {
        if is_linux(visit.command) {
            edit_command(&script, visit.command, edit, &mut edits);
        }
    }
    Ok(edits.apply(bytes))
}

/// Whether a command loads a kernel: `linux`, or a variable that stands for it.
fn is_linux(command: &Command) -> bool {
    match command.name() {
        Some(name) => matches!(name, "linux" | "linux16" | "linuxefi"),
        None => command
            .words
            .first()
            .and_then(Word::variable)
            .is_some_and(|name| name.starts_with("linux")),
    }
}

/// Edits a `linux` command: arguments by name go, those to append come before `$kernelopts` or what is for init, else to the end.
fn edit_command(script: &Script, command: &Command, edit: &Edit, edits: &mut Edits) {
    let Some((kernel, arguments)) = command.arguments().split_first() else {
        return;
    };
    let is_end = |word: &&Word| {
        word.variable() == Some("kernelopts") || matches!(word.literal(), Some("--" | "---"))
    };
    let before = arguments.iter().take_while(|word| !is_end(word)).count();
    let (own, rest) = arguments.split_at(before);
    let text = |word: &Word| match word.literal() {
        Some(text) => text.to_owned(),
        None => script.text(&word.span).into_owned(),
    };
    let is_removed = |word: &&Word| {
        let name = word.name();
        edit.remove
            .iter()
            .any(|remove| Some(remove.as_str()) == name)
    };
    let old: Vec<String> = own.iter().map(text).collect();
    let all: Vec<String> = arguments.iter().map(text).collect();
    let mut new: Vec<String> = own
        .iter()
        .filter(|word| !is_removed(word))
        .map(text)
        .collect();
    let stays = |argument: &&String| all.contains(argument) && !edit.removes(argument);
    let added: Vec<&String> = edit
        .append
        .iter()
        .filter(|argument| !stays(argument))
        .collect();
    new.extend(added.iter().map(|argument| (*argument).clone()));
    if new == old && !rest.iter().any(|word| is_removed(&word)) {
        return;
    }
    for word in arguments.iter().filter(is_removed) {
        let blanks = blanks_before(script, word);
        edits.replace(word.span.start - blanks..word.span.end, "");
    }
    let added: String = added
        .iter()
        .map(|argument| format!(" {}", quote(argument)))
        .collect();
    if !added.is_empty() {
        edits.insert(own.last().unwrap_or(kernel).span.end, added);
    }
}

/// How many blanks stand before a word.
fn blanks_before(script: &Script, word: &Word) -> usize {
    let before = script.source().get(..word.span.start).unwrap_or_default();
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    before.iter().rev().take_while(is_blank).count()
}

/// `/etc/default/grub` after the edit. It is a shell script: the last plain assignment of the variable is changed, or one is added.
///
/// What is removed is removed from both variables of command lines.
fn defaults(bytes: &[u8], edit: &Edit) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut is_added = edit.append.is_empty();
    for variable in [Variable::Always, Variable::Default] {
        let is_ours = variable == edit.variable;
        let line = lines
            .iter_mut()
            .rev()
            .find(|line| assigned(line, variable.name()).is_some());
        let Some(line) = line else { continue };
        let value = assigned(line, variable.name())
            .unwrap_or_default()
            .to_owned();
        let edit = Edit {
            append: if is_ours {
                edit.append.clone()
            } else {
                Vec::new()
            },
            ..edit.clone()
        };
        let new = of_value(&value, &edit);
        if new != value {
            *line = format!("{}={new}", variable.name());
        }
        is_added |= is_ours;
    }
    if !is_added {
        lines.push(format!("{}={}", edit.variable.name(), of_value("", edit)));
    }
    let new: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if new.trim_end() == text.trim_end() {
        bytes.to_vec()
    } else {
        new.into_bytes()
    }
}

/// What a line assigns to a variable, with its quotes.
fn assigned<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.trim().strip_prefix(name)?.strip_prefix('=')
}

/// A value of a shell variable after the edit, in double quotes. A `$` in it keeps its meaning.
fn of_value(value: &str, edit: &Edit) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let inner = inner.unwrap_or(value);
    let mut words: Vec<String> = inner.split_whitespace().map(str::to_owned).collect();
    let old = words.clone();
    words.retain(|word| !edit.removes(word));
    for argument in &edit.append {
        let word = in_double_quotes(&quote(argument));
        let line = format!(" {} ", words.join(" "));
        if !line.contains(&format!(" {word} ")) {
            words.push(word);
        }
    }
    if words == old {
        return value.to_owned();
    }
    format!("\"{}\"", words.join(" "))
}

/// A text for a shell's double quotes.
fn in_double_quotes(text: &str) -> String {
    let mut found = String::new();
    for character in text.chars() {
        if matches!(character, '\\' | '"' | '$' | '`') {
            found.push('\\');
        }
        found.push(character);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};

    fn edited(files: &[(&str, &str)], arguments: &[&str]) -> Tree<Content> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let mut tree = tree_of(files);
        apply(&mut tree, "key", &Edit::append(&arguments), TIME).unwrap();
        let once = crate::testing::list(&tree);
        apply(&mut tree, "key", &Edit::append(&arguments), TIME).unwrap();
        assert_eq!(
            crate::testing::list(&tree),
            once,
            "a second time changes nothing"
        );
        tree
    }

    #[test]
    fn every_place_of_a_command_line_gets_the_arguments_once() {
        let tree = edited(
            &[
                (
                    "boot/grub2/grub.cfg",
                    "set x=1\nmenuentry 'a' {\n\tlinux /vmlinuz root=x ro $kernelopts\n\tinitrd /i\n}\nmenuentry 'b' {\n  linuxefi /v quiet --- init\n}\nmenuentry 'c' {\n linux /v\n}\n",
                ),
                (
                    "etc/default/grub",
                    "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet $more\"\n",
                ),
                (
                    "boot/loader/entries/a.conf",
                    "title A\noptions root=x quiet\n",
                ),
                (
                    "boot/loader/entries/b-rescue.conf",
                    "title B\noptions root=x\n",
                ),
                ("boot/efi/EFI/x/grub.cfg", "linuxefi /v\n"),
                ("etc/kernel/cmdline", "root=x"),
            ],
            &["quiet", "a=b c", "d=$e"],
        );
        assert_eq!(
            text_of(&tree, "boot/grub2/grub.cfg"),
            "set x=1\nmenuentry 'a' {\n\tlinux /vmlinuz root=x ro quiet 'a=b c' 'd=$e' $kernelopts\n\tinitrd /i\n}\nmenuentry 'b' {\n  linuxefi /v quiet 'a=b c' 'd=$e' --- init\n}\nmenuentry 'c' {\n linux /v quiet 'a=b c' 'd=$e'\n}\n"
        );
        assert!(text_of(&tree, "etc/default/grub").contains("quiet $more 'a=b c' 'd=\\$e'\"\n"));
        assert_eq!(
            text_of(&tree, "boot/loader/entries/a.conf"),
            "title A\noptions root=x quiet \"a=b c\" d=$e\n"
        );
        assert_eq!(
            text_of(&tree, "boot/loader/entries/b-rescue.conf"),
            "title B\noptions root=x\n"
        );
        assert_eq!(
            text_of(&tree, "etc/kernel/cmdline"),
            "root=x quiet \"a=b c\" d=$e\n"
        );
    }

    #[test]
    fn a_variable_that_is_not_set_is_added() {
        let tree = edited(&[("etc/default/grub", "GRUB_TIMEOUT=5")], &["x"]);
        assert_eq!(
            text_of(&tree, "etc/default/grub"),
            "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT=\"x\"\n"
        );
    }

    #[test]
    fn what_cannot_be_read_stays_and_is_named() {
        let mut tree = tree_of(&[("boot/grub/grub.cfg", "if true; then\n")]);
        let edit = Edit::append(&["x".to_owned()]);
        let warnings = apply(&mut tree, "key", &edit, TIME).unwrap();
        assert!(
            warnings[0]
                .to_string()
                .contains("/boot/grub/grub.cfg stays"),
            "{warnings:?}"
        );
        assert_eq!(text_of(&tree, "boot/grub/grub.cfg"), "if true; then\n");
        let warnings = apply(&mut tree_of(&[]), "key", &edit, TIME).unwrap();
        assert!(warnings[0].to_string().contains("no boot configuration"));
    }

    /// What the edits are for: the media's entries have the arguments, whatever the image's configuration is made of.
    #[test]
    fn the_medias_entries_have_the_arguments() {
        use bootloader::live::{ImageConfig, LiveBoot, LiveKernel, configure};
        for files in [
            vec![(
                "boot/grub/grub.cfg",
                "menuentry 'a' {\n linux /boot/vmlinuz-6.1 root=/dev/sda1 ro\n}\n",
            )],
            vec![
                ("boot/grub/grub.cfg", "blscfg\n"),
                (
                    "boot/loader/entries/a.conf",
                    "title A\nversion 6.1\nlinux /vmlinuz-6.1\noptions root=x\n",
                ),
            ],
            vec![("etc/kernel/cmdline", "root=x ro\n")],
            vec![("etc/default/grub", "GRUB_CMDLINE_LINUX=\"ro\"\n")],
        ] {
            let tree = edited(&files, &["net.ifnames=0", "audit=1"]);
            let file = |path: &str| place::read(&tree, path);
            let grub_config = file("/boot/grub/grub.cfg").unwrap();
            let entries: Vec<(String, Vec<u8>)> = entries(&tree)
                .into_iter()
                .map(|name| {
                    let bytes = file(&format!("{BLS_FOLDER}/{name}")).unwrap().unwrap();
                    (name, bytes)
                })
                .collect();
            let image = ImageConfig {
                grub_config: grub_config.as_deref(),
                bls_entries: &entries,
                file: &file,
            };
            let boot = LiveBoot::new("LIVE", "Live", vec![LiveKernel::new("6.1")]);
            let config = configure(&image, &boot).unwrap();
            assert!(!config.entries.is_empty());
            for entry in &config.entries {
                let line = entry.command_line(&boot).join(" ");
                assert!(line.contains("net.ifnames=0 audit=1"), "{files:?}: {line}");
            }
        }
    }
}
