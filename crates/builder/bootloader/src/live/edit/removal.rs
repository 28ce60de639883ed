//! What is taken out of a configuration: entries of other systems, and commands that do nothing good on media.

use super::super::commands::{Role, role, title};
use super::super::entry::kernel_of;
use super::super::kernels::Meaning;
use super::{Editor, NOTHING};
use crate::grub::{Command, Visit};

impl Editor<'_> {
    /// Takes out menu entries that start what is not on the media, and submenus of which nothing is left.
    pub(super) fn remove_foreign_entries(&mut self) {
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
    pub(super) fn neutralise(&mut self, visit: &Visit<'_>) {
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
    pub(super) fn insmod(&mut self, visit: &Visit<'_>) {
        let entry = visit.within.last().copied();
        let direct = entry.filter(|entry| !visit.nested && role(entry) == Role::MenuEntry);
        if direct.is_some_and(|entry| self.loads_linux(entry)) {
            self.neutralise(visit);
        }
    }
}
