//! `/boot` is on the media: the root file system image does not hold it a second time.
//!
//! The folder itself stays, empty but for what is to be kept. In the running system the same files are below `/run/initramfs/live/boot`.

use tree::{Name, Tree};

/// The mode of a `/boot` in which something is kept, as Image Customizer makes it.
const KEPT_MODE: u16 = 0o700;

/// Empties `/boot`, whatever was mounted in it, but for the files of the names `kept`.
pub fn leave_to_the_media<C>(tree: &mut Tree<C>, kept: &[String]) {
    let Ok((_, boot)) = tree.resolve("boot") else {
        return;
    };
    let names: Vec<Name> = tree
        .directory(boot)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| !kept.iter().any(|kept| kept.as_bytes() == name.as_bytes()))
        .collect();
    for name in names {
        tree.remove(boot, name.as_bytes());
    }
    if !kept.is_empty() {
        tree.metadata_mut(boot).permissions = KEPT_MODE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, Node, TreePath};

    #[test]
    fn the_folder_stays_and_what_is_in_it_goes() {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        let file = || Inode::new(Metadata::default(), Node::File(()));
        tree.put(&TreePath::parse("boot/vmlinuz-1").unwrap(), file())
            .unwrap();
        tree.put(&TreePath::parse("boot/efi/EFI/x").unwrap(), file())
            .unwrap();
        tree.put(&TreePath::parse("bin/sh").unwrap(), file())
            .unwrap();
        leave_to_the_media(&mut tree, &[]);
        let left: Vec<String> = tree.walk().map(|entry| entry.path.to_string()).collect();
        assert_eq!(left, ["/", "/bin", "/bin/sh", "/boot"]);
    }

    #[test]
    fn what_is_kept_stays_in_a_folder_for_root_alone() {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        for name in ["boot/vmlinuz-1", "boot/initramfs-1kdump.img", "boot/grub/x"] {
            let file = Inode::new(Metadata::default(), Node::File(()));
            tree.put(&TreePath::parse(name).unwrap(), file).unwrap();
        }
        leave_to_the_media(&mut tree, &["initramfs-1kdump.img".to_owned()]);
        let left: Vec<String> = tree.walk().map(|entry| entry.path.to_string()).collect();
        assert_eq!(left, ["/", "/boot", "/boot/initramfs-1kdump.img"]);
        let (_, boot) = tree.resolve("boot").unwrap();
        assert_eq!(tree.inode(boot).metadata.permissions, 0o700);
    }
}
