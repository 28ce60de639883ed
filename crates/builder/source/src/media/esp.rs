//! The EFI programs of a medium: put where a disk's ESP is mounted.

use std::sync::Arc;

use block::{Content, ReadAt, Result, Window};
use formats::fat;
use formats::iso9660::{self, Platform};
use tree::{Inode, Metadata, Name, Node, Tree, TreePath};

use super::boot::put;
use super::misplaced;
use crate::Warning;

/// Where the programs are put: the mount point of the ESP.
const ESP: &str = "boot/efi/EFI";

/// Puts the EFI programs of the medium below `/boot/efi`, but for those that `system` has there. They are taken from the medium's folder
/// `EFI`, and from its boot images for UEFI where there is no such folder.
///
/// Configuration is not taken: it fits the medium only.
pub(super) fn fill(
    system: &mut Tree<Content>,
    medium: &Tree<Content>,
    image: &Arc<dyn ReadAt>,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    if copy_programs(system, medium)? > 0 {
        return Ok(());
    }
    for entry in iso9660::boot_catalog(&**image)? {
        if entry.platform != Platform::Efi {
            continue;
        }
        let len = image.len().saturating_sub(entry.offset);
        let read = Window::new(Arc::clone(image), entry.offset, len)
            .and_then(|window| fat::read_tree(Arc::new(window)));
        match read {
            Ok(esp) => {
                copy_programs(system, &esp)?;
            }
            // Such a medium does not boot under UEFI, and that is all.
            Err(error) => warnings.push(Warning::Media(format!(
                "the boot image for UEFI at byte {} is left out: {}",
                entry.offset,
                crate::chain(&error)
            ))),
        }
    }
    Ok(())
}

/// Copies the EFI programs below the folders `EFI` of `from`, in upper or lower case; answers how many there are.
fn copy_programs(system: &mut Tree<Content>, from: &Tree<Content>) -> Result<u64> {
    let mut found: u64 = 0;
    let folders: Vec<_> = from
        .list("/")
        .filter(|(name, _)| name.as_bytes().eq_ignore_ascii_case(b"EFI"))
        .collect();
    for (_, efi) in folders {
        for (vendor, folder) in from.directory(efi).into_iter().flatten() {
            for (name, program) in from.directory(*folder).into_iter().flatten() {
                let Node::File(content) = &from.inode(*program).node else {
                    continue;
                };
                if !name.as_bytes().to_ascii_lowercase().ends_with(b".efi") {
                    continue;
                }
                found = found.saturating_add(1);
                let target = folder_for(vendor)?;
                if !has(system, &target, name) {
                    let metadata = Metadata {
                        mtime: from.inode(*program).metadata.mtime,
                        ..Metadata::with_permissions(0o644)
                    };
                    let inode = Inode::new(metadata, Node::File(content.clone()));
                    put(system, &target.join(name), &inode)?;
                }
            }
        }
    }
    Ok(found)
}

/// The folder below `/boot/efi` for the folder `vendor` of a medium.
fn folder_for(vendor: &Name) -> Result<TreePath> {
    let esp = TreePath::parse(ESP).map_err(misplaced)?;
    if vendor.as_bytes().eq_ignore_ascii_case(b"BOOT") {
        return Ok(esp.join(&Name::new(b"BOOT").map_err(misplaced)?));
    }
    Ok(esp.join(vendor))
}

/// Whether `system` has a file `name` in `folder`, in upper or lower case.
fn has(system: &Tree<Content>, folder: &TreePath, name: &Name) -> bool {
    system
        .list(folder.as_bytes())
        .any(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}
