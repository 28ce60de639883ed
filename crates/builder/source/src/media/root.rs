//! The root file system of a medium.

use std::path::Path;
use std::sync::Arc;

use block::{Content, Error, Kind, ReadAt, Result};
use formats::{ext4, squashfs};
use tree::{Node, Tree, TreePath};

use super::{RootOnMedia, full_os};
use crate::root::holds_system;
use crate::volume::identify;

/// Where tools put the root file system image, the likeliest first: ours and Image Customizer's, KIWI's and Fedora's, live-build's,
/// Ubuntu's, Arch Linux's.
const IMAGES: [&str; 11] = [
    contract::media::ROOT_IMAGE,
    "LiveOS/squashfs.img",
    "LiveOS/rootfs.img",
    "LiveOS/ext3fs.img",
    "live/filesystem.squashfs",
    "live/filesystem.ext4",
    "casper/filesystem.squashfs",
    "arch/x86_64/airootfs.sfs",
    "arch/x86_64/airootfs.erofs",
    "arch/aarch64/airootfs.sfs",
    "arch/i686/airootfs.sfs",
];

/// The file systems that lie in a squashfs image: dracut's and KIWI's names.
const NESTED: [&str; 2] = ["LiveOS/rootfs.img", "LiveOS/ext3fs.img"];

/// Folders whose squashfs images are laid over each other by the system that boots from them.
const LAYERED: [&str; 2] = ["casper", "live"];

/// A root file system on a medium.
pub(super) struct Found {
    pub(super) root: RootOnMedia,
    pub(super) tree: Tree<Content>,
    /// What is to be said of it.
    pub(super) said: Vec<String>,
}

/// Finds the root file system of the medium `tree`; `None` where there is none.
///
/// # Errors
///
/// [`Kind::Unsupported`] for file systems and arrangements that are not read, by name; whatever reading answers.
pub(super) fn find(tree: &Tree<Content>, temporary: &Path) -> Result<Option<Found>> {
    for path in IMAGES {
        if let Some(content) = tree.file(path)
            && let Some(mut found) = read_image(&path_of(path), content)?
        {
            name_other_layers(tree, path, &mut found)?;
            return Ok(Some(found));
        }
    }
    refuse_layers(tree)?;
    let (found, unread) = find_elsewhere(tree)?;
    let found = match found {
        Some(found) => Some(found),
        None => full_os::find(tree, temporary)?,
    };
    match (found, unread) {
        (None, Some(error)) => Err(error),
        (found, _) => Ok(found),
    }
}

/// A path of ours as a path of a tree.
pub(super) fn path_of(path: &str) -> TreePath {
    // OK: the paths of this file have no part that cannot be a name.
    TreePath::parse(path).unwrap_or_default()
}

/// The root file system in the image `content` at `path`; `None` where there is none in it.
fn read_image(path: &TreePath, content: &Content) -> Result<Option<Found>> {
    let bytes: Arc<dyn ReadAt> = Arc::new(content.clone());
    let read = match identify(&*bytes)?.map(|identity| identity.format) {
        Some("squashfs") => read_squashfs(path, bytes),
        Some("ext4") => ext4::read(bytes).map(|volume| {
            Some(Found {
                root: RootOnMedia::FileSystem {
                    path: path.clone(),
                    format: "ext4",
                },
                tree: volume.tree,
                said: volume.warnings,
            })
        }),
        Some(format @ ("xfs" | "btrfs" | "erofs")) => Err(not_read(format)),
        _ => Ok(None),
    };
    let found = read.map_err(|error| error.while_doing(format!("reading {path} of the medium")))?;
    Ok(found.filter(|found| holds_system(&found.tree)))
}

fn not_read(format: &str) -> Error {
    let message = format!("it is {format}, which is not read yet; squashfs and ext4 are");
    Error::unsupported("the root file system image", message)
}

