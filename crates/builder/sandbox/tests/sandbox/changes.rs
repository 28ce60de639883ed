//! What comes back into the tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Content, Piece, ReadAt};
use tree::{Inode, Metadata, Node, Tree};

use crate::system::{self, OLD, TIME, dump, lines, metadata, path, put, read};

#[test]
fn what_is_laid_down_is_seen_as_the_tree_has_it_and_comes_back_untouched() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    put(&mut tree, "/home/owned", 0o4750, b"x");
    let (_, id) = tree.resolve("/home/owned").unwrap();
    tree.metadata_mut(id).uid = 33;
    tree.metadata_mut(id).gid = 44;
    tree.metadata_mut(id).mtime.nanoseconds = 123_456_789;
    put(&mut tree, "/home/secret", 0o000, b"nobody reads it");
    tree.put(&path("/home/fifo"), Inode::new(metadata(0o600), Node::Fifo))
        .unwrap();
    tree.put(
        &path("/home/socket"),
        Inode::new(metadata(0o600), Node::Socket),
    )
    .unwrap();
    let shut = Inode::new(
        Metadata {
            uid: 33,
            ..metadata(0o000)
        },
        Node::empty_directory(),
    );
    tree.put(&path("/home/shut"), shut).unwrap();
    put(&mut tree, "/home/shut/in", 0o644, b"y");
    let sparse = Content::new([
        Piece::Hole { len: 1 << 30 },
        Piece::Bytes(Arc::from(*b"end")),
        Piece::Hole { len: 5 },
    ]);
    tree.put(
        &path("/home/sparse"),
        Inode::new(metadata(0o600), Node::File(sparse.unwrap())),
    )
    .unwrap();
    let before = dump(&tree);
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    let seen = lines(
        &mut sandbox,
        "cd /home; stat -c '%n %a %u:%g %s %Y %F' owned secret fifo shut; ls shut
         stat -c '%s %b' sparse | sed 's/ .$/ few/; s/ ..$/ few/'; stat -c %h /bin/busybox; ls /dev/console 2>/dev/null || echo no console",
    );
    assert_eq!(
        seen,
        [
            "owned 4750 33:44 1 1000000000 regular file",
            "secret 0 0:0 15 1000000000 regular file",
            "fifo 600 0:0 0 1000000000 fifo",
            "shut 0 33:0 4096 1000000000 directory",
            "in",
            "1073741832 few",
            "16",
            "no console",
        ]
    );
    let changes = sandbox.leave(&mut tree).unwrap();
    assert_eq!(changes, sandbox::Changes::default());
    assert_eq!(dump(&tree), before);
}

#[test]
fn what_a_program_makes_comes_back_with_owner_permissions_and_holes() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    lines(
        &mut sandbox,
        "cd /var; mkdir -p new/deep; echo content > new/deep/file; chown 33:44 new/deep/file; chmod 6751 new/deep/file
         ln -s target link; ln new/deep/file second; mkfifo fifo; chmod 1777 new
         dd if=/dev/zero of=sparse bs=1 count=1 seek=1048576 2>/dev/null; : > empty
         echo more >> /etc/issue; rm /etc/passwd; chmod 700 /home; touch -d @1000 old",
    );
    let changes = sandbox.leave(&mut tree).unwrap();
    drop(sandbox);
    let texts =
        |paths: &[tree::TreePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        texts(&changes.added),
        [
            "/var/empty",
            "/var/fifo",
            "/var/link",
            "/var/new",
            "/var/new/deep",
            "/var/new/deep/file",
            "/var/old",
            "/var/second",
            "/var/sparse"
        ]
    );
    // Both folders have other names than before, and /home other permissions.
    assert_eq!(
        texts(&changes.changed),
        ["/etc", "/etc/issue", "/home", "/var"]
    );
    assert_eq!(texts(&changes.removed), ["/etc/passwd"]);
    let node = |at: &str| tree.inode(tree.lookup(&path(at)).unwrap());
    let file = node("/var/new/deep/file");
    assert_eq!(
        (file.metadata.uid, file.metadata.gid, file.mode()),
        (33, 44, 0o106_751)
    );
    assert_eq!(file.metadata.mtime, TIME, "no clock gets into the tree");
    assert_eq!(file.names(), 2);
    assert_eq!(
        tree.lookup(&path("/var/second")),
        tree.lookup(&path("/var/new/deep/file"))
    );
    assert_eq!(node("/var/old").metadata.mtime.seconds, 1000);
    assert_eq!(node("/var/new").metadata.permissions, 0o1777);
    assert!(matches!(node("/var/fifo").node, Node::Fifo));
    assert_eq!(read(&tree, "/etc/issue"), b"issue\nmore\n");
    assert_eq!(read(&tree, "/var/empty"), b"");
    let sparse = tree.file("/var/sparse").unwrap();
    assert_eq!(sparse.len(), 1_048_577);
    assert!(
        sparse.next_data(0).unwrap().unwrap().start > 900_000,
        "holes stay holes"
    );
}

