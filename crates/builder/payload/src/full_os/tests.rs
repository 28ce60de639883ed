//! A system with everything that gets lost easily, written and read back.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use block::{Kind, Piece};
use contract::attributes::Attributes;
use contract::media;
use inspect::{Facts, Kernel, KernelConfig};
use tree::{Device, Inode, Metadata, Node, TreePath};

use super::*;

const ALL: &str = "CONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_TMPFS=y\nCONFIG_DEVTMPFS=y\n\
    CONFIG_TMPFS_XATTR=y\nCONFIG_TMPFS_POSIX_ACL=y\n";

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn put(tree: &mut Tree<Content>, at: &str, permissions: u16, node: Node<Content>) {
    let parent = path(at).parent().unwrap();
    tree.make_directories(&parent, &Metadata::with_permissions(0o755))
        .unwrap();
    let inode = Inode::new(Metadata::with_permissions(permissions), node);
    tree.put(&path(at), inode).unwrap();
}

fn file(bytes: &[u8]) -> Node<Content> {
    Node::File(Content::from_bytes(bytes))
}

fn label(tree: &mut Tree<Content>, at: &str, pairs: &[(&str, &[u8])]) {
    let id = tree.lookup(&path(at)).unwrap();
    let pairs = pairs
        .iter()
        .map(|(name, value)| (Box::from(name.as_bytes()), Box::from(*value)));
    tree.metadata_mut(id).xattrs = Arc::new(pairs.collect());
}

