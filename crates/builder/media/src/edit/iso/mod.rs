//! An ISO, changed in place.
//!
//! ```text
//! new contents -> sync -> journal -> sync -> directory records -> sync -> what is free becomes zeros, media check table -> sync
//! ```
//!
//! Up to the journal nothing that anybody reads has changed. From then on the journal says what is to be, and whoever changes the media
//! next does the rest first. Directory records are written sector by sector, in an order in which no boot entry ever names a file that is
//! not there.

mod change;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result};
use formats::fat;
use formats::iso9660::{self, Editor};
use tree::{Node, Tree};

use super::journal::{self, State, Write};
use super::plan::{self, Edits, Outcome, Stored};
use super::room::{Home, SECTOR, path_of};
use super::target::Target;
use super::{Report, Wish};
use crate::implant;

/// The most bytes of a boot image for UEFI that are looked into, from its start; what lies behind them is not seen.
const MAX_ESP: u64 = 256 << 20;

/// Changes the ISO in `target`; where nothing is asked for, only says what it is.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where it is no ISO 9660 or has nothing that boots Linux,
/// [`Kind::Unsupported`](block::Kind::Unsupported) for what media must keep, [`Kind::Limit`](block::Kind::Limit) where there is no room,
/// [`Kind::Corrupt`](block::Kind::Corrupt) where what is to be changed is damaged; what reading and writing answers.
pub fn edit(target: &dyn Target, wish: &Wish) -> Result<Report> {
    let media = Media::read(target)?;
    let mut edits = media.edits(wish.reset)?;
    let tree = iso9660::read_tree(media.original())?;
    let time = tree.inode(tree.root()).metadata.mtime;
    wish.merge(&mut edits.parameters)?;
    for file in &wish.files {
        media.check_path(&tree, &file.path)?;
        edits
            .files
            .insert(file.path.clone(), file.content.clone().into());
    }
    if let Some(more) = &wish.initramfs {
        edits.additions = Some(plan::merged(edits.additions.as_ref(), more, time)?);
    }
    let outcome = plan::outcome(&tree, &edits)?;
    let mut blobs = media.state.blobs.clone();
    let mut home = media.home;
    let mut fits = true;
    if !wish.is_empty() {
        let next = if edits.is_empty() {
            change::without_changes(&media)
        } else {
            Some(change::next(
                &media,
                target,
                (&tree, time),
                &edits,
                &outcome,
            )?)
        };
        if let Some(next) = next {
            blobs = next.state.blobs.clone();
            home = Some(next.home);
            media.write(target, &next)?;
            fits = implant::renew(target)?;
            target.sync()?;
        }
    }
    let mut report = report(edits, outcome, &media, (home, &blobs))?;
    if !fits {
        report.warnings.push(
            "the checksum that another program put on these media no longer fits, and cannot be made to fit; checkisomd5 or \
             checkmedia refuse them until it is implanted anew"
                .to_owned(),
        );
    }
    Ok(report)
}

fn report(
    edits: Edits,
    outcome: Outcome,
    media: &Media,
    (home, blobs): (Option<Home>, &BTreeMap<String, (u64, u64)>),
) -> Result<Report> {
    let mut warnings = outcome.warnings;
    warnings.extend(media.warnings(&edits)?);
    let used = blobs
        .values()
        .map(|(_, len)| len.next_multiple_of(SECTOR))
        .sum();
    let whole = home.and_then(|home| Some(home.end()? - home.data()));
    Ok(Report {
        entries: outcome.entries,
        initramfs: edits
            .additions
            .as_ref()
            .map(plan::names)
            .transpose()?
            .unwrap_or_default(),
        parameters: edits.parameters,
        files: edits.files.into_keys().collect(),
        warnings,
        room: (used, whole.unwrap_or(0)),
    })
}

/// The ISO as it is found.
struct Media {
    source: Arc<dyn ReadAt>,
    editor: Editor,
    home: Option<Home>,
    /// The slot of the state in force; `None` where nothing was changed so far.
    slot: Option<u64>,
    state: State,
}

impl Media {
    fn read(target: &dyn Target) -> Result<Self> {
        let source = target.reader()?;
        let editor = Editor::open(Arc::clone(&source))?;
        let home = Home::find(&editor, &*source)?;
        let found = match &home {
            Some(home) => journal::read(&*source, home)?,
            None => None,
        };
        let (slot, state) = match found {
            Some((slot, state)) => (Some(slot), state),
            None => (None, State::default()),
        };
        Ok(Self {
            source,
            editor,
            home,
            slot,
            state,
        })
    }

