//! Changes of a folder for network boot.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use block::{Content, Kind};
use media::edit::Wish;
use media::edit::folder::edit;
use media::files::Files;
use media::netboot::manifest::{self, Manifest};
use media::netboot::{Netboot, Shape};
use tree::Timestamp;

use super::{add, append, into_initramfs, reset, sample};

const GRUB: &str = "menuentry x {\n\tlinux /boot/vmlinuz root=live:http://a/b.iso quiet\n\tinitrd /boot/initrd.img\n}\n";
const IPXE: &str = "#!ipxe\nkernel ${base}/boot/vmlinuz initrd=initrd.img root=live:http://a/b.iso quiet\n\
    initrd ${base}/boot/initrd.img\nboot\n";

/// A folder as `liveos build -f pxe-dir` makes it.
fn made(path: &Path) {
    let mut files = Files::new(Timestamp::default());
    for (path, bytes) in [
        ("boot/grub2/grub.cfg", GRUB),
        ("boot.ipxe", IPXE),
        ("boot/vmlinuz", "kernel"),
        ("boot/initrd.img", "initramfs"),
        ("image.iso", "iso"),
        (contract::media::SAVED_CONFIGS, super::sample::SAVED),
    ] {
        files
            .put(path, Content::from_bytes(bytes.as_bytes()))
            .unwrap();
    }
    let netboot = Netboot::create(path, Shape::Folder).unwrap();
    netboot.commit(files).unwrap();
}

#[test]
fn a_parameter_that_goes_is_in_what_the_next_build_reads_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pxe");
    made(&path);
    let before = all(&path);
    let wish = Wish {
        delete: vec!["quiet".to_owned()],
        ..Wish::new()
    };
    edit(&path, &wish).unwrap();
    let saved = fs::read_to_string(path.join(contract::media::SAVED_CONFIGS)).unwrap();
    assert!(saved.contains("x=0") && !saved.contains("quiet"), "{saved}");
    fits_manifest(&path);
    edit(&path, &reset()).unwrap();
    assert_eq!(all(&path), before);
}

fn all(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                pending.push(entry);
            } else {
                let name = entry.strip_prefix(path).unwrap().display().to_string();
                found.insert(name, fs::read(entry).unwrap());
            }
        }
    }
    found
}

/// Whether the manifest says what the folder holds.
fn fits_manifest(path: &Path) {
    let files = all(path);
    let manifest = Manifest::parse(&files[manifest::PATH]).unwrap();
    let listed: Vec<&str> = manifest
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let there: Vec<&str> = files
        .keys()
        .map(String::as_str)
        .filter(|path| *path != manifest::PATH)
        .collect();
    assert_eq!(listed, there);
    for entry in &manifest.files {
        let bytes = files[&entry.path].as_slice();
        assert_eq!(
            *entry,
            manifest::entry(&entry.path, &bytes.to_vec()).unwrap()
        );
    }
}

#[test]
fn every_boot_loaders_configuration_changes_and_the_original_comes_back() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    let original = all(&path);
    edit(&path, &append("debug")).unwrap();
    edit(&path, &append("debug")).unwrap();
    fits_manifest(&path);
    let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
    assert_eq!(
        read("boot/grub2/grub.cfg"),
        GRUB.replace("quiet", "quiet debug")
    );
    assert_eq!(read("boot.ipxe"), IPXE.replace("quiet", "quiet debug"));
    edit(&path, &into_initramfs("/etc/x", b"x")).unwrap();
    edit(&path, &add("/boot/vmlinuz", b"another kernel")).unwrap();
    edit(&path, &add("/new/file", b"new")).unwrap();
    fits_manifest(&path);
    assert!(read("boot.ipxe").contains("initrd ${base}/boot/liveos-additions.img\n"));
    assert!(read("boot/grub2/grub.cfg").contains("/boot/initrd.img /boot/liveos-additions.img\n"));
    assert_eq!(read("boot/vmlinuz"), "another kernel");
    assert!(path.join("boot/liveos-additions.img").exists());
    let report = edit(&path, &reset()).unwrap();
    assert!(report.parameters.is_empty());
    assert_eq!(all(&path), original);
    made(&path);
}

#[test]
fn what_firmware_loads_over_http_changes_with_the_folder() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    let iso = path.join("http-boot.iso");
    fs::write(&iso, sample::iso(4 << 20)).unwrap();
    // A change that changes nothing brings the file into the manifest.
    edit(&path, &reset()).unwrap();
    let original = all(&path);
    edit(&path, &append("debug")).unwrap();
    edit(&path, &into_initramfs("/etc/x", b"x")).unwrap();
    edit(&path, &add("/new", b"new")).unwrap();
    fits_manifest(&path);
    let bytes = fs::read(&iso).unwrap();
    let files = sample::files(&bytes);
    let config = sample::config(&bytes);
    assert!(config.contains("quiet debug\n"), "{config}");
    assert!(files.contains_key("/boot/liveos-additions.img") && !files.contains_key("/new"));
    edit(&path, &reset()).unwrap();
    assert_eq!(all(&path), original);
}

#[test]
fn a_folder_whose_http_iso_cannot_be_changed_stays_as_it_is() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    fs::write(path.join("http-boot.iso"), "no ISO").unwrap();
    let original = all(&path);
    let error = edit(&path, &append("debug")).unwrap_err();
    assert!(format!("{error:?}").contains("http-boot.iso"), "{error:?}");
    assert_eq!(all(&path), original);
}

#[test]
fn a_folder_that_was_changed_may_be_built_anew() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    let original = all(&path);
    edit(&path, &append("debug")).unwrap();
    edit(&path, &into_initramfs("/etc/x", b"x")).unwrap();
    made(&path);
    assert_eq!(all(&path), original);
}

#[test]
fn showing_a_folder_writes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    let original = all(&path);
    let report = edit(&path, &Wish::new()).unwrap();
    assert_eq!(report.entries.len(), 2);
    assert_eq!(all(&path), original);
}

#[test]
fn images_and_digests_of_a_folder_are_no_place_for_files() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    for refused in ["/image.iso", "/liveos/manifest.json", "/../x", "/"] {
        assert!(edit(&path, &add(refused, b"x")).is_err(), "{refused}");
    }
    assert!(!parent.path().join("x").exists());
    let empty = parent.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let error = edit(&empty, &append("x")).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}

#[test]
fn a_made_up_journal_of_a_folder_leads_nowhere_else() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    edit(&path, &append("x")).unwrap();
    let journal = path.join("liveos/edits/journal.json");
    let good = fs::read_to_string(&journal).unwrap();
    for (from, to) in [
        ("\"/boot.ipxe\"", "\"/../boot.ipxe\""),
        ("\"additions\": null", "\"additions\": \"../../x\""),
        ("{", "["),
    ] {
        fs::write(&journal, good.replacen(from, to, 1)).unwrap();
        assert!(edit(&path, &append("y")).is_err(), "{to}");
    }
}

#[test]
fn no_link_leads_out_of_the_folder() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("pxe");
    made(&path);
    let outside = parent.path().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, path.join("link")).unwrap();
    let error = edit(&path, &add("/link/x", b"x")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
