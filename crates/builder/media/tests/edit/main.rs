//! Changes of finished ISOs: what they become, what an interruption leaves, what is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

mod folder;
mod implanted;
mod interrupted;
mod media_of_others;
mod sample;
mod target;

use block::{Content, Kind};
use media::edit::iso::edit;
use media::edit::{Addition, Wish};
use tree::{Inode, Metadata, Node, Tree, TreePath};

use sample::{CONFIG, check_table, config, files, iso, read};
use target::Recorder;

fn append(line: &str) -> Wish {
    Wish {
        append: vec![line.to_owned()],
        ..Wish::new()
    }
}

fn reset() -> Wish {
    Wish {
        reset: true,
        ..Wish::new()
    }
}

fn add(path: &str, bytes: &[u8]) -> Wish {
    Wish {
        files: vec![Addition {
            path: path.to_owned(),
            content: Content::from_bytes(bytes),
        }],
        ..Wish::new()
    }
}

fn into_initramfs(path: &str, bytes: &[u8]) -> Wish {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let file = Inode::new(
        Metadata::with_permissions(0o755),
        Node::File(Content::from_bytes(bytes)),
    );
    tree.put(&TreePath::parse(path).unwrap(), file).unwrap();
    Wish {
        initramfs: Some(tree),
        ..Wish::new()
    }
}

#[test]
fn a_parameter_comes_to_every_entry_and_nothing_else_changes() {
    let original = iso(4 << 20);
    let target = Recorder::of(&original);
    let report = edit(&target, &append("debug x=1")).unwrap();
    let changed = target.bytes();
    let expected = CONFIG
        .replace("X quiet\n", "X quiet debug x=1\n")
        .replace("rd.live.check", "rd.live.check debug x=1");
    assert_eq!(config(&changed), expected);
    assert_eq!(report.entries.len(), 2);
    assert_eq!(changed.len(), original.len());
    check_table(&changed);
    let (old, new) = (files(&original), files(&changed));
    for (path, bytes) in &old {
        let free = [
            "/boot/grub/grub.cfg",
            "/liveos/reserved",
            "/liveos/checksums",
        ];
        assert!(
            new[path] == *bytes || free.contains(&path.as_str()),
            "{path}"
        );
    }
    assert_eq!(old.len(), new.len());
}

#[test]
fn a_parameter_that_goes_is_in_what_the_next_build_reads_no_more() {
    let path = format!("/{}", contract::media::SAVED_CONFIGS);
    let saved = |iso: &[u8]| String::from_utf8(read(iso, &path)).unwrap();
    let target = Recorder::of(&iso(4 << 20));
    edit(&target, &append("debug")).unwrap();
    assert_eq!(saved(&target.bytes()), sample::SAVED);
    let wish = Wish {
        delete: vec!["quiet".to_owned()],
        replace: vec![("x".to_owned(), "1".to_owned())],
        ..Wish::new()
    };
    let report = edit(&target, &wish).unwrap();
    let text = saved(&target.bytes());
    assert!(
        text.contains("- \"x=1\"") && !text.contains("quiet"),
        "{text}"
    );
    assert!(
        report.files.is_empty(),
        "nobody put a file there: {:?}",
        report.files
    );
    check_table(&target.bytes());
    edit(&target, &reset()).unwrap();
    assert_eq!(saved(&target.bytes()), sample::SAVED);
}

#[test]
fn a_change_that_is_made_twice_is_there_once() {
    let target = Recorder::of(&iso(4 << 20));
    edit(&target, &append("debug")).unwrap();
    let once = target.bytes();
    let writes = target.writes();
    edit(&target, &append("debug")).unwrap();
    assert_eq!(target.bytes(), once);
    assert_eq!(target.writes(), writes, "nothing is written for nothing");
}

#[test]
fn the_original_comes_back_byte_for_byte_however_much_was_changed() {
    let original = iso(4 << 20);
    let target = Recorder::of(&original);
    for wish in [
        append("debug"),
        into_initramfs("/etc/motd", b"one"),
        Wish {
            delete: vec!["quiet".to_owned()],
            ..Wish::new()
        },
        add("/boot/extra.txt", b"extra"),
        into_initramfs("/etc/issue", b"two"),
        add("/boot/vmlinuz-1", &[7; 300_000]),
        append("x=1"),
    ] {
        edit(&target, &wish).unwrap();
        check_table(&target.bytes());
    }
    let all = target.bytes();
    assert!(!config(&all).contains("quiet"));
    assert!(config(&all).contains("debug x=1"));
    assert_eq!(read(&all, "/boot/vmlinuz-1").len(), 300_000);
    assert_eq!(read(&all, "/boot/extra.txt"), b"extra");
    edit(&target, &reset()).unwrap();
    assert!(target.bytes() == original, "some byte is another");
}

