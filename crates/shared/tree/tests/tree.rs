//! What a tree promises, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

use tree::{Error, Inode, Metadata, Name, Node, Tree, TreePath};

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn file(text: &str) -> Inode<String> {
    Inode::new(
        Metadata::with_permissions(0o644),
        Node::File(text.to_owned()),
    )
}

fn sample() -> Tree<String> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let id = tree.put(&path("/usr/bin/b"), file("b")).unwrap();
    let bin = tree.lookup(&path("/usr/bin")).unwrap();
    tree.link(bin, Name::new(b"a").unwrap(), id).unwrap();
    let link = |to: &str| Inode::new(Metadata::default(), Node::Symlink(to.as_bytes().into()));
    tree.put(&path("/bin"), link("usr/bin")).unwrap();
    tree.put(&path("/abs"), link("/../usr/../bin/b")).unwrap();
    tree.put(&path("/circle"), link("circle")).unwrap();
    tree
}

#[test]
fn a_walk_gives_each_name_once_in_byte_order_parents_first() {
    let tree = sample();
    let seen: Vec<String> = tree.walk().map(|entry| entry.path.to_string()).collect();
    assert_eq!(
        seen,
        [
            "/",
            "/abs",
            "/bin",
            "/circle",
            "/usr",
            "/usr/bin",
            "/usr/bin/a",
            "/usr/bin/b"
        ]
    );
}

#[test]
fn symbolic_links_are_followed_inside_the_tree_only() {
    let tree = sample();
    assert_eq!(tree.file("/bin/b").unwrap(), "b");
    assert_eq!(tree.file("abs").unwrap(), "b");
    assert_eq!(tree.resolve("../../bin/a").unwrap().0, path("/usr/bin/a"));
    assert_eq!(
        tree.resolve("/circle").unwrap_err(),
        Error::TooManySymlinks(path("/circle"))
    );
    assert_eq!(
        tree.resolve("/usr/bin/b/x").unwrap_err(),
        Error::NotADirectory(path("/usr/bin/b"))
    );
    assert_eq!(
        tree.resolve("/usr/x").unwrap_err(),
        Error::NotFound(path("/usr/x"))
    );
}

#[test]
fn names_count_links_and_removal_counts_back() {
    let mut tree = sample();
    let id = tree.lookup(&path("/usr/bin/b")).unwrap();
    assert_eq!(tree.inode(id).names(), 2);
    assert!(tree.remove_path(&path("/usr/bin/a")));
    assert!(!tree.remove_path(&path("/usr/bin/a")));
    assert_eq!(tree.inode(id).names(), 1);
    assert!(tree.remove_path(&path("/usr")));
    assert_eq!(tree.inode(id).names(), 0);
}

#[test]
fn folders_have_one_name() {
    let mut tree = sample();
    let usr = tree.lookup(&path("/usr")).unwrap();
    let error = tree
        .link(tree.root(), Name::new(b"again").unwrap(), usr)
        .unwrap_err();
    assert!(matches!(error, Error::DirectoryHardLink(_)));
}

#[test]
fn a_graft_hides_what_was_there_and_keeps_hard_links() {
    let mut tree = sample();
    let usr = tree.lookup(&path("/usr")).unwrap();
    let mut other = sample();
    other.metadata_mut(other.root()).uid = 7;
    tree.graft(usr, other).unwrap();
    assert_eq!(tree.inode(usr).metadata.uid, 7);
    assert!(
        tree.lookup(&path("/usr/bin/b")).is_none(),
        "bin is a link now"
    );
    let a = tree.lookup(&path("/usr/usr/bin/a")).unwrap();
    assert_eq!(Some(a), tree.lookup(&path("/usr/usr/bin/b")));
    assert_eq!(tree.inode(a).names(), 2);
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    for bad in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
        assert!(Name::new(bad).is_err(), "{bad:?}");
    }
    assert!(TreePath::parse("/a/../b").is_err());
    assert_eq!(path("a//./b/"), path("/a/b"));
    assert!(path("/a/b").starts_with(&path("/a")));
    assert!(!path("/ab").starts_with(&path("/a")));
}

#[test]
fn a_dump_shows_all_that_a_tree_holds() {
    let dump = sample().dump(|content| format!("{content:?}"));
    assert!(
        dump.contains("100644 0:0 0.000000000 /usr/bin/b = /usr/bin/a"),
        "{dump}"
    );
    assert!(dump.contains("/bin -> usr/bin"), "{dump}");
}
