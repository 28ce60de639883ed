//! What GRUB's commands mean for live media.

use super::Medium;
use crate::grub::{Command, Visit, Word, quote};

/// What a command is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Loads a Linux kernel.
    Linux,
    /// Loads an initramfs.
    Initrd,
    /// Looks for a file system and says which device has it.
    Search,
    /// Starts something that is not on the media.
    Foreign,
    /// Reads an environment block.
    LoadEnvironment,
    /// Writes one.
    SaveEnvironment,
    /// Loads a module of GRUB.
    LoadModule,
    /// Shows the Boot Loader Specification's entries.
    BlsEntries,
    /// Loads a device tree, which is not on the media.
    DeviceTree,
    /// `[` and `test`.
    Test,
    /// A menu entry.
    MenuEntry,
    /// A menu in the menu.
    Submenu,
    /// Anything else, which stays as it is.
    Other,
}

/// The role of the command of this name.
pub(super) fn role(command: &Command) -> Role {
    let Some(name) = command.name() else {
        // `$linux`, as some configurations choose between `linux` and `linuxefi`.
        return match command.words.first().and_then(Word::variable) {
            Some(name) if name.starts_with("linux") || name == "liveos_linux" => Role::Linux,
            Some(name) if name.starts_with("initrd") || name == "liveos_initrd" => Role::Initrd,
            _ => Role::Other,
        };
    };
    match name {
        "linux" | "linux16" | "linuxefi" => Role::Linux,
        "initrd" | "initrd16" | "initrdefi" => Role::Initrd,
        "search" | "search.fs_uuid" | "search.fs_label" | "search.file" => Role::Search,
        "chainloader" | "multiboot" | "multiboot2" | "module" | "module2" | "xen_hypervisor"
        | "xen_module" | "kopenbsd" | "kfreebsd" | "knetbsd" | "ntldr" | "freedos" | "plan9"
        | "truecrypt" | "configfile" | "legacy_configfile" | "appleloader" | "xnu_kernel"
        | "xnu_kernel64" | "drivemap" | "pxechainloader" => Role::Foreign,
        "load_env" => Role::LoadEnvironment,
        "save_env" => Role::SaveEnvironment,
        "insmod" => Role::LoadModule,
        "blscfg" | "bls_import" => Role::BlsEntries,
        "devicetree" => Role::DeviceTree,
        "[" | "test" => Role::Test,
        "menuentry" => Role::MenuEntry,
        "submenu" => Role::Submenu,
        _ => Role::Other,
    }
}

/// Whether a command loads a Linux kernel.
pub(crate) fn is_linux(command: &Command) -> bool {
    role(command) == Role::Linux
}

/// Whether a command loads an initramfs.
pub(crate) fn is_initrd(command: &Command) -> bool {
    role(command) == Role::Initrd
}

/// The title of the menu entry in which a command stands, if no variable is in it.
pub(crate) fn menu_title<'a>(visit: &Visit<'a>) -> Option<&'a str> {
    let mut within = visit.within.iter().rev();
    title(within.find(|command| role(command) == Role::MenuEntry)?)
}

/// The variable that a `search` gives the device's name to.
///
/// `--set` takes a name behind `=`; older configurations have it as a word of its own, but only where another word is what is looked for.
pub(super) fn search_variable(command: &Command) -> String {
    let words: Vec<&str> = command
        .arguments()
        .iter()
        .map(|word| word.literal().unwrap_or("$"))
        .collect();
    if command.name() != Some("search") {
        return words
            .get(1)
            .filter(|name| is_identifier(name))
            .map_or("root", |name| *name)
            .to_owned();
    }
    let positional = words.iter().filter(|word| !word.starts_with('-')).count();
    for (at, word) in words.iter().enumerate() {
        let found = match *word {
            "--set" | "-s" if positional > 1 => words.get(at + 1).copied(),
            word => word
                .strip_prefix("--set=")
                .or_else(|| word.strip_prefix("-s").filter(|rest| !rest.is_empty())),
        };
        if let Some(name) = found.filter(|name| is_identifier(name)) {
            return name.to_owned();
        }
    }
    "root".to_owned()
}

fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A `search` for the media; `None` where GRUB's own place is theirs.
pub(super) fn search(medium: &Medium, variable: &str) -> Option<String> {
    match medium {
        Medium::Volume(volume_id) => Some(format!(
            "search --no-floppy --label {} --set={variable}",
            quote(volume_id)
        )),
        Medium::Network => None,
    }
}

/// The title of a menu entry or submenu, if no variable is in it.
pub(super) fn title(command: &Command) -> Option<&str> {
    command.arguments().first().and_then(Word::literal)
}

/// The identifier of a menu entry: behind `--id`, or behind the variable that stands for it where GRUB knows it.
pub(super) fn identifier(command: &Command) -> Option<&str> {
    let arguments = command.arguments();
    arguments.iter().enumerate().find_map(|(at, word)| {
        let literal = word.literal();
        if literal == Some("--id") || word.variable() == Some("menuentry_id_option") {
            return arguments.get(at + 1).and_then(Word::literal);
        }
        literal.and_then(|literal| literal.strip_prefix("--id="))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grub::Script;

    #[test]
    fn a_search_says_which_variable_it_sets() {
        for (line, variable) in [
            ("search --no-floppy --fs-uuid --set=root 1-2", "root"),
            ("search --set=boot --label x", "boot"),
            ("search -n -u 1-2 -s", "root"),
            ("search --no-floppy --fs-uuid --set 1234-ABCD", "root"),
            ("search --set dev --label x", "dev"),
            ("search.fs_uuid 1-2 prefixroot hd0,gpt2", "prefixroot"),
            ("search.fs_label x", "root"),
            ("search --set=$x --label y", "root"),
        ] {
            let script = Script::parse(line).unwrap();
            assert_eq!(
                search_variable(script.commands()[0].command),
                variable,
                "{line}"
            );
        }
    }

    #[test]
    fn an_entry_is_known_by_its_identifier() {
        for (line, id) in [
            (
                "menuentry 'a' --class b $menuentry_id_option 'gnulinux-1' { true }",
                Some("gnulinux-1"),
            ),
            ("menuentry 'a' --id x { true }", Some("x")),
            ("menuentry 'a' --id=x { true }", Some("x")),
            ("menuentry 'a' --id $x { true }", None),
            ("menuentry 'a' { true }", None),
        ] {
            let script = Script::parse(line).unwrap();
            assert_eq!(identifier(script.commands()[0].command), id, "{line}");
        }
    }
}
