//! Folders of this machine, read and held against what `find` and `getfattr` say of them.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests start reference programs and read the environment"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use block::{Kind, ReadAt as _};
use source::{Options, Origin, Source};
use support::{bytes, chain, need, put, run};
use tree::{Node, TreePath};

mod support;

/// Names the folder for the tests that run in a process of their own.
const FOLDER: &str = "LIVEOS_TEST_FOLDER";

fn open(path: &Path) -> Source {
    source::open(path, &Options::default()).unwrap()
}

fn refused(path: &Path) -> block::Error {
    source::open(path, &Options::default()).unwrap_err()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder with an `os-release`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    put(&folder.path().join("usr/lib/os-release"), b"ID=test\n");
    fs::create_dir(folder.path().join("etc")).unwrap();
    symlink(
        "../usr/lib/os-release",
        folder.path().join("etc/os-release"),
    )
    .unwrap();
    folder
}

/// A folder with one of each kind of file that this user may make.
fn everything() -> tempfile::TempDir {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    put(&at("etc/text"), b"text");
    put(&at("etc/empty"), b"");
    fs::hard_link(at("etc/text"), at("usr/second name")).unwrap();
    symlink("nowhere", at("etc/dangling")).unwrap();
    symlink("/etc/shadow", at("etc/absolute")).unwrap();
    put(
        &folder
            .path()
            .join(std::ffi::OsStr::from_bytes(b"etc/\xff\xfe \n")),
        b"odd",
    );
    run("mkfifo", &[at("etc/fifo").to_str().unwrap()]);
    drop(std::os::unix::net::UnixListener::bind(at("etc/socket")).unwrap());
    let sparse = fs::File::create(at("usr/sparse")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", 4 << 20).unwrap();
    fs::set_permissions(at("etc/text"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::create_dir(at("tmp")).unwrap();
    fs::set_permissions(at("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    run(
        "touch",
        &[
            "-d",
            "1955-05-05 05:05:05.123456789 UTC",
            at("etc/empty").to_str().unwrap(),
        ],
    );
    run(
        "touch",
        &[
            "-d",
            "2100-01-01 00:00:00.000000001 UTC",
            at("tmp").to_str().unwrap(),
        ],
    );
    if is_root() {
        run(
            "mknod",
            &[at("etc/char").to_str().unwrap(), "c", "4095", "70000"],
        );
        run("mknod", &[at("etc/block").to_str().unwrap(), "b", "8", "1"]);
        std::os::unix::fs::chown(at("usr/sparse"), Some(70_000), Some(4_000_000_000)).unwrap();
        std::os::unix::fs::lchown(at("etc/dangling"), Some(1), Some(2)).unwrap();
    }
    folder
}

/// What `find` says of everything in `folder`, by path.
fn found(folder: &Path) -> BTreeMap<Vec<u8>, String> {
    let format = r"%P\0%y %m %U %G %T@ %n %s %l\0";
    let printed = run("find", &[folder.to_str().unwrap(), "-printf", format]);
    let mut fields = printed.split(|byte| *byte == 0);
    let mut all = BTreeMap::new();
    while let (Some(path), Some(line)) = (fields.next(), fields.next()) {
        let line = String::from_utf8_lossy(line);
        let mut words: Vec<&str> = line.split(' ').collect();
        // The number of names and the size of a folder are the file system's own matter.
        if words[0] == "d" {
            words[5] = "1";
        }
        if words[0] != "f" {
            words[6] = "0";
        }
        all.insert([b"/".as_slice(), path].concat(), words.join(" "));
    }
    all
}

/// The same of a tree.
fn told(source: &Source) -> BTreeMap<Vec<u8>, String> {
    let line = |entry: tree::Entry<'_, block::Content>| {
        let metadata = &entry.inode.metadata;
        let (kind, len, target) = match &entry.inode.node {
            Node::Directory(_) => ("d", 0, String::new()),
            Node::File(content) => ("f", content.len(), String::new()),
            Node::Symlink(target) => ("l", 0, String::from_utf8_lossy(target).into_owned()),
            Node::Character(_) => ("c", 0, String::new()),
            Node::Block(_) => ("b", 0, String::new()),
            Node::Fifo => ("p", 0, String::new()),
            Node::Socket => ("s", 0, String::new()),
        };
        // find prints ten digits after the point.
        let time = format!(
            "{}.{:09}0",
            metadata.mtime.seconds, metadata.mtime.nanoseconds
        );
        format!(
            "{kind} {:o} {} {} {time} {} {len} {target}",
            metadata.permissions,
            metadata.uid,
            metadata.gid,
            entry.inode.names()
        )
    };
    source
        .tree
        .walk()
        .map(|entry| (entry.path.as_bytes().to_vec(), line(entry)))
        .collect()
}

#[test]
fn ref_everything_is_as_find_says() {
    if !need(&["find", "mkfifo", "mknod", "touch"]) {
        return;
    }
    let folder = everything();
    let source = open(folder.path());
    let mut expected = found(folder.path());
    // find writes a time before 1970 in its own way: it is held below.
    let old = expected.get_mut(b"/etc/empty".as_slice()).unwrap();
    let words: Vec<&str> = old.split(' ').collect();
    assert!(words[4].starts_with("-46"), "{old}");
    *old = told(&source)[b"/etc/empty".as_slice()].clone();
    assert_eq!(told(&source), expected);
    let (_, empty) = source.tree.resolve("etc/empty").unwrap();
    let time = source.tree.inode(empty).metadata.mtime;
    assert_eq!(
        (time.seconds, time.nanoseconds),
        (-462_653_695, 123_456_789)
    );
    let Origin::Folder(folder) = &source.origin else {
        panic!("{:?}", source.origin);
    };
    assert_eq!(folder.names, u64::try_from(expected.len()).unwrap());
    if is_root() {
        let (_, id) = source.tree.resolve("etc/char").unwrap();
        let device = tree::Device {
            major: 4095,
            minor: 70_000,
        };
        assert!(matches!(source.tree.inode(id).node, Node::Character(found) if found == device));
        assert!(source.warnings.is_empty(), "{:?}", source.warnings);
    }
}

/// What `getfattr` says of everything in `folder`: path, name, value.
fn listed(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let options = [
        "-R",
        "-P",
        "-h",
        "-d",
        "-m",
        "-",
        "-e",
        "hex",
        "--absolute-names",
        folder,
    ];
    let printed = String::from_utf8(run("getfattr", &options)).unwrap();
    let mut all = Vec::new();
    let mut path = String::new();
    for line in printed.lines() {
        if let Some(name) = line.strip_prefix("# file: ") {
            path = name
                .trim_start_matches(folder)
                .trim_start_matches('/')
                .to_owned();
        } else if !line.is_empty() {
            let line = line.trim_end_matches("=0x").trim_end_matches('=');
            all.push(format!("{path} {line}"));
        }
    }
    all.sort();
    all
}

#[test]
fn ref_xattrs_are_as_getfattr_says() {
    if !need(&["getfattr", "setfattr", "setfacl"]) {
        return;
    }
    let folder = everything();
    let at = |path: &str| folder.path().join(path).to_str().unwrap().to_owned();
    run(
        "setfattr",
        &["-n", "user.note", "-v", "a\nb", &at("etc/text")],
    );
    run("setfattr", &["-n", "user.empty", &at("etc")]);
    run("setfacl", &["-m", "u:123:rw,g:456:r", &at("usr/sparse")]);
    run("setfacl", &["-d", "-m", "u:123:rw", &at("etc")]);
    if is_root() {
        let cap = "0x0100000200240000000000000000000000000000";
        run(
            "setfattr",
            &["-n", "security.capability", "-v", cap, &at("etc/text")],
        );
        run(
            "setfattr",
            &["-n", "trusted.x", "-v", "y", &at("usr/lib/os-release")],
        );
        run(
            "setfattr",
            &["-h", "-n", "trusted.link", "-v", "z", &at("etc/dangling")],
        );
        run(
            "setfattr",
            &["-h", "-n", "trusted.pipe", "-v", "z", &at("etc/fifo")],
        );
    }
    let expected = listed(folder.path());
    assert!(expected.len() >= 4, "{expected:?}");
    let source = open(folder.path());
    let mut told = Vec::new();
    for entry in source.tree.walk() {
        for (name, value) in entry.inode.metadata.xattrs.iter() {
            let path = entry.path.to_string().trim_start_matches('/').to_owned();
            let name = String::from_utf8(name.to_vec()).unwrap();
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            let value = if hex.is_empty() {
                String::new()
            } else {
                format!("0x{hex}")
            };
            told.push(
                format!("{path} {name}={value}")
                    .trim_end_matches('=')
                    .to_owned(),
            );
        }
    }
    told.sort();
    assert_eq!(told, expected);
}

#[test]
fn contents_are_read_and_holes_are_holes() {
    let folder = everything();
    let source = open(folder.path());
    assert_eq!(bytes(&source.tree, "etc/text"), b"text");
    assert_eq!(bytes(&source.tree, "etc/os-release"), b"ID=test\n");
    assert_eq!(bytes(&source.tree, "etc/empty"), b"");
    let sparse = source.tree.file("usr/sparse").unwrap();
    let data = sparse.next_data(0).unwrap().unwrap();
    assert!(
        data.start > 1 << 20 && data.contains(&(4 << 20)),
        "{data:?}"
    );
    assert_eq!(sparse.next_data(data.end).unwrap(), None);
    let mut four = [0; 4];
    sparse.read_exact_at(&mut four, 4 << 20).unwrap();
    assert_eq!(&four, b"data");
    let past = sparse.read_exact_at(&mut four, (8 << 20) - 3).unwrap_err();
    assert_eq!(past.kind(), Kind::Corrupt);
}

#[test]
fn more_files_than_may_be_open_are_read_in_any_order() {
    let folder = folder();
    let count = 3000;
    for number in 0..count {
        let text = format!("{number}");
        put(
            &folder.path().join(format!("data/{number}")),
            text.as_bytes(),
        );
    }
    let source = open(folder.path());
    for step in [1, 7, 1499] {
        for number in 0..count {
            let number = number * step % count;
            let path = format!("data/{number}");
            assert_eq!(bytes(&source.tree, &path), format!("{number}").as_bytes());
        }
    }
    let open = fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 500, "{open} files are open");
}

#[test]
fn a_path_longer_than_the_kernel_takes_is_read() {
    let folder = folder();
    let mut at = rustix::fs::open(
        folder.path(),
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    let mut path = String::new();
    let name = "n".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&at, &name, 0o755.into()).unwrap();
        at = rustix::fs::openat(
            &at,
            &name,
            rustix::fs::OFlags::PATH,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        path.push_str(&name);
        path.push('/');
    }
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    let file = rustix::fs::openat(&at, "file", flags, 0o644.into()).unwrap();
    rustix::io::write(&file, b"deep").unwrap();
    rustix::fs::fsetxattr(&file, "user.depth", b"20", rustix::fs::XattrFlags::empty()).unwrap();
    let source = open(folder.path());
    let path = format!("{path}file");
    assert_eq!(bytes(&source.tree, &path), b"deep");
    let id = source
        .tree
        .lookup(&TreePath::parse(&path).unwrap())
        .unwrap();
    assert_eq!(source.tree.inode(id).metadata.xattrs.len(), 1);
}

#[test]
fn a_file_that_is_no_longer_what_it_was_is_named() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("longer", |path| fs::write(path, b"text and more").unwrap()),
        ("shorter", |path| fs::write(path, b"t").unwrap()),
        ("rewritten", |path| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(path, b"tex2").unwrap();
        }),
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("a link", |path| {
            fs::remove_file(path).unwrap();
            symlink("/etc/passwd", path).unwrap();
        }),
        ("a pipe", |path| {
            fs::remove_file(path).unwrap();
            run("mkfifo", &[path.to_str().unwrap()]);
        }),
    ];
    for (what, change) in changes {
        for is_open in [false, true] {
            let folder = folder();
            let path = folder.path().join("etc/text");
            put(&path, b"text");
            let source = open(folder.path());
            let content = source.tree.file("etc/text").unwrap();
            if is_open {
                content.read_exact_at(&mut [0; 4], 0).unwrap();
            }
            change(&path);
            let read = content.read_exact_at(&mut [0; 4], 0);
            if is_open && !matches!(what, "longer" | "shorter" | "rewritten") {
                // The file that is open is still the one that was meant.
                read.unwrap();
                continue;
            }
            let error = read.unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt, "{what}: {error}");
            let text = chain(&error);
            assert!(text.contains(path.to_str().unwrap()), "{what}: {text}");
            assert!(text.contains("while it was read"), "{what}: {text}");
        }
    }
}

