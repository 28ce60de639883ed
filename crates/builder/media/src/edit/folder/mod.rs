//! A folder for network boot, changed in place.
//!
//! Files are replaced one by one, each in one step, by renaming. What they were is kept in `liveos/edits` under its digest, with a journal;
//! the originals are other names of the same files, so they take no room of their own where the file system has hard links. The order is
//! that of an ISO: contents, journal, then files in an order in which no boot entry names one that is not there; the manifest is last.
//! The ISO for firmware that boots over HTTP is changed first, as an ISO, with a journal of its own.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use block::{Content, DiskFile, Error, ReadAt as _, Result};
use bootloader::edit::Parameters;
use serde::{Deserialize, Serialize};
use tree::{Timestamp, Tree};

use self::files::Folder;
use super::plan::{self, Edits, Outcome, Stored};
use super::room::path_of;
use super::target::{FileTarget, lock};
use super::{Report, Wish};
use crate::netboot::manifest::{self, Manifest};

/// Where the journal and the contents are kept, relative to the folder.
const STORE: &str = "liveos/edits";
const JOURNAL: &str = "liveos/edits/journal.json";
/// The longest journal that is read, in bytes. A longer one is an error.
const MAX_JOURNAL: usize = 4 << 20;

/// What is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Journal {
    delete: Vec<String>,
    replace: Vec<(String, String)>,
    append: Vec<String>,
    /// Files that were added, by path, with the digest of their content.
    files: BTreeMap<String, String>,
    /// The digest of the archive that is unpacked over the initramfs.
    additions: Option<String>,
    /// What the files that change were, by path: the digest of their content, or nothing where there was none.
    originals: BTreeMap<String, Option<String>>,
    /// Folders that were made for added files.
    folders: BTreeSet<String>,
    /// The path of the archive, for the order in which files come and go.
    additions_path: Option<String>,
}

/// Changes the media in the folder `path`; where nothing is asked for, only says what they are.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where nothing boots Linux, [`Kind::Unsupported`](block::Kind::Unsupported) for what media must
/// keep, [`Kind::Corrupt`](block::Kind::Corrupt) where the journal is damaged; what reading and writing answers.
pub fn edit(path: &Path, wish: &Wish) -> Result<Report> {
    let folder = Folder::new(path);
    let opened = std::fs::File::open(path)
        .map_err(|error| Error::io("opening the folder", error).in_file(path))?;
    if !wish.is_empty() {
        lock(&opened, path)?;
    }
    let journal = read_journal(&folder)?;
    let tree = original(&folder, &journal)?;
    let mut edits = if wish.reset {
        Edits::default()
    } else {
        earlier(&folder, &journal)?
    };
    wish.merge(&mut edits.parameters)?;
    for file in &wish.files {
        check_path(&file.path)?;
        folder.full(&file.path)?;
        edits
            .files
            .insert(file.path.clone(), file.content.clone().into());
    }
    if let Some(more) = &wish.initramfs {
        let archive = plan::merged(edits.additions.as_ref(), more, Timestamp::default())?;
        edits.additions = Some(archive);
    }
    let outcome = plan::outcome(&tree, &edits)?;
    if !wish.is_empty() {
        edit_http_boot(&folder, wish)?;
        write(&folder, &journal, &edits, &outcome)?;
    }
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
        warnings: outcome.warnings,
        room: (0, 0),
    })
}

/// Changes what firmware that boots over HTTP gets as the folder is changed, but for files beside the boot files.
fn edit_http_boot(folder: &Folder<'_>, wish: &Wish) -> Result<()> {
    let own = Wish {
        files: Vec::new(),
        ..wish.clone()
    };
    let path = contract::media::HTTP_BOOT_ISO;
    if own.is_empty() || folder.open(path)?.is_none() {
        return Ok(());
    }
    let target = FileTarget::open(&folder.full(path)?, true)?;
    super::iso::edit(&target, &own)
        .map(drop)
        .map_err(|error| error.while_doing(format!("changing {path}")))
}

