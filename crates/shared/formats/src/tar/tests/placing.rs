//! Where members go, and where they cannot be.

use block::Kind;

use super::super::format::kind;
use super::{listing, member, plain, read, script};

#[test]
fn members_go_where_tar_would_put_them() {
    for (what, members, expected) in [
        ("absolute names", "/a//./b=1", "/a/ /a/b=1"),
        ("a later file", "a=1 a=2", "/a=2"),
        ("one of two names", "a=1 b==./a a=2", "/a=2 /b=1"),
        ("a hard link to itself", "a=1 a==a", "/a=1"),
        ("a hard link to a link", "l->x m==l", "/l->x /m->x"),
        ("a hard link over a file", "a=1 b=2 b==a", "/a=1 /b=1"),
        (
            "a hard link through a link",
            "d/a=1 l->d b==l/a",
            "/b=1 /d/ /d/a=1 /l->d",
        ),
        ("a folder twice", "d/ d/a=1 d", "/d/ /d/a=1"),
        ("a folder over a file", "d=1 d/", "/d/"),
        ("a file over an empty folder", "d/ d=1", "/d=1"),
        (
            "a folder over a link to a folder",
            "usr/lib/ lib->usr/lib lib/ lib/a=1",
            "/lib->usr/lib /usr/ /usr/lib/ /usr/lib/a=1",
        ),
        (
            "a folder over a link to a folder beside its own",
            "a/b/ c/ c/l->../a/b c/l/",
            "/a/ /a/b/ /c/ /c/l->../a/b",
        ),
        (
            "a folder over a link to nothing",
            "d->none d/ d/a=1",
            "/d/ /d/a=1",
        ),
        ("a folder over a link to a file", "f=1 d->f d/", "/d/ /f=1"),
        (
            "through a link whose folder comes later",
            "lib->usr/lib lib/a=1 usr/lib/",
            "/lib->usr/lib /usr/ /usr/lib/ /usr/lib/a=1",
        ),
        (
            "through a link out of the tree",
            "l->../../etc l/passwd=1",
            "/etc/ /etc/passwd=1 /l->../../etc",
        ),
        (
            "through an absolute link",
            "d/ d/l->/etc d/l/passwd=1",
            "/d/ /d/l->/etc /etc/ /etc/passwd=1",
        ),
        (
            "a link in the place of the folder that was last",
            "e/x=0 d/ d->e d/a=1",
            "/d->e /e/ /e/a=1 /e/x=0",
        ),
        (
            "a link on the way to the folder that was last",
            "d/l->../e d/l/a=1 d/l=2 d/l->../f d/l/b=3",
            "/d/ /d/l->../f /e/ /e/a=1 /f/ /f/b=3",
        ),
        ("up from the root", "l->../../.. l/a=1", "/a=1 /l->../../.."),
    ] {
        let tree = read(&script(members)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(listing(&tree), expected, "{what}");
    }
}

#[test]
fn members_that_cannot_be_are_refused_with_their_path() {
    let deep = vec!["d"; 45].join("/");
    let deep_links = format!("l->{deep} {deep}/l->{deep} l/l/l->{deep} l/l/l/a=1");
    for (members, kind, part) in [
        ("../a=1", Kind::Corrupt, "../a"),
        ("a/../b=1", Kind::Corrupt, "a/../b"),
        ("=1", Kind::Corrupt, "name"),
        (".=1", Kind::Corrupt, "root"),
        (".->a", Kind::Corrupt, "root"),
        ("a=1 a/b=1", Kind::Corrupt, "a/b"),
        ("a=1 a/b/", Kind::Corrupt, "a/b"),
        ("a=1 l->a l/b=1", Kind::Corrupt, "l/b"),
        ("d/a=1 d=1", Kind::Corrupt, "d: there is a folder"),
        ("d/a=1 d->e", Kind::Corrupt, "d: there is a folder"),
        ("a=1 d/a=1 d==a", Kind::Corrupt, "d: there is a folder"),
        ("a==missing", Kind::Corrupt, "missing"),
        ("a==missing/b", Kind::Corrupt, "missing"),
        ("d/ a==d", Kind::Corrupt, "a folder"),
        ("a==/", Kind::Corrupt, "a folder"),
        ("a==../../etc/passwd", Kind::Corrupt, ".."),
        ("l->l l/a=1", Kind::Corrupt, "40 symbolic links"),
        ("a->", Kind::Corrupt, "link"),
        (&deep_links, Kind::Limit, "128 folders"),
    ] {
        let error = read(&script(members)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}: {part}");
        assert!(error.place().offset.is_some(), "{error}");
    }
    let error = read(&member("a", b'Q', b"", &|_| {})).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(
        error.to_string().contains("a: a member of the type \"Q\""),
        "{error}"
    );
}

#[test]
fn what_the_size_of_a_device_says_is_not_passed_over() {
    let device = member("c", kind::CHARACTER, b"", &|block| {
        block[124..128].copy_from_slice(b"777\0");
    });
    let tree = read(&[device, plain("a", "1")].concat()).unwrap();
    assert_eq!(listing(&tree), "/a=1 /c:20000");
}

#[test]
fn a_file_whose_name_ends_with_a_slash_is_a_folder() {
    for kind in [kind::OLD_FILE, kind::FILE] {
        let old = member("d/", kind, b"", &|block| block[257..265].fill(0));
        assert_eq!(listing(&read(&old).unwrap()), "/d/");
    }
}