#[test]
fn a_folder_that_a_link_took_the_place_of_is_not_left() {
    let folder = folder();
    put(&folder.path().join("data/passwd"), b"mine");
    let source = open(folder.path());
    fs::rename(folder.path().join("data"), folder.path().join("other")).unwrap();
    symlink("/etc", folder.path().join("data")).unwrap();
    let content = source.tree.file("data/passwd").unwrap();
    let error = content.read_exact_at(&mut [0; 4], 0).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[test]
fn a_folder_without_an_operating_system_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("etc")).unwrap();
    // It is not walked: what lies in it is not known.
    let error = refused(folder.path());
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("os-release"), "{error}");
    fs::create_dir_all(folder.path().join("etc/os-release")).unwrap();
    assert_eq!(refused(folder.path()).kind(), Kind::NotFound);
}

#[test]
fn labels_of_this_machine_are_a_warning_where_the_system_has_selinux() {
    if !is_root() {
        eprintln!("SKIPPED: needs root");
        return;
    }
    let label = |folder: &Path, label: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(folder, "security.selinux", label, flags)
    };
    let folder = folder();
    let count = || {
        let warnings = open(folder.path()).warnings;
        let texts = warnings.iter().map(ToString::to_string);
        texts.filter(|text| text.contains("user_tmp_t")).count()
    };
    if label(folder.path(), b"unconfined_u:object_r:user_tmp_t:s0\0").is_err() {
        eprintln!("SKIPPED: needs a machine that takes labels");
        return;
    }
    assert_eq!(count(), 0);
    put(
        &folder.path().join("etc/selinux/config"),
        b"SELINUX=enforcing\n",
    );
    assert_eq!(count(), 1);
    label(folder.path(), b"system_u:object_r:root_t:s0\0").unwrap();
    assert!(open(folder.path()).warnings.is_empty());
}

