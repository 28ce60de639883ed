//! Archives of GNU tar, Python and bsdtar are read, and ours are read by them, with everything that they hold.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test starts reference programs, says what it skips, and stops where something is wrong"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::{Content, DiskFile, ReadAt as _};
use formats::tar::{WriteOptions, read_tree, write};
use tree::{Node, Timestamp, Tree};

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

/// Whether the test runs as root, who alone makes devices and gives files away.
fn need_root() -> bool {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        skip("root");
    }
    is_root
}

fn run(folder: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program)
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}");
}

/// A folder with every kind of node that an archive holds, and what is hard to write down of each.
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
    run(folder, "mkfifo", &["fifo"]);
    run(folder, "mknod", &["char", "c", "5", "1"]);
    run(folder, "mknod", &["block", "b", "259", "70000"]);
    run(folder, "chown", &["1234:70000", "large", "fifo"]);
    run(folder, "touch", &["-d", "@1700000001.5", "large"]);
}

/// What ustar holds, and v7 does not.
fn long_names(folder: &Path) {
    let parts = ["p".repeat(60), "q".repeat(80)];
    fs::create_dir_all(folder.join(parts.join("/"))).unwrap();
    fs::write(folder.join(parts.join("/")).join("file"), b"in a prefix").unwrap();
}

/// What ustar does not hold.
fn beyond_ustar(folder: &Path) {
    let long = "n".repeat(200);
    fs::create_dir(folder.join(&long)).unwrap();
    fs::write(folder.join(&long).join(&long), b"long").unwrap();
    fs::hard_link(folder.join(&long).join(&long), folder.join("z-link")).unwrap();
    symlink("t".repeat(400), folder.join("far")).unwrap();
    fs::write(folder.join("\u{e4}\u{2713}"), b"no ASCII").unwrap();
    run(folder, "chown", &["3000000:4294967294", "empty"]);
    run(folder, "touch", &["-h", "-d", "@-2", "link"]);
    // In pieces, with a hole at the end; more pieces than a header of the old format has room for.
    let file = fs::File::create(folder.join("holes")).unwrap();
    for at in 0..40 {
        file.write_all_at(&[b'a' + at as u8; 5000], at << 20)
            .unwrap();
    }
    file.set_len(50 << 20).unwrap();
    let file = fs::File::create(folder.join("only-hole")).unwrap();
    file.set_len(3 << 20).unwrap();
}

/// What only pax holds.
fn beyond_gnu(folder: &Path) {
    let file = folder.join("xattrs");
    fs::write(&file, b"xattrs").unwrap();
    let value = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&file, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("security.capability", value);
    set("user.equals=", b"a=b\n");
    set("user.empty", b"");
    set("trusted.t", b"\xff\0\n");
}

/// One name, as the kernel or a tree shows it.
struct Seen {
    path: String,
    mode: u32,
    owner: [u32; 2],
    time: Timestamp,
    what: String,
    /// Which file it is a name of.
    id: u64,
    xattrs: Vec<(String, Vec<u8>)>,
}

/// The folder as text, by the kernel.
fn by_kernel(folder: &Path) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let what = if metadata.is_dir() {
            let below = fs::read_dir(&path).unwrap();
            pending.extend(below.map(|entry| entry.unwrap().path()));
            String::new()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().to_str().unwrap().to_owned()
        } else if metadata.is_file() {
            digest(&fs::read(&path).unwrap())
        } else {
            let device = metadata.rdev();
            format!(
                "{}:{}",
                rustix::fs::major(device),
                rustix::fs::minor(device)
            )
        };
        all.push(Seen {
            path: path
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
            mode: metadata.mode(),
            owner: [metadata.uid(), metadata.gid()],
            time: Timestamp {
                seconds: metadata.mtime(),
                nanoseconds: metadata.mtime_nsec() as u32,
            },
            what,
            id: metadata.ino(),
            xattrs: xattrs(&path),
        });
    }
    all
}

fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 1000];
    let len = rustix::fs::llistxattr(path, &mut names).unwrap();
    let names = names[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let xattr = |name: &[u8]| {
        let name = std::str::from_utf8(name).unwrap();
        let mut value = vec![0; 1000];
        let len = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        (name.to_owned(), value[..len].to_vec())
    };
    names.map(xattr).collect()
}

/// The tree in the same words.
fn by_us(tree: &Tree<Content>) -> Vec<Seen> {
    let seen = tree.walk().map(|entry| {
        let metadata = &entry.inode.metadata;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().to_owned();
        let xattrs = metadata.xattrs.iter();
        Seen {
            path: text(&entry.path.as_bytes()[1..]),
            mode: entry.inode.mode().into(),
            owner: [metadata.uid, metadata.gid],
            time: metadata.mtime,
            what: match &entry.inode.node {
                Node::Directory(_) => String::new(),
                Node::File(content) => digest(&content.read_all(64 << 20).unwrap()),
                Node::Symlink(target) => text(target),
                Node::Character(device) | Node::Block(device) => {
                    format!("{}:{}", device.major, device.minor)
                }
                Node::Fifo | Node::Socket => "0:0".to_owned(),
            },
            id: entry.id.index() as u64,
            xattrs: xattrs
                .map(|(name, value)| (text(name), value.to_vec()))
                .collect(),
        }
    });
    seen.collect()
}

fn digest(bytes: &[u8]) -> String {
    format!("{} {:08x}", bytes.len(), crc32fast::hash(bytes))
}

/// What an archive's format keeps.
#[derive(Clone, Copy)]
struct Keeps {
    nanoseconds: bool,
    xattrs: bool,
}

const ALL: Keeps = Keeps {
    nanoseconds: true,
    xattrs: true,
};

/// As lines in order of the paths; of hard links each names the first.
fn lines(mut seen: Vec<Seen>, keeps: Keeps) -> String {
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    let mut first = BTreeMap::new();
    let mut text = String::new();
    for one in seen {
        let known = first.entry(one.id).or_insert_with(|| one.path.clone());
        let nanoseconds = if keeps.nanoseconds {
            one.time.nanoseconds
        } else {
            0
        };
        let Seen {
            path,
            mode,
            owner,
            what,
            ..
        } = &one;
        let seconds = one.time.seconds;
        text += &format!("{path} {mode:o} {owner:?} {seconds}.{nanoseconds} {what} ={known}\n");
        if keeps.xattrs {
            let mut xattrs = one.xattrs;
            xattrs.sort();
            for (name, value) in xattrs {
                text += &format!("    {name}={}\n", value.escape_ascii());
            }
        }
    }
    text
}

/// What the reader makes of the archive at `path`.
fn read(path: &Path) -> Tree<Content> {
    read_tree(Arc::new(DiskFile::open(path).unwrap())).unwrap()
}

/// Holds that GNU tar with `args` makes an archive of `source` that reads as the folder does.
fn check_reading(work: &Path, source: &Path, args: &[&str], keeps: Keeps) {
    let archive = work.join("theirs");
    let target = archive.to_str().unwrap();
    run(source, "tar", &[args, &["-cf", target, "."]].concat());
    let tree = read(&archive);
    let what = format!("{args:?}");
    assert_eq!(
        lines(by_us(&tree), keeps),
        lines(by_kernel(source), keeps),
        "{what}"
    );
}

