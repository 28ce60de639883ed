//! What is large: folders of 20 000 names, files with deep trees and beyond 4 GiB, xattrs of 64 KiB, hundreds of groups.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use block::Kind;
use rustix::fs::{Mode, OFlags};

use super::compare::same;
use super::image::{Image, need};
use super::populate::{bytes, fragmented, xattr};

fn check(image: &Image, fill: impl Fn(&Path)) -> usize {
    fill(image.try_mount("rw").unwrap().path());
    let volume = image.read();
    assert!(volume.warnings.is_empty(), "{:?}", volume.warnings);
    same(&volume.tree, image.try_mount("ro").unwrap().path())
}

#[test]
fn ref_twenty_thousand_names_in_one_folder_are_read() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    let cases = [
        (21_000, &["-t", "ext4", "-b", "1024", "-N", "30000"][..]),
        // Without an index the kernel needs minutes for as many.
        (2100, &["-t", "ext2", "-O", "^dir_index"]),
    ];
    for (count, options) in cases {
        let compared = check(&Image::make(64, options), |folder| {
            let many = folder.join("many");
            std::fs::create_dir(&many).unwrap();
            let path = |number: usize| many.join(format!("{number}-{}", "n".repeat(number % 200)));
            for number in 0..count {
                std::fs::write(path(number), b"").unwrap();
            }
            for number in (0..count).step_by(3) {
                std::fs::remove_file(path(number)).unwrap();
            }
        });
        assert_eq!(compared, count / 3 * 2 + 3);
    }
}

/// A byte in each part of a block map: direct, indirect, twice, three times; and past 4 GiB.
fn sparse(folder: &Path) {
    let file = File::create(folder.join("sparse")).unwrap();
    for offset in [
        0,
        13 << 10,
        300 << 10,
        60 << 20,
        70 << 20,
        (4 << 30) - 3,
        5 << 30,
        (15 << 30) + 1,
    ] {
        file.write_all_at(b"data!", offset).unwrap();
    }
    file.set_len(16_000_000_000).unwrap();
    let hole = File::create(folder.join("hole")).unwrap();
    hole.set_len(9_000_000_001).unwrap();
}

#[test]
fn ref_files_beyond_4_gib_and_in_many_fragments_are_read() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    for options in [
        &["-t", "ext2", "-b", "1024"][..],
        &["-t", "ext3", "-b", "4096"],
        &["-t", "ext4", "-b", "1024"],
        &["-t", "ext4", "-O", "bigalloc", "-C", "16384"],
    ] {
        let block = if options.contains(&"1024") {
            1024
        } else {
            4096
        };
        check(&Image::make(96, options), |folder| {
            sparse(folder);
            // 1 KiB nodes have 84 entries: three hundred fragments are two levels.
            fragmented(folder, 300, block);
        });
    }
}

#[test]
fn ref_an_extent_tree_of_three_levels_is_read() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    check(&Image::make(64, &["-t", "ext4", "-b", "1024"]), |folder| {
        let file = File::create(folder.join("deep")).unwrap();
        for piece in 0..9000_u64 {
            file.write_all_at(&piece.to_le_bytes(), piece * 2048)
                .unwrap();
        }
        file.sync_all().unwrap();
        // Preallocated blocks between written ones split into extents of their own.
        let file = File::create(folder.join("half-written")).unwrap();
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&file, flags, 0, 4 << 20).unwrap();
        for piece in 0..1000_u64 {
            file.write_all_at(&bytes(piece as u32, 1024), piece * 3072)
                .unwrap();
        }
    });
}

#[test]
fn ref_large_xattrs_are_read_from_blocks_and_from_inodes_of_their_own() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    let fill = |folder: &Path| {
        for number in 0..20_u32 {
            let path = folder.join(format!("file-{number}"));
            std::fs::write(&path, b"content").unwrap();
            xattr(
                &path,
                "security.selinux",
                b"system_u:object_r:shared_t:s0\0",
            );
            // The same values in many files are stored once.
            xattr(&path, "user.shared", &bytes(1, 60_000));
            xattr(
                &path,
                "user.own",
                &bytes(number + 2, 5000 + number as usize),
            );
            xattr(&path, "trusted.largest", &bytes(number / 4, 65_536));
            xattr(&path, "user.empty", b"");
            xattr(&path, &format!("user.{}", "n".repeat(250)), b"long name");
            xattr(&path, "user.caf\u{e9}", &bytes(number, 3000));
        }
    };
    for options in [
        &["-t", "ext4", "-O", "ea_inode"][..],
        &["-t", "ext4", "-O", "ea_inode,inline_data", "-I", "512"],
        &[
            "-t",
            "ext4",
            "-O",
            "ea_inode,^metadata_csum,^extents,^64bit",
        ],
        &["-t", "ext4", "-O", "ea_inode", "-b", "1024"],
    ] {
        check(&Image::make(64, options), fill);
    }
}

#[test]
fn ref_folders_are_read_as_deep_as_a_path_can_name_them() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    for (depth, expected) in [(2000, None), (2100, Some(Kind::Limit))] {
        let image = Image::make(16, &["-t", "ext4", "-b", "1024", "-N", "4096"]);
        let mount = image.try_mount("rw").unwrap();
        let mut folder = OwnedFd::from(File::open(mount.path()).unwrap());
        for _ in 0..depth {
            rustix::fs::mkdirat(&folder, "d", Mode::from_raw_mode(0o755)).unwrap();
            folder = rustix::fs::openat(&folder, "d", OFlags::RDONLY, Mode::empty()).unwrap();
        }
        drop(folder);
        drop(mount);
        let result = formats::ext4::read_tree(image.open());
        let found = result.map(|tree| assert_eq!(tree.walk().count(), depth + 2));
        assert_eq!(found.err().map(|error| error.kind()), expected);
    }
}

#[test]
fn ref_many_groups_and_descriptor_blocks_are_read() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    let fill = |folder: &Path| {
        for number in 0..300_u32 {
            // The kernel spreads folders of the root over the groups.
            let path = folder.join(format!("folder-{number}"));
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("file"), bytes(number, 100)).unwrap();
        }
    };
    for features in [
        "meta_bg,^resize_inode",
        "^resize_inode",
        "meta_bg,^resize_inode,^metadata_csum,^64bit",
        "sparse_super2,^resize_inode,meta_bg",
    ] {
        let image = Image::make(
            1024,
            &[
                "-t", "ext4", "-b", "1024", "-g", "1024", "-N", "20000", "-O", features,
            ],
        );
        check(&image, fill);
    }
}
