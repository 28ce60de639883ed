//! What programs write down in different ways.

use std::sync::Arc;

use block::{Content, Kind, ReadAt as _};
use tree::{Metadata, Node, Timestamp, Tree};

use super::super::format::kind;
use super::super::probe;
use super::super::reader::read_plain;
use super::super::unpack::Limits;
use super::{folder, listing, member, pax, plain, read, script};

fn metadata<'a>(tree: &'a Tree<Content>, path: &str) -> &'a Metadata {
    let (_, id) = tree.resolve(path).unwrap();
    &tree.inode(id).metadata
}

fn put(block: &mut [u8; 512], at: usize, value: &[u8]) {
    block[at..at + value.len()].copy_from_slice(value);
}

/// A global header of these records.
fn global(records: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = pax(records);
    bytes[156] = kind::PAX_GLOBAL;
    reseal(&mut bytes);
    bytes
}

fn reseal(bytes: &mut [u8]) {
    let header: &mut [u8; 512] = bytes.first_chunk_mut().unwrap();
    super::seal(header);
}

fn gnu(block: &mut [u8; 512]) {
    put(block, 257, b"ustar  \0");
}

#[test]
fn extended_headers_count_more_than_the_header() {
    let records = [
        ("path", "other"),
        ("uid", "5000000"),
        ("gid", "7"),
        ("mtime", "-1.25"),
        ("size", "2"),
        ("uname", "root"),
        ("comment", "nothing"),
    ];
    let tree = read(&[pax(&records), plain("name", "ab")].concat()).unwrap();
    assert_eq!(listing(&tree), "/other=ab");
    let metadata = metadata(&tree, "/other");
    let time = Timestamp {
        seconds: -2,
        nanoseconds: 750_000_000,
    };
    assert_eq!(
        (metadata.uid, metadata.gid, metadata.mtime),
        (5_000_000, 7, time)
    );
}

#[test]
fn what_a_global_header_says_holds_until_a_member_says_otherwise() {
    let bytes = [
        global(&[("uid", "7"), ("gid", "8")]),
        plain("a", ""),
        pax(&[("uid", "9"), ("gid", "")]),
        plain("b", ""),
        global(&[("gid", "10")]),
        plain("c", ""),
    ];
    let tree = read(&bytes.concat()).unwrap();
    let owners = ["/a", "/b", "/c"].map(|path| {
        let metadata = metadata(&tree, path);
        (metadata.uid, metadata.gid)
    });
    assert_eq!(owners, [(7, 8), (9, 0), (7, 10)]);
    let much = "x".repeat(70_000);
    let error = read(&global(&[("comment", &much)])).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
}

#[test]
fn long_names_of_gnu_speak_of_the_next_member() {
    let name = "n".repeat(150);
    let target = "t".repeat(150);
    let long = |kind, text: &str| member("././@LongLink", kind, text.as_bytes(), &gnu);
    let bytes = [
        long(kind::LONG_LINK, &format!("{target}\0")),
        long(kind::LONG_NAME, &format!("{name}\0")),
        member("short", kind::SYMLINK, b"", &gnu),
        plain("next", ""),
    ];
    let tree = read(&bytes.concat()).unwrap();
    assert_eq!(listing(&tree), format!("/next= /{name}->{target}"));
}