fn read_journal(folder: &Folder<'_>) -> Result<Journal> {
    let Some(content) = folder.open(JOURNAL)? else {
        return Ok(Journal::default());
    };
    let bytes = content.read_all(MAX_JOURNAL)?;
    let corrupt = |message: String| Error::corrupt("the journal of changes", message);
    let journal: Journal =
        serde_json::from_slice(&bytes).map_err(|error| corrupt(String::new()).caused_by(error))?;
    let digests = journal.files.values().chain(&journal.additions);
    let digests = digests.chain(journal.originals.values().flatten());
    for digest in digests {
        // They become names of files.
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(corrupt(format!("{digest:?} is no digest")));
        }
    }
    let paths = journal.files.keys().chain(journal.originals.keys());
    for path in paths.chain(&journal.folders) {
        path_of(path)?;
    }
    Ok(journal)
}

/// The media without any change.
fn original(folder: &Folder<'_>, journal: &Journal) -> Result<Tree<Content>> {
    let mut tree = folder.tree()?;
    for (path, digest) in &journal.originals {
        let parsed = path_of(path)?;
        tree.remove_path(&parsed);
        if let Some(digest) = digest {
            files::put(&mut tree, &parsed, kept(folder, digest)?)?;
        }
    }
    Ok(tree)
}

/// The changes that are in force.
fn earlier(folder: &Folder<'_>, journal: &Journal) -> Result<Edits> {
    let files = journal.files.iter();
    let files: Result<BTreeMap<String, Stored>> = files
        .map(|(path, digest)| Ok((path.clone(), Stored::known(kept(folder, digest)?, digest))))
        .collect();
    let additions = journal.additions.as_ref();
    Ok(Edits {
        parameters: Parameters {
            delete: journal.delete.clone(),
            replace: journal.replace.clone(),
            append: journal.append.clone(),
        },
        files: files?,
        additions: additions
            .map(|digest| Ok::<_, Error>(Stored::known(kept(folder, digest)?, digest)))
            .transpose()?,
    })
}

/// A content that is kept under its digest.
fn kept(folder: &Folder<'_>, digest: &str) -> Result<Content> {
    folder.open(&in_store(digest))?.ok_or_else(|| {
        let message = format!("{STORE}/{digest} is not there");
        Error::corrupt("the journal of changes", message)
    })
}

fn in_store(digest: &str) -> String {
    format!("{STORE}/{digest}")
}

/// Holds that a file may be put at `path`.
fn check_path(path: &str) -> Result<()> {
    let parsed = path_of(path)?;
    let first = parsed.names().next().unwrap_or_default().to_vec();
    let image = [contract::media::DIR, contract::media::CLASSIC_DIR]
        .iter()
        .any(|folder| first == folder.as_bytes());
    if image || path.ends_with(".iso") || parsed.names().count() == 0 {
        let message =
            "the root file system image and what belongs to it stay as they are; build media anew";
        return Err(Error::unsupported(
            format!("putting a file at {path}"),
            message,
        ));
    }
    Ok(())
}