#[test]
fn the_same_folder_gives_the_same_tree() {
    let folder = everything();
    let dump = || {
        let source = open(folder.path());
        let ids: Vec<_> = source.tree.walk().map(|entry| entry.id).collect();
        (source.tree.dump(|content| content.len().to_string()), ids)
    };
    assert_eq!(dump(), dump());
}

/// Runs the test `name` of this program in a process of its own, which `prepare` sets up.
fn in_a_process(name: &str, folder: &Path, prepare: impl FnOnce(PathBuf) -> Command) {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = prepare(program)
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
fn what_an_ordinary_user_may_not_read_is_named() {
    let folder = folder();
    for number in 0..8 {
        let path = folder.path().join(format!("secret/{number}"));
        put(&path, b"");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    }
    fs::create_dir(folder.path().join("closed")).unwrap();
    fs::set_permissions(
        folder.path().join("closed"),
        fs::Permissions::from_mode(0o0),
    )
    .unwrap();
    in_a_process("ordinary_user", folder.path(), |program| {
        let mut command = Command::new(program);
        if is_root() {
            command.uid(65_534).gid(65_534);
        }
        command
    });
    fs::set_permissions(
        folder.path().join("closed"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
}

#[test]
#[ignore = "run by another test, as another user"]
fn ordinary_user() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let error = refused(Path::new(&folder));
    assert_eq!(error.kind(), Kind::Io);
    let text = error.to_string();
    for part in ["closed,", "secret/0", "secret/3", "and 4 more", "as root"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("secret/4"), "{text}");
}

#[test]
fn ref_what_is_mounted_below_is_read_and_what_has_no_files_is_named() {
    if !need(&["unshare", "mount", "mkfs.ext4"]) || !is_root() {
        eprintln!("SKIPPED: needs root");
        return;
    }
    let folder = folder();
    for name in ["proc", "run", "data"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    in_a_process("mounts", folder.path(), |program| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "--"])
            .arg(program);
        command
    });
}

