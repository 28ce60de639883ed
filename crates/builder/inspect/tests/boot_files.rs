//! The boot loaders of a real distribution are found and understood.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts reference programs, says what it skips, and stops where something is wrong"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use block::Content;
use inspect::EfiFlavour;
use testkit::tools;
use tree::{Inode, Metadata, Node, Tree, TreePath};

/// Whether the reference program is there; says so where it is not, and fails in CI.
fn need(tool: &str) -> bool {
    tools::available(&[tool])
}

/// Debian's signed boot loaders, unpacked; downloaded once. `None` where they cannot be had.
fn debian_loaders() -> Option<PathBuf> {
    if !need("apt-get") || !need("dpkg") {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-loaders");
    let done = folder.join("root");
    if done.is_dir() {
        return Some(done);
    }
    fs::create_dir_all(&folder).unwrap();
    let run = |command: &mut Command| {
        command
            .current_dir(&folder)
            .output()
            .unwrap()
            .status
            .success()
    };
    if !run(Command::new("apt-get").args(["download", "shim-signed", "grub-efi-amd64-signed"])) {
        tools::skipped("the packages shim-signed and grub-efi-amd64-signed");
        return None;
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "deb") {
            assert!(run(Command::new("dpkg").arg("-x").arg(&path).arg("new")));
        }
    }
    fs::rename(folder.join("new"), &done).unwrap();
    Some(done)
}

fn put(tree: &mut Tree<Content>, path: &str, bytes: Vec<u8>) {
    let node = Node::File(Content::from_bytes(bytes));
    let inode = Inode::new(Metadata::with_permissions(0o644), node);
    tree.put(&TreePath::parse(path).unwrap(), inode).unwrap();
}

#[test]
fn ref_debians_signed_loaders_are_understood_where_packages_keep_them_and_on_the_esp() {
    let Some(root) = debian_loaders() else {
        return;
    };
    let read = |path: &str| fs::read(root.join(path.trim_start_matches('/'))).unwrap();
    let shim = "/usr/lib/shim/shimx64.efi.signed";
    let cd = "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed";
    let disk = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed";
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    put(&mut tree, "/bin/sh", fs::read("/proc/self/exe").unwrap());
    for path in [shim, cd, disk] {
        put(&mut tree, path, read(path));
    }
    let facts = inspect::facts(&tree).unwrap();
    let found = facts.shim().unwrap();
    assert_eq!(found.path.to_string(), shim);
    assert!(found.signed && found.prefix.is_none());
    let found = facts.grub().unwrap();
    assert_eq!(found.path.to_string(), cd);
    assert_eq!(
        (found.flavour, found.prefix.as_deref()),
        (EfiFlavour::Cd, Some("/boot/grub"))
    );
    assert_eq!(facts.boot.grub[1].prefix.as_deref(), Some("/EFI/debian"));
    assert_eq!(facts.boot.vendor, "debian");

    // As the installer leaves them on the ESP, without the packages' own copies.
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    put(&mut tree, "/bin/sh", fs::read("/proc/self/exe").unwrap());
    put(&mut tree, "/boot/efi/EFI/BOOT/BOOTX64.EFI", read(shim));
    put(&mut tree, "/boot/efi/EFI/debian/grubx64.efi", read(disk));
    let facts = inspect::facts(&tree).unwrap();
    assert_eq!(
        facts.shim().unwrap().path.to_string(),
        "/boot/efi/EFI/BOOT/BOOTX64.EFI"
    );
    let found = facts.grub().unwrap();
    assert_eq!(
        (found.flavour, found.vendor.as_deref()),
        (EfiFlavour::Disk, Some("debian"))
    );
    assert!(
        facts.boot.vendor_reason.contains("/EFI/debian"),
        "{}",
        facts.boot.vendor_reason
    );
}
