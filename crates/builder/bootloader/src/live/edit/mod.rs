//! The edit of the image's own `grub.cfg`.

mod kernel;
mod removal;

use std::ops::Range;
use std::rc::Rc;

use super::commands::{Role, identifier, role, search, search_variable, title};
use super::entry::{LiveEntry, of_bls};
use super::generate::{Commands, boot_card_prelude, menu_entry, stripped_value};
use super::kernels::LiveKernel;
use super::variables::{Variables, assignment};
use super::{ENTRY_LIMIT, LiveBoot};
use crate::bls::BlsEntry;
use crate::grub::{Command, Edits, Script, Visit, Word};

/// What stands in the place of a command that is taken out. An assignment needs no module; `true` is a command that signed GRUBs of
/// several distributions lack.
const NOTHING: &str = "set liveos_edited=1";

/// An edited configuration.
pub(super) struct Edited {
    pub(super) text: Vec<u8>,
    /// The entries that boot a kernel of the media, in the menu's order.
    pub(super) entries: Vec<LiveEntry>,
    pub(super) commands: Commands,
    pub(super) warnings: Vec<String>,
}

/// Edits `script`.
///
/// # Errors
///
/// Why it cannot be: it boots no kernel of the media, or has too many entries.
pub(super) fn edit(
    script: &Script,
    variables: &Variables,
    bls: &[BlsEntry],
    boot: &LiveBoot,
) -> Result<Edited, &'static str> {
    let visits = script.commands();
    let mut editor = Editor {
        script,
        visits: &visits,
        variables,
        bls,
        boot,
        edits: Edits::new(),
        removed: vec![false; visits.len()],
        path_edits: 0,
        last_kernel: None,
        tested: None,
        last_entry: None,
        entries: Vec::new(),
        commands: Commands::Plain,
        warnings: Vec::new(),
    };
    if visits.iter().any(|visit| is_by_platform(visit.command)) {
        editor.commands = Commands::ByPlatform;
        editor.edits.insert(0, editor.commands.prelude());
    }
    let prelude = boot_card_prelude(boot);
    if !prelude.is_empty() {
        editor.edits.insert(0, prelude);
    }
    editor.remove_foreign_entries();
    for (at, visit) in visits.iter().enumerate() {
        if editor.removed.get(at) == Some(&false) {
            editor.visit(visit);
        }
        if editor.entries.len().max(editor.path_edits / 2) > ENTRY_LIMIT {
            return Err("has over 1000 entries");
        }
    }
    if editor.entries.is_empty() {
        return Err("boots none of its kernels");
    }
    Ok(Edited {
        text: editor.edits.apply(script.source()),
        entries: editor.entries,
        commands: editor.commands,
        warnings: editor.warnings,
    })
}