/// Brings the folder from `before` to what `edits` say.
fn write(folder: &Folder<'_>, before: &Journal, edits: &Edits, outcome: &Outcome) -> Result<()> {
    let mut next = Journal {
        delete: edits.parameters.delete.clone(),
        replace: edits.parameters.replace.clone(),
        append: edits.parameters.append.clone(),
        additions_path: outcome.additions.clone(),
        ..Journal::default()
    };
    for (path, content) in &edits.files {
        next.files.insert(path.clone(), store(folder, content)?);
    }
    if let Some(content) = &edits.additions {
        next.additions = Some(store(folder, content)?);
    }
    // What changed before and does not any more is brought back by this change, so it is still of this journal.
    let all: BTreeSet<&String> = outcome
        .files
        .keys()
        .chain(before.originals.keys())
        .collect();
    for path in &all {
        let original = match before.originals.get(*path) {
            Some(known) => known.clone(),
            None => folder
                .open(path)?
                .map(|content| keep(folder, path, &content))
                .transpose()?,
        };
        next.originals.insert((*path).clone(), original);
    }
    next.folders.clone_from(&before.folders);
    for path in outcome.files.keys() {
        next.folders.extend(folder.missing_above(path));
    }
    let changes_nothing = edits.is_empty() && before.originals.is_empty();
    if !changes_nothing {
        let json = serde_json::to_vec_pretty(&next)
            .map_err(|error| Error::corrupt("the journal of changes", "").caused_by(error))?;
        folder.replace(JOURNAL, &Content::from_bytes(json))?;
    }

    let comes = next.additions_path.is_some();
    let archive = next
        .additions_path
        .as_ref()
        .or(before.additions_path.as_ref());
    let mut in_order: Vec<&String> = next.originals.keys().collect();
    in_order.sort_by_key(|path| (archive == Some(*path)) != comes);
    for path in in_order {
        match (outcome.files.get(path), next.originals.get(path)) {
            (Some(stored), _) => folder.replace(path, &stored.content)?,
            (None, Some(Some(digest))) => folder.bring_back(path, &in_store(digest))?,
            (None, _) => folder.remove(path)?,
        }
    }
    if edits.is_empty() {
        // The deepest first.
        for made in next.folders.iter().rev() {
            folder.remove_if_empty(made);
        }
        folder.remove_all(STORE)?;
    } else {
        let used = next.files.values().chain(&next.additions);
        let used: BTreeSet<&String> = used.chain(next.originals.values().flatten()).collect();
        for name in folder.names(STORE)? {
            if name != "journal.json" && !used.contains(&name) {
                folder.remove(&in_store(&name))?;
            }
        }
    }
    update_manifest(folder, &next)
}

/// Keeps a content that was given.
fn store(folder: &Folder<'_>, stored: &Stored) -> Result<String> {
    let digest = stored.digest()?;
    if folder.open(&in_store(&digest))?.is_none() {
        folder.replace(&in_store(&digest), &stored.content)?;
    }
    Ok(digest)
}

/// Keeps what a file is, as another name of it.
fn keep(folder: &Folder<'_>, path: &str, content: &Content) -> Result<String> {
    let digest = plan::digest(content)?;
    folder.bring_back(&in_store(&digest), path)?;
    Ok(digest)
}

/// Makes the manifest say what the folder holds now.
fn update_manifest(folder: &Folder<'_>, journal: &Journal) -> Result<()> {
    let Some(content) = folder.open(manifest::PATH)? else {
        return Ok(());
    };
    let old = content.read_all(manifest::MAX_LEN)?;
    let Some(known) = Manifest::parse(&old) else {
        return Ok(());
    };
    let mut entries = known.files;
    let mut changed: Vec<String> = journal.originals.keys().cloned().collect();
    let own = folder.names(STORE)?;
    changed.extend(own.iter().map(|name| in_store(name)));
    changed.push(contract::media::HTTP_BOOT_ISO.to_owned());
    let relative = |path: &str| path.trim_start_matches('/').to_owned();
    let changed: BTreeSet<String> = changed.iter().map(|path| relative(path)).collect();
    let prefix = format!("{STORE}/");
    entries.retain(|entry| !changed.contains(&entry.path) && !entry.path.starts_with(&prefix));
    for path in changed {
        if let Some(content) = folder.open(&path)? {
            entries.push(manifest::entry(&path, &content)?);
        }
    }
    let new = Manifest::new(entries).print();
    if new.as_bytes() != old {
        folder.replace(manifest::PATH, &Content::from_bytes(new.into_bytes()))?;
    }
    Ok(())
}

/// All bytes of a file.
fn content(file: DiskFile) -> Content {
    if file.is_empty() {
        return Content::default();
    }
    Content::from_source(Arc::new(file))
}
