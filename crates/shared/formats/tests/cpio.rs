//! Archives of GNU cpio are read, and ours are read by GNU cpio, with everything that they can hold.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test starts reference programs, says what it skips, and stops where something is wrong"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use block::Content;
use formats::cpio::{WriteOptions, read_tree, write};
use tree::Tree;

fn skip(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "needs {what}");
    eprintln!("SKIPPED: needs {what}");
}

/// Whether the reference program is there; says so where it is not, and fails in CI.
fn need(tool: &str) -> bool {
    let there = std::env::var("PATH")
        .is_ok_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()));
    if !there {
        skip(tool);
    }
    there
}

/// Runs `program` in `folder` with `input`, and answers with what it prints.
fn pipe(folder: &Path, program: &str, args: &[&str], input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new(program)
        .current_dir(folder)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {args:?}");
    // OK: a program that has read its archive does not read the zeros behind it.
    let _written = writer.join().unwrap();
    output.stdout
}

/// A folder with every kind of node that may be made here: devices only by root.
fn sample(folder: &Path) {
    fs::create_dir_all(folder.join("dir/below")).unwrap();
    fs::write(folder.join("dir/file"), b"content").unwrap();
    fs::write(folder.join("empty"), b"").unwrap();
    fs::write(folder.join("large"), vec![b'x'; 300_001]).unwrap();
    fs::hard_link(folder.join("dir/file"), folder.join("another name")).unwrap();
    fs::hard_link(folder.join("dir/file"), folder.join("dir/below/third")).unwrap();
    symlink("dir/file", folder.join("link")).unwrap();
    for (name, mode) in [("dir", 0o2750), ("large", 0o4711), ("dir/below", 0o1777)] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    assert!(
        Command::new("mkfifo")
            .arg(folder.join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let node = |args: &[&str]| {
            let made = Command::new("mknod")
                .current_dir(folder)
                .args(args)
                .status();
            assert!(made.unwrap().success());
        };
        node(&["char", "c", "5", "1"]);
        node(&["block", "b", "259", "70000"]);
    }
}

/// What `find` says of every file, and the content of all of them.
fn listing(folder: &Path) -> String {
    // GNU cpio sets no times of symbolic links, and those of folders are the unpacking's.
    let timed = "%P %y %m %U %G %n %s %T@\n";
    let others = "%P %y %m %U %G %l\n";
    let mut text = Vec::new();
    for (test, format) in [
        (&["!", "-type", "d", "!", "-type", "l"][..], timed),
        (&["-type", "d,l"], others),
    ] {
        let args = [&["."], test, &["-printf", format]].concat();
        text.extend(pipe(folder, "find", &args, Vec::new()));
    }
    let devices = "find . -type c -o -type b | sort | xargs -r stat -c '%n %t:%T'";
    text.extend(pipe(folder, "sh", &["-c", devices], Vec::new()));
    let sums = "find . -type f -exec sha256sum {} +";
    text.extend(pipe(folder, "sh", &["-c", sums], Vec::new()));
    let text = String::from_utf8(text).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let bytes = content.read_all(1 << 20).unwrap();
        format!("{} {}", bytes.len(), crc32fast::hash(&bytes))
    })
}

#[test]
fn ref_gnu_cpio_and_this_crate_hand_a_folder_to_each_other_unchanged() {
    if !["cpio", "find", "mkfifo", "mknod", "sha256sum"]
        .into_iter()
        .all(need)
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    sample(&source);
    // Whole seconds, which is all that an archive holds.
    let touch = ["-exec", "touch", "-h", "-d", "@1700000000", "{}", "+"];
    pipe(&source, "find", &[&["."], &touch[..]].concat(), Vec::new());

    let names = pipe(&source, "find", &["."], Vec::new());
    for format in ["newc", "crc"] {
        let theirs = pipe(
            &source,
            "cpio",
            &["-o", "--quiet", "-H", format],
            names.clone(),
        );
        let tree = read_tree(Arc::new(theirs)).unwrap();
        let mut ours = Vec::new();
        write(&tree, &WriteOptions::default(), &mut ours).unwrap();
        let again = read_tree(Arc::new(ours.clone())).unwrap();
        assert_eq!(dump(&again), dump(&tree));

        let target = folder.path().join(format);
        fs::create_dir(&target).unwrap();
        pipe(&target, "cpio", &["-i", "-d", "-m", "--quiet"], ours);
        assert_eq!(listing(&target), listing(&source));
    }
}
