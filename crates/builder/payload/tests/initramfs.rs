//! The native initramfs of real distribution kernels, checked by the programs that read such archives.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts reference programs, says what it skips, and stops where something is wrong"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use block::{Content, DiskFile};
use contract::module_index::ModuleIndex;
use formats::cpio;
use payload::initramfs::{Compression, Initramfs, Options, build};
use testkit::tools;
use tree::{Inode, Metadata, Node, Tree, TreePath};

/// The size that the initramfs of a generic kernel may have, in bytes.
const BUDGET: usize = 12 << 20;

/// Whether the reference program is there; says so where it is not, and fails in CI.
fn need(tool: &str) -> bool {
    tools::available(&[tool])
}

/// The package of Debian's generic kernel, unpacked; downloaded once. `None` where it cannot be had.
fn debian_kernel() -> Option<PathBuf> {
    static ONCE: OnceLock<Option<PathBuf>> = OnceLock::new();
    ONCE.get_or_init(fetch_debian_kernel).clone()
}

fn fetch_debian_kernel() -> Option<PathBuf> {
    if !need("apt-get") || !need("apt-cache") || !need("dpkg") {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-kernel");
    let done = folder.join("root");
    if done.is_dir() {
        return Some(done);
    }
    fs::create_dir_all(&folder).unwrap();
    let run = |command: &mut Command| {
        let output = command.current_dir(&folder).output().unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    };
    let depends = run(Command::new("apt-cache").args(["depends", "linux-image-amd64"]));
    let depends = depends.unwrap_or_default();
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "));
    let downloaded =
        package.and_then(|package| run(Command::new("apt-get").args(["download", package])));
    if downloaded.is_none() {
        tools::skipped("the package linux-image-amd64");
        return None;
    }
    let deb = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let deb = deb
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .unwrap();
    // OK: a folder that a broken run left behind is unpacked over.
    run(Command::new("dpkg").arg("-x").arg(&deb).arg("new")).unwrap();
    fs::rename(folder.join("new"), &done).unwrap();
    Some(done)
}

/// A folder of the machine as a tree.
fn tree_of(root: &Path) -> Tree<Content> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let node = if meta.is_dir() {
                pending.push(path.clone());
                Node::empty_directory()
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                Node::Symlink(target.as_os_str().as_encoded_bytes().into())
            } else {
                Node::File(Content::from_source(Arc::new(
                    DiskFile::open(&path).unwrap(),
                )))
            };
            let name = path
                .strip_prefix(root)
                .unwrap()
                .as_os_str()
                .as_encoded_bytes();
            let name = TreePath::parse(name).unwrap();
            tree.put(&name, Inode::new(Metadata::with_permissions(0o755), node))
                .unwrap();
        }
    }
    tree
}

fn options() -> Options {
    // As large as the runtime may be, and as hard to compress as a program.
    let runtime: Vec<u8> = (0..1_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> (n % 19)) as u8)
        .collect();
    Options::new(Content::from_bytes(runtime))
}

fn initramfs_of(root: &Path, options: &Options) -> Initramfs {
    let tree = tree_of(root);
    let facts = inspect::facts(&tree).unwrap();
    build(&tree, &facts, &facts.kernels[0], options).unwrap()
}

fn unpack(initramfs: &Initramfs) -> Tree<Content> {
    cpio::read_tree(Arc::new(initramfs.bytes.clone())).unwrap()
}

fn index_of(tree: &Tree<Content>) -> ModuleIndex {
    let text = tree
        .file(contract::media::MODULE_INDEX)
        .unwrap()
        .read_all(1 << 24)
        .unwrap();
    ModuleIndex::parse(std::str::from_utf8(&text).unwrap()).unwrap()
}

