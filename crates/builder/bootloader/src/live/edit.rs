//! The edit of the image's own `grub.cfg`.

use std::ops::Range;
use std::rc::Rc;

use super::commands::{Role, identifier, role, search, search_variable, title};
use super::entry::{LiveEntry, is_separator, kernel_of, of_bls, of_command, ours};
use super::generate::{Commands, argument_words, menu_entry, stripped_value};
use super::kernels::{LiveKernel, Meaning};
use super::variables::{Variables, assignment};
use super::{ENTRY_LIMIT, LiveBoot, is_managed};
use crate::bls::BlsEntry;
use crate::grub::{Command, Edits, Script, Visit, Word, quote};

/// The most paths of an `initrd` that are looked for in conditions; real ones have up to 3. Further ones are not looked for.
const PATH_LIMIT: usize = 8;
/// The most words of conditions in one menu entry that are looked at; real ones have under 50. Further ones stay as they are.
const TESTED_LIMIT: usize = 200;

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

    /// Takes out menu entries that start what is not on the media, and submenus of which nothing is left.
    fn remove_foreign_entries(&mut self) {
        for (at, visit) in self.visits.iter().enumerate() {
            if role(visit.command) == Role::MenuEntry
                && self.removed.get(at) == Some(&false)
                && let Some(reason) = self.foreign(visit.command)
            {
                self.remove(visit, reason);
            }
        }
        for (at, visit) in self.visits.iter().enumerate() {
            if role(visit.command) != Role::Submenu || self.removed.get(at) != Some(&false) {
                continue;
            }
            let mut inside = self.places_inside(visit.command);
            let lives = |place: usize| match self.visits.get(place).map(|inner| role(inner.command))
            {
                Some(Role::MenuEntry) => self.removed.get(place) == Some(&false),
                Some(Role::BlsEntries) => true,
                _ => false,
            };
            if !inside.any(lives) {
                self.remove(visit, "none of its entries works from media");
            }
        }
    }

    /// Why a menu entry cannot work from media.
    fn foreign(&self, entry: &Command) -> Option<&'static str> {
        let mut reason = None;
        for inner in self.inside(entry) {
            match role(inner.command) {
                Role::Linux
                    if kernel_of(inner.command, self.variables, self.boot) == Meaning::Other =>
                {
                    return Some("it boots a kernel that is not on the media");
                }
                Role::Linux => reason = None,
                Role::Foreign => {
                    reason = Some("it starts another system, which is not on the media")
                }
                _ => {}
            }
        }
        reason
    }

    fn remove(&mut self, visit: &Visit<'_>, reason: &str) {
        let name = title(visit.command).unwrap_or("without a fixed title");
        self.warnings.push(format!(
            "the boot menu's entry {name:?} is left out: {reason}"
        ));
        self.neutralise(visit);
        let inside = self.places_inside(visit.command);
        let whole = inside.start.saturating_sub(1)..inside.end;
        self.removed.get_mut(whole).unwrap_or_default().fill(true);
    }

    /// Takes a command out, with its line where it is alone there. Where nothing might be left of a block [`NOTHING`] takes its place.
    fn neutralise(&mut self, visit: &Visit<'_>) {
        let span = visit.command.span.clone();
        let source = self.script.source();
        let before = source.get(..span.start).unwrap_or_default();
        let after = source.get(span.end..).unwrap_or_default();
        let indent = before
            .iter()
            .rev()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let line_start = span.start - indent;
        let begins = line_start
            .checked_sub(1)
            .is_none_or(|last| source.get(last) == Some(&b'\n'));
        let alone = begins && after.first().is_none_or(|byte| *byte == b'\n');
        if alone && self.may_vanish(visit) {
            let end = span.end + usize::from(!after.is_empty());
            self.edits.replace(line_start..end, "");
        } else {
            self.edits.replace(span, NOTHING);
        }
    }

    /// Whether something is left of the block in which a command stands: an empty one is a fault in GRUB's language.
    fn may_vanish(&mut self, visit: &Visit<'_>) -> bool {
        let block = visit.within.last().copied();
        !visit.nested
            && role(visit.command) != Role::Linux
            && block.is_none_or(|block| self.loads_linux(block))
    }

    /// Whether a menu entry loads a kernel.
    fn loads_linux(&mut self, entry: &Command) -> bool {
        match self.last_entry {
            Some((start, loads)) if start == entry.span.start => loads,
            _ => {
                let loads = self
                    .inside(entry)
                    .iter()
                    .any(|inner| role(inner.command) == Role::Linux);
                self.last_entry = Some((entry.span.start, loads));
                loads
            }
        }
    }

    /// In an entry, a module that cannot be loaded makes GRUB 2.06 wait for ten seconds. Those for the installed root are not needed;
    /// under UEFI the media have none at all, and for BIOS what a kernel needs is built in.
    fn insmod(&mut self, visit: &Visit<'_>) {
        let entry = visit.within.last().copied();
        let direct = entry.filter(|entry| !visit.nested && role(entry) == Role::MenuEntry);
        if direct.is_some_and(|entry| self.loads_linux(entry)) {
            self.neutralise(visit);
        }
    }

    fn visit(&mut self, visit: &Visit<'_>) {
        let command = visit.command;
        match role(command) {
            Role::Linux => self.linux(visit),
            Role::Initrd => self.initrd(visit),
            Role::Search => {
                let text = search(&self.boot.volume_id, &search_variable(command));
                self.edits.replace(command.span.clone(), text);
            }
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

    fn linux(&mut self, visit: &Visit<'_>) {
        self.last_kernel = None;
        let Some(mut entry) = of_command(visit, self.variables, self.boot) else {
            self.warnings.push(format!(
                "the boot menu loads {:?}, which is not on the media; that is left out",
                visit
                    .command
                    .arguments()
                    .first()
                    .map(|path| self.script.text(&path.span))
                    .unwrap_or_default()
            ));
            return self.neutralise(visit);
        };
        let meaning = kernel_of(visit.command, self.variables, self.boot);
        if let Meaning::Kernel(kernel) | Meaning::Newest(kernel) = meaning {
            self.last_kernel = Some((start_of_menu_entry(visit), kernel));
        }
        if let Meaning::Newest(kernel) = meaning
            && self.boot.kernels.len() > 1
        {
            self.warnings.push(format!(
                "the boot menu's entry {:?} names no version of the kernel; it boots the newest, {}",
                entry.title, kernel.version
            ));
        }
        let menu_entry = menu_entry_of(visit);
        let outermost = visit.within.first().copied();
        if let Some(menu_entry) =
            menu_entry.filter(|entry| outermost.is_some_and(|outer| std::ptr::eq(outer, *entry)))
        {
            entry.key = key(menu_entry);
        }
        let (linux, _) = self.commands.words();
        self.replace_name(visit.command, linux);
        self.replace_path(visit, &visit.command.words[1..2], &entry.kernel.image);
        self.linux_arguments(visit.command);
        // Up to the next `linux`: a configuration may first try without an initramfs, which live media cannot do.
        let has_initrd = menu_entry.is_none_or(|menu_entry| {
            let mut later = self.inside(menu_entry).iter().filter_map(|inner| {
                let role = role(inner.command);
                let later = inner.command.span.start > visit.command.span.start;
                (later && matches!(role, Role::Linux | Role::Initrd)).then_some(role)
            });
            later.next() == Some(Role::Initrd)
        });
        if !has_initrd {
            let (_, initrd) = self.commands.words();
            let line = format!("\n\t{initrd} {}", quote(&entry.kernel.initramfs));
            self.edits.insert(visit.command.span.end, line);
        }
        self.entries.push(entry);
    }

    /// Takes out the arguments that are ours to give, and gives them.
    fn linux_arguments(&mut self, command: &Command) {
        let ours = ours(self.boot, false);
        let words = &command.words;
        let mut end = words.get(1).map_or(command.span.end, |path| path.span.end);
        let mut insert_at = None;
        for pair in words.get(1..).unwrap_or_default().windows(2) {
            let [before, word] = pair else {
                continue;
            };
            let given = word
                .literal()
                .is_some_and(|text| ours.iter().any(|argument| argument == text));
            if word.name().is_some_and(is_managed) || given {
                self.edits.replace(before.span.end..word.span.end, "");
            } else {
                let last = word.literal().is_some_and(is_separator)
                    || word.variable() == Some("kernelopts");
                if last && insert_at.is_none() {
                    insert_at = Some(before.span.end);
                }
                end = word.span.end;
            }
        }
        self.edits
            .insert(insert_at.unwrap_or(end), argument_words(&ours));
    }

    fn initrd(&mut self, visit: &Visit<'_>) {
        // The kernel of the last `linux` before it, in the same menu entry.
        let kernel = self
            .last_kernel
            .filter(|(entry, _)| *entry == start_of_menu_entry(visit));
        let Some((_, kernel)) = kernel else {
            return self.neutralise(visit);
        };
        let (_, initrd) = self.commands.words();
        self.replace_name(visit.command, initrd);
        let path = kernel.initramfs.clone();
        match visit.command.arguments() {
            [] => self
                .edits
                .insert(visit.command.span.end, format!(" {}", quote(&path))),
            words => self.replace_path(visit, words, &path),
        }
    }

    fn replace_name(&mut self, command: &Command, name: &str) {
        if let Some(word) = command.words.first() {
            self.edits.replace(word.span.clone(), name);
        }
    }

    /// Puts `path` in the place of these words, and in conditions of the same menu entry that ask for one of them.
    fn replace_path(&mut self, visit: &Visit<'_>, words: &[Word], path: &str) {
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            return;
        };
        self.edits
            .replace(first.span.start..last.span.end, quote(path));
        self.path_edits += 1;
        let Some(entry) = menu_entry_of(visit) else {
            return;
        };
        let words = words.get(..words.len().min(PATH_LIMIT)).unwrap_or_default();
        for word in self.tested_words(entry).iter() {
            if words.iter().any(|old| old.pieces == word.pieces) {
                self.edits.replace(word.span.clone(), quote(path));
            }
        }
    }

    /// The first words of the conditions in a menu entry.
    fn tested_words(&mut self, entry: &Command) -> Rc<[&'a Word]> {
        match &self.tested {
            Some((start, words)) if *start == entry.span.start => words.clone(),
            _ => {
                let tests = self
                    .inside(entry)
                    .iter()
                    .filter(|inner| role(inner.command) == Role::Test);
                let words = tests.flat_map(|test| test.command.arguments());
                let words: Rc<[_]> = words.take(TESTED_LIMIT).collect();
                self.tested = Some((entry.span.start, words.clone()));
                words
            }
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
