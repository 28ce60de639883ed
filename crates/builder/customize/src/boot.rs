//! `/boot` is on the media: the root file system image does not hold it a second time.
//!
//! The folder itself stays, empty. In the running system the same files are below `/run/initramfs/live/boot`.

use tree::{Name, Tree};

/// Empties `/boot`, whatever was mounted in it.
pub fn leave_to_the_media<C>(tree: &mut Tree<C>) {
    let Ok((_, boot)) = tree.resolve("boot") else {
        return;
    };
    let names: Vec<Name> = tree
        .directory(boot)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        tree.remove(boot, name.as_bytes());
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
        leave_to_the_media(&mut tree);
        let left: Vec<String> = tree.walk().map(|entry| entry.path.to_string()).collect();
        assert_eq!(left, ["/", "/bin", "/bin/sh", "/boot"]);
    }
}
