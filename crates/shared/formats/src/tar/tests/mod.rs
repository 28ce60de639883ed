//! Tests of the archives, and what they have in common: members made by hand.

mod compressed;
mod damage;
mod dialects;
mod placing;
mod round_trip;

use std::sync::Arc;

use block::Content;
use tree::{Node, Tree};

use super::format::{kind, seal};
use super::pax::record;
use super::read_tree;

fn read(bytes: &[u8]) -> block::Result<Tree<Content>> {
    read_tree(Arc::new(bytes.to_vec()))
}

fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let bytes = content.read_all(4 << 20).unwrap();
        format!("{} {:08x}", bytes.len(), crc32fast::hash(&bytes))
    })
}

/// One member as bytes: `header` changes the block before its sum is made.
fn member(name: &str, kind: u8, content: &[u8], header: &dyn Fn(&mut [u8; 512])) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    header(&mut block);
    seal(&mut block);
    let mut bytes = block.to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn plain(name: &str, content: &str) -> Vec<u8> {
    member(name, kind::FILE, content.as_bytes(), &|_| {})
}

fn folder(name: &str) -> Vec<u8> {
    member(name, kind::DIRECTORY, b"", &|_| {})
}

fn link(name: &str, kind: u8, target: &str) -> Vec<u8> {
    member(name, kind, b"", &|block| {
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    })
}

fn symlink(name: &str, target: &str) -> Vec<u8> {
    link(name, kind::SYMLINK, target)
}

fn hard_link(name: &str, target: &str) -> Vec<u8> {
    link(name, kind::HARD_LINK, target)
}

/// Paths with what they hold, in one line.
fn listing(tree: &Tree<Content>) -> String {
    let lines = tree.walk().map(|entry| match &entry.inode.node {
        Node::Directory(_) => format!("{}/", entry.path),
        Node::File(content) => {
            let bytes = content.read_all(1 << 20).unwrap();
            format!("{}={}", entry.path, String::from_utf8_lossy(&bytes))
        }
        Node::Symlink(target) => format!("{}->{}", entry.path, target.escape_ascii()),
        other => format!("{}:{:o}", entry.path, other.type_bits()),
    });
    lines.skip(1).collect::<Vec<_>>().join(" ")
}

/// Members in a row, written down as `name=content`, `folder/`, `link->target` and `name==target` for hard links.
fn script(text: &str) -> Vec<u8> {
    let member = |word: &str| {
        if let Some((name, target)) = word.split_once("->") {
            symlink(name, target)
        } else if let Some((name, target)) = word.split_once("==") {
            hard_link(name, target)
        } else if let Some((name, content)) = word.split_once('=') {
            plain(name, content)
        } else {
            folder(word)
        }
    };
    text.split_whitespace().flat_map(member).collect()
}

/// An extended header of these records.
fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| record(key.as_bytes(), value.as_bytes());
    let bytes: Vec<u8> = records.iter().flat_map(record).collect();
    member("pax", kind::PAX, &bytes, &|_| {})
}
