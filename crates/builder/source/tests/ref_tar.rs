//! Tars as input: whatever their name, compressed or not.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests start reference programs and read the environment"
)]

use std::path::Path;

use block::Kind;
use source::{Input, Options, Origin};
use support::{bytes, chain, need, put, run};

mod support;

/// Makes a tar of `folder` at `tar`.
fn pack(folder: &Path, tar: &Path, options: &[&str]) {
    let mut arguments = vec!["-C", folder.to_str().unwrap(), "-cf", tar.to_str().unwrap()];
    arguments.extend(options);
    arguments.push(".");
    run("tar", &arguments);
}

fn system() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("root/etc/os-release"), b"ID=test\n");
    put(&folder.path().join("root/usr/bin/program"), &[7; 100_000]);
    folder
}

#[test]
fn ref_a_tar_is_read_whatever_its_name_and_compression() {
    if !need(&["tar", "gzip", "xz", "zstd"]) {
        return;
    }
    let folder = system();
    let root = folder.path().join("root");
    for compression in ["--no-auto-compress", "--gzip", "--xz", "--zstd"] {
        let tar = folder.path().join("image.qcow2");
        pack(&root, &tar, &[compression]);
        let input = source::open_input(&tar, &Options::default()).unwrap();
        assert!(matches!(input, Input::Tar(_)), "{compression}");
        let source = source::open(&tar, &Options::default()).unwrap();
        assert!(matches!(source.origin, Origin::Tar));
        assert_eq!(bytes(&source.tree, "usr/bin/program"), [7; 100_000]);
    }
}

#[test]
fn ref_a_compressed_tar_is_unpacked_in_the_folder_that_was_given() {
    if !need(&["tar", "gzip"]) {
        return;
    }
    let folder = system();
    let tar = folder.path().join("root.tgz");
    pack(&folder.path().join("root"), &tar, &["--gzip"]);
    let mut options = Options {
        temporary_folder: Some(folder.path().to_path_buf()),
        ..Options::default()
    };
    source::open(&tar, &options).unwrap();
    options.temporary_folder = Some("/nowhere".into());
    let error = source::open(&tar, &options).unwrap_err();
    assert!(chain(&error).contains("/nowhere"), "{}", chain(&error));
}

#[test]
fn ref_a_tar_without_an_operating_system_is_refused() {
    if !need(&["tar"]) {
        return;
    }
    for (file, said) in [
        ("etc/fstab", "os-release"),
        ("manifest.json", "container image"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        put(&folder.path().join("root").join(file), b"x");
        let tar = folder.path().join("x.tar");
        pack(&folder.path().join("root"), &tar, &[]);
        let error = source::open(&tar, &Options::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn ref_a_tar_that_is_asked_for_as_a_raw_disk_is_a_disk() {
    if !need(&["tar"]) {
        return;
    }
    let folder = system();
    let tar = folder.path().join("x.tar");
    pack(&folder.path().join("root"), &tar, &[]);
    let mut options = Options::default();
    options.disk_image.format = Some(block::DiskFormat::Raw);
    let error = source::open_input(&tar, &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}