struct Editor<'a> {
    script: &'a Script,
    visits: &'a [Visit<'a>],
    variables: &'a Variables,
    bls: &'a [BlsEntry],
    boot: &'a LiveBoot,
    edits: Edits,
    /// For each of `visits`, whether it stands in what is taken out.
    removed: Vec<bool>,
    /// How often a path was put in another's place.
    path_edits: usize,
    /// The kernel of the last `linux`, and where its menu entry begins.
    last_kernel: Option<(Option<usize>, &'a LiveKernel)>,
    /// The words of the conditions in the menu entry that begins there.
    tested: Option<(usize, Rc<[&'a Word]>)>,
    /// Whether the menu entry that begins there loads a kernel.
    last_entry: Option<(usize, bool)>,
    entries: Vec<LiveEntry>,
    commands: Commands,
    warnings: Vec<String>,
}

impl<'a> Editor<'a> {
    /// The places in `visits` of the commands in the blocks of `command`: they follow it.
    fn places_inside(&self, command: &Command) -> Range<usize> {
        let place = |offset: usize| {
            self.visits
                .partition_point(|visit| visit.command.span.start < offset)
        };
        place(command.span.start + 1)..place(command.span.end)
    }

    /// The commands in the blocks of `command`.
    fn inside(&self, command: &Command) -> &'a [Visit<'a>] {
        self.visits
            .get(self.places_inside(command))
            .unwrap_or_default()
    }

    fn visit(&mut self, visit: &Visit<'_>) {
        let command = visit.command;
        match role(command) {
            Role::Linux => self.linux(visit),
            Role::Initrd => self.initrd(visit),
            Role::Search => match search(&self.boot.medium, &search_variable(command)) {
                Some(text) => self.edits.replace(command.span.clone(), text),
                None => self.neutralise(visit),
            },
            Role::BlsEntries => self.bls_entries(visit),
            Role::LoadEnvironment if !self.variables.has_block(command) => self.neutralise(visit),
            Role::SaveEnvironment => self.neutralise(visit),
            Role::LoadModule => self.insmod(visit),
            Role::DeviceTree => {
                self.warnings.push("the boot menu loads a device tree, which is not on the media; that is left out".to_owned());
                self.neutralise(visit);
            }
            Role::Other => self.assignment(visit),
            _ => {}
        }
    }

    /// Puts the entries that `blscfg` would show into its place.
    fn bls_entries(&mut self, visit: &Visit<'_>) {
        let shown = self.entries.iter().any(|entry| {
            entry
                .key
                .as_deref()
                .is_some_and(|key| key.starts_with("liveos-"))
        });
        if shown || visit.command.name() != Some("blscfg") {
            return self.neutralise(visit);
        }
        let mut text = String::new();
        for bls in self.bls {
            match of_bls(bls, self.variables, self.boot) {
                Some(entry) => {
                    text.push_str(&menu_entry(&entry, self.boot, self.commands));
                    let at_top = visit.within.is_empty();
                    self.entries.push(LiveEntry { key: entry.key.clone().filter(|_| at_top), ..entry });
                }
                None => self.warnings.push(format!(
                    "the boot menu's entry {:?} is left out: it boots a kernel that is not on the media",
                    bls.value("title").unwrap_or(bls.id())
                )),
            }
        }
        match text.trim_end() {
            "" => self.neutralise(visit),
            text => self.edits.replace(visit.command.span.clone(), text),
        }
    }

    /// A command line in a variable loses what is ours to give; what [`is_harmful`] says goes.
    fn assignment(&mut self, visit: &Visit<'_>) {
        let Some((name, word)) = assignment(visit.command) else {
            return;
        };
        if is_harmful(name, word) {
            return self.neutralise(visit);
        }
        if !self.variables.is_command_line(name) {
            return;
        }
        let text = self.script.text(&word.span).into_owned();
        let Some((name, raw)) = text.split_once('=') else {
            return;
        };
        if let Some(value) = stripped_value(raw) {
            self.edits
                .replace(word.span.clone(), format!("{name}={value}"));
        }
    }
}

/// Whether an assignment does harm on media: a device by its number is another one on another machine, a pager waits for a key where
/// missing modules are told of, and a theme that is not on the media makes GRUB 2.06 wait for ten seconds.
fn is_harmful(name: &str, word: &Word) -> bool {
    match name {
        "root" => word.literal().is_some(),
        "pager" | "theme" => true,
        _ => false,
    }
}

/// What `default` has to be to choose this entry of the top menu. Texts that begin like a number would count as one.
fn key(entry: &Command) -> Option<String> {
    let key = identifier(entry).or_else(|| title(entry))?;
    let number = key
        .trim_start()
        .starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+'));
    (!number && !key.is_empty()).then(|| key.replace('>', ">>"))
}

/// The innermost menu entry in which a command stands.
fn menu_entry_of<'a>(visit: &Visit<'a>) -> Option<&'a Command> {
    let within = visit.within.iter().rev().copied();
    within
        .into_iter()
        .find(|command| role(command) == Role::MenuEntry)
}

/// Where the menu entry of a command begins.
fn start_of_menu_entry(visit: &Visit<'_>) -> Option<usize> {
    menu_entry_of(visit).map(|entry| entry.span.start)
}

/// Whether a command needs [`Commands::ByPlatform`]: one for UEFI alone, or what an earlier edit made of it.
fn is_by_platform(command: &Command) -> bool {
    let ours = command.words.first().and_then(Word::variable);
    matches!(command.name(), Some("linuxefi" | "initrdefi")) || ours == Some("liveos_linux")
}
