//! Any bytes as every file that facts are read from.
#![no_main]

use block::Content;
use libfuzzer_sys::fuzz_target;
use tree::{Inode, Metadata, Node, Tree, TreePath};

const PATHS: [&str; 12] = [
    "/bin/sh",
    "/boot/config-6.1",
    "/boot/efi/EFI/BOOT/BOOTX64.EFI",
    "/boot/efi/EFI/x/grubx64.efi",
    "/boot/vmlinuz-6.1",
    "/boot/vmlinuz-linux",
    "/etc/dracut.conf",
    "/etc/fstab",
    "/etc/os-release",
    "/etc/selinux/config",
    "/usr/lib/modules/6.1/modules.builtin",
    "/usr/lib/modules/6.2/pkgbase",
];

fuzz_target!(|input: (u16, &[u8])| {
    let (which, bytes) = input;
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    for (at, path) in PATHS.iter().enumerate() {
        if which >> at & 1 == 1 {
            let node = Node::File(Content::from_bytes(bytes));
            let path = TreePath::parse(path).expect("a path");
            let inode = Inode::new(Metadata::with_permissions(0o644), node);
            tree.put(&path, inode).expect("a free place");
        }
    }
    if let Ok(facts) = inspect::facts(&tree) {
        for kernel in &facts.kernels {
            assert!(!kernel.version.contains('/'));
        }
    }
});