#[test]
#[ignore = "run by another test, with mounts of its own"]
fn mounts() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let at = |path: &str| folder.join(path).to_str().unwrap().to_owned();
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(8 << 20).unwrap();
    let image = image.path().to_str().unwrap();
    run("mkfs.ext4", &["-q", "-F", image]);
    run("mount", &["-o", "loop", image, &at("data")]);
    run("mount", &["-t", "proc", "proc", &at("proc")]);
    run(
        "mount",
        &["-t", "tmpfs", "-o", "mode=755", "tmpfs", &at("run")],
    );
    put(&folder.join("data/file"), b"data");
    put(&folder.join("run/file"), b"run");
    let source = open(folder);
    assert_eq!(bytes(&source.tree, "data/file"), b"data");
    for empty in ["proc", "run"] {
        assert_eq!(source.tree.list(empty).count(), 0, "{empty}");
        let (_, id) = source.tree.resolve(empty).unwrap();
        let root = source.tree.inode(source.tree.root());
        assert_eq!(source.tree.inode(id).metadata.mtime, root.metadata.mtime);
    }
    let said: Vec<String> = source.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].ends_with("proc is a mounted proc: left empty"),
        "{said:?}"
    );
    assert!(
        said[1].ends_with("run is a mounted tmpfs: left empty"),
        "{said:?}"
    );
}
