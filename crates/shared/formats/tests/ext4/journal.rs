//! File systems that were not unmounted: what we read is what the kernel shows after it replayed the journal of a copy.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::compare::same;
use super::image::{Image, need};
use super::populate::{self, bytes};

pub(crate) fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

/// Changes of every kind, committed to the journal and not written to their places, then some that are not committed.
fn change(folder: &Path) {
    populate::small(folder);
    sync(folder);
    // Blocks that were folders become file data: their older versions must not come back.
    for number in 0..40 {
        let path = folder.join(format!("gone-{number}"));
        std::fs::create_dir(&path).unwrap();
        for name in 0..30 {
            std::fs::write(path.join(format!("{}-{name}", "x".repeat(100))), b"").unwrap();
        }
    }
    sync(folder);
    for number in 0..40 {
        std::fs::remove_dir_all(folder.join(format!("gone-{number}"))).unwrap();
    }
    sync(folder);
    for number in 0..60 {
        let path = folder.join(format!("new-{number}"));
        std::fs::write(&path, bytes(number, 20_000)).unwrap();
        sync(&path);
    }
    // Data that looks like a block of the journal.
    let mut magic = 0xc03b_3998_u32.to_be_bytes().to_vec();
    magic.extend(bytes(7, 4092));
    let file = File::create(folder.join("magic")).unwrap();
    for block in 0..10 {
        file.write_all_at(&magic, block * 8192).unwrap();
    }
    file.sync_all().unwrap();
    std::fs::rename(folder.join("file-5000"), folder.join("renamed")).unwrap();
    std::fs::remove_file(folder.join("file-4096")).unwrap();
    sync(folder);
    std::fs::write(folder.join("never-committed"), b"lost").unwrap();
}

/// An image that was formatted with `format`, mounted with `mount`, changed, and never unmounted.
pub(crate) fn unclean(size: u64, format: &[&str], mount: &str, change: impl Fn(&Path)) -> Image {
    let image = Image::make(size, format);
    // Nothing is committed but what is synced.
    let mount = image.try_mount(&format!("rw,commit=600,{mount}")).unwrap();
    change(mount.path());
    mount.shut_down();
    image
}

#[test]
fn ref_an_unclean_journal_is_replayed_as_the_kernel_does_it() {
    if !need(&["mke2fs", "mount", "python3"]) {
        return;
    }
    let cases: &[(&[&str], &str)] = &[
        (&["-t", "ext4"], "data=ordered"),
        (&["-t", "ext4"], "data=journal"),
        (&["-t", "ext4", "-b", "1024"], "data=journal"),
        (
            &["-t", "ext4", "-b", "2048", "-O", "^64bit"],
            "data=ordered",
        ),
        (&["-t", "ext4", "-O", "^metadata_csum"], "data=journal"),
        (
            &["-t", "ext4", "-O", "^metadata_csum,^64bit"],
            "data=ordered",
        ),
        (&["-t", "ext4", "-O", "^metadata_csum"], "journal_checksum"),
        (
            &["-t", "ext4", "-O", "^metadata_csum"],
            "journal_async_commit,data=writeback",
        ),
        (&["-t", "ext4"], "journal_async_commit,data=writeback"),
        (&["-t", "ext3"], "data=journal"),
        (&["-t", "ext3", "-b", "1024"], "data=ordered"),
        (&["-t", "ext4", "-O", "inline_data"], "data=ordered"),
        (
            &["-t", "ext4", "-b", "1024", "-J", "size=1"],
            "data=journal",
        ),
        (
            &["-t", "ext4", "-O", "orphan_file,metadata_csum_seed"],
            "data=ordered",
        ),
    ];
    for (format, options) in cases {
        let image = unclean(64, format, options, change);
        let volume = image.read();
        let what = format!("{format:?} {options}");
        assert!(
            volume
                .warnings
                .iter()
                .any(|warning| warning.contains("journal")),
            "{what}: {:?}",
            volume.warnings
        );
        let copy = image.copy();
        let mount = copy.try_mount("rw").unwrap();
        let count = same(&volume.tree, mount.path());
        assert!(count > 100, "{what}");
        println!("{what}: {count} {:?}", volume.warnings);
        assert!(!mount.path().join("never-committed").exists(), "{what}");
    }
}
