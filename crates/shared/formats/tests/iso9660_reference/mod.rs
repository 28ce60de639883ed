//! Reference programs, and what they put into a folder.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "this is test code that starts reference programs and says what it skips"
)]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::{Content, DiskFile};
use tree::{Device, Inode, InodeId, Metadata, Name, Node, Timestamp, Tree};

/// Whether the program is there. Where it is not, the test is skipped, which CI does not accept.
pub(crate) fn need(tool: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).exists()));
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "{tool} is missing, and CI skips nothing"
        );
        eprintln!("SKIPPED: needs {tool}");
    }
    found
}

/// Whether we may make devices and files of other owners.
pub(crate) fn need_root() -> bool {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        assert!(
            std::env::var_os("CI").is_none(),
            "not root, and CI skips nothing"
        );
        eprintln!("SKIPPED: needs root");
    }
    is_root
}

/// Runs a program that must succeed; answers with all that it printed.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{program} {args:?}:\n{text}");
    text
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder of this machine as a tree, times in whole seconds.
pub(crate) fn read_folder(folder: &Path) -> Tree<Content> {
    let meta = |found: &std::fs::Metadata| Metadata {
        permissions: u16::try_from(found.mode() & 0o7777).unwrap(),
        uid: found.uid(),
        gid: found.gid(),
        mtime: Timestamp::from_seconds(found.mtime()),
        ..Metadata::default()
    };
    let mut tree = Tree::new(meta(&std::fs::symlink_metadata(folder).unwrap()));
    let mut seen: BTreeMap<(u64, u64), InodeId> = BTreeMap::new();
    let mut pending = vec![(folder.to_path_buf(), tree.root())];
    while let Some((folder, parent)) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let found = std::fs::symlink_metadata(entry.path()).unwrap();
            let name = Name::new(entry.file_name().as_bytes()).unwrap();
            let kind = found.file_type();
            if let Some(id) = seen.get(&(found.dev(), found.ino())) {
                tree.link(parent, name, *id).unwrap();
                continue;
            }
            let device = Device {
                major: u32::try_from((found.rdev() >> 8) & 0xfff).unwrap(),
                minor: u32::try_from((found.rdev() & 0xff) | ((found.rdev() >> 12) & 0xf_ff00))
                    .unwrap(),
            };
            let node = if kind.is_dir() {
                Node::empty_directory()
            } else if kind.is_symlink() {
                Node::Symlink(
                    std::fs::read_link(entry.path())
                        .unwrap()
                        .as_os_str()
                        .as_bytes()
                        .into(),
                )
            } else if kind.is_char_device() {
                Node::Character(device)
            } else if kind.is_block_device() {
                Node::Block(device)
            } else if kind.is_fifo() {
                Node::Fifo
            } else {
                Node::File(Content::from_source(Arc::new(
                    DiskFile::open(entry.path()).unwrap(),
                )))
            };
            let id = tree
                .add(parent, name, Inode::new(meta(&found), node))
                .unwrap();
            if kind.is_dir() {
                pending.push((entry.path(), id));
            } else {
                seen.insert((found.dev(), found.ino()), id);
            }
        }
    }
    tree
}
