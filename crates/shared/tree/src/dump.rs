//! A tree as text, for tests and for people.

use std::fmt::Write as _;

use crate::{Node, Tree};

impl<C> Tree<C> {
    /// One line for each name: type and permissions, owner, time, path, and what only its kind has; then one line for each xattr.
    /// `content` says how a file's content is shown (its length and digest, for instance). Names of one inode show the first.
    pub fn dump(&self, mut content: impl FnMut(&C) -> String) -> String {
        let mut text = String::new();
        let mut first = std::collections::BTreeMap::new();
        for entry in self.walk() {
            let inode = entry.inode;
            let metadata = &inode.metadata;
            let known = first.entry(entry.id).or_insert_with(|| entry.path.clone());
            let what = if *known != entry.path {
                format!("= {known}")
            } else {
                match &inode.node {
                    Node::Directory(_) => "directory".to_owned(),
                    Node::File(file) => format!("file {}", content(file)),
                    Node::Symlink(target) => format!("-> {}", target.escape_ascii()),
                    Node::Character(device) => format!("char {}:{}", device.major, device.minor),
                    Node::Block(device) => format!("block {}:{}", device.major, device.minor),
                    Node::Fifo => "fifo".to_owned(),
                    Node::Socket => "socket".to_owned(),
                }
            };
            let time = metadata.mtime;
            // OK: writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:06o} {}:{} {}.{:09} {} {what}",
                inode.mode(),
                metadata.uid,
                metadata.gid,
                time.seconds,
                time.nanoseconds,
                entry.path
            );
            for (name, value) in metadata.xattrs.iter() {
                let _ = writeln!(text, "    {}={}", name.escape_ascii(), value.escape_ascii());
            }
        }
        text
    }
}
