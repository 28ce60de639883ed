//! Filling a folder with one of everything.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// Bytes that differ from file to file and from block to block.
pub(crate) fn bytes(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect()
}

pub(crate) fn xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
        .unwrap_or_else(|error| panic!("{}: {name}: {error}", path.display()));
}

pub(crate) fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn node(path: &Path, kind: FileType, device: (u32, u32)) {
    let device = rustix::fs::makedev(device.0, device.1);
    rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), device).unwrap();
}

/// One of everything that any file system below can hold, in `folder`.
pub(crate) fn small(folder: &Path) {
    let at = |name: &str| folder.join(name);
    for (position, len) in [
        0, 1, 59, 60, 61, 150, 1023, 1024, 4096, 5000, 70_000, 300_000,
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(at(&format!("file-{len}")), bytes(position as u32, len)).unwrap();
    }
    for len in [1, 59, 60, 61, 100, 200, 1000] {
        symlink("t".repeat(len), at(&format!("link-{len}"))).unwrap();
    }
    std::fs::create_dir_all(at("deep/er/and/deeper/still")).unwrap();
    std::fs::write(at("deep/er/and/deeper/still/file"), b"down here").unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::write(at(&"n".repeat(255)), b"long name").unwrap();
    std::fs::write(
        folder.join(OsStr::from_bytes(b"not\xffutf8 \n")),
        b"odd name",
    )
    .unwrap();
    std::fs::write(at("linked"), b"three names").unwrap();
    std::fs::hard_link(at("linked"), at("deep/linked-2")).unwrap();
    std::fs::hard_link(at("linked"), at("empty-not")).unwrap();
    node(&at("fifo"), FileType::Fifo, (0, 0));
    node(&at("socket"), FileType::Socket, (0, 0));
    node(&at("null"), FileType::CharacterDevice, (1, 3));
    node(&at("old-largest"), FileType::CharacterDevice, (255, 255));
    node(&at("new"), FileType::BlockDevice, (259, 1_000_000));
    std::fs::write(at("setuid"), b"#!").unwrap();
    rustix::fs::chmod(at("setuid"), Mode::from_raw_mode(0o6755)).unwrap();
    rustix::fs::chmod(at("empty"), Mode::from_raw_mode(0o1777)).unwrap();
    std::os::unix::fs::lchown(at("file-59"), Some(70_000), Some(4_000_000_000)).unwrap();
    std::os::unix::fs::lchown(at("link-59"), Some(1000), Some(100_000)).unwrap();
    let sparse = File::create(at("sparse")).unwrap();
    sparse.set_len(20 << 20).unwrap();
    for offset in [
        0_u64,
        12 * 1024,
        300 * 1024,
        5 << 20,
        (9 << 20) + 17,
        (20 << 20) - 5,
    ] {
        sparse.write_all_at(b"hello", offset).unwrap();
    }
    let mut many = File::create(at("many-pieces")).unwrap();
    for piece in 0..400_u64 {
        many.seek(SeekFrom::Start(piece * 3 * 4096)).unwrap();
        many.write_all(&piece.to_le_bytes()).unwrap();
    }
    xattr(&at("file-60"), "user.note", b"a value");
    xattr(
        &at("file-61"),
        "security.selinux",
        b"system_u:object_r:etc_t:s0\0",
    );
    xattr(
        &at("link-60"),
        "security.selinux",
        b"system_u:object_r:lib_t:s0\0",
    );
    xattr(&at("deep"), "trusted.overlay.opaque", b"y");
    xattr(
        &at("setuid"),
        "security.capability",
        &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    for name in ["file-150", "empty"] {
        for number in 0..8 {
            xattr(
                &at(name),
                &format!("user.number-{number}"),
                &bytes(number, 70),
            );
        }
    }
    set_mtime(&at("file-0"), 1_000_000_000, 123_456_789);
}

/// POSIX ACLs, as an xattr.
pub(crate) fn acls(folder: &Path) {
    let entry = |tag: u16, permissions: u16, id: u32| {
        [
            &tag.to_le_bytes()[..],
            &permissions.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    };
    let acl = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 6, u32::MAX),
        entry(2, 4, 1000),
        entry(4, 4, u32::MAX),
        entry(8, 5, 100_000),
        entry(0x10, 7, u32::MAX),
        entry(0x20, 0, u32::MAX),
    ]
    .concat();
    xattr(&folder.join("file-5000"), "system.posix_acl_access", &acl);
    xattr(&folder.join("deep"), "system.posix_acl_default", &acl);
}

/// What only a file system that is mounted from an image can be asked to hold: times from 1901 to 2446, fragments, preallocated blocks.
pub(crate) fn times(folder: &Path) {
    for (position, seconds) in [
        -2_147_483_648_i64,
        -1,
        0,
        2_147_483_647,
        2_147_483_648,
        4_294_967_296,
        15_032_385_535,
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.join(format!("time-{position}"));
        std::fs::write(&path, b"").unwrap();
        set_mtime(&path, seconds, 999_999_999);
    }
}

/// Files that are in the way of one another, so that each has many fragments, and their extent trees are deep.
pub(crate) fn fragmented(folder: &Path, pieces: u64, block: usize) {
    let open = |name: &str| File::create(folder.join(name)).unwrap();
    let (first, second) = (open("fragments-1"), open("fragments-2"));
    for piece in 0..pieces {
        for (seed, file) in [(1, &first), (2, &second)] {
            let data = bytes(piece as u32 * 2 + seed, block);
            file.write_all_at(&data, piece * block as u64).unwrap();
            file.sync_data().unwrap();
        }
    }
    let preallocated = open("preallocated");
    preallocated.write_all_at(b"start", 0).unwrap();
    preallocated.sync_data().unwrap();
    if rustix::fs::fallocate(
        &preallocated,
        rustix::fs::FallocateFlags::empty(),
        0,
        1 << 20,
    )
    .is_ok()
    {
        preallocated.write_all_at(b"middle", 500_000).unwrap();
        let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&preallocated, keep, 1 << 20, 1 << 20).unwrap();
    }
}
