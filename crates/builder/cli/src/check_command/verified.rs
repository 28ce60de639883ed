//! The root file system image against its hash tree.

use std::ops::Range;
use std::sync::Arc;

use block::{Content, Piece, ReadAt, Result};
use contract::cmdline::Cmdline;
use contract::request::verity::root_hash_of;
use formats::squashfs;
use formats::verity::{BLOCK, Damage, MAX_DAMAGES, Part, RootHash, Tree};
use tree::Node;

use super::{Findings, Medium};
use crate::progress::Progress;

/// Where the image is.
const IMAGES: [&str; 2] = [contract::media::ROOT_IMAGE, "LiveOS/squashfs.img"];
/// The longest boot configuration that is searched for a root hash, in bytes.
const MAX_CONFIG: usize = 4 << 20;
/// How many damaged files are named.
const MOST_FILES: usize = 40;

/// What is known of the image by its hash tree: where it lies on the medium, in bytes. Its faults, if any, are told.
#[derive(Debug, Default)]
pub(super) struct Verified {
    pub(super) range: Option<Range<u64>>,
    /// What of it is damaged.
    pub(super) damaged: Vec<Range<u64>>,
}

/// Checks the image; nothing is known where there is no root hash.
pub(super) fn check(
    medium: &Medium,
    findings: &mut Findings,
    progress: &Progress,
) -> Result<Verified> {
    let Some(root_hash) = root_hash(medium, findings) else {
        return Ok(Verified::default());
    };
    let found = IMAGES
        .iter()
        .find_map(|path| Some((*path, medium.tree.file(path)?)));
    let Some((path, content)) = found else {
        findings.faults.push(
            "the boot configuration has a root hash, and there is no root file system image"
                .to_owned(),
        );
        return Ok(Verified::default());
    };
    let image: Arc<dyn ReadAt> = Arc::new(content.clone());
    let tree = match squashfs::image_len(&*image)? {
        Some(len) => Tree::open(Arc::clone(&image), len),
        None => Ok(None),
    };
    let tree = match tree {
        Ok(Some(tree)) => tree,
        Ok(None) => {
            findings
                .faults
                .push(format!("{path}: there is no hash tree behind it"));
            return Ok(Verified::default());
        }
        Err(error) => {
            findings.faults.push(format!("{path}: {error}"));
            return Ok(Verified::default());
        }
    };
    if tree.root_hash()? != root_hash {
        let text = format!("{path}: its hash tree has not the root hash of the boot configuration");
        findings.faults.push(text);
    }
    let bar = progress.bar("hash tree", tree.blocks().saturating_mul(BLOCK));
    let step = |blocks: u64| bar.set_position(blocks.saturating_mul(BLOCK));
    let damages = tree.check(root_hash, medium.threads, &step);
    bar.finish_and_clear();
    let damages = damages?;
    match damages.is_empty() {
        true => findings.good.push(format!("{path}, by its hash tree")),
        false => name_files(path, &image, &damages, findings),
    }
    let range = place(content, tree.end());
    let start = range.as_ref().map_or(0, |range| range.start);
    let on_medium = |damage: &Damage| {
        let offset = start.saturating_add(damage.offset);
        offset..offset.saturating_add(BLOCK)
    };
    Ok(Verified {
        damaged: damages.iter().map(on_medium).collect(),
        range,
    })
}

/// Where a file lies on the medium, in one piece.
fn place(content: &Content, len: u64) -> Option<Range<u64>> {
    match content.pieces().next()? {
        Piece::Range { offset, .. } => Some(*offset..offset.saturating_add(len)),
        _ => None,
    }
}

/// The root hash that all boot configuration of the medium has; `None` where there is none, or there are several, which is a fault.
fn root_hash(medium: &Medium, findings: &mut Findings) -> Option<RootHash> {
    let mut found = Vec::new();
    for entry in medium.tree.walk() {
        let Node::File(content) = &entry.inode.node else {
            continue;
        };
        let path = entry.path.to_string();
        let is_config = [".cfg", ".conf", ".ipxe"]
            .iter()
            .any(|end| path.ends_with(end));
        if !is_config {
            continue;
        }
        let Ok(bytes) = content.read_all(MAX_CONFIG) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let name = contract::parameter::VERITY;
        let words = text
            .split_whitespace()
            .filter(|word| word.starts_with(name));
        found.extend(words.filter_map(|word| root_hash_of(&Cmdline::parse(word))));
    }
    found.sort_unstable();
    found.dedup();
    if found.len() > 1 {
        findings
            .faults
            .push("the boot configuration has several root hashes".to_owned());
    }
    match found[..] {
        [root_hash] => Some(RootHash(root_hash)),
        _ => None,
    }
}

/// Names the files of the image that damaged blocks belong to.
fn name_files(path: &str, image: &Arc<dyn ReadAt>, damages: &[Damage], findings: &mut Findings) {
    let count = damages.len();
    let least = if count >= MAX_DAMAGES {
        "at least "
    } else {
        ""
    };
    let of_tree = damages
        .iter()
        .filter(|damage| damage.part == Part::Tree)
        .count();
    let first = damages.first().map_or(0, |damage| damage.offset);
    let text = format!(
        "{path}: {least}{count} blocks are damaged, {of_tree} of them of its hash tree; the first is at byte {first}"
    );
    findings.faults.push(text);
    let Ok((tree, places)) = squashfs::read_tree_and_places(Arc::clone(image)) else {
        findings
            .faults
            .push(format!("{path}: the folders of the image cannot be read"));
        return;
    };
    let is_hit = |range: &Range<u64>| {
        damages
            .iter()
            .any(|damage| damage.data.start < range.end && range.start < damage.data.end)
    };
    let hit = tree.walk().filter(|entry| {
        let of_file = places.get(&entry.id);
        of_file.is_some_and(|places| places.iter().any(is_hit))
    });
    let names: Vec<String> = hit.map(|entry| entry.path.to_string()).collect();
    for name in names.iter().take(MOST_FILES) {
        findings
            .faults
            .push(format!("{path}: the file {name} is damaged"));
    }
    if let Some(more) = names.len().checked_sub(MOST_FILES).filter(|more| *more > 0) {
        findings
            .faults
            .push(format!("{path}: and {more} more files"));
    }
    // The superblock at the start, and the tables behind all contents.
    let contents_end = places.values().flatten().map(|place| place.end).max();
    let tables = contents_end.unwrap_or(0);
    let is_tables = |damage: &Damage| damage.data.start == 0 || damage.data.end > tables;
    if names.is_empty() || damages.iter().any(is_tables) {
        let text = format!("{path}: the image's own tables are damaged");
        findings.faults.push(text);
    }
}