#[test]
fn ref_archives_of_gnu_tar_in_every_format_read_as_the_folder() {
    if !need("tar") || !need_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let source = work.join("source");
    fs::create_dir(&source).unwrap();
    let plain = Keeps {
        nanoseconds: false,
        xattrs: false,
    };
    sample(&source);
    let devices = ["--exclude=./char", "--exclude=./block", "--exclude=./fifo"];
    let archive = work.join("v7");
    let v7 = ["--format=v7", "-cf", archive.to_str().unwrap(), "."];
    run(&source, "tar", &[&devices[..], &v7].concat());
    let mut expected = by_kernel(&source);
    expected.retain(|seen| !["char", "block", "fifo"].contains(&seen.path.as_str()));
    assert_eq!(lines(by_us(&read(&archive)), plain), lines(expected, plain));

    long_names(&source);
    check_reading(work, &source, &["--format=ustar"], plain);
    beyond_ustar(&source);
    check_reading(work, &source, &["--format=gnu"], plain);
    check_reading(work, &source, &["--format=oldgnu", "--sparse"], plain);
    check_reading(work, &source, &["--format=gnu", "--sparse"], plain);
    beyond_gnu(&source);
    for version in ["0.0", "0.1", "1.0"] {
        let version = format!("--sparse-version={version}");
        let pax = [
            "--format=pax",
            "--xattrs",
            "--xattrs-include=*",
            "--sparse",
            &version,
        ];
        check_reading(work, &source, &pax, ALL);
    }
    let pax = ["--format=pax", "--xattrs", "--xattrs-include=*"];
    for compression in ["--gzip", "--xz", "--zstd", "--use-compress-program=lz4"] {
        check_reading(work, &source, &[&pax[..], &[compression]].concat(), ALL);
    }
}