#[test]
fn ref_the_initramfs_of_debians_generic_kernel_is_small_complete_and_reproducible() {
    let Some(root) = debian_kernel() else {
        return;
    };
    let initramfs = initramfs_of(&root, &options());
    eprintln!(
        "{} modules, {} bytes, {} before compression",
        initramfs.modules.len(),
        initramfs.bytes.len(),
        initramfs.unpacked_len
    );
    assert!(
        initramfs.bytes.len() <= BUDGET,
        "{} bytes",
        initramfs.bytes.len()
    );
    assert_eq!(initramfs.bytes, initramfs_of(&root, &options()).bytes);
    let names: BTreeSet<&str> = initramfs.modules.iter().map(String::as_str).collect();
    for name in [
        "ahci",
        "ata_piix",
        "btrfs",
        "ehci_pci",
        "erofs",
        "ext4",
        "hid_generic",
        "hv_storvsc",
        "isofs",
        "loop",
        "megaraid_sas",
        "mmc_block",
        "mpt3sas",
        "mptspi",
        "nls_ascii",
        "nls_cp437",
        "nvme",
        "ohci_pci",
        "overlay",
        "sd_mod",
        "sdhci_pci",
        "squashfs",
        "sr_mod",
        "uas",
        "uhci_hcd",
        "usb_storage",
        "usbhid",
        "vfat",
        "virtio_blk",
        "virtio_pci",
        "virtio_scsi",
        "vmd",
        "vmw_pvscsi",
        "xen_blkfront",
        "xfs",
        "xhci_pci",
        "crc32c_generic",
    ] {
        assert!(names.contains(name), "{name}");
    }
    for name in ["qla2xxx", "lpfc", "e1000", "libiscsi", "drm"] {
        assert!(!names.contains(name), "{name}");
    }
}

#[test]
fn ref_network_drivers_come_where_they_are_asked_for() {
    let Some(root) = debian_kernel() else {
        return;
    };
    let mut tree = tree_of(&root);
    let node = Node::File(Content::from_bytes(*b"certificates"));
    let place = TreePath::parse("/etc/ssl/ca-bundle.pem").unwrap();
    let inode = Inode::new(Metadata::with_permissions(0o644), node);
    tree.put(&place, inode).unwrap();
    let facts = inspect::facts(&tree).unwrap();
    let mut options = options();
    options.network = true;
    options.compression = Compression::Zstd { level: 1 };
    let initramfs = build(&tree, &facts, &facts.kernels[0], &options).unwrap();
    eprintln!(
        "{} modules, {} bytes",
        initramfs.modules.len(),
        initramfs.bytes.len()
    );
    let names: BTreeSet<&str> = initramfs.modules.iter().map(String::as_str).collect();
    for name in [
        "virtio_net",
        "e1000",
        "e1000e",
        "igb",
        "ixgbe",
        "r8169",
        "tg3",
        "bnxt_en",
        "mlx5_core",
        "vmxnet3",
        "xen_netfront",
        "hv_netvsc",
        "ena",
        "r8152",
        "ax88179_178a",
        "realtek",
        "marvell",
        "8139cp",
        "pcnet32",
    ] {
        assert!(names.contains(name), "{name}");
    }
    for name in ["iwlwifi", "bonding", "mlxsw_spectrum", "qmi_wwan"] {
        assert!(!names.contains(name), "{name}");
    }
    let unpacked = unpack(&initramfs);
    let index = index_of(&unpacked);
    // It finds its chip by a driver that nothing asks for in time.
    assert!(
        index.modules["r8169"]
            .soft_pre
            .contains(&"realtek".to_owned())
    );
    let asked = |text: &str| {
        index
            .aliases
            .iter()
            .any(|(pattern, _)| pattern.starts_with(text))
    };
    assert!(asked("mdio:") && asked("virtio:d00000001"));
    let certificates = unpacked.file(contract::media::CERTIFICATES).unwrap();
    assert_eq!(certificates.read_all(99).unwrap(), b"certificates");
}

