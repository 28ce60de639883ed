//! A state to the media, in an order in which an interruption leaves nothing broken.

use std::collections::BTreeSet;
use std::sync::Arc;

use block::{Content, ReadAt, Result, read_vec};
use formats::iso9660::Editor;

use super::super::digests::Table;
use super::super::journal::{SLOT_LEN, State};
use super::super::room::{Kind, SECTOR};
use super::super::target::Target;
use super::change::Next;
use super::{Media, lay_over};
use crate::parts::for_each_part;

/// How much of the area is looked through at a time for what is not zero.
const BLOCK: u64 = 64 << 10;

impl Media {
    /// Writes a state in the order that the module's description has.
    pub(super) fn write(&self, target: &dyn Target, next: &Next) -> Result<()> {
        // Without a journal there is nothing to take back but what a change left that was stopped before it had one.
        let is_known = match self.slot {
            Some(_) => same_but_sequence(&self.state, &next.state),
            None => next.is_reset,
        };
        if !is_known {
            let slot = match self.slot {
                Some(slot) => 1 - slot,
                None => 0,
            };
            let journal = next.state.encode()?;
            if self.slot.is_none() {
                self.verify(next)?;
            }
            for (digest, content) in &next.contents {
                let (offset, _) = next.state.blobs.get(digest).copied().unwrap_or_default();
                write_content(target, content, offset)?;
            }
            if next.home.kind == Kind::Behind {
                // The whole area is there before anything leads to it.
                extend(target, next.home.data())?;
            }
            target.sync()?;
            target.write_all_at(&journal, next.home.offset + slot * SLOT_LEN)?;
            target.sync()?;
        }
        let is_descriptor = self.descriptors(next);
        if next.is_reset {
            // The journal has to be there until all is right but itself, and the descriptors may be what leads to it.
            self.write_records(target, next, &|sector| !is_descriptor.contains(&sector))?;
            target.sync()?;
            self.update_table(target, next, &*self.original())?;
            target.sync()?;
        }
        self.write_records(target, next, &|_| true)?;
        target.sync()?;
        self.clean(target, next, is_known)?;
        self.update_table(target, next, &*target.reader()?)?;
        target.sync()
    }

    /// Holds that what is to be changed for the first time is not damaged.
    fn verify(&self, next: &Next) -> Result<()> {
        let Some(table) = Table::find(&self.editor, &*self.source)? else {
            return Ok(());
        };
        let ranges: Vec<_> = ranges(&next.state).collect();
        // A change that was stopped before its journal was written leaves bytes in the area.
        let area = next.home.end().map(|end| next.home.offset..end);
        let area = table.chunks(&area.into_iter().collect::<Vec<_>>());
        let chunks = table.chunks(&ranges);
        table.verify(&*self.source, &chunks.difference(&area).copied().collect())
    }

    /// The sectors that say how long the media are and where the area is.
    fn descriptors(&self, next: &Next) -> BTreeSet<u64> {
        both(&self.state.descriptors, &next.state.descriptors)
    }

    /// Brings all wanted sectors with changes, of the state before and of the next one, to what they are to be.
    fn write_records(
        &self,
        target: &dyn Target,
        next: &Next,
        wanted: &dyn Fn(u64) -> bool,
    ) -> Result<()> {
        let original = self.original();
        let all = self.state.writes.iter().chain(&next.state.writes);
        let mut sectors: Vec<u64> = all.map(|write| write.at / SECTOR).collect();
        let descriptors = self.descriptors(next);
        let inserted = both(&self.state.inserted, &next.state.inserted);
        let comes = next.state.additions.is_some() || self.state.additions.is_none();
        let grows = next.state.grown_from.is_some() && !next.is_reset;
        // The primary descriptor leads to the area, so it is the first to change and the last to change back; each has its own rank.
        let rank = |sector: &u64| -> (u8, u64) {
            if descriptors.contains(sector) {
                if grows {
                    (0, *sector)
                } else {
                    (3, u64::MAX - sector)
                }
            } else if inserted.contains(sector) == comes {
                (1, 0)
            } else {
                (2, 0)
            }
        };
        sectors.sort_unstable_by_key(|sector| (rank(sector), *sector));
        sectors.dedup();
        let mut last_rank = None;
        for sector in sectors.into_iter().filter(|sector| wanted(*sector)) {
            let at = sector * SECTOR;
            let len = SECTOR.min(original.len().saturating_sub(at));
            let limit = usize::try_from(SECTOR).unwrap_or(usize::MAX);
            let now = read_vec(&*self.source, at, len, limit, "a sector of the media")?;
            let mut new = read_vec(&*original, at, len, limit, "a sector of the media")?;
            for write in &next.state.writes {
                lay_over(&mut new, at, &write.new, write.at);
            }
            let differs = |(now, new): (&u8, &u8)| now != new;
            let first = now.iter().zip(&new).position(differs);
            let last = now.iter().zip(&new).rposition(differs);
            if let Some((first, last)) = first.zip(last) {
                // What a boot entry names is there before the entry is.
                if last_rank
                    .replace(rank(&sector))
                    .is_some_and(|last| last != rank(&sector))
                {
                    target.sync()?;
                }
                let part = new.get(first..=last).unwrap_or_default();
                target.write_all_at(part, at + u64::try_from(first).unwrap_or(0))?;
            }
        }
        Ok(())
    }