fn read_squashfs(path: &TreePath, bytes: Arc<dyn ReadAt>) -> Result<Option<Found>> {
    let tree = squashfs::read_tree(bytes)?;
    let root = |nested| RootOnMedia::Squashfs {
        path: path.clone(),
        nested,
    };
    if holds_system(&tree) {
        return Ok(Some(Found {
            root: root(None),
            tree,
            said: Vec::new(),
        }));
    }
    let Some((inner, content)) = nested_image(&tree) else {
        return Ok(None);
    };
    let bytes: Arc<dyn ReadAt> = Arc::new(content.clone());
    let doing = |error: Error| error.while_doing(format!("reading {inner} in it"));
    let (tree, said) = match identify(&*bytes)?.map(|identity| identity.format) {
        Some("ext4") => {
            let volume = ext4::read(bytes).map_err(doing)?;
            (volume.tree, volume.warnings)
        }
        Some("squashfs") => (squashfs::read_tree(bytes).map_err(doing)?, Vec::new()),
        Some(format) => return Err(doing(not_read(format))),
        None => return Ok(None),
    };
    Ok(Some(Found {
        root: root(Some(inner)),
        tree,
        said,
    }))
}

/// The file system image in a squashfs that holds no system itself: by its name, or because it is the only file.
fn nested_image(tree: &Tree<Content>) -> Option<(TreePath, &Content)> {
    let by_name = NESTED
        .iter()
        .find_map(|path| Some((path_of(path), tree.file(path)?)));
    by_name.or_else(|| {
        let mut files = tree
            .walk()
            .filter_map(|entry| match &tree.inode(entry.id).node {
                Node::File(content) => Some((entry.path, content)),
                _ => None,
            });
        let first = files.next()?;
        files.next().is_none().then_some(first)
    })
}

/// The squashfs images in the folder `path` of the medium, by name.
fn images_in(tree: &Tree<Content>, path: &str) -> Vec<String> {
    tree.list(path)
        .map(|(name, _)| format!("{path}/{name}"))
        .filter(|path| path.ends_with(".squashfs"))
        .collect()
}

/// Says which images lie beside the one that was taken and are left out. live-boot lays all of them over each other, so that there it is
/// an error.
fn name_other_layers(tree: &Tree<Content>, taken: &str, found: &mut Found) -> Result<()> {
    let Some((folder, _)) = taken.rsplit_once('/') else {
        return Ok(());
    };
    let mut others = images_in(tree, folder);
    others.retain(|path| path != taken);
    match (folder, others.is_empty()) {
        (_, true) => Ok(()),
        ("live", false) => Err(layers_error(&images_in(tree, folder))),
        (_, false) => {
            found.said.push(format!(
                "the root file system is {taken}; beside it, and left out, are {}",
                others.join(", ")
            ));
            Ok(())
        }
    }
}

/// Refuses root file systems that are in several images.
fn refuse_layers(tree: &Tree<Content>) -> Result<()> {
    for folder in LAYERED {
        let images = images_in(tree, folder);
        if images.len() > 1 {
            return Err(layers_error(&images));
        }
    }
    Ok(())
}

fn layers_error(images: &[String]) -> Error {
    let message = format!(
        "it is in several layers, which are not put together yet: {}",
        images.join(", ")
    );
    Error::unsupported("the root file system of the medium", message)
}

/// The root file system in any other image of the medium; and why the first image was not read that could not be: if no other holds a
/// system, that one is the likeliest.
fn find_elsewhere(tree: &Tree<Content>) -> Result<(Option<Found>, Option<Error>)> {
    let mut found: Vec<Found> = Vec::new();
    let mut unread = None;
    let mut seen = std::collections::BTreeSet::new();
    for entry in tree.walk() {
        let Node::File(content) = &entry.inode.node else {
            continue;
        };
        if !seen.insert(entry.id) || squashfs::probe(content)?.is_none() {
            continue;
        }
        match read_image(&entry.path, content) {
            Ok(root) => found.extend(root),
            Err(error) if error.kind() == Kind::Io => return Err(error),
            Err(error) => unread = unread.or(Some(error)),
        }
    }
    let paths: Vec<String> = found
        .iter()
        .map(|found| found.root.path().to_string())
        .collect();
    match (found.pop(), found.is_empty()) {
        (None, _) => Ok((None, unread)),
        (Some(only), true) => Ok((Some(only), unread)),
        (Some(_), false) => {
            let message = format!("several images hold one: {}", paths.join(", "));
            Err(Error::unsupported("finding the operating system", message))
        }
    }
}
