//! Which volume is the root file system, found by its content.

use block::{Content, Error, Result};
use inspect::fstab;
use tree::Tree;

use crate::volume::Volume;

/// Formats that a root file system has.
const ROOT_FORMATS: [&str; 2] = ["ext4", "squashfs"];

/// A volume that was read: its index, its tree, and what is to be said of it.
pub(crate) type Found = (usize, Tree<Content>, Vec<String>);

/// The index of the root file system among `volumes`, with its tree.
///
/// A root file system has an `os-release`, or an `fstab` that mounts it at `/` (its `/usr` may be a partition of its own).
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where there is none, [`Kind::Unsupported`](block::Kind::Unsupported) where there are
/// several and none of them is named as `/` by its own `fstab` alone.
pub(crate) fn find(volumes: &[Volume]) -> Result<Found> {
    let mut candidates = Vec::new();
    let mut unreadable = None;
    for (index, volume) in volumes.iter().enumerate() {
        let Some(identity) = &volume.identity else {
            continue;
        };
        if !ROOT_FORMATS.contains(&identity.format) {
            continue;
        }
        match volume.read() {
            Ok((tree, warnings)) => {
                let own = mounts_itself_at_root(&tree, volume);
                if own || holds_system(&tree) {
                    candidates.push((own, (index, tree, warnings)));
                }
            }
            // Another partition may hold the system; if none does, this is the reason to give.
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    if candidates.len() > 1 && candidates.iter().filter(|(own, _)| *own).count() == 1 {
        candidates.retain(|(own, _)| *own);
    }
    let several: Vec<String> = candidates
        .iter()
        .filter_map(|(_, (index, ..))| Some(volumes.get(*index)?.describe()))
        .collect();
    match (candidates.pop(), candidates.is_empty()) {
        (Some((_, found)), true) => Ok(found),
        (Some(_), false) => {
            let message = format!("several partitions hold one: {}", several.join(", "));
            Err(Error::unsupported("finding the operating system", message))
        }
        (None, _) => Err(none_found(volumes, unreadable)),
    }
}

fn none_found(volumes: &[Volume], unreadable: Option<Error>) -> Error {
    let seen: Vec<String> = volumes.iter().map(Volume::describe).collect();
    let seen = if seen.is_empty() {
        "no partitions".to_owned()
    } else {
        seen.join(", ")
    };
    let message = format!(
        "no partition holds one (looked for etc/os-release, usr/lib/os-release and etc/fstab); seen: {seen}"
    );
    let error = Error::not_found("finding the operating system", message);
    match unreadable {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

/// Whether `tree` has an `os-release` (os-release(5)).
pub(crate) fn holds_system(tree: &Tree<Content>) -> bool {
    tree.file("etc/os-release").is_some() || tree.file("usr/lib/os-release").is_some()
}

fn mounts_itself_at_root(tree: &Tree<Content>, volume: &Volume) -> bool {
    let Some(bytes) = crate::assemble::fstab_bytes(tree) else {
        return false;
    };
    fstab::parse(&bytes)
        .entries
        .iter()
        .any(|entry| entry.target == b"/" && crate::assemble::matches(&entry.spec, volume))
}
