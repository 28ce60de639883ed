//! A small system: busybox and what it needs, as a tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Content, DiskFile};
use sandbox::{Ended, Options, Program, Sandbox};
use tree::{Device, Inode, Metadata, Node, Timestamp, Tree, TreePath};

/// The time of everything in the tree, and of what programs change.
pub(crate) const OLD: Timestamp = Timestamp::from_seconds(1_000_000_000);
pub(crate) const TIME: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// The programs of the small system.
const APPLETS: [&str; 30] = [
    "sh", "cat", "chmod", "chown", "cp", "dd", "echo", "env", "find", "grep", "hostname", "id",
    "ifconfig", "ln", "ls", "mkdir", "mkfifo", "mknod", "mount", "mv", "ps", "rm", "rmdir", "sed",
    "sleep", "stat", "tee", "touch", "tty", "readlink",
];

/// Says why a test is not run.
///
/// # Panics
///
/// In a continuous integration run.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "needs {why}");
    eprintln!("SKIPPED: needs {why}");
}

/// Where busybox is; `None` (and a word about it) where it is not, or is no static program.
pub(crate) fn busybox() -> Option<PathBuf> {
    let found = ["/usr/bin/busybox", "/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file());
    if found.is_none() {
        skip("busybox-static");
    }
    found
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

pub(crate) fn metadata(permissions: u16) -> Metadata {
    Metadata {
        mtime: OLD,
        ..Metadata::with_permissions(permissions)
    }
}

pub(crate) fn put(tree: &mut Tree<Content>, at: &str, permissions: u16, bytes: &[u8]) {
    let node = Node::File(Content::from_bytes(bytes));
    tree.put(&path(at), Inode::new(metadata(permissions), node))
        .unwrap();
}

/// A small system; `None` where this machine has no busybox.
pub(crate) fn tree() -> Option<Tree<Content>> {
    let busybox = busybox()?;
    let mut tree = Tree::new(metadata(0o755));
    for folder in ["bin", "dev", "etc", "home", "tmp", "var"] {
        let inode = Inode::new(metadata(0o755), Node::empty_directory());
        tree.put(&path(folder), inode).unwrap();
    }
    let busybox = Content::from_source(Arc::new(DiskFile::open(busybox).unwrap()));
    let inode = Inode::new(metadata(0o755), Node::File(busybox));
    let id = tree.put(&path("/bin/busybox"), inode).unwrap();
    for (index, applet) in APPLETS.iter().enumerate() {
        let at = path(&format!("/bin/{applet}"));
        if index % 2 == 0 {
            let (_, bin) = tree.resolve("bin").unwrap();
            tree.link(bin, tree::Name::new(applet.as_bytes()).unwrap(), id)
                .unwrap();
        } else {
            let inode = Inode::new(metadata(0o777), Node::Symlink((*b"busybox").into()));
            tree.put(&at, inode).unwrap();
        }
    }
    put(
        &mut tree,
        "/etc/passwd",
        0o644,
        b"root:x:0:0::/root:/bin/sh\nuser:x:33:44::/:/bin/sh\n",
    );
    put(&mut tree, "/etc/issue", 0o644, b"issue\n");
    let device = Node::Character(Device { major: 5, minor: 1 });
    tree.put(&path("/dev/console"), Inode::new(metadata(0o600), device))
        .unwrap();
    Some(tree)
}

/// The executable that becomes the sandbox's processes.
pub(crate) fn child() -> PathBuf {
    std::env::var_os("LIVEOS_TEST_CHILD").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_sandbox-child")),
        PathBuf::from,
    )
}

pub(crate) fn options(scratch: &Path) -> Options {
    Options {
        executable: child(),
        ..Options::new(scratch, TIME)
    }
}

/// A sandbox with `tree` in it; `None` where this user can have none.
pub(crate) fn sandbox(scratch: &Path, tree: &Tree<Content>) -> Option<Sandbox> {
    let mut sandbox = match Sandbox::new(&options(scratch)) {
        Ok(sandbox) => sandbox,
        Err(error) if !is_root() && error.kind() != block::Kind::Corrupt => {
            skip(&format!("root, or a range for this user: {error}"));
            return None;
        }
        Err(error) => panic!("{}", describe(&error)),
    };
    sandbox
        .enter(tree)
        .map_err(|error| describe(&error))
        .unwrap();
    Some(sandbox)
}

pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(" <- {error}"));
        cause = error.source();
    }
    text
}

/// A program that is a line of shell.
pub(crate) fn shell(script: &str) -> Program {
    Program::new(["/bin/sh", "-c", script])
}

/// Runs `program`, and answers with its lines.
pub(crate) fn run(sandbox: &mut Sandbox, program: &Program) -> (Ended, Vec<String>) {
    let mut lines = Vec::new();
    let ended = sandbox
        .run(program, &mut |line| lines.push(line.to_owned()))
        .map_err(|error| describe(&error))
        .unwrap();
    (ended, lines)
}

/// Runs a line of shell that has to succeed, and answers with what it wrote.
pub(crate) fn lines(sandbox: &mut Sandbox, script: &str) -> Vec<String> {
    let (ended, lines) = run(sandbox, &shell(script));
    assert!(ended.success(), "{script}: {}", ended.describe());
    lines
}

/// A tree as text, with the beginning of each file.
pub(crate) fn dump(tree: &Tree<Content>) -> String {
    use block::ReadAt as _;
    tree.dump(|content| {
        let mut head = vec![0; usize::try_from(content.len().min(64)).unwrap()];
        content.read_exact_at(&mut head, 0).unwrap();
        format!("{} {}", content.len(), head.escape_ascii())
    })
}

/// A whole file of the tree.
pub(crate) fn read(tree: &Tree<Content>, at: &str) -> Vec<u8> {
    tree.file(at).unwrap().read_all(1 << 24).unwrap()
}