#[test]
fn a_change_in_the_same_moment_with_the_same_length_is_seen() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    for round in 0..10 {
        // The program gives the old time back, so that only the kernel's own record tells.
        lines(
            &mut sandbox,
            &format!(
                "echo {round}ssue | dd of=/etc/issue conv=notrunc 2>/dev/null; touch -d @1000000000 /etc/issue"
            ),
        );
        let changes = sandbox.leave(&mut tree).unwrap();
        assert_eq!(changes.changed, [path("/etc/issue")], "round {round}");
        assert_eq!(
            read(&tree, "/etc/issue"),
            format!("{round}ssue\n").as_bytes()
        );
    }
}

#[test]
fn what_was_read_back_stays_as_it_was_whatever_happens_later() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    lines(&mut sandbox, "echo first > /var/x");
    sandbox.leave(&mut tree).unwrap();
    let first = tree.clone();
    lines(&mut sandbox, "echo other > /var/x");
    sandbox.leave(&mut tree).unwrap();
    drop(sandbox);
    assert_eq!(
        std::fs::read_dir(scratch.path()).unwrap().count(),
        0,
        "the scratch is gone"
    );
    assert_eq!(read(&first, "/var/x"), b"first\n");
    assert_eq!(read(&tree, "/var/x"), b"other\n");
}

#[test]
fn entering_again_lays_down_what_differs() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    put(&mut tree, "/var/a", 0o644, b"a");
    put(&mut tree, "/var/b", 0o644, b"b");
    put(&mut tree, "/var/folder/in/it", 0o644, b"it");
    put(&mut tree, "/var/kind", 0o644, b"file");
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    lines(&mut sandbox, "echo made > /var/made");
    sandbox.leave(&mut tree).unwrap();
    // Names change places, a folder goes, a link comes, metadata changes, and what was read back moves.
    let node = |tree: &Tree<Content>, at: &str| tree.inode(tree.lookup(&path(at)).unwrap()).clone();
    let (a, b, made) = (
        node(&tree, "/var/a"),
        node(&tree, "/var/b"),
        node(&tree, "/var/made"),
    );
    tree.put(&path("/var/a"), Inode::new(b.metadata, b.node))
        .unwrap();
    tree.put(&path("/var/b"), Inode::new(a.metadata, a.node))
        .unwrap();
    tree.remove_path(&path("/var/made"));
    tree.put(&path("/var/moved"), Inode::new(made.metadata, made.node))
        .unwrap();
    tree.remove_path(&path("/var/folder"));
    tree.put(
        &path("/var/kind"),
        Inode::new(metadata(0o750), Node::empty_directory()),
    )
    .unwrap();
    put(&mut tree, "/var/kind/new", 0o640, b"new");
    let (_, var) = tree.resolve("/var").unwrap();
    let issue = tree.lookup(&path("/etc/issue")).unwrap();
    tree.link(var, tree::Name::new(b"issue").unwrap(), issue)
        .unwrap();
    tree.metadata_mut(issue).permissions = 0o600;
    let before = dump(&tree);
    sandbox.enter(&tree).unwrap();
    let seen = lines(
        &mut sandbox,
        "cd /var; cat a b; echo; ls; cat moved kind/new; echo; stat -c '%h %a' issue; stat -c '%a %Y' kind .",
    );
    assert_eq!(
        seen,
        [
            "ba",
            "a",
            "b",
            "issue",
            "kind",
            "moved",
            "made",
            "new",
            "2 600",
            "750 1000000000",
            &format!("755 {}", TIME.seconds)
        ]
    );
    assert_eq!(
        sandbox.leave(&mut tree).unwrap(),
        sandbox::Changes::default()
    );
    assert_eq!(dump(&tree), before);
}

#[test]
fn links_between_names_are_seen_when_they_come_and_go() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    put(&mut tree, "/var/a", 0o644, b"a");
    let (_, var) = tree.resolve("/var").unwrap();
    let id = tree.lookup(&path("/var/a")).unwrap();
    tree.link(var, tree::Name::new(b"b").unwrap(), id).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    let same = |tree: &Tree<Content>, one: &str, other: &str| {
        tree.lookup(&path(one)) == tree.lookup(&path(other))
    };
    lines(
        &mut sandbox,
        "cd /var; echo other > c; mv c b; mkdir d; ln /etc/issue d/issue",
    );
    sandbox.leave(&mut tree).unwrap();
    assert!(!same(&tree, "/var/a", "/var/b") && same(&tree, "/etc/issue", "/var/d/issue"));
    assert_eq!(
        (read(&tree, "/var/a"), read(&tree, "/var/b")),
        (b"a".to_vec(), b"other\n".to_vec())
    );
    // The folder moves, the names in it are links still.
    lines(&mut sandbox, "mv /var/d /e");
    sandbox.leave(&mut tree).unwrap();
    assert!(same(&tree, "/etc/issue", "/e/issue") && tree.lookup(&path("/var/d")).is_none());
    lines(&mut sandbox, "rm /etc/issue");
    sandbox.leave(&mut tree).unwrap();
    let left = tree.inode(tree.lookup(&path("/e/issue")).unwrap());
    assert_eq!(left.names(), 1);
}

