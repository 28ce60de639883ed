//! From the wish to the state: where each content goes, and what the metadata become.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Content, Error, ReadAt, Result, read_vec};
use formats::iso9660::{Editor, Extent};
use tree::{Timestamp, Tree};

use super::super::journal::{State, Write};
use super::super::plan::{Edits, Outcome, Stored};
use super::super::room::{Home, Kind, Room, SECTOR, path_of};
use super::super::target::Target;
use super::Media;

/// What is to be written.
pub(super) struct Next {
    pub(super) home: Home,
    pub(super) state: State,
    /// Contents that are not on the media yet, by their digest.
    pub(super) contents: BTreeMap<String, Content>,
    /// Whether nothing of the changes stays.
    pub(super) is_reset: bool,
}

/// The state that gives back the original; `None` where there is no area that could hold changes.
pub(super) fn without_changes(media: &Media) -> Option<Next> {
    let home = media.home?;
    let back = |write: &Write| Write {
        new: write.old.clone(),
        ..write.clone()
    };
    let state = State {
        sequence: media.state.sequence + 1,
        grown_from: media.state.grown_from,
        writes: media.state.writes.iter().map(back).collect(),
        descriptors: media.state.descriptors.clone(),
        inserted: media.state.inserted.clone(),
        ..State::default()
    };
    Some(Next {
        home,
        state,
        contents: BTreeMap::new(),
        is_reset: true,
    })
}

/// The state with these changes.
pub(super) fn next(
    media: &Media,
    target: &dyn Target,
    (tree, time): (&Tree<Content>, Timestamp),
    edits: &Edits,
    outcome: &Outcome,
) -> Result<Next> {
    let original = media.original();
    let home = match media.home {
        Some(home) => home,
        None if target.grows() => Home::behind(original.len()),
        None => {
            let message =
                "these media have no area that is kept free for changes; write a new ISO with -o";
            return Err(Error::limit("finding room for what changes", message));
        }
    };
    let mut placing = Placing {
        media,
        room: home.room(original.len(), target.grows(), &media.state.blobs),
        state: State {
            sequence: media.state.sequence + 1,
            delete: edits.parameters.delete.clone(),
            replace: edits.parameters.replace.clone(),
            append: edits.parameters.append.clone(),
            ..State::default()
        },
        contents: BTreeMap::new(),
    };
    for (path, content) in &edits.files {
        let digest = placing.keep(content)?;
        placing.state.files.insert(path.clone(), digest);
    }
    if let Some(content) = &edits.additions {
        placing.state.additions = Some(placing.keep(content)?);
    }
    let mut placed = BTreeMap::new();
    for (path, content) in &outcome.files {
        placed.insert(path.as_str(), placing.place(content)?);
    }
    let Placing {
        mut state,
        contents,
        ..
    } = placing;
    let mut editor = Editor::open(Arc::clone(&original))?;
    describe(&mut editor, &home, original.len(), &mut state)?;
    // The initramfs first: boot entries name it.
    let first = outcome.additions.as_deref();
    let others = placed.keys().copied().filter(|path| Some(*path) != first);
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for path in first.into_iter().chain(others) {
        let extent = placed.get(path).copied();
        let record = (
            path_of(path)?,
            extent.unwrap_or(Extent { offset: 0, len: 0 }),
        );
        match tree.lookup(&record.0) {
            Some(_) => known.push(record),
            None => new.push(record),
        }
    }
    for (path, extent) in &new {
        editor.insert(path, *extent, time)?;
    }
    let is_record = |sector: &u64| !state.descriptors.contains(sector);
    state.inserted = sectors(&editor)?.into_iter().filter(is_record).collect();
    for (path, extent) in &known {
        editor.point(path, *extent)?;
    }
    state.writes = writes(&editor, &*original)?;
    Ok(Next {
        home,
        state,
        contents,
        is_reset: false,
    })
}

/// Puts into the volume descriptors how long the media get and where the area behind their end is.
fn describe(editor: &mut Editor, home: &Home, original: u64, state: &mut State) -> Result<()> {
    let end = state.blobs.values().map(|(offset, len)| offset + len);
    let mut end = end.max().unwrap_or(0).next_multiple_of(SECTOR);
    if home.kind == Kind::Behind {
        end = end.max(home.data());
        home.note(editor)?;
    }
    if end > original {
        state.grown_from = Some(original);
        editor.set_volume_len(end.max(editor.volume_len()?))?;
    }
    state.descriptors = sectors(editor)?;
    Ok(())
}

/// The sectors that change so far.
fn sectors(editor: &Editor) -> Result<Vec<u64>> {
    let patches = editor.patches()?;
    Ok(patches.iter().map(|patch| patch.offset / SECTOR).collect())
}

/// What changes of the metadata, with what it was.
fn writes(editor: &Editor, original: &dyn ReadAt) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for patch in editor.patches()? {
        let len = patch.bytes.len();
        let what = "what is to be changed";
        writes.push(Write {
            at: patch.offset,
            old: read_vec(original, patch.offset, ReadAt::len(&patch.bytes), len, what)?,
            new: patch.bytes,
        });
    }
    Ok(writes)
}

/// Gives contents their places.
struct Placing<'a> {
    media: &'a Media,
    room: Room,
    state: State,
    contents: BTreeMap<String, Content>,
}

impl Placing<'_> {
    /// Keeps a content, where it already lies or at a new place, and answers with its digest.
    fn keep(&mut self, stored: &Stored) -> Result<String> {
        let digest = stored.digest()?;
        let content = &stored.content;
        if !self.state.blobs.contains_key(&digest) {
            let place = match self.media.state.blobs.get(&digest) {
                Some(place) => *place,
                None => {
                    self.contents.insert(digest.clone(), content.clone());
                    (self.room.take(content.len())?, content.len())
                }
            };
            self.state.blobs.insert(digest.clone(), place);
        }
        Ok(digest)
    }

    /// The same, with the place as the answer.
    fn place(&mut self, stored: &Stored) -> Result<Extent> {
        let digest = self.keep(stored)?;
        let (offset, len) = self.state.blobs.get(&digest).copied().unwrap_or_default();
        Ok(Extent { offset, len })
    }
}