#[test]
fn what_is_added_to_the_initramfs_is_one_more_archive_that_every_entry_loads() {
    let target = Recorder::of(&iso(4 << 20));
    edit(&target, &into_initramfs("/etc/one", b"1")).unwrap();
    let report = edit(&target, &into_initramfs("/etc/two", b"22")).unwrap();
    let changed = target.bytes();
    assert_eq!(report.initramfs, ["/etc/one", "/etc/two"]);
    assert_eq!(
        config(&changed)
            .matches("initrd /boot/initramfs-1.img /boot/liveos-additions.img\n")
            .count(),
        2
    );
    let archive = read(&changed, "/boot/liveos-additions.img");
    let tree = formats::cpio::read_tree(std::sync::Arc::new(archive)).unwrap();
    assert_eq!(tree.file("/etc/two").unwrap().read_all(9).unwrap(), b"22");
    assert_eq!(tree.file("/etc/one").unwrap().read_all(9).unwrap(), b"1");
}

#[test]
fn showing_writes_nothing() {
    let target = Recorder::of(&iso(4 << 20));
    edit(&target, &append("debug")).unwrap();
    let (writes, bytes) = (target.writes(), target.bytes());
    let report = edit(&target, &Wish::new()).unwrap();
    assert_eq!(report.parameters.append, ["debug"]);
    assert_eq!((target.writes(), target.bytes()), (writes, bytes));
}

#[test]
fn what_media_need_is_protected() {
    let target = Recorder::of(&iso(4 << 20));
    let error = edit(&target, &append("root=/dev/sda1")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let chain = format!("{error}");
    assert!(
        chain.contains("root") && chain.contains("--force"),
        "{chain}"
    );
    for path in [
        "/liveos/rootfs.img",
        "/liveos/new",
        "/boot/grub/efiboot.img",
        "/no/such/folder",
    ] {
        assert!(edit(&target, &add(path, b"x")).is_err(), "{path}");
    }
    assert_eq!(target.writes(), 0);
    let forced = Wish {
        force: true,
        ..append("root=/dev/sda1")
    };
    edit(&target, &forced).unwrap();
}

#[test]
fn where_there_is_no_room_the_figures_are_told_and_nothing_changes() {
    // A device cannot get longer.
    let target = Recorder::fixed(&iso(1 << 20));
    let error = edit(&target, &add("/boot/vmlinuz-1", &[1; 600_000])).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().contains("600064 bytes"), "{error}");
    assert_eq!(target.writes(), 0);
    // A file can.
    let original = iso(1 << 20);
    let target = Recorder::of(&original);
    edit(&target, &add("/boot/vmlinuz-1", &[1; 600_000])).unwrap();
    assert!(target.bytes().len() > original.len());
    assert_eq!(read(&target.bytes(), "/boot/vmlinuz-1"), vec![1; 600_000]);
    check_table(&target.bytes());
    edit(&target, &reset()).unwrap();
    assert!(target.bytes() == original);
}

#[test]
fn what_is_no_iso_is_refused() {
    for bytes in [vec![], vec![0; 100_000], b"CD001".repeat(10_000)] {
        let target = Recorder::of(&bytes);
        assert!(edit(&target, &append("x")).is_err());
        assert_eq!(target.writes(), 0);
    }
}

#[test]
fn media_that_are_damaged_where_they_are_to_be_changed_are_refused() {
    let mut damaged = iso(4 << 20);
    // The kernel is in the same chunk as the directory records.
    let kernel = read(&damaged, "/boot/vmlinuz-1");
    let place = damaged.windows(100).position(|w| w == &kernel[..100]);
    damaged[place.unwrap()] ^= 1;
    let target = Recorder::of(&damaged);
    let error = edit(&target, &append("x")).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(target.writes(), 0);
}

#[test]
fn no_journal_that_somebody_made_up_does_more_than_an_error() {
    let original = iso(4 << 20);
    let target = Recorder::of(&original);
    edit(&target, &append("debug")).unwrap();
    let good = target.bytes();
    let at = good
        .windows(16)
        .position(|window| window == b"LIVEOS CHANGES 1")
        .unwrap();
    let len = u64::from_le_bytes(good[at + 16..at + 24].try_into().unwrap()) as usize;
    let json = String::from_utf8(good[at + 56..at + 56 + len].to_vec()).unwrap();
    for (from, to) in [
        ("\"writes\":[{\"at\":", "\"writes\":[{\"at\":99999999999"),
        ("\"old\":\"", "\"old\":\"00"),
        ("\"old\":\"", "\"old\":\"0"),
        ("\"grown_from\":null", "\"grown_from\":18446744073709551615"),
        ("\"additions\":null", "\"additions\":\"x\""),
        ("\"blobs\":{", "\"blobs\":{\"x\":[0,10],"),
        ("\"blobs\":{", "\"blobs\":{\"x\":[18446744073709551615,10],"),
        ("{", "["),
    ] {
        let bad = json.replacen(from, to, 1);
        assert_ne!(bad, json, "{from}");
        let mut bytes = good.clone();
        let slot = [
            b"LIVEOS CHANGES 1".as_slice(),
            &(bad.len() as u64).to_le_bytes(),
            blake3::hash(bad.as_bytes()).as_bytes(),
            bad.as_bytes(),
        ]
        .concat();
        bytes[at..at + slot.len()].copy_from_slice(&slot);
        let target = Recorder::of(&bytes);
        let error = edit(&target, &append("x")).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{to}: {error}");
        assert_eq!(target.writes(), 0);
    }
}