#[test]
fn ref_holes_stay_holes() {
    if !need("tar") {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let holes = fs::File::create(work.path().join("holes")).unwrap();
    holes.write_all_at(b"data", 1 << 30).unwrap();
    holes.set_len(1 << 40).unwrap();
    for format in ["--format=gnu", "--format=pax"] {
        run(
            work.path(),
            "tar",
            &["-cf", "archive", "--sparse", format, "holes"],
        );
        let tree = read(&work.path().join("archive"));
        let content = tree.file("/holes").unwrap();
        assert_eq!(content.len(), 1 << 40);
        let data = content.next_data(0).unwrap().unwrap();
        assert!(
            data.contains(&(1 << 30)) && data.end - data.start < 1 << 20,
            "{data:?}"
        );
        assert_eq!(content.next_data(data.end).unwrap(), None);
    }
}

/// Our archive of what the reader made of GNU tar's one.
fn ours(work: &Path, source: &Path) -> std::path::PathBuf {
    let theirs = work.join("theirs");
    let pax = ["--format=pax", "--xattrs", "--xattrs-include=*", "-cf"];
    run(
        source,
        "tar",
        &[&pax[..], &[theirs.to_str().unwrap(), "."]].concat(),
    );
    let ours = work.join("ours");
    let mut out = fs::File::create(&ours).unwrap();
    write(&read(&theirs), &WriteOptions::default(), &mut out).unwrap();
    ours
}

fn hard_sample(work: &Path) -> std::path::PathBuf {
    let source = work.join("source");
    fs::create_dir(&source).unwrap();
    sample(&source);
    long_names(&source);
    beyond_ustar(&source);
    beyond_gnu(&source);
    source
}

#[test]
fn ref_gnu_tar_unpacks_our_archive_to_the_same_folder() {
    if !need("tar") || !need_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let source = hard_sample(work.path());
    let ours = ours(work.path(), &source);
    let target = work.path().join("target");
    fs::create_dir(&target).unwrap();
    let unpack = ["--xattrs", "--xattrs-include=*", "--same-owner", "-xpf"];
    run(
        &target,
        "tar",
        &[&unpack[..], &[ours.to_str().unwrap()]].concat(),
    );
    assert_eq!(
        lines(by_kernel(&target), ALL),
        lines(by_kernel(&source), ALL)
    );
}

/// Gives a file and a folder ACLs, of which users and groups have names only in the tables of the folder.
fn acls(folder: &Path) {
    fs::create_dir_all(folder.join("etc")).unwrap();
    for table in ["passwd", "group"] {
        fs::copy(format!("/etc/{table}"), folder.join("etc").join(table)).unwrap();
    }
    fs::create_dir(folder.join("shared")).unwrap();
    let entries = "u:daemon:rwx,u:70000:r,g:adm:rx";
    run(folder, "setfacl", &["-m", entries, "etc/passwd", "shared"]);
    run(folder, "setfacl", &["-d", "-m", entries, "shared"]);
    fs::create_dir(folder.join("plain-default")).unwrap();
    run(
        folder,
        "setfacl",
        &["-d", "-m", "u::rwx,g::rx,o::-", "plain-default"],
    );
}

#[test]
fn ref_acls_are_handed_to_gnu_tar_and_back_unchanged() {
    if !need("tar") || !need("setfacl") || !need_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let source = work.join("source");
    fs::create_dir(&source).unwrap();
    acls(&source);
    for args in [
        &["--format=pax", "--acls"][..],
        &["--format=pax", "--acls", "--numeric-owner"],
        &["--format=pax", "--acls", "--xattrs", "--xattrs-include=*"],
    ] {
        check_reading(work, &source, args, ALL);
    }
    let ours = work.join("ours");
    let mut out = fs::File::create(&ours).unwrap();
    write(
        &read(&work.join("theirs")),
        &WriteOptions::default(),
        &mut out,
    )
    .unwrap();
    let target = work.join("target");
    fs::create_dir(&target).unwrap();
    let unpack = ["--xattrs", "--xattrs-include=*", "--same-owner", "-xpf"];
    run(
        &target,
        "tar",
        &[&unpack[..], &[ours.to_str().unwrap()]].concat(),
    );
    assert_eq!(
        lines(by_kernel(&target), ALL),
        lines(by_kernel(&source), ALL)
    );
}

#[test]
fn ref_archives_of_python_in_every_format_read_as_the_folder() {
    if !need("python3") || !need_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let source = hard_sample(work.path());
    // Python's ustar holds neither what is beyond it nor parts of seconds.
    let archive = work.path().join("theirs");
    for format in ["GNU_FORMAT", "PAX_FORMAT"] {
        let script = format!(
            "import sys, tarfile\n\
             t = tarfile.open(sys.argv[1], 'w', format=tarfile.{format})\n\
             t.add(sys.argv[2], '.')\n\
             t.close()\n"
        );
        let args = [
            "-c",
            &script,
            archive.to_str().unwrap(),
            source.to_str().unwrap(),
        ];
        run(work.path(), "python3", &args);
        // Its times are numbers in binary, which lose the last digits.
        let keeps = Keeps {
            nanoseconds: false,
            xattrs: false,
        };
        let (ours, theirs) = (by_us(&read(&archive)), by_kernel(&source));
        assert_eq!(lines(ours, keeps), lines(theirs, keeps), "{format}");
    }
}

#[test]
fn ref_python_lists_our_archive_as_the_folder() {
    if !need("tar") || !need("python3") || !need_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let source = hard_sample(work.path());
    let ours = ours(work.path(), &source);
    let script = "import sys, tarfile, zlib\n\
        for m in sorted(tarfile.open(sys.argv[1]), key=lambda m: m.name):\n\
        \x20   c = zlib.crc32(tarfile.open(sys.argv[1]).extractfile(m).read()) if m.isreg() else 0\n\
        \x20   print(m.name, oct(m.mode), m.uid, m.gid, int(m.mtime // 1), m.size, c, m.issym() and m.linkname)\n";
    let output = Command::new("python3")
        .args(["-c", script, ours.to_str().unwrap()])
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut linked = std::collections::BTreeSet::new();
    let mut seen = by_kernel(&source);
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    let mut expected = String::new();
    for one in seen {
        let is_first = linked.insert(one.id);
        let (len, crc) = match one.what.split_once(' ') {
            Some((len, crc)) if one.mode & 0o170_000 == 0o100_000 && is_first => {
                (len.to_owned(), u32::from_str_radix(crc, 16).unwrap())
            }
            _ => ("0".to_owned(), 0),
        };
        let slash = if one.path.is_empty() { "" } else { "/" };
        let link = match one.mode & 0o170_000 {
            0o120_000 => one.what.clone(),
            _ => "False".to_owned(),
        };
        let [uid, gid] = one.owner;
        let mode = one.mode & 0o7777;
        let seconds = one.time.seconds;
        expected += &format!(
            ".{slash}{} 0o{mode:o} {uid} {gid} {seconds} {len} {crc} {link}\n",
            one.path
        );
    }
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