/// A system with everything that gets lost easily.
fn system() -> Tree<Content> {
    let mut tree = Tree::new(Metadata::with_permissions(0o700));
    let noise: Vec<u8> = (0..3_000_000_u32)
        .flat_map(|n| (n / 3).wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    put(&mut tree, "/usr/bin/large", 0o755, file(&noise));
    put(&mut tree, "/usr/bin/ping", 0o4755, file(b"ping"));
    put(&mut tree, "/usr/sbin", 0o755, Node::empty_directory());
    put(&mut tree, "/srv/fifo", 0o600, Node::Fifo);
    let null = Node::Character(Device { major: 1, minor: 3 });
    put(&mut tree, "/srv/null", 0o666, null);
    put(
        &mut tree,
        "/init",
        0o777,
        Node::Symlink((*b"/lib/systemd/systemd").into()),
    );
    let ping = tree.lookup(&path("/usr/bin/ping")).unwrap();
    let sbin = tree.lookup(&path("/usr/sbin")).unwrap();
    tree.link(sbin, tree::Name::new(b"ping").unwrap(), ping)
        .unwrap();
    let selinux = ("security.selinux", b"a:b:c\0".as_slice());
    label(
        &mut tree,
        "/usr/bin/ping",
        &[("security.capability", &[1, 2]), selinux],
    );
    label(&mut tree, "/init", &[selinux]);
    label(&mut tree, "/", &[selinux]);
    tree
}

fn kernel(version: &str, config: &str) -> Kernel {
    Kernel {
        version: version.to_owned(),
        image: TreePath::root(),
        modules: None,
        config: KernelConfig::parse(config, "test"),
        reason: String::new(),
    }
}

fn facts(configs: &[&str]) -> Facts {
    let mut facts = inspect::facts(&Tree::new(Metadata::default())).unwrap();
    facts.kernels = configs
        .iter()
        .enumerate()
        .map(|(n, config)| kernel(&format!("6.{n}"), config))
        .collect();
    facts
}

fn options(compression: Compression, threads: usize) -> Options {
    Options {
        compression,
        threads,
        ..Options::new(Content::from_bytes(b"runtime".as_slice()))
    }
}

fn check(tree: &Tree<Content>, compression: Compression) -> Result<Checked> {
    Checked::new(tree, &facts(&[ALL]), &options(compression, 2))
}

fn bytes(tree: &Tree<Content>, compression: Compression, threads: usize) -> Vec<u8> {
    let checked = Checked::new(tree, &facts(&[ALL]), &options(compression, threads)).unwrap();
    let mut out = Vec::new();
    let written = write(&checked, &mut out, &|_| {}).unwrap();
    assert_eq!(written.len, out.len() as u64);
    assert!(written.len <= checked.max_len());
    out
}

const BOTH: [Compression; 2] = [
    Compression::Zstd { level: 3 },
    Compression::Gzip { level: 6 },
];

#[test]
fn the_kernel_would_unpack_the_system_with_all_that_it_has() {
    let source = system();
    for compression in BOTH {
        let image = bytes(&source, compression, 2);
        let tree = cpio::read_tree(Arc::new(image)).unwrap();
        let find = |at: &str| tree.inode(tree.lookup(&path(at)).unwrap());
        let text = |at: &str| tree.file(at).unwrap().read_all(1 << 20).unwrap();
        assert_eq!(find("/").metadata.permissions, 0o755);
        assert_eq!(text(media::INIT), b"runtime");
        assert!(
            matches!(&find(media::FULL_OS_INIT).node, Node::Symlink(to) if **to == *b"/lib/systemd/systemd")
        );
        assert_eq!(find("/usr/bin/ping").names(), 2);
        assert_eq!(find("/usr/sbin/ping").mode(), 0o104_755);
        assert!(matches!(find("/srv/fifo").node, Node::Fifo));
        assert!(matches!(
            find("/srv/null").node,
            Node::Character(Device { major: 1, minor: 3 })
        ));
        let (large, original) = (tree.file("/usr/bin/large"), source.file("/usr/bin/large"));
        let all = |content: Option<&Content>| content.unwrap().read_all(1 << 30).unwrap();
        assert!(all(large) == all(original));
        let list = String::from_utf8(text(media::ATTRIBUTES)).unwrap();
        let list = Attributes::parse(&list).unwrap();
        assert_eq!(list.content_len, 12_000_000 + 4);
        let names: Vec<_> = list.iter().map(|(name, _)| name.to_vec()).collect();
        assert_eq!(
            names,
            ["/", "/init", "/usr/bin/ping", "/usr/sbin/ping"].map(|n| n.as_bytes().to_vec())
        );
        let ping = list.get(b"/usr/sbin/ping").unwrap();
        assert_eq!(ping.len(), 2);
    }
}

#[test]
fn each_archive_is_one_frame_and_the_list_of_attributes_is_in_the_last() {
    let image = bytes(&system(), Compression::Zstd { level: 1 }, 2);
    let mut rest = image.as_slice();
    let mut archives = Vec::new();
    assert_eq!(image.len() % 512, 0);
    while rest.first().is_some_and(|byte| *byte != 0) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(rest)
            .unwrap()
            .single_frame();
        let mut archive = Vec::new();
        decoder.read_to_end(&mut archive).unwrap();
        rest = decoder.finish();
        assert!(archive.starts_with(b"070701"));
        assert_eq!(archive.len() % 512, 0);
        archives.push(archive);
    }
    let holds = |archive: &[u8], name: &[u8]| archive.windows(name.len()).any(|w| w == name);
    let where_is = |name: &[u8]| -> Vec<bool> { archives.iter().map(|a| holds(a, name)).collect() };
    assert_eq!(where_is(b".liveos/attributes\0"), [false, false, true]);
    assert_eq!(where_is(b"0000init\0"), [true, false, false]);
    assert_eq!(where_is(b"usr/bin/large\0"), [false, true, false]);
    assert_eq!(where_is(b".liveos/init\0"), [true, false, false]);
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let tree = system();
    for compression in BOTH {
        let one = bytes(&tree, compression, 1);
        for threads in [2, 5] {
            assert!(
                bytes(&tree, compression, threads) == one,
                "{compression:?} {threads}"
            );
        }
    }
}

#[test]
fn progress_ends_where_the_archives_end() {
    let tree = system();
    let checked = check(&tree, Compression::Auto).unwrap();
    let last = Mutex::new(Progress::default());
    let written = write(&checked, &mut Vec::new(), &|state| {
        let mut last = last.lock().unwrap();
        assert!(state.done > last.done);
        *last = state;
    });
    let all = checked.unpacked_len();
    assert_eq!(
        *last.lock().unwrap(),
        Progress {
            done: all,
            total: all
        }
    );
    assert_eq!(written.unwrap().unpacked_len, all);
}