#[test]
fn ref_the_index_names_only_modules_that_are_there() {
    let Some(root) = debian_kernel() else {
        return;
    };
    let mut options = options();
    options.compression = Compression::None;
    let tree = unpack(&initramfs_of(&root, &options));
    let index = index_of(&tree);
    for (name, module) in &index.modules {
        let file = tree.file(&module.path).unwrap();
        assert_eq!(file.read_all(1 << 26).unwrap()[..4], *b"\x7fELF", "{name}");
        for needed in module
            .depends
            .iter()
            .chain(&module.soft_pre)
            .chain(&module.soft_post)
        {
            assert!(index.modules.contains_key(needed), "{name} needs {needed}");
        }
    }
    assert!(
        index.modules["ext4"]
            .soft_pre
            .contains(&"crc32c_generic".to_owned())
    );
    assert!(
        index.modules["vfat"]
            .soft_pre
            .contains(&"nls_ascii".to_owned())
    );
    let asked = |alias: &str| index.aliases.iter().any(|(pattern, _)| pattern == alias);
    assert!(asked("scsi:t-0x05*") && asked("fs-iso9660"));
}

#[test]
fn ref_cpio_and_zstd_read_what_was_written() {
    let Some(root) = debian_kernel() else {
        return;
    };
    if !need("zstd") || !need("cpio") {
        return;
    }
    let mut options = options();
    options.compression = Compression::Zstd { level: 1 };
    let initramfs = initramfs_of(&root, &options);
    let pipe = |program: &str, args: &[&str], input: Vec<u8>| {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program}");
        writer.join().unwrap().unwrap();
        output.stdout
    };
    let archive = pipe("zstd", &["-dc"], initramfs.bytes.clone());
    assert_eq!(archive.len() as u64, initramfs.unpacked_len);
    let list = pipe("cpio", &["-it", "--quiet"], archive);
    let list: BTreeSet<String> = String::from_utf8(list)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let ours: BTreeSet<String> = unpack(&initramfs)
        .walk()
        .map(|entry| match entry.path.to_string().as_str() {
            "/" => ".".to_owned(),
            path => path.trim_start_matches('/').to_owned(),
        })
        .collect();
    assert_eq!(list, ours);
    assert!(list.contains("init") && list.contains("dev/console"));
}

#[test]
fn ref_a_program_that_was_asked_for_runs_in_the_initramfs() {
    if !is_root() || !need("chroot") {
        return;
    }
    let Some(root) = debian_kernel() else {
        return;
    };
    // The programs and libraries of this very machine, beside Debian's kernel.
    let mut tree = tree_of(&root);
    for path in ["/bin/ls", "/etc/ld.so.conf", "/etc/ld.so.cache"] {
        put_host_file(&mut tree, path);
    }
    let listed = Command::new("ldd").arg("/bin/ls").output().unwrap();
    for word in String::from_utf8(listed.stdout).unwrap().split_whitespace() {
        if word.starts_with('/') {
            put_host_file(&mut tree, word);
        }
    }
    let facts = inspect::facts(&tree).unwrap();
    let mut options = options();
    options.compression = Compression::None;
    options.install = vec!["/bin/ls".into()];
    let initramfs = build(&tree, &facts, &facts.kernels[0], &options).unwrap();
    assert_eq!(initramfs.warnings, Vec::<String>::new());

    let target = tempfile::tempdir().unwrap();
    for entry in unpack(&initramfs).walk() {
        let path = target
            .path()
            .join(entry.path.to_string().trim_start_matches('/'));
        match &entry.inode.node {
            Node::Directory(_) => fs::create_dir_all(&path).unwrap(),
            Node::File(content) => {
                fs::write(&path, content.read_all(1 << 28).unwrap()).unwrap();
                let mode = u32::from(entry.inode.metadata.permissions);
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            _ => {}
        }
    }
    let output = Command::new("chroot")
        .arg(target.path())
        .args(["/bin/ls", "/"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("sysroot")
    );
}

/// Whether this is root, who may chroot; says so where it is not.
fn is_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    if !root {
        tools::skipped("root, for chroot");
    }
    root
}

fn put_host_file(tree: &mut Tree<Content>, path: &str) {
    let Ok(bytes) = fs::read(path) else {
        return;
    };
    let node = Node::File(Content::from_bytes(bytes));
    let inode = Inode::new(Metadata::with_permissions(0o755), node);
    tree.put(&TreePath::parse(path).unwrap(), inode).unwrap();
}
