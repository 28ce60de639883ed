//! The root file system that is an initramfs: of our own media, with the attributes that an archive cannot hold, and of Image Customizer's.

use std::path::Path;
use std::sync::Arc;

use block::{Content, Error, ReadAt, Result};
use contract::attributes::{Attributes, MAX_LEN};
use contract::media::{ATTRIBUTES, FULL_OS_DIR, FULL_OS_INIT, FULL_OS_INITRAMFS, INIT};
use formats::cpio;
use tree::{Inode, Tree};

use super::root::{Found, path_of};
use super::{RootOnMedia, misplaced};
use crate::root::holds_system;

/// Where Image Customizer points `/init` to, where a system has none.
const SYSTEMD: &[u8] = b"/lib/systemd/systemd";

/// The system in the initramfs of the medium `medium`; `None` where there is none. Every initramfs of dracut has an `os-release` too, but
/// says that it is an initramfs.
///
/// # Errors
///
/// Whatever reading answers; [`Kind::Corrupt`](block::Kind::Corrupt) where the attributes of our own media are damaged or missing.
pub(super) fn find(medium: &Tree<Content>, temporary: &Path) -> Result<Option<Found>> {
    let Some(content) = medium.file(FULL_OS_INITRAMFS) else {
        return Ok(None);
    };
    let bytes: Arc<dyn ReadAt> = Arc::new(content.clone());
    if cpio::probe(&*bytes)?.is_none() {
        return Ok(None);
    }
    let doing =
        |error: Error| error.while_doing(format!("reading {FULL_OS_INITRAMFS} of the medium"));
    let mut tree = cpio::read_tree_in(bytes, temporary).map_err(doing)?;
    let is_initramfs = tree.file(contract::media::INITRD_RELEASE).is_some();
    if is_initramfs || !holds_system(&tree) {
        return Ok(None);
    }
    take_out_runtime(&mut tree).map_err(doing)?;
    Ok(Some(Found {
        root: RootOnMedia::FullOs {
            path: path_of(FULL_OS_INITRAMFS),
        },
        tree,
        said: Vec::new(),
    }))
}

/// Gives the files their attributes back, and takes out what was put in for the boot alone.
fn take_out_runtime(tree: &mut Tree<Content>) -> Result<()> {
    let init = path_of(INIT);
    if tree.lookup(&path_of(FULL_OS_DIR)).is_none() {
        let made_up = tree
            .lookup(&init)
            .is_some_and(|id| matches!(&tree.inode(id).node, tree::Node::Symlink(target) if **target == *SYSTEMD));
        if made_up {
            tree.remove_path(&init);
        }
        return Ok(());
    }
    tree.remove_path(&init);
    if let Some(id) = tree.lookup(&path_of(FULL_OS_INIT)) {
        let own = tree.inode(id);
        let own = Inode::new(own.metadata.clone(), own.node.clone());
        tree.put(&init, own).map_err(misplaced)?;
    }
    // The list knows `/init` as the system's own.
    restore_attributes(tree)?;
    tree.remove_path(&path_of(FULL_OS_DIR));
    take_out_microcode(tree);
    Ok(())
}

/// Takes out what lies before the system for the processor, with the folders that are empty then.
fn take_out_microcode(tree: &mut Tree<Content>) {
    tree.remove_path(&path_of("kernel/x86/microcode"));
    for folder in ["kernel/x86", "kernel"] {
        let path = path_of(folder);
        let names = tree.lookup(&path).and_then(|id| tree.directory(id));
        if names.is_some_and(std::collections::BTreeMap::is_empty) {
            tree.remove_path(&path);
        }
    }
}

fn restore_attributes(tree: &mut Tree<Content>) -> Result<()> {
    const WHAT: &str = "the list of attributes";
    let content = tree.file(ATTRIBUTES).ok_or_else(|| {
        let message = format!("{ATTRIBUTES} is missing, so the initramfs is cut short");
        Error::corrupt(WHAT, message)
    })?;
    let bytes = content.read_all(MAX_LEN)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::corrupt(WHAT, "it is no text").caused_by(error))?;
    let attributes =
        Attributes::parse(&text).map_err(|error| Error::corrupt(WHAT, "").caused_by(error))?;
    for (path, set) in attributes.iter() {
        let id = tree::TreePath::parse(path)
            .ok()
            .and_then(|path| tree.lookup(&path));
        let id = id.ok_or_else(|| {
            let message = format!("{}: there is no such file", path.escape_ascii());
            Error::corrupt(WHAT, message)
        })?;
        tree.metadata_mut(id).xattrs = Arc::clone(set);
    }
    Ok(())
}