#[test]
fn what_every_kernel_unpacks_is_taken() {
    let tree = system();
    let gzip_only = ALL.replace("CONFIG_RD_ZSTD=y", "");
    let zstd_only = ALL.replace("CONFIG_RD_GZIP=y", "");
    let neither = gzip_only.replace("CONFIG_RD_GZIP=y", "");
    let choose = |configs: &[&str], compression| {
        let checked = Checked::new(&tree, &facts(configs), &options(compression, 1));
        checked.map(|checked| checked.compressor())
    };
    assert_eq!(choose(&[ALL, ALL], Compression::Auto).unwrap(), "zstd");
    assert_eq!(
        choose(&[ALL, &gzip_only], Compression::Auto).unwrap(),
        "gzip"
    );
    for (configs, compression, named) in [
        (
            [ALL, gzip_only.as_str()],
            Compression::Zstd { level: 3 },
            "6.1",
        ),
        (
            [zstd_only.as_str(), gzip_only.as_str()],
            Compression::Auto,
            "6.0",
        ),
        ([neither.as_str(), ALL], Compression::Auto, "6.0"),
        (
            [zstd_only.as_str(), ALL],
            Compression::Gzip { level: 1 },
            "6.0",
        ),
    ] {
        let error = choose(&configs, compression).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains(named), "{error}");
    }
    for level in [
        Compression::Zstd { level: 22 },
        Compression::Gzip { level: 0 },
    ] {
        assert_eq!(choose(&[ALL], level).unwrap_err().kind(), Kind::Limit);
    }
}

#[test]
fn a_kernel_that_cannot_start_it_is_refused_with_the_option() {
    let tree = system();
    for option in ["BLK_DEV_INITRD", "TMPFS", "DEVTMPFS"] {
        let config = ALL.replace(&format!("CONFIG_{option}=y\n"), "");
        let refused = Checked::new(
            &tree,
            &facts(&[ALL, &config]),
            &options(Compression::Auto, 1),
        );
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(
            error.to_string().contains(&format!("CONFIG_{option} ")),
            "{error}"
        );
    }
    let config = ALL.replace("CONFIG_TMPFS_XATTR=y", "");
    let checked = Checked::new(&tree, &facts(&[&config]), &options(Compression::Auto, 1)).unwrap();
    assert!(checked.warnings()[0].contains("file capabilities"));
}

#[test]
fn what_an_archive_cannot_hold_is_refused_by_its_path() {
    let mut tree = system();
    let hole = Content::new([Piece::Hole { len: 1 << 32 }]).unwrap();
    put(&mut tree, "/var/lib/disk.img", 0o600, Node::File(hole));
    let error = check(&tree, Compression::Auto).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().contains("/var/lib/disk.img"), "{error}");

    let mut tree = system();
    let deep = format!("/{}", ["n".repeat(250).as_str(); 17].join("/"));
    put(&mut tree, &deep, 0o600, file(b""));
    let error = check(&tree, Compression::Auto).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
}

#[test]
fn the_place_of_the_runtime_is_left_out_and_a_folder_at_init_refused() {
    let mut tree = system();
    put(&mut tree, "/.liveos/own", 0o600, file(b"x"));
    let checked = check(&tree, Compression::Auto).unwrap();
    assert!(checked.warnings()[0].contains("/.liveos"));
    assert!(checked.system.lookup(&path("/.liveos")).is_none());

    let mut tree = Tree::new(Metadata::default());
    put(&mut tree, "/init/x", 0o600, file(b"x"));
    let error = check(&tree, Compression::Auto).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn a_file_that_cannot_be_read_ends_it() {
    #[derive(Debug)]
    struct Broken;
    impl block::ReadAt for Broken {
        fn len(&self) -> u64 {
            10_000_000
        }
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> Result<()> {
            Err(Error::corrupt("reading", "it is broken"))
        }
        fn next_data(&self, offset: u64) -> Result<Option<std::ops::Range<u64>>> {
            Ok((offset < self.len()).then(|| offset..self.len()))
        }
    }
    let mut tree = system();
    let content = Content::from_source(Arc::new(Broken));
    put(&mut tree, "/zz", 0o600, Node::File(content));
    for compression in BOTH {
        let checked = check(&tree, compression).unwrap();
        let error = write(&checked, &mut Vec::new(), &|_| {}).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
