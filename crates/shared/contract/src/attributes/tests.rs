//! Lists as they are written, and as they are damaged.

use super::*;
use proptest::prelude::*;

fn set(pairs: &[(&str, &[u8])]) -> Set {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (Box::from(name.as_bytes()), Box::from(*value)));
    Arc::new(pairs.collect())
}

fn sample() -> Attributes {
    let mut list = Attributes::new(1234);
    let label = (
        "security.selinux",
        b"system_u:object_r:usr_t:s0\0".as_slice(),
    );
    let both = set(&[("security.capability", &[1, 0, 0, 2]), label]);
    list.insert(b"/usr/bin/ping", &both).unwrap();
    list.insert(b"/", &set(&[label])).unwrap();
    list.insert(b"/usr", &set(&[label])).unwrap();
    list.insert(b"/srv/a b\n\\\xff", &set(&[("user.x", b"")]))
        .unwrap();
    list
}

#[test]
fn the_text_is_as_it_is_written_down() {
    let text = "liveos attributes 1
content 1234
files 4
value security.capability 01000002
value security.selinux 73797374656d5f753a6f626a6563745f723a7573725f743a733000
value user.x 
set 0,1
set 1
set 2
path 1 /
path 2 /srv/a\\x20b\\x0a\\x5c\\xff
path 1 /usr
path 0 /usr/bin/ping
";
    assert_eq!(sample().print(), text);
    assert_eq!(Attributes::parse(text).unwrap(), sample());
}

#[test]
fn a_list_without_files_is_one_and_an_empty_set_is_none() {
    let mut list = Attributes::new(0);
    list.insert(b"/x", &Set::default()).unwrap();
    assert!(list.is_empty());
    assert_eq!(Attributes::parse(&list.print()).unwrap(), list);
    assert!(sample().has(b"user.x") && !sample().has(b"user.y"));
    assert_eq!(sample().len(), 4);
}

#[test]
fn a_list_that_is_cut_anywhere_is_refused() {
    let text = sample().print();
    for at in 0..text.len() {
        assert!(Attributes::parse(&text[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn what_is_not_so_is_refused_with_its_line() {
    for (from, to) in [("files 4", "files 5"), ("files 4", "files 3")] {
        let text = sample().print().replacen(from, to, 1);
        assert!(Attributes::parse(&text).is_err(), "{to}");
    }
    for (from, to, line) in [
        ("files 4", "file 4", 3),
        ("liveos attributes 1", "liveos attributes 2", 1),
        ("content 1234", "contents 1234", 2),
        ("content 1234", "content -1", 2),
        ("content 1234", "content +1", 2),
        (
            "value security.capability 01000002",
            "value security.capability 0100000",
            4,
        ),
        (
            "value security.capability 01000002",
            "value security.capability 0100000G",
            4,
        ),
        ("value security.capability", "value security.xx", 5),
        ("set 0,1", "set 0,9", 7),
        ("set 0,1", "set 1,0", 7),
        ("set 0,1", "set 0,0", 7),
        ("set 0,1", "set ", 7),
        ("set 0,1", "sets 0,1", 7),
        ("path 1 /\n", "path 1 //\n", 10),
        ("path 1 /\n", "path 9 /\n", 10),
        ("path 1 /\n", "path 1 /zzz\n", 11),
        ("path 1 /usr\n", "path 1 usr\n", 12),
        ("path 1 /usr\n", "path 1 /usr/../usr\n", 12),
        ("path 1 /usr\n", "path 1 /usr\\x00\n", 12),
        ("path 1 /usr\n", "path 1 /usr\\x0\n", 12),
        ("path 1 /usr\n", "set 2\n", 12),
    ] {
        let text = sample().print().replacen(from, to, 1);
        assert_ne!(text, sample().print(), "{from} is not there");
        let error = Attributes::parse(&text).unwrap_err();
        assert_eq!(error.line, Some(line), "{to}: {error}");
    }
}

#[test]
fn a_list_that_stands_for_more_than_is_held_is_refused() {
    let mut text = format!("{HEADER}\ncontent 1\nfiles 0\n");
    for number in 0..64 {
        let value = "00".repeat(MAX_VALUE);
        writeln!(text, "value user.{number:02} {value}").unwrap();
    }
    let most: Vec<String> = (0..64).map(|n: u32| n.to_string()).collect();
    for first in 0..32 {
        writeln!(text, "set {}", most[first..].join(",")).unwrap();
    }
    let error = Attributes::parse(&text).unwrap_err();
    assert!(error.to_string().contains("over"), "{error}");
}

#[test]
fn what_linux_cannot_have_is_not_taken_into_a_list() {
    let mut list = Attributes::new(0);
    let good = set(&[("user.a", b"1")]);
    for path in ["", "usr", "/usr/", "/a//b", "/a/./b", "/a\0"] {
        assert!(list.insert(path.as_bytes(), &good).is_err(), "{path:?}");
    }
    assert!(list.insert(&[b'/'; 4096], &good).is_err());
    for bad in [
        set(&[("", b"1")]),
        set(&[(&"n".repeat(256), b"1")]),
        set(&[("user.a", &[0; MAX_VALUE + 1])]),
    ] {
        assert!(list.insert(b"/a", &bad).is_err());
    }
    assert!(list.is_empty());
}

proptest! {
    #[test]
    fn any_list_is_read_back_as_it_was(
        files in proptest::collection::btree_map("/[a-c \\\\\u{e9}]{1,4}", proptest::collection::btree_map("[a-b.]{1,3}", proptest::collection::vec(any::<u8>(), 0..3), 1..3), 0..8),
        content_len: u64,
    ) {
        let mut list = Attributes::new(content_len);
        for (path, pairs) in &files {
            let pairs = pairs.iter().map(|(name, value)| (Box::from(name.as_bytes()), Box::from(value.as_slice())));
            list.insert(path.as_bytes(), &Arc::new(pairs.collect())).unwrap();
        }
        prop_assert_eq!(Attributes::parse(&list.print()).unwrap(), list);
    }

    #[test]
    fn any_text_is_a_list_or_an_error(lines in "((value|set|path|files) [0-9a-f/,\\\\x]{0,6} ?[0-9a-f/.]{0,4}\n){0,12}") {
        let _ = Attributes::parse(&format!("{HEADER}\ncontent 1\nfiles 1\n{lines}"));
    }
}