    /// Makes zeros of what is free in the area, and cuts off what is behind the end.
    fn clean(&self, target: &dyn Target, next: &Next, is_known: bool) -> Result<()> {
        let source = target.reader()?;
        let grown = next.state.grown_from.or(self.state.grown_from);
        let original = grown.unwrap_or(source.len());
        let end = next.home.end().unwrap_or(source.len()).min(source.len());
        let mut used: Vec<(u64, u64)> = next
            .state
            .blobs
            .values()
            .map(|(offset, len)| (*offset, offset + len))
            .collect();
        used.sort_unstable();
        if !(next.is_reset && next.home.kind == Kind::Behind) {
            zero_between(target, &*source, next.home.data()..end, &used)?;
        }
        let slot = |number: u64| {
            let at = next.home.offset + number * SLOT_LEN;
            at..at + SLOT_LEN
        };
        // The state in force goes last: the older one must never count again.
        let current = self
            .slot
            .map_or(0, |slot| if is_known { slot } else { 1 - slot });
        if !(next.is_reset && next.home.kind == Kind::Behind) {
            zero_between(target, &*source, slot(1 - current), &[])?;
        }
        if next.is_reset && next.home.kind != Kind::Behind {
            target.sync()?;
            zero_between(target, &*source, slot(current), &[])?;
        }
        let last = used
            .iter()
            .map(|(_, end)| end.next_multiple_of(SECTOR))
            .max();
        let behind = match next.home.kind {
            Kind::Behind if !next.is_reset => next.home.data(),
            _ => original,
        };
        let wanted = last.unwrap_or(0).max(behind).max(original);
        if grown.is_some() && target.grows() && source.len() > wanted {
            target.cut(wanted)?;
        }
        Ok(())
    }

    /// Makes the table say what `source` has where something changed.
    fn update_table(&self, target: &dyn Target, next: &Next, source: &dyn ReadAt) -> Result<()> {
        let now = target.reader()?;
        let Some(table) = Table::find(&Editor::open(Arc::clone(&now))?, &*now)? else {
            return Ok(());
        };
        let mut changed: Vec<_> = ranges(&self.state).chain(ranges(&next.state)).collect();
        changed.push(next.home.offset..next.home.end().unwrap_or(now.len()));
        table.update(source, &table.chunks(&changed), target)
    }
}

fn both(old: &[u64], new: &[u64]) -> BTreeSet<u64> {
    old.iter().chain(new).copied().collect()
}

/// The bytes of the metadata that a state changes.
fn ranges(state: &State) -> impl Iterator<Item = std::ops::Range<u64>> {
    let writes = state.writes.iter();
    writes.map(|write| write.at..write.at + ReadAt::len(&write.new))
}

fn same_but_sequence(one: &State, two: &State) -> bool {
    let plain = |state: &State| State {
        sequence: 0,
        ..state.clone()
    };
    plain(one) == plain(two)
}

fn write_content(target: &dyn Target, content: &Content, offset: u64) -> Result<()> {
    for_each_part(content, &mut |part, at| {
        target.write_all_at(part, offset + at)
    })?;
    let end = offset + content.len();
    let padding = usize::try_from(end.next_multiple_of(SECTOR) - end).unwrap_or(0);
    target.write_all_at(&vec![0; padding], end)
}

/// Makes the target at least `len` bytes long.
fn extend(target: &dyn Target, len: u64) -> Result<()> {
    if target.reader()?.len() < len {
        target.write_all_at(&[0], len - 1)?;
    }
    Ok(())
}

/// Makes zeros of everything in `range` that is not in `used`, which is in order; what is zero is not written.
fn zero_between(
    target: &dyn Target,
    source: &dyn ReadAt,
    range: std::ops::Range<u64>,
    used: &[(u64, u64)],
) -> Result<()> {
    let mut at = range.start;
    let ends = [(range.end, range.end)];
    for (start, end) in used.iter().chain(&ends) {
        let stop = (*start).min(range.end).min(source.len());
        while at < stop {
            let len = BLOCK.min(stop - at);
            let limit = usize::try_from(BLOCK).unwrap_or(usize::MAX);
            let bytes = read_vec(source, at, len, limit, "the area for changes")?;
            if bytes.iter().any(|byte| *byte != 0) {
                target.write_all_at(&vec![0; bytes.len()], at)?;
            }
            at += len;
        }
        at = at.max(*end);
    }
    Ok(())
}
