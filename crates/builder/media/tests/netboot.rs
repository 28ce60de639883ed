//! Folders and tars for network boot: whole or not at all, and nothing of anybody else is lost.
#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use block::{Content, DiskFile, Kind, ReadAt as _, WriteAt};
use media::files::Files;
use media::late::{Late, Progress};
use media::netboot::manifest::{self, Manifest};
use media::netboot::{Netboot, Shape};
use tree::Timestamp;

fn files(names: &[&str]) -> Files {
    let mut files = Files::new(Timestamp::from_seconds(1_000_000_000));
    for name in names {
        let content = Content::from_bytes(name.as_bytes());
        files.put(name, content).unwrap();
    }
    files
}

fn build(path: &Path, shape: Shape, names: &[&str]) -> block::Result<()> {
    let mut netboot = Netboot::create(path, shape)?;
    netboot.payload("image.iso")?.write_all_at(b"large", 0)?;
    netboot.commit(files(names)).map(drop)
}

/// Every file below `path` with its content.
fn contents(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                pending.push(entry);
            } else {
                let name = entry
                    .strip_prefix(path)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, fs::read(entry).unwrap());
            }
        }
    }
    found
}

/// A file in parts, each with its place.
struct Parts(&'static [(u64, &'static [u8])]);

impl Late for Parts {
    fn path(&self) -> &str {
        "boot/initrd.img"
    }

    fn max_len(&self) -> u64 {
        100
    }

    fn write(&self, target: &dyn WriteAt, _: &(dyn Fn(Progress) + Sync)) -> block::Result<u64> {
        let mut len = 0;
        for (at, bytes) in self.0 {
            target.write_all_at(bytes, *at)?;
            len = len.max(at + bytes.len() as u64);
        }
        Ok(len)
    }
}

#[test]
fn the_manifest_has_the_digest_of_a_large_file_in_whatever_order_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    for (name, parts) in [
        ("in_order", Parts(&[(0, b"ab"), (2, b"cd")])),
        ("out_of_order", Parts(&[(2, b"cd"), (0, b"ab")])),
        ("changed", Parts(&[(0, b"xb"), (2, b"cd"), (0, b"a")])),
        (
            "with_a_hole_filled",
            Parts(&[(0, b"a"), (3, b"d"), (1, b"bc")]),
        ),
    ] {
        for shape in [Shape::Folder, Shape::TarGz] {
            let path = folder.path().join(format!("{name}-{shape:?}"));
            let mut netboot = Netboot::create(&path, shape).unwrap();
            assert_eq!(netboot.write(&parts, &|_| {}).unwrap().len(), 4);
            netboot.commit(files(&["b"])).unwrap();
            if shape == Shape::Folder {
                let bytes = fs::read(path.join(manifest::PATH)).unwrap();
                let entries = Manifest::parse(&bytes).unwrap().files;
                assert_eq!(
                    entries[1],
                    manifest::entry("boot/initrd.img", &b"abcd".to_vec()).unwrap()
                );
                assert_eq!(fs::read(path.join("boot/initrd.img")).unwrap(), b"abcd");
            }
        }
    }
}

#[test]
fn a_folder_holds_all_files_and_a_manifest_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pxe");
    build(&path, Shape::Folder, &["boot/a", "b"]).unwrap();
    let found = contents(&path);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["b", "boot/a", "image.iso", manifest::PATH]);
    assert_eq!(found["image.iso"], b"large");
    let manifest = Manifest::parse(&found[manifest::PATH]).unwrap();
    for entry in &manifest.files {
        let content = Content::from_bytes(found[&entry.path].as_slice());
        assert_eq!(manifest::entry(&entry.path, &content).unwrap(), *entry);
    }
    assert_eq!(manifest.files.len(), 3);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no leftovers"
    );
}

#[test]
fn nothing_stands_at_the_place_before_the_commit_and_a_failed_build_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pxe");
    let netboot = Netboot::create(&path, Shape::Folder).unwrap();
    assert!(!path.exists());
    drop(netboot);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_an_earlier_build_made_is_replaced_and_its_old_files_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pxe");
    build(&path, Shape::Folder, &["old", "both"]).unwrap();
    build(&path, Shape::Folder, &["new", "both"]).unwrap();
    let found = contents(&path);
    assert!(
        found.contains_key("new") && !found.contains_key("old"),
        "{found:?}"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no leftovers"
    );
}

#[test]
fn an_empty_folder_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), Shape::Folder, &["a"]).unwrap();
    assert_eq!(contents(folder.path())["a"], b"a");
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pxe");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("letters"), b"mine").unwrap();
    let error = build(&path, Shape::Folder, &["a"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(contents(&path).len(), 1);
    let error = build(&path.join("letters"), Shape::Folder, &["a"]).unwrap_err();
    assert!(error.to_string().contains("no folder"), "{error}");
}

#[test]
fn one_foreign_file_in_a_folder_of_ours_keeps_it_from_being_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pxe");
    build(&path, Shape::Folder, &["boot/a"]).unwrap();
    fs::write(path.join("boot/mine"), b"mine").unwrap();
    let error = build(&path, Shape::Folder, &["boot/a"]).unwrap_err();
    assert!(error.to_string().contains("boot/mine"), "{error}");
    assert_eq!(contents(&path)["boot/mine"], b"mine");
}

#[test]
fn a_manifest_of_another_kind_makes_no_folder_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pxe");
    fs::create_dir_all(path.join("liveos")).unwrap();
    fs::write(
        path.join(manifest::PATH),
        b"{\"format\":\"x\",\"version\":1,\"files\":[]}",
    )
    .unwrap();
    assert!(build(&path, Shape::Folder, &["a"]).is_err());
    for damaged in [
        "",
        "{",
        "[]",
        "{\"format\":\"liveos-netboot\",\"version\":2,\"files\":[]}",
    ] {
        assert_eq!(Manifest::parse(damaged.as_bytes()), None, "{damaged}");
    }
}

#[test]
fn two_builds_give_the_same_tar_and_it_holds_the_same_tree() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (
        folder.path().join("1.tar.gz"),
        folder.path().join("2.tar.gz"),
    );
    build(&first, Shape::TarGz, &["boot/a", "b"]).unwrap();
    build(&second, Shape::TarGz, &["boot/a", "b"]).unwrap();
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let file = Arc::new(DiskFile::open(&first).unwrap());
    let tree = formats::tar::read_tree(file).unwrap();
    let read = |path: &str| tree.file(path).unwrap().read_all(1 << 20).unwrap();
    assert_eq!(read("image.iso"), b"large");
    assert_eq!(read("boot/a"), b"boot/a");
    assert_eq!(
        Manifest::parse(&read(manifest::PATH)).unwrap().files.len(),
        3
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "no leftovers"
    );
}