#[test]
fn labels_stay_with_their_paths_and_capabilities_and_acls_are_carried() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let xattrs = |pairs: &[(&str, &[u8])]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.as_bytes().into(), (*value).into()));
        Arc::new(pairs.collect::<BTreeMap<Box<[u8]>, Box<[u8]>>>())
    };
    let capability: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let label: (&str, &[u8]) = ("security.selinux", b"system_u:object_r:x_t:s0\0");
    for name in [
        "/var/kept",
        "/var/changed",
        "/var/replaced",
        "/var/other-kind",
    ] {
        put(&mut tree, name, 0o755, b"x");
        let id = tree.lookup(&path(name)).unwrap();
        tree.metadata_mut(id).xattrs =
            xattrs(&[label, ("security.capability", capability), ("user.a", b"b")]);
    }
    let before = dump(&tree);
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    assert_eq!(
        sandbox.leave(&mut tree).unwrap(),
        sandbox::Changes::default()
    );
    assert_eq!(dump(&tree), before);
    lines(
        &mut sandbox,
        "cd /var; echo y > changed; cp kept new; mv new replaced; rm other-kind; mkdir other-kind; cp kept added; chmod 700 kept",
    );
    sandbox.leave(&mut tree).unwrap();
    let of = |at: &str| {
        tree.inode(tree.lookup(&path(at)).unwrap())
            .metadata
            .xattrs
            .clone()
    };
    let names = |at: &str| {
        of(at)
            .keys()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect::<Vec<_>>()
    };
    let has_user = of("/var/kept").contains_key(b"user.a".as_slice());
    assert!(has_user);
    assert_eq!(
        of("/var/kept")
            .get(b"security.capability".as_slice())
            .unwrap()
            .as_ref(),
        capability
    );
    // Writing to a file takes its capabilities away, as the kernel does.
    assert_eq!(names("/var/changed"), ["security.selinux", "user.a"]);
    assert_eq!(names("/var/replaced"), ["security.selinux"]);
    assert_eq!(names("/var/other-kind"), Vec::<String>::new());
    assert_eq!(names("/var/added"), Vec::<String>::new());
}

#[test]
fn a_folder_in_which_something_came_and_went_is_as_before() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let before = dump(&tree);
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    lines(
        &mut sandbox,
        "touch /etc/x /var/y; rm /etc/x /var/y; mkdir /z; rmdir /z",
    );
    assert_eq!(
        sandbox.leave(&mut tree).unwrap(),
        sandbox::Changes::default()
    );
    assert_eq!(dump(&tree), before);
    let (_, etc) = tree.resolve("/etc").unwrap();
    assert_eq!(tree.inode(etc).metadata.mtime, OLD);
}

#[test]
fn a_tree_that_is_deeper_than_any_path_is_removed_all_the_same() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    let name = "x".repeat(250);
    lines(
        &mut sandbox,
        &format!("cd /var; i=0; while [ $i -lt 30 ]; do mkdir {name}; cd {name}; i=$((i+1)); done"),
    );
    let error = sandbox.leave(&mut tree).unwrap_err();
    assert_eq!(error.kind(), block::Kind::Limit, "{error}");
    drop(sandbox);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn an_owner_that_this_user_cannot_have_is_named_with_its_file() {
    if system::is_root() {
        return;
    }
    let Some(mut tree) = system::tree() else {
        return;
    };
    put(&mut tree, "/var/far", 0o644, b"x");
    let (_, id) = tree.resolve("/var/far").unwrap();
    tree.metadata_mut(id).uid = 4_000_000_000;
    let scratch = tempfile::tempdir().unwrap();
    let Ok(mut sandbox) = sandbox::Sandbox::new(&system::options(scratch.path())) else {
        return;
    };
    let error = sandbox.enter(&tree).unwrap_err().to_string();
    assert!(
        error.contains("/var/far")
            && error.contains("4000000000:0")
            && error.contains("/etc/subuid"),
        "{error}"
    );
}

#[test]
fn a_file_that_cannot_be_read_stops_it_with_its_path() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let short: Arc<dyn ReadAt> = Arc::new(b"short".to_vec());
    let content = Content::new([Piece::Range {
        source: short,
        offset: 0,
        len: 10,
    }])
    .unwrap();
    tree.put(
        &path("/var/broken"),
        Inode::new(metadata(0o644), Node::File(content)),
    )
    .unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let Ok(mut sandbox) = sandbox::Sandbox::new(&system::options(scratch.path())) else {
        return;
    };
    let error = sandbox.enter(&tree).unwrap_err();
    assert_eq!(error.kind(), block::Kind::Corrupt);
    assert!(error.to_string().contains("/var/broken"), "{error}");
}