    /// The media without any change.
    fn original(&self) -> Arc<dyn ReadAt> {
        Arc::new(Original {
            len: self.state.original_len(self.source.len()),
            source: Arc::clone(&self.source),
            writes: self.state.writes.clone(),
        })
    }

    /// The changes that are in force.
    fn edits(&self, reset: bool) -> Result<Edits> {
        if reset {
            return Ok(Edits::default());
        }
        let files = self.state.files.iter();
        let files: Result<BTreeMap<String, Stored>> = files
            .map(|(path, digest)| Ok((path.clone(), self.blob(digest)?)))
            .collect();
        let additions = self.state.additions.as_ref();
        Ok(Edits {
            parameters: self.state.parameters(),
            files: files?,
            additions: additions.map(|digest| self.blob(digest)).transpose()?,
        })
    }

    fn blob(&self, digest: &str) -> Result<Stored> {
        let (offset, len) = self.state.blobs.get(digest).copied().unwrap_or_default();
        let content = Content::new([Piece::Range {
            source: Arc::clone(&self.source),
            offset,
            len,
        }])?;
        Ok(Stored::known(content, digest))
    }

    /// Holds that a file may be put at `path`: not in the place of what the media are made of.
    fn check_path(&self, tree: &Tree<Content>, path: &str) -> Result<()> {
        let refuse = |why: &str| Err(Error::unsupported(format!("putting a file at {path}"), why));
        let parsed = path_of(path)?;
        let below = |folder: &str| {
            let names: Vec<&[u8]> = parsed.names().collect();
            names.len() > 1 && names.first() == Some(&folder.as_bytes())
        };
        if below(contract::media::DIR) || below(contract::media::CLASSIC_DIR) {
            return refuse(
                "the root file system image and what belongs to it stay as they are; build media anew",
            );
        }
        match tree.lookup(&parsed).map(|id| &tree.inode(id).node) {
            Some(Node::File(_)) => {}
            Some(_) => return refuse("what is there is no file"),
            None => return Ok(()),
        }
        let extent = self.editor.extent(&parsed)?;
        let boots = iso9660::boot_catalog(&*self.source)?;
        if boots.iter().any(|boot| boot.offset == extent.offset) {
            return refuse("firmware starts this file by its place; build media anew");
        }
        Ok(())
    }

    /// What is told of media that are not ours.
    fn warnings(&self, edits: &Edits) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if !edits.parameters.is_empty() || edits.additions.is_some() {
            warnings.extend(self.esp_menus()?.into_iter().map(|path| {
                format!(
                    "the boot image for UEFI has a menu of its own, {path}, which stays as it is"
                )
            }));
        }
        Ok(warnings)
    }

    /// The boot menus in boot images for UEFI; ours have none, only what leads to the one on the ISO.
    fn esp_menus(&self) -> Result<Vec<String>> {
        let mut menus = Vec::new();
        let boots = iso9660::boot_catalog(&*self.source)?;
        let starts: BTreeSet<u64> = boots
            .iter()
            .filter(|boot| boot.platform == iso9660::Platform::Efi)
            .map(|boot| boot.offset)
            .filter(|offset| *offset < self.source.len())
            .collect();
        for offset in starts {
            let content = Content::new([Piece::Range {
                source: Arc::clone(&self.source),
                offset,
                len: (self.source.len() - offset).min(MAX_ESP),
            }])?;
            // What is no FAT file system has no menu that could be read.
            if let Ok(tree) = fat::read_tree(Arc::new(content)) {
                menus.extend(plan::menus(&tree)?);
            }
        }
        Ok(menus)
    }
}

/// Puts `bytes`, which lie at `from`, over `sector`, which lies at `at`.
fn lay_over(sector: &mut [u8], at: u64, bytes: &[u8], from: u64) {
    let skip = usize::try_from(at.saturating_sub(from)).unwrap_or(usize::MAX);
    let to = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
    let new = bytes.iter().skip(skip);
    for (old, new) in sector.iter_mut().skip(to).zip(new) {
        *old = *new;
    }
}

/// The media without their changes.
#[derive(Debug)]
struct Original {
    source: Arc<dyn ReadAt>,
    len: u64,
    writes: Vec<Write>,
}

impl ReadAt for Original {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(ReadAt::len(&*buf));
        if end.is_none_or(|end| end > self.len) {
            let message = format!("the media end at byte {}", self.len);
            return Err(Error::corrupt("reading the media", message).at(offset));
        }
        self.source.read_exact_at(buf, offset)?;
        for write in &self.writes {
            lay_over(buf, offset, &write.old, write.at);
        }
        Ok(())
    }
}