#[test]
fn numbers_are_octal_or_in_base_256() {
    let bytes = [
        member("a", kind::FILE, b"", &|block| {
            put(block, 108, b"  17 \0\0\0");
            put(block, 116, b"00000017");
            put(
                block,
                136,
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
            );
        }),
        member("b", kind::FILE, b"", &|block| {
            put(block, 108, b"\x80\0\0\0\xff\xff\xff\xff");
            put(block, 116, b"\xff\xff\xff\xff\xff\xff\xff\xfe");
            put(block, 136, b"77777777777 ");
        }),
    ];
    let tree = read(&bytes.concat()).unwrap();
    let seen = ["/a", "/b"].map(|path| {
        let metadata = metadata(&tree, path);
        (metadata.uid, metadata.gid, metadata.mtime.seconds)
    });
    let expected = [(0o17, 0o17, -2), (u32::MAX, u32::MAX - 1, 0o77_777_777_777)];
    assert_eq!(seen, expected);
    let bad: [(usize, &[u8]); 6] = [
        (108, b"9"),
        (108, b"1 2"),
        (108, b"\x80\0\0\x01"),
        (116, b"\xc0"),
        (124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        (136, b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (at, value) in bad {
        let bytes = member("a", kind::FILE, b"", &|block| put(block, at, value));
        let error = read(&bytes).unwrap_err();
        assert_eq!(
            (error.kind(), error.place().offset),
            (Kind::Corrupt, Some(0)),
            "{error}"
        );
    }
}

#[test]
fn prefixes_are_read_as_posix_and_star_have_them() {
    let posix = member("name", kind::FILE, b"1", &|block| {
        put(block, 345, b"a/prefix")
    });
    let star = member("star", kind::FILE, b"2", &|block| {
        put(block, 345, b"p");
        put(block, 476, b"00000000000 00000000000 ");
        put(block, 508, b"tar\0");
    });
    let gnu = member("gnu", kind::FILE, b"3", &|block| {
        gnu(block);
        put(block, 345, b"00000000000 ");
    });
    let tree = read(&[posix, star, gnu].concat()).unwrap();
    assert_eq!(
        listing(&tree),
        "/a/ /a/prefix/ /a/prefix/name=1 /gnu=3 /p/ /p/star=2"
    );
}

#[test]
fn check_sums_of_signed_bytes_are_right_too() {
    let mut bytes = plain("\u{e4}", "1");
    let signed: i64 = bytes[..512].iter().map(|byte| i64::from(*byte as i8)).sum();
    let own: i64 = bytes[148..156].iter().map(|byte| i64::from(*byte)).sum();
    let sum = signed - own + 8 * 32;
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(listing(&read(&bytes).unwrap()), "/\u{e4}=1");
}

/// What a file with holes is in the trees of these tests: 8 bytes of data in 4096.
fn check_holes(bytes: &[u8]) {
    let tree = read(&[bytes.to_vec(), plain("next", "")].concat()).unwrap();
    let content = tree.file("/holes").unwrap();
    let mut expected = vec![0; 4096];
    expected[512..516].copy_from_slice(b"abcd");
    expected[1024..1028].copy_from_slice(b"efgh");
    assert_eq!(content.read_all(1 << 20).unwrap(), expected);
    assert_eq!(content.next_data(0).unwrap(), Some(512..516));
    assert_eq!(content.next_data(516).unwrap(), Some(1024..1028));
    assert_eq!(content.next_data(1028).unwrap(), None);
    assert!(tree.file("/next").is_some());
}

const SPARSE_SIZE: (&str, &str) = ("GNU.sparse.size", "4096");

#[test]
fn holes_are_read_in_every_way_to_write_them_down() {
    check_holes(&member("holes", kind::SPARSE, b"abcdefgh", &|block| {
        gnu(block);
        put(block, 386, b"00000001000\x0000000000004\0");
        put(block, 410, b"00000002000\x0000000000004\0");
        put(block, 483, b"00000010000\0");
    }));
    let with =
        |records: &[(&str, &str)], content: &str| [pax(records), plain("holes", content)].concat();
    check_holes(&with(
        &[
            SPARSE_SIZE,
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "512"),
            ("GNU.sparse.numbytes", "4"),
            ("GNU.sparse.offset", "1024"),
            ("GNU.sparse.numbytes", "4"),
        ],
        "abcdefgh",
    ));
    let named = ("GNU.sparse.name", "holes");
    let map = ("GNU.sparse.map", "512,4,1024,4");
    let hidden = plain("GNUSparseFile.0/x", "abcdefgh");
    check_holes(&[pax(&[SPARSE_SIZE, named, map]), hidden].concat());
    let lines = format!("{:\0<512}abcdefgh", "3\n512\n4\n1024\n4\n4096\n0\n");
    let version = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    let len = ("GNU.sparse.realsize", "4096");
    check_holes(&with(&[version[0], version[1], named, len], &lines));
}

#[test]
fn maps_of_holes_that_cannot_be_are_refused() {
    let version = ("GNU.sparse.major", "1");
    let len = ("GNU.sparse.realsize", "4096");
    let map = |map| ("GNU.sparse.map", map);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Kind);
    let cases: [Case<'_>; 13] = [
        (&[SPARSE_SIZE, map("512")], "", Kind::Corrupt),
        (&[SPARSE_SIZE, map("a,b")], "", Kind::Corrupt),
        (&[SPARSE_SIZE, map("512,4,,")], "", Kind::Corrupt),
        (
            &[SPARSE_SIZE, map("512,4,514,4")],
            "abcdefgh",
            Kind::Corrupt,
        ),
        (&[SPARSE_SIZE, map("4094,4")], "abcd", Kind::Corrupt),
        (
            &[SPARSE_SIZE, map("18446744073709551615,4")],
            "abcd",
            Kind::Corrupt,
        ),
        (&[SPARSE_SIZE, map("0,5")], "abcd", Kind::Corrupt),
        (&[map("0,4")], "abcd", Kind::Corrupt),
        (
            &[("GNU.sparse.size", "17592186044417"), map("0,4")],
            "abcd",
            Kind::Limit,
        ),
        (&[version, len], "x\n", Kind::Corrupt),
        (&[version, len], "99999999\n1\n", Kind::Corrupt),
        (
            &[version, ("GNU.sparse.minor", "1"), len],
            "0\n",
            Kind::Unsupported,
        ),
        (&[("GNU.sparse.major", "2"), len], "0\n", Kind::Unsupported),
    ];
    for (records, content, kind) in cases {
        let error = read(&[pax(records), plain("f", content)].concat()).unwrap_err();
        assert_eq!(error.kind(), kind, "{records:?}: {error}");
        assert!(error.place().offset.is_some(), "{error}");
    }
    let star = member("f", kind::SPARSE, b"", &|_| {});
    assert_eq!(read(&star).unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn members_that_need_another_volume_are_refused_by_name() {
    let rest = member("part", kind::MULTI_VOLUME, b"", &gnu);
    let records = [
        ("GNU.volume.filename", "part"),
        ("GNU.volume.offset", "512"),
    ];
    for bytes in [rest, [pax(&records), plain("part", "")].concat()] {
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(
            error
                .to_string()
                .contains("part: the file began in another volume"),
            "{error}"
        );
    }
}

#[test]
fn labels_and_lists_of_folders_are_passed_over() {
    let bytes = [
        member("label", kind::VOLUME_LABEL, b"", &gnu),
        member("d/", kind::DUMP_DIRECTORY, b"Ya\0\0", &gnu),
        plain("d/a", "1"),
    ];
    assert_eq!(listing(&read(&bytes.concat()).unwrap()), "/d/ /d/a=1");
}

#[test]
fn acls_become_xattrs_by_the_archives_own_tables() {
    let acl = "user::rw-,user:lp:r--,group::r--,group:adm:r--,mask::r--,other::---";
    let access = ("SCHILY.acl.access", acl);
    let known = [
        pax(&[access]),
        plain("f", ""),
        pax(&[("SCHILY.acl.default", "user::rwx,group::r-x,other::---")]),
        folder("d"),
        plain("etc/passwd", "lp:x:7:"),
        plain("etc/group", "adm:x:4:"),
    ];
    let tree = read(&known.concat()).unwrap();
    let value = &metadata(&tree, "/f").xattrs[&b"system.posix_acl_access"[..]];
    assert_eq!(value[12..20], [2, 0, 4, 0, 7, 0, 0, 0]);
    assert_eq!(value[28..36], [8, 0, 4, 0, 4, 0, 0, 0]);
    let default = &metadata(&tree, "/d").xattrs[&b"system.posix_acl_default"[..]];
    assert_eq!(default.len(), 28);

    let error = read(&known[..5].concat()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(
        error.to_string().contains("f: an ACL names \"adm\""),
        "{error}"
    );
    let replaced = [&known[..2], &[plain("f", "")]].concat().concat();
    let tree = read(&replaced).unwrap();
    assert!(metadata(&tree, "/f").xattrs.is_empty());
    let xattr = ("SCHILY.xattr.system.posix_acl_access", "exact");
    let both = [pax(&[access, xattr]), plain("f", "")].concat();
    let tree = read(&both).unwrap();
    assert_eq!(
        &*metadata(&tree, "/f").xattrs[&b"system.posix_acl_access"[..]],
        b"exact"
    );
}

#[test]
fn labels_of_selinux_are_read_under_both_keys() {
    for key in ["RHT.security.selinux", "SCHILY.xattr.security.selinux"] {
        let bytes = [pax(&[(key, "system_u:object_r:etc_t:s0")]), plain("f", "")].concat();
        let tree = read(&bytes).unwrap();
        let label = &metadata(&tree, "/f").xattrs[&b"security.selinux"[..]];
        assert_eq!(&**label, b"system_u:object_r:etc_t:s0");
    }
}

#[test]
fn what_would_take_too_much_is_refused() {
    let long = "n/".repeat(2049);
    let map: String = (0..=1 << 20).map(|_| "0\n0\n").collect();
    let lines = format!("{}\n{map}{}", (1 << 20) + 1, "\0".repeat(512));
    let version = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "1")];
    for (bytes, part) in [
        (
            [pax(&[("path", &long)]), plain("a", "")].concat(),
            "4098 bytes",
        ),
        (
            [pax(&[("linkpath", &long)]), script("a->b")].concat(),
            "4098 bytes",
        ),
        (pax(&[("comment", &"x".repeat(9 << 20))]), "8388608"),
        (
            [pax(&version), plain("a", &lines)].concat(),
            "1048576 pieces",
        ),
    ] {
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn what_is_held_in_memory_is_counted() {
    let holes = ("GNU.sparse.map", "0,0,0,0,0,0,0,0,0,0");
    let holes = [pax(&[SPARSE_SIZE, holes]), plain("f", "")].concat();
    let xattr = ("SCHILY.xattr.user.a", &*"x".repeat(200));
    let acl = "user::rwx,user:nobody:rwx,group::rwx,mask::rwx,other::rwx";
    let acl = ("SCHILY.acl.access", &*format!("{acl}{}", ",".repeat(100)));
    let long = "n".repeat(99);
    for (bytes, members, kept, part) in [
        (script("a=1 b=2 c=3"), 3, 1000, ""),
        (script("a=1 b=2 c=3"), 2, 1000, "2 members"),
        // The folders on the way count too.
        (script("a/b/c/d=1"), 4, 1000, ""),
        (script("a/b/c/d=1"), 3, 1000, "3 members"),
        (script(&format!("{long}=1 {long}=2")), 9, 300, "300 bytes"),
        (script(&format!("l->{long}")), 9, 99, "99 bytes"),
        (
            [pax(&[xattr]), plain("f", "")].concat(),
            9,
            200,
            "200 bytes",
        ),
        ([pax(&[acl]), plain("f", "")].concat(), 9, 100, "100 bytes"),
        (holes, 9, 64, "64 bytes"),
    ] {
        let read = read_plain(Arc::new(bytes), Limits { members, kept });
        if part.is_empty() {
            assert!(read.is_ok(), "{read:?}");
            continue;
        }
        let error = read.unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("more than {part}")), "{text}");
    }
}

#[test]
fn an_archive_ends_at_zeros_or_where_its_source_does() {
    let member = plain("a", "1");
    for end in [0, 512, 1024, 10_240] {
        let bytes = [&member[..], &vec![0; end]].concat();
        assert_eq!(listing(&read(&bytes).unwrap()), "/a=1");
    }
    let more = [&member[..], &[0; 512], &plain("b", "2")].concat();
    assert_eq!(listing(&read(&more).unwrap()), "/a=1");
    // Without the padding of the last member.
    assert_eq!(listing(&read(&member[..513]).unwrap()), "/a=1");
    assert_eq!(listing(&read(b"").unwrap()), "");
}

#[test]
fn only_what_begins_with_a_header_is_an_archive() {
    assert!(probe(&plain("a", "")).unwrap().is_some());
    let mut boot = vec![0; 1024];
    boot[510..512].copy_from_slice(&[0x55, 0xaa]);
    let iso = [vec![0; 32_768], b"\x01CD001".to_vec()].concat();
    for bytes in [
        vec![],
        vec![0; 1024],
        vec![0xff; 512],
        boot,
        iso,
        script("a=1")[..511].to_vec(),
    ] {
        assert_eq!(probe(&bytes).unwrap(), None);
    }
    assert!(matches!(read(&[1; 512]), Err(error) if error.kind() == Kind::Corrupt));
    let tree = read(&script("a->b")).unwrap();
    assert!(matches!(
        tree.walk().last().unwrap().inode.node,
        Node::Symlink(_)
    ));
}
