//! Which files of the media become what: a function of the original media and of the list of all changes.

use std::collections::BTreeMap;

use block::{Content, Error, ReadAt, Result};
use bootloader::edit::{Change, Changed, Dialect, Line, Parameters, edit};
use formats::cpio;
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

use super::{ADDITIONS_NAME, MAX_CONFIG, saved};
use crate::parts::for_each_part;

/// The most bytes that are added to the initramfs; more do not fit into the memory of small machines and are refused.
const MAX_ADDITIONS: usize = 256 << 20;

/// A content with its digest, where that is known: what was added before may be long, and is not read again for each change.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) content: Content,
    digest: Option<String>,
}

impl Stored {
    pub(super) fn known(content: Content, digest: &str) -> Self {
        let digest = Some(digest.to_owned());
        Self { content, digest }
    }

    /// The digest by which the content is found again.
    pub(super) fn digest(&self) -> Result<String> {
        match &self.digest {
            Some(digest) => Ok(digest.clone()),
            None => digest(&self.content),
        }
    }
}

impl From<Content> for Stored {
    fn from(content: Content) -> Self {
        Self {
            content,
            digest: None,
        }
    }
}

/// All changes of the media.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    pub(super) parameters: Parameters,
    /// Files by their absolute path.
    pub(super) files: BTreeMap<String, Stored>,
    /// A cpio archive.
    pub(super) additions: Option<Stored>,
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.parameters.is_empty() && self.files.is_empty() && self.additions.is_none()
    }
}

/// What the media become.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Files that change or are new, by their absolute path.
    pub(super) files: BTreeMap<String, Stored>,
    /// The path of the additional initramfs, which is one of `files`.
    pub(super) additions: Option<String>,
    pub(super) entries: Vec<(String, Line)>,
    pub(super) warnings: Vec<String>,
}

/// Works out what the media become.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where kernel parameters or the initramfs are to be changed and no boot entry is found; what
/// reading answers.
pub(super) fn outcome(original: &Tree<Content>, edits: &Edits) -> Result<Outcome> {
    let mut outcome = Outcome {
        files: edits.files.clone(),
        ..Outcome::default()
    };
    let mut configs = configs(original, &edits.files)?;
    let unchanged = Change {
        parameters: &Parameters::default(),
        initramfs: None,
    };
    configs.retain(
        |(path, dialect, bytes)| match edit(*dialect, bytes, &unchanged) {
            Ok(changed) => !changed.lines.is_empty(),
            Err(error) => {
                outcome
                    .warnings
                    .push(format!("{path} stays as it is: {error}"));
                false
            }
        },
    );
    let wants_entries = !edits.parameters.is_empty() || edits.additions.is_some();
    if wants_entries && configs.is_empty() {
        let message = "no boot configuration that starts Linux is on the media";
        return Err(Error::not_found("changing boot entries", message));
    }
    if let Some(archive) = &edits.additions {
        let path = additions_path(original, &configs)?;
        outcome.files.insert(path.clone(), archive.clone());
        outcome.additions = Some(path);
    }
    if !edits.parameters.is_empty() {
        let path = saved::path();
        let given = edits.files.get(&path).map(|stored| &stored.content);
        if let Some(content) = given.or_else(|| original.file(&path))
            && let Some(new) = saved::changed(content, &edits.parameters)?
        {
            outcome.files.insert(path, new.into());
        }
    }
    let change = Change {
        parameters: &edits.parameters,
        initramfs: outcome.additions.as_deref(),
    };
    for (path, dialect, bytes) in configs {
        let Changed {
            bytes: new,
            lines,
            warnings,
        } = edit(dialect, &bytes, &change)?;
        let told = warnings.into_iter();
        outcome
            .warnings
            .extend(told.map(|warning| format!("{path}: {warning}")));
        outcome
            .entries
            .extend(lines.into_iter().map(|line| (path.clone(), line)));
        if new != bytes {
            outcome.files.insert(path, Content::from_bytes(new).into());
        }
    }
    Ok(outcome)
}

/// The paths of the files in a tree that start Linux.
pub(super) fn menus(tree: &Tree<Content>) -> Result<Vec<String>> {
    let unchanged = Change {
        parameters: &Parameters::default(),
        initramfs: None,
    };
    let starts_linux = |(_, dialect, bytes): &(String, Dialect, Vec<u8>)| {
        edit(*dialect, bytes, &unchanged).is_ok_and(|changed| !changed.lines.is_empty())
    };
    let configs = configs(tree, &BTreeMap::new())?;
    let menus = configs.into_iter().filter(starts_linux);
    Ok(menus.map(|(path, ..)| path).collect())
}

