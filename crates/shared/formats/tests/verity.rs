//! Hash trees of dm-verity: ours checked by veritysetup, its read by us.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "in a test, a failure is a panic and a skip is said"
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::{DiskFile, MemoryTarget, WriteAt as _};
use formats::verity::{BLOCK, Hashing, Tree};

/// Whether veritysetup can be run; a test that needs it fails without it where `CI` is set.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start reference tools, and read CI"
)]
fn need_veritysetup() -> bool {
    let found = Command::new("veritysetup")
        .arg("--version")
        .output()
        .is_ok();
    assert!(found || std::env::var("CI").is_err(), "needs veritysetup");
    if !found {
        eprintln!("SKIPPED: needs veritysetup");
    }
    found
}

/// Runs veritysetup. Answers whether it succeeded, and what it printed.
#[expect(clippy::disallowed_methods, reason = "tests start reference tools")]
fn veritysetup(args: &[&str]) -> (bool, String) {
    let output = Command::new("veritysetup")
        .args(args)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

fn data(blocks: u64) -> Vec<u8> {
    (0..blocks * BLOCK)
        .map(|at| (at / 61 + at / BLOCK) as u8)
        .collect()
}

/// How many blocks the samples have: no level, one, two.
const SIZES: [u64; 4] = [1, 2, 128, 16_500];

#[test]
fn ref_veritysetup_finds_our_trees_good_and_damaged_data_bad() {
    if !need_veritysetup() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let name = path.to_str().unwrap();
    for blocks in SIZES {
        let target = MemoryTarget::new();
        let hashing = Hashing::new(&target);
        hashing.write_all_at(&data(blocks), 0).unwrap();
        let written = hashing.finish(blocks * BLOCK).unwrap();
        let mut bytes = target.into_bytes();
        fs::write(&path, &bytes).unwrap();
        let offset = format!("--hash-offset={}", blocks * BLOCK);
        let root_hash = written.root_hash.to_string();
        let (good, text) = veritysetup(&["verify", name, name, &root_hash, &offset]);
        assert!(good, "{blocks}: {text}");
        bytes[17] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let (good, text) = veritysetup(&["verify", name, name, &root_hash, &offset]);
        assert!(!good, "{blocks}: {text}");
    }
}

#[test]
fn ref_our_trees_are_those_of_veritysetup_without_a_salt() {
    if !need_veritysetup() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for blocks in SIZES {
        let target = MemoryTarget::new();
        let hashing = Hashing::new(&target);
        hashing.write_all_at(&data(blocks), 0).unwrap();
        let written = hashing.finish(blocks * BLOCK).unwrap();
        let ours = target.into_bytes();
        let path = folder.path().join("image");
        let root_hash = format(&path, blocks, "-");
        assert_eq!(root_hash, written.root_hash.to_string());
        let mut theirs = fs::read(&path).unwrap();
        // The UUID is a random one.
        let uuid = (blocks * BLOCK) as usize + 16;
        theirs[uuid..uuid + 16].copy_from_slice(&ours[uuid..uuid + 16]);
        assert!(theirs == ours, "{blocks}");
    }
}

#[test]
fn ref_trees_of_veritysetup_with_a_salt_are_read() {
    if !need_veritysetup() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    for blocks in SIZES {
        let expected = format(&path, blocks, &"5a".repeat(256));
        let source = Arc::new(DiskFile::open(&path).unwrap());
        let tree = Tree::open(source, blocks * BLOCK).unwrap().unwrap();
        let root_hash = tree.root_hash().unwrap();
        assert_eq!(root_hash.to_string(), expected);
        assert!(tree.check(root_hash, 0, &|_| {}).unwrap().is_empty());
    }
}

/// Data with a tree of veritysetup's behind them; the root hash that it prints.
fn format(path: &Path, blocks: u64, salt: &str) -> String {
    fs::write(path, data(blocks)).unwrap();
    let name = path.to_str().unwrap();
    let salt = format!("--salt={salt}");
    let count = format!("--data-blocks={blocks}");
    let offset = format!("--hash-offset={}", blocks * BLOCK);
    let (good, text) = veritysetup(&["format", name, name, &salt, &count, &offset]);
    assert!(good, "{text}");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Root hash:"));
    line.unwrap().trim().to_owned()
}
