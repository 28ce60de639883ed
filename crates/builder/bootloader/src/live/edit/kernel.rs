//! The commands that load a kernel and its initramfs.

use std::rc::Rc;

use super::super::commands::{Role, role};
use super::super::entry::{is_separator, kernel_of, of_command, ours};
use super::super::generate::{BOOT_CARD, argument_words};
use super::super::is_managed;
use super::super::kernels::Meaning;
use super::{Editor, key, menu_entry_of, start_of_menu_entry};
use crate::grub::{Command, Visit, Word, quote};

/// The most paths of an `initrd` that are looked for in conditions; real ones have up to 3. Further ones are not looked for.
const PATH_LIMIT: usize = 8;
/// The most words of conditions in one menu entry that are looked at; real ones have under 50. Further ones stay as they are.
const TESTED_LIMIT: usize = 200;

impl<'a> Editor<'a> {
    pub(super) fn linux(&mut self, visit: &Visit<'_>) {
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
            let is_boot_card = word.variable() == Some(BOOT_CARD);
            if word.name().is_some_and(is_managed) || given || is_boot_card {
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
            .insert(insert_at.unwrap_or(end), argument_words(self.boot, &ours));
    }

    pub(super) fn initrd(&mut self, visit: &Visit<'_>) {
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
}