/// The files that look like boot configuration, as they are before parameters change: those of the media, and what takes their place.
fn configs(
    original: &Tree<Content>,
    added: &BTreeMap<String, Stored>,
) -> Result<Vec<(String, Dialect, Vec<u8>)>> {
    let mut all: BTreeMap<String, &Content> = BTreeMap::new();
    for entry in original.walk() {
        if let (Node::File(content), Ok(path)) =
            (&entry.inode.node, str::from_utf8(entry.path.as_bytes()))
        {
            all.insert(path.to_owned(), content);
        }
    }
    all.extend(
        added
            .iter()
            .map(|(path, stored)| (path.clone(), &stored.content)),
    );
    let mut configs = Vec::new();
    for (path, content) in all {
        if let Some(dialect) = Dialect::of(&path)
            && usize::try_from(content.len()).is_ok_and(|len| len <= MAX_CONFIG)
        {
            let bytes = content
                .read_all(MAX_CONFIG)
                .map_err(|error| error.while_doing(format!("reading {path}")))?;
            configs.push((path, dialect, bytes));
        }
    }
    Ok(configs)
}

/// Where the additional initramfs goes: beside that of the first entry whose folder is on the media.
fn additions_path(
    original: &Tree<Content>,
    configs: &[(String, Dialect, Vec<u8>)],
) -> Result<String> {
    let unchanged = Change {
        parameters: &Parameters::default(),
        initramfs: None,
    };
    let mut found = false;
    for (_, dialect, bytes) in configs {
        for line in edit(*dialect, bytes, &unchanged)?.lines {
            let Some(path) = line.initramfs.first() else {
                continue;
            };
            found = true;
            let path = path.trim_matches(['"', '\'']);
            let path = path.split_once(')').map_or(path, |(_, path)| path);
            if let Some((folder, _)) = path.rsplit_once('/')
                && path.starts_with('/')
                && original.list(folder).next().is_some()
            {
                return Ok(format!("{folder}/{ADDITIONS_NAME}"));
            }
        }
    }
    if !found {
        let message = "no boot entry has an initramfs to which something could be added";
        return Err(Error::not_found("adding to the initramfs", message));
    }
    let folder = format!("/{}", contract::media::BOOT_DIR);
    Ok(match original.list(&folder).next() {
        Some(_) => format!("{folder}/{ADDITIONS_NAME}"),
        None => format!("/{ADDITIONS_NAME}"),
    })
}

/// The archive of what is added to the initramfs: that of earlier changes with `more` laid over it.
///
/// # Errors
///
/// [`Kind::Limit`](block::Kind::Limit) beyond [`MAX_ADDITIONS`]; what reading and packing answers.
pub(super) fn merged(
    earlier: Option<&Stored>,
    more: &Tree<Content>,
    time: Timestamp,
) -> Result<Stored> {
    let mut all = match earlier {
        Some(archive) => cpio::read_tree(std::sync::Arc::new(archive.content.clone()))?,
        None => Tree::new(folder(time)),
    };
    let invalid =
        |error: tree::Error| Error::unsupported("adding to the initramfs", error.to_string());
    let mut total: u64 = 0;
    for entry in more.walk() {
        if entry.path == TreePath::root() {
            continue;
        }
        let mut inode = Inode::new(
            Metadata {
                mtime: time,
                ..entry.inode.metadata.clone()
            },
            entry.inode.node.clone(),
        );
        match &entry.inode.node {
            Node::Directory(_) => {
                // A folder that is there keeps what it holds.
                if all.lookup(&entry.path).is_some() {
                    continue;
                }
                inode.node = Node::empty_directory();
            }
            Node::File(content) => total = total.saturating_add(content.len()),
            _ => {}
        }
        if let Some(parent) = entry.path.parent() {
            all.make_directories(&parent, &folder(time))
                .map_err(invalid)?;
        }
        all.put(&entry.path, inode).map_err(invalid)?;
    }
    if total > u64::try_from(MAX_ADDITIONS).unwrap_or(u64::MAX) {
        let message = format!("{total} bytes, and at most {MAX_ADDITIONS} are added");
        return Err(Error::limit("adding to the initramfs", message));
    }
    let mut bytes = Vec::new();
    cpio::write(&all, &cpio::WriteOptions::default(), &mut bytes)?;
    Ok(Content::from_bytes(bytes).into())
}

fn folder(time: Timestamp) -> Metadata {
    Metadata {
        mtime: time,
        ..Metadata::with_permissions(0o755)
    }
}

/// The names in an archive, for people.
pub(super) fn names(archive: &Stored) -> Result<Vec<String>> {
    let tree = cpio::read_tree(std::sync::Arc::new(archive.content.clone()))?;
    let shown = tree
        .walk()
        .filter(|entry| !matches!(entry.inode.node, Node::Directory(_)))
        .map(|entry| entry.path.to_string())
        .collect();
    Ok(shown)
}

/// The digest by which a content is found again.
pub(super) fn digest(content: &Content) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for_each_part(content, &mut |part, _| {
        hasher.update(part);
        Ok(())
    })?;
    Ok(hasher.finalize().to_hex().to_string())
}
