//! Fast commits: changes that the journal describes, replayed as the kernel does it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, Mode, fallocate};

use super::compare::{FolderTimes, same_with};
use super::image::need;
use super::journal::{sync, unclean};
use super::populate::{bytes, set_mtime};

/// Files of which each takes a fast commit of its own.
fn create(folder: &Path) {
    for number in 0..30_u32 {
        let path = folder.join(format!("new-{number}"));
        std::fs::write(&path, bytes(number, number as usize * 700)).unwrap();
        sync(&path);
    }
}

/// Ranges that are added, replaced, preallocated, cut off and punched out.
fn ranges(folder: &Path) {
    let path = folder.join("old-1");
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&bytes(50, 9000), 100_000).unwrap();
    sync(&path);
    file.write_all_at(&bytes(51, 5000), 2000).unwrap();
    file.set_len(150_000).unwrap();
    sync(&path);
    fallocate(&file, FallocateFlags::empty(), 200_000, 100_000).unwrap();
    sync(&path);
    file.write_all_at(&bytes(52, 4096), 221_184).unwrap();
    sync(&path);
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&file, punch, 4096, 8192).unwrap();
    sync(&path);
    let other = File::options()
        .write(true)
        .open(folder.join("old-2"))
        .unwrap();
    other.set_len(5000).unwrap();
    other.sync_all().unwrap();
}

/// Names that come, go, and come back with another inode.
fn names(folder: &Path) {
    let old = |number: u32| folder.join(format!("old-{number}"));
    std::fs::hard_link(old(3), folder.join("link-3")).unwrap();
    std::fs::remove_file(old(4)).unwrap();
    std::fs::write(old(4), b"another one").unwrap();
    sync(&old(4));
    std::fs::remove_file(old(5)).unwrap();
    std::fs::rename(old(6), folder.join("folder/renamed")).unwrap();
    sync(&folder.join("folder/renamed"));
    for round in 0..5_u32 {
        let path = folder.join("folder/again");
        std::fs::write(&path, bytes(round, 10_000)).unwrap();
        sync(&path);
        std::fs::remove_file(&path).unwrap();
        touch(&old(7));
    }
    std::fs::write(folder.join("folder/again"), b"the last").unwrap();
    sync(&folder.join("folder/again"));
}

/// Metadata alone.
fn metadata(folder: &Path) {
    let path = folder.join("old-8");
    rustix::fs::chmod(&path, Mode::from_raw_mode(0o4751)).unwrap();
    std::os::unix::fs::chown(&path, Some(70_000), Some(80_000)).unwrap();
    sync(&path);
    set_mtime(&path, 5_000_000_000, 7);
    sync(&path);
}

/// Folders and what is in them, made after the last whole commit.
fn folders(folder: &Path) {
    for number in 0..3 {
        let below = folder.join(format!("below-{number}"));
        std::fs::create_dir(&below).unwrap();
        std::fs::create_dir(below.join("deeper")).unwrap();
        let path = below.join("deeper/file");
        std::fs::write(&path, bytes(number, 6000)).unwrap();
        sync(&path);
    }
    std::fs::remove_file(folder.join("below-1/deeper/file")).unwrap();
    std::fs::remove_dir(folder.join("below-1/deeper")).unwrap();
    touch(&folder.join("old-7"));
}

/// Changes a file and commits that, and all that changed before.
fn touch(path: &Path) {
    let file = File::options().append(true).open(path).unwrap();
    file.write_all_at(b"more", 60_000).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn ref_fast_commits_are_replayed_as_the_kernel_does_it() {
    if !need(&["mke2fs", "mount", "python3"]) {
        return;
    }
    type Case = (&'static str, fn(&Path));
    let cases: [Case; 5] = [
        ("create", create),
        ("ranges", ranges),
        ("names", names),
        ("metadata", metadata),
        ("folders", folders),
    ];
    for options in [
        &["-t", "ext4", "-O", "fast_commit"][..],
        &[
            "-O",
            "fast_commit,^metadata_csum",
            "-t",
            "ext4",
            "-b",
            "1024",
        ],
    ] {
        for (what, change) in cases {
            let image = unclean(64, options, "data=ordered", |folder| {
                std::fs::create_dir(folder.join("folder")).unwrap();
                for number in 0..9 {
                    std::fs::write(folder.join(format!("old-{number}")), bytes(number, 50_000))
                        .unwrap();
                }
                // A whole commit, so that the changes are all that is in fast commits.
                rustix::fs::syncfs(File::open(folder).unwrap()).unwrap();
                change(folder);
            });
            let volume = image.read();
            let copy = image.copy();
            let mount = copy.try_mount("rw").unwrap();
            println!("{what} {:?}", volume.warnings);
            same_with(&volume.tree, mount.path(), FolderTimes::Left);
            let replayed = volume
                .warnings
                .iter()
                .any(|warning| warning.contains("changes"));
            assert!(replayed, "{what}: {:?}", volume.warnings);
        }
    }
}
