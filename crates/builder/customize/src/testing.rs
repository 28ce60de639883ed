//! Trees and folders of the tests, side by side.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use block::Content;
use testkit::tools;
use tree::{Inode, Metadata, Node, Tree, TreePath};

/// Writes the folders, files and links of a tree below the folder `root`, with owners and permissions: needs root.
pub(crate) fn write_folder(tree: &Tree<Content>, root: &Path) {
    for entry in tree.walk() {
        let text = entry.path.to_string();
        let path = root.join(text.trim_start_matches('/'));
        let metadata = &entry.inode.metadata;
        match &entry.inode.node {
            Node::Directory(_) => std::fs::create_dir_all(&path).unwrap(),
            Node::File(content) => {
                std::fs::write(&path, content.read_all(1 << 24).unwrap()).unwrap();
            }
            Node::Symlink(target) => {
                let target = std::str::from_utf8(target).unwrap();
                std::os::unix::fs::symlink(target, &path).unwrap();
                continue;
            }
            _ => continue,
        }
        std::os::unix::fs::chown(&path, Some(metadata.uid), Some(metadata.gid)).unwrap();
        let permissions = std::fs::Permissions::from_mode(metadata.permissions.into());
        std::fs::set_permissions(&path, permissions).unwrap();
    }
}

/// Reads the folders, files and links below the folder `root`.
pub(crate) fn read_folder(root: &Path) -> Tree<Content> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let node = if found.is_dir() {
                pending.push(path.clone());
                Node::empty_directory()
            } else if found.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                Node::Symlink(target.as_os_str().as_encoded_bytes().into())
            } else if found.is_file() {
                Node::File(Content::from_bytes(std::fs::read(&path).unwrap()))
            } else {
                continue;
            };
            let metadata = Metadata {
                permissions: u16::try_from(found.mode() & 0o7777).unwrap(),
                uid: found.uid(),
                gid: found.gid(),
                ..Metadata::default()
            };
            let below = path.strip_prefix(root).unwrap();
            let at = TreePath::parse(below.as_os_str().as_encoded_bytes()).unwrap();
            tree.put(&at, Inode::new(metadata, node)).unwrap();
        }
    }
    tree
}

/// What a tree holds, a line for each name: path, owner, permissions, content.
pub(crate) fn list(tree: &Tree<Content>) -> Vec<String> {
    tree.walk()
        .skip(1)
        .map(|entry| {
            let metadata = &entry.inode.metadata;
            let content = match &entry.inode.node {
                Node::File(content) => {
                    String::from_utf8_lossy(&content.read_all(1 << 24).unwrap()).into_owned()
                }
                Node::Symlink(target) => {
                    return format!("{} -> {}", entry.path, target.escape_ascii());
                }
                _ => "/".to_owned(),
            };
            let (uid, gid, mode) = (metadata.uid, metadata.gid, metadata.permissions);
            format!("{} {uid}:{gid} {mode:o} {content}", entry.path)
        })
        .collect()
}

/// Compares two lists and shows the lines that only one of them has.
#[track_caller]
pub(crate) fn assert_same(ours: &[String], theirs: &[String]) {
    let only = |some: &[String], others: &[String]| -> Vec<String> {
        let mut some = some.to_vec();
        some.retain(|line| !others.contains(line));
        some
    };
    let (ours, theirs) = (only(ours, theirs), only(theirs, ours));
    assert!(
        ours.is_empty() && theirs.is_empty(),
        "only ours: {ours:#?}\nonly theirs: {theirs:#?}"
    );
}

/// Whether `program` is installed and we are root; else says so, or fails where all have to be.
pub(crate) fn has_root_and(program: &str) -> bool {
    if !tools::is_root() {
        tools::skipped("root");
        return false;
    }
    tools::available(&[program])
}

/// Runs a program of the machine and answers with what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> std::process::Output {
    tools::command(program)
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .unwrap()
}
