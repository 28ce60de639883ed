//! New file systems of ours: checked by `e2fsck`, mounted by the kernel, read by us.

use std::sync::Mutex;

use block::{Kind, Result, WriteAt};
use formats::ext4::{self, MIN_LEN, Wish};

use crate::image::{Image, need, run};

const MIB: u64 = 1 << 20;

/// Lengths at which something is another: one group, a last group that is too short and one that is just long enough, a last group
/// with a copy of the superblock, larger journals, fewer inodes, several blocks of descriptors.
const LENGTHS: [u64; 12] = [
    MIN_LEN,
    MIN_LEN + 4095,
    100 * MIB,
    128 * MIB,
    129 * MIB,
    131 * MIB,
    300 * MIB,
    513 * MIB + 512,
    1025 * MIB,
    5000 * MIB,
    8191 * MIB,
    20_000 * MIB,
];

fn wish(len: u64) -> Wish {
    Wish {
        len,
        label: "cow".to_owned(),
        uuid: *b"\x01\x02\x03\x04\x05\x06\x47\x08\x89\x0a\x0b\x0c\x0d\x0e\x0f\x10",
        time: 1_700_000_000,
    }
}

#[test]
fn ref_e2fsck_finds_nothing_at_any_length() {
    if !need(&["e2fsck", "dumpe2fs"]) {
        return;
    }
    for len in LENGTHS {
        let image = Image::create(len, &wish(len));
        let path = image.path.to_str().unwrap();
        let said = run("e2fsck", &["-f", "-n", path]);
        assert!(said.contains("cow: 11/"), "{len}: {said}");
        let said = run("dumpe2fs", &["-h", path]);
        for line in [
            "Filesystem volume name:   cow",
            "Filesystem UUID:          01020304-0506-4708-890a-0b0c0d0e0f10",
            "Filesystem state:         clean",
            "Journal inode:            8",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
}

#[test]
fn ref_the_kernel_writes_to_it_and_it_stays_whole() {
    if !need(&["e2fsck", "mount"]) {
        return;
    }
    for len in [MIN_LEN, 129 * MIB, 700 * MIB] {
        let image = Image::create(len, &wish(len));
        let Some(mount) = image.try_mount("rw") else {
            return;
        };
        let folder = mount.path().join("rw/deep");
        std::fs::create_dir_all(&folder).unwrap();
        let content = crate::populate::bytes(3, 100_000);
        for number in 0..300 {
            std::fs::write(
                folder.join(format!("file-{number}")),
                &content[..number * 30],
            )
            .unwrap();
        }
        // More than the first group has.
        std::fs::write(mount.path().join("large"), vec![7; len as usize / 3]).unwrap();
        drop(mount);
        let path = image.path.to_str().unwrap();
        run("e2fsck", &["-f", "-n", path]);
        let volume = image.read();
        assert!(volume.tree.file("/rw/deep/file-299").is_some());
    }
}

#[test]
fn what_is_made_is_read_as_an_empty_folder() {
    let len = 200 * MIB;
    let image = Image::create(len, &wish(len));
    let volume = image.read();
    assert_eq!(volume.identity.label, "cow");
    assert_eq!(volume.identity.uuid, "01020304-0506-4708-890a-0b0c0d0e0f10");
    assert!(volume.warnings.is_empty(), "{:?}", volume.warnings);
    let paths: Vec<_> = volume.tree.walk().map(|e| e.path.to_string()).collect();
    assert_eq!(paths, ["/", "/lost+found"]);
}

/// Remembers the writes in order.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<(u64, Vec<u8>)>>);

impl WriteAt for Log {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.0.lock().unwrap().push((offset, buf.to_vec()));
        Ok(())
    }
}

#[test]
fn the_same_wish_gives_the_same_writes_all_of_them_whole_blocks_inside() {
    let len = 300 * MIB + 1000;
    let writes = || {
        let log = Log::default();
        ext4::create(&log, &wish(len)).unwrap();
        log.0.into_inner().unwrap()
    };
    let first = writes();
    assert!(first == writes());
    for (offset, bytes) in &first {
        assert!(offset % 4096 == 0 && bytes.len() % 4096 == 0);
        assert!(offset + bytes.len() as u64 <= len);
    }
    // What lay there is no file system from the first write on, and there is a new one only after the last.
    assert!(first[0] == (0, vec![0; 4096]));
    let (last, rest) = first.split_last().unwrap();
    assert_eq!(last.0, 0);
    assert!(rest.iter().skip(1).all(|(offset, _)| *offset != 0));
}

#[test]
fn what_cannot_be_made_is_refused_before_anything_is_written() {
    let long = Wish {
        label: "seventeen letters".to_owned(),
        ..wish(MIN_LEN)
    };
    for wish in [wish(0), wish(MIN_LEN - 1), long] {
        let log = Log::default();
        let error = ext4::create(&log, &wish).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit);
        assert!(log.0.into_inner().unwrap().is_empty());
    }
}
