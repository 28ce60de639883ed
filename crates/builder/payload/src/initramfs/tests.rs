//! Tests of the whole initramfs on a made-up system.

use std::collections::BTreeSet;
use std::sync::Arc;

use block::{Content, Kind, ReadAt as _};
use contract::module_index::ModuleIndex;
use formats::cpio;
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

use super::{Compression, Initramfs, Options, RootImage, SquashfsCompressor, build};

const VERSION: &str = "6.1.0-test";
const CONFIG: &str = "CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_TMPFS=y\nCONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y\n\
    CONFIG_BLK_DEV_LOOP=m\nCONFIG_OVERLAY_FS=m\nCONFIG_ISO9660_FS=m\nCONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZSTD=y\nCONFIG_SQUASHFS_XZ=y\n";

/// An ELF file with a section `.modinfo` of these texts.
fn module(texts: &[&str]) -> Vec<u8> {
    let mut info = Vec::new();
    for text in texts {
        info.extend(text.bytes());
        info.push(0);
    }
    let names = b"\0.modinfo\0.shstrtab\0";
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    bytes.resize(40, 0);
    let table = 64 + names.len() + info.len();
    bytes.extend((table as u64).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([64, 0, 0, 0, 0, 0, 64, 0, 3, 0, 2, 0]);
    assert_eq!(bytes.len(), 64);
    bytes.extend(names);
    bytes.extend(&info);
    let mut section = |name: u32, kind: u32, at: usize, len: usize| {
        bytes.extend(name.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend((at as u64).to_le_bytes());
        bytes.extend((len as u64).to_le_bytes());
        bytes.extend([0; 24]);
    };
    section(0, 0, 0, 0);
    section(1, 1, 64 + names.len(), info.len());
    section(10, 3, 64, names.len());
    bytes
}

/// The start of an image of an x86-64 kernel.
fn kernel_image() -> Vec<u8> {
    let mut bytes = vec![0; 0x300];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x236] = 1;
    bytes
}

/// A system that grows file by file.
struct System(Tree<Content>);

impl System {
    /// A system with a kernel that can boot media, and modules of several kinds.
    fn new() -> Self {
        let mut system = Self::bare();
        for (path, texts) in [
            ("fs/isofs/isofs", &["alias=fs-iso9660", "depends=cdrom"][..]),
            ("fs/squashfs/squashfs", &["alias=fs-squashfs"]),
            ("fs/overlayfs/overlay", &["alias=fs-overlay"]),
            (
                "fs/ext4/ext4",
                &[
                    "depends=jbd2,mbcache",
                    "softdep=pre: crypto-crc32c post: late",
                ],
            ),
            ("fs/jbd2/jbd2", &["depends="]),
            ("fs/fat/vfat", &["depends=fat"]),
            ("fs/fat/fat", &[]),
            ("fs/nls/nls_ascii", &[]),
            (
                "crypto/crc32c_generic",
                &["alias=crc32c", "alias=crypto-crc32c"],
            ),
            ("crypto/other", &["alias=crypto-other"]),
            ("lib/late", &[]),
            ("drivers/block/loop", &["alias=block-major-7-*"]),
            ("drivers/cdrom/cdrom", &[]),
            (
                "drivers/ata/ahci",
                &[
                    "alias=pci:v*d*sv*sd*bc01sc06i01*",
                    "firmware=ahci/fw.bin",
                    "firmware=ahci/other.bin",
                ],
            ),
            ("drivers/ata/quiet", &[]),
            ("drivers/scsi/lpfc/lpfc", &["alias=pci:v1*"]),
            ("drivers/scsi/hard-disk", &["alias=pci:v2*"]),
            ("drivers/input/serio/i8042", &[]),
            ("drivers/net/e1000", &["alias=pci:v3*", "firmware=gone.bin"]),
            ("drivers/net/e2000", &["alias=pci:v4*"]),
        ] {
            system.file(
                &format!("/lib/modules/{VERSION}/kernel/{path}.ko"),
                module(texts),
            );
        }
        system.file(
            &format!("/lib/modules/{VERSION}/modules.builtin"),
            b"kernel/fs/mbcache.ko\n".to_vec(),
        );
        system
    }

    fn bare() -> Self {
        let mut system = Self(Tree::new(Metadata::with_permissions(0o755)));
        system.file(&format!("/boot/vmlinuz-{VERSION}"), kernel_image());
        system.file(
            &format!("/boot/config-{VERSION}"),
            CONFIG.as_bytes().to_vec(),
        );
        system.file(
            "/etc/os-release",
            b"ID=test\nPRETTY_NAME=\"Test \\\"1\\\"\"\n".to_vec(),
        );
        system
    }

    fn file(&mut self, path: &str, bytes: Vec<u8>) {
        let node = Node::File(Content::from_bytes(bytes));
        let inode = Inode::new(Metadata::with_permissions(0o644), node);
        self.0.put(&TreePath::parse(path).unwrap(), inode).unwrap();
    }

    fn text(&mut self, path: &str, text: &str) {
        self.file(path, text.as_bytes().to_vec());
    }

    fn try_build(&self, options: &Options) -> block::Result<Initramfs> {
        let facts = inspect::facts(&self.0).unwrap();
        build(&self.0, &facts, &facts.kernels[0], options)
    }

    /// Builds it, and answers with it, its tree and its index.
    fn build(&self, options: &Options) -> (Initramfs, Tree<Content>, ModuleIndex) {
        let initramfs = self.try_build(options).unwrap();
        let tree = cpio::read_tree(Arc::new(initramfs.bytes.clone())).unwrap();
        let text = tree
            .file(contract::media::MODULE_INDEX)
            .unwrap()
            .read_all(1 << 20)
            .unwrap();
        let index = ModuleIndex::parse(std::str::from_utf8(&text).unwrap()).unwrap();
        (initramfs, tree, index)
    }

    fn built(&self) -> (Initramfs, Tree<Content>, ModuleIndex) {
        self.build(&options())
    }
}

fn options() -> Options {
    Options::new(Content::from_bytes(*b"the runtime"))
}

fn names(initramfs: &Initramfs) -> BTreeSet<&str> {
    initramfs.modules.iter().map(String::as_str).collect()
}

#[test]
fn what_media_need_is_taken_with_its_dependencies_and_nothing_else() {
    let (initramfs, tree, index) = System::new().built();
    let expected = BTreeSet::from([
        "ahci",
        "cdrom",
        "crc32c_generic",
        "ext4",
        "fat",
        "hard_disk",
        "i8042",
        "isofs",
        "jbd2",
        "late",
        "loop",
        "nls_ascii",
        "overlay",
        "squashfs",
        "vfat",
    ]);
    assert_eq!(names(&initramfs), expected);
    assert_eq!(
        index
            .modules
            .keys()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        expected
    );
    assert_eq!(
        index.modules["ext4"].depends,
        ["jbd2"],
        "mbcache is built in"
    );
    assert_eq!(index.modules["ext4"].soft_pre, ["crc32c_generic"]);
    assert_eq!(index.modules["ext4"].soft_post, ["late"]);
    assert_eq!(index.modules["vfat"].soft_pre, ["nls_ascii"]);
    assert_eq!(index.always, ["i8042"]);
    let path = format!("/lib/modules/{VERSION}/kernel/drivers/scsi/hard-disk.ko");
    assert_eq!(index.modules["hard_disk"].path, path);
    assert_eq!(
        tree.file(&path).unwrap().read_all(1 << 20).unwrap(),
        module(&["alias=pci:v2*"])
    );
    assert!(
        index
            .aliases
            .contains(&("pci:v2*".to_owned(), "hard_disk".to_owned()))
    );
    assert_eq!(initramfs.reasons["jbd2"], "ext4 needs it");
    assert_eq!(initramfs.warnings, Vec::<String>::new());
}

#[test]
fn the_basics_are_there_with_the_time_that_was_given() {
    let mut options = options();
    options.time = Timestamp::from_seconds(1_234_567);
    let (_, tree, _) = System::new().build(&options);
    assert_eq!(
        tree.file("/init").unwrap().read_all(100).unwrap(),
        b"the runtime"
    );
    for folder in ["/proc", "/sys", "/dev", "/run", "/sysroot"] {
        let (_, id) = tree.resolve(folder).unwrap();
        assert!(tree.directory(id).is_some(), "{folder}");
    }
    let (_, console) = tree.resolve("/dev/console").unwrap();
    let Node::Character(device) = tree.inode(console).node else {
        panic!("the console is no character device");
    };
    assert_eq!((device.major, device.minor), (5, 1));
    let release = tree
        .file("/etc/initrd-release")
        .unwrap()
        .read_all(1000)
        .unwrap();
    let release = String::from_utf8(release).unwrap();
    assert!(
        release.contains("PRETTY_NAME=\"liveos initramfs of Test 1\""),
        "{release}"
    );
    for entry in tree.walk() {
        assert_eq!(
            entry.inode.metadata.mtime.seconds, 1_234_567,
            "{}",
            entry.path
        );
    }
}

#[test]
fn the_same_system_gives_the_same_bytes() {
    let build = || System::new().try_build(&options()).unwrap().bytes;
    assert_eq!(build(), build());
}

#[test]
fn lists_of_depmod_are_believed_before_what_modules_say() {
    let mut system = System::new();
    let folder = format!("/lib/modules/{VERSION}");
    system.file(
        &format!("{folder}/updates/ahci.ko"),
        module(&["alias=pci:new*"]),
    );
    system.text(
        &format!("{folder}/modules.dep"),
        "updates/ahci.ko: kernel/drivers/cdrom/cdrom.ko kernel/lib/late.ko\nkernel/drivers/scsi/hard-disk.ko: gone.ko\n",
    );
    system.text(
        &format!("{folder}/modules.alias"),
        "alias crypto-crc32c other\nalias pci:x late\n",
    );
    let (initramfs, _, index) = system.built();
    let ahci = &index.modules["ahci"];
    assert_eq!(ahci.path, format!("{folder}/updates/ahci.ko"));
    assert_eq!(
        ahci.depends,
        ["late", "cdrom"],
        "the nearest is first in modules.dep"
    );
    assert_eq!(index.modules["ext4"].soft_pre, ["other"]);
    assert_eq!(initramfs.warnings.len(), 1);
    assert!(initramfs.warnings[0].contains("hard_disk needs gone"));
}

#[test]
fn the_character_sets_that_the_kernel_was_built_for_come_with_vfat() {
    let mut system = System::new();
    for name in ["nls_cp850", "nls_koi8-r", "nls_cp1250"] {
        system.file(
            &format!("/lib/modules/{VERSION}/kernel/fs/nls/{name}.ko"),
            module(&[]),
        );
    }
    let config = "CONFIG_FAT_DEFAULT_CODEPAGE=850\nCONFIG_FAT_DEFAULT_IOCHARSET=\"koi8-r\"\n";
    system.text(
        &format!("/boot/config-{VERSION}"),
        &format!("{CONFIG}{config}"),
    );
    let (_, _, index) = system.built();
    assert_eq!(
        index.modules["vfat"].soft_pre,
        ["nls_ascii", "nls_cp850", "nls_koi8_r"]
    );
}

#[test]
fn compressed_modules_are_unpacked() {
    let mut system = System::new();
    let path = format!("/lib/modules/{VERSION}/kernel/drivers/virtio/virtio_pci.ko");
    let plain = module(&["alias=virtio:x"]);
    system.file(
        &format!("{path}.zst"),
        zstd::encode_all(plain.as_slice(), 1).unwrap(),
    );
    let (_, tree, index) = system.built();
    assert_eq!(index.modules["virtio_pci"].path, path);
    assert_eq!(tree.file(&path).unwrap().read_all(1 << 20).unwrap(), plain);
}

#[test]
fn a_damaged_module_is_an_error_with_its_path() {
    for bytes in [
        b"text".to_vec(),
        module(&["alias=x"])[..70].to_vec(),
        Vec::new(),
    ] {
        let mut system = System::new();
        let path = format!("/lib/modules/{VERSION}/kernel/drivers/ata/ahci.ko");
        system.file(&path, bytes);
        let error = system.try_build(&options()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert_eq!(
            error.place().path.as_deref(),
            Some(std::path::Path::new(&path))
        );
    }
}

#[test]
fn sizes_beyond_every_real_one_are_refused() {
    let hole = |len| Node::File(Content::new([block::Piece::Hole { len }]).unwrap());
    let mut system = System::new();
    let path = format!("/lib/modules/{VERSION}/kernel/drivers/ata/ahci.ko");
    let parsed = TreePath::parse(&path).unwrap();
    system
        .0
        .put(&parsed, Inode::new(Metadata::default(), hole(1 << 40)))
        .unwrap();
    let error = system.try_build(&options()).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert_eq!(
        error.place().path.as_deref(),
        Some(std::path::Path::new(&path))
    );

    let mut options = options();
    let path = TreePath::parse("/large").unwrap();
    options.extra = vec![(path, Inode::new(Metadata::default(), hole(1 << 40)))];
    let error = System::new().try_build(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
}

#[test]
fn modules_that_need_each_other_end() {
    let mut system = System::new();
    let folder = format!("/lib/modules/{VERSION}/kernel/drivers/ata");
    system.file(
        &format!("{folder}/a.ko"),
        module(&["alias=pci:a*", "depends=b", "softdep=pre: a"]),
    );
    system.file(&format!("{folder}/b.ko"), module(&["depends=a"]));
    let (initramfs, ..) = system.built();
    assert!(names(&initramfs).contains("b"));
}

#[test]
fn the_images_modprobe_configuration_is_honoured() {
    let mut system = System::new();
    system.text(
        "/etc/modprobe.d/a.conf",
        "options ahci x=1 y=\"2 3\"\nblacklist hard-disk\nsoftdep isofs pre: e1000\ninstall loop /bin/strange\n",
    );
    system.text("/usr/lib/modprobe.d/a.conf", "options ahci hidden=1\n");
    let (initramfs, _, index) = system.built();
    assert_eq!(index.modules["ahci"].parameters, ["x=1", "y=\"2 3\""]);
    assert!(
        index.modules.contains_key("hard_disk"),
        "another module may still need it"
    );
    assert!(index.aliases.iter().all(|(_, name)| name != "hard_disk"));
    assert_eq!(index.modules["isofs"].soft_pre, ["e1000"]);
    assert_eq!(initramfs.warnings.len(), 1);
    assert!(initramfs.warnings[0].contains("/bin/strange"));
}

#[test]
fn wishes_of_dracut_and_of_the_options_are_honoured() {
    let mut system = System::new();
    system.text(
        "/etc/dracut.conf.d/a.conf",
        "add_drivers+=\" e1000 =drivers/net nothing mbcache \"\nforce_drivers+=\" late \"\nomit_drivers+=\" ahci ext4 \"\nadd_dracutmodules+=\" lvm \"\n",
    );
    let mut options = options();
    options.add_modules = vec!["crypto-other".into()];
    options.omit_modules = vec!["hard-disk".into()];
    let (initramfs, _, index) = system.build(&options);
    let names = names(&initramfs);
    for name in ["e1000", "e2000", "late", "other"] {
        assert!(names.contains(name), "{name}");
    }
    for name in ["ahci", "ext4", "hard_disk"] {
        assert!(!names.contains(name), "{name}");
    }
    assert_eq!(index.always, ["i8042", "late"]);
    assert_eq!(initramfs.warnings.len(), 2, "{:?}", initramfs.warnings);
    assert!(initramfs.warnings[0].contains("nothing"));
    assert!(initramfs.warnings[1].contains("add_dracutmodules"));
}

#[test]
fn firmware_comes_as_it_lies_and_what_is_missing_is_named() {
    let mut system = System::new();
    assert_eq!(system.built().0.missing_firmware, ["ahci"]);
    system.text("/usr/lib/firmware/real.xz", "compressed");
    system.text("/lib/firmware/unused.bin", "no");
    let link = Node::Symlink((*b"../../../usr/lib/firmware/real.xz").into());
    let path = TreePath::parse("/lib/firmware/ahci/fw.bin.xz").unwrap();
    system
        .0
        .put(&path, Inode::new(Metadata::default(), link))
        .unwrap();
    let (initramfs, tree, _) = system.built();
    assert_eq!(initramfs.missing_firmware, Vec::<String>::new());
    let file = tree.file("/lib/firmware/ahci/fw.bin.xz").unwrap();
    assert_eq!(file.read_all(100).unwrap(), b"compressed");
    assert_eq!(tree.list("/lib/firmware").count(), 1);
}

#[test]
fn microcode_stands_first_and_uncompressed() {
    let mut system = System::new();
    system.text("/lib/firmware/intel-ucode/06-55-04", "microcode");
    let (initramfs, tree, _) = system.built();
    assert_eq!(initramfs.bytes[..6], *b"070701");
    assert_eq!(initramfs.microcode_len % 512, 0);
    let start = usize::try_from(initramfs.microcode_len).unwrap();
    assert_eq!(initramfs.bytes[start..start + 4], [0x28, 0xb5, 0x2f, 0xfd]);
    let code = tree.file("/kernel/x86/microcode/GenuineIntel.bin").unwrap();
    assert_eq!(code.len(), 9);
    system.text("/etc/dracut.conf.d/a.conf", "early_microcode=no\n");
    let (initramfs, tree, _) = system.built();
    assert_eq!(initramfs.microcode_len, 0);
    assert!(
        tree.file("/kernel/x86/microcode/GenuineIntel.bin")
            .is_none()
    );
}

#[test]
fn files_and_parameters_that_dracut_would_take_are_taken() {
    let mut system = System::new();
    system.text(
        "/etc/dracut.conf.d/a.conf",
        "install_items+=\" /etc/a.conf /gone /init \"\ninstall_optional_items+=\" /etc/b.conf /never \"\nkernel_cmdline=\"rd.timeout=5 quiet\"\n",
    );
    system.text("/etc/a.conf", "a");
    system.text("/etc/b.conf", "b");
    system.text("/etc/c.conf", "c");
    system.text("/init", "not the runtime");
    let mut options = options();
    options.install = vec!["/etc/c.conf".into()];
    options.time = Timestamp::from_seconds(77);
    let (initramfs, tree, _) = system.build(&options);
    for name in ["a", "b", "c"] {
        let file = tree.file(format!("/etc/{name}.conf")).unwrap();
        assert_eq!(file.read_all(10).unwrap(), name.as_bytes());
    }
    assert!(
        tree.walk()
            .all(|entry| entry.inode.metadata.mtime.seconds == 77)
    );
    assert_eq!(
        tree.file("/init").unwrap().read_all(100).unwrap(),
        b"the runtime"
    );
    let parameters = tree.file("/etc/cmdline.d/01-dracut.conf").unwrap();
    assert_eq!(parameters.read_all(100).unwrap(), b"rd.timeout=5 quiet\n");
    assert_eq!(initramfs.warnings.len(), 1);
    assert!(initramfs.warnings[0].contains("/gone"));
}

#[test]
fn extra_files_replace_what_is_there() {
    let mut options = options();
    let put = |path: &str, text: &str| {
        let node = Node::File(Content::from_bytes(text.as_bytes()));
        (
            TreePath::parse(path).unwrap(),
            Inode::new(Metadata::with_permissions(0o600), node),
        )
    };
    options.extra = vec![put("/init", "mine"), put("/a/b/c", "new")];
    let (_, tree, _) = System::new().build(&options);
    assert_eq!(tree.file("/init").unwrap().read_all(10).unwrap(), b"mine");
    assert_eq!(tree.file("/a/b/c").unwrap().read_all(10).unwrap(), b"new");
}

#[test]
fn the_archive_is_compressed_as_the_kernel_can_unpack_it() {
    let mut system = System::new();
    let config = CONFIG.replace("CONFIG_RD_ZSTD=y\n", "");
    system.text(&format!("/boot/config-{VERSION}"), &config);
    let (initramfs, ..) = system.built();
    assert_eq!(initramfs.compression, Compression::Gzip);
    assert_eq!(initramfs.bytes[..2], [0x1f, 0x8b]);
}

#[test]
fn a_kernel_that_cannot_boot_media_is_refused_with_all_that_it_lacks() {
    for (gone, named) in [
        (
            "CONFIG_BLK_DEV_INITRD=y\n",
            "CONFIG_BLK_DEV_INITRD is not set",
        ),
        ("CONFIG_DEVTMPFS=y\n", "CONFIG_DEVTMPFS is not set"),
        (
            "CONFIG_SQUASHFS_ZSTD=y\n",
            "CONFIG_SQUASHFS_ZSTD is not set",
        ),
    ] {
        let mut system = System::new();
        system.text(
            &format!("/boot/config-{VERSION}"),
            &CONFIG.replace(gone, ""),
        );
        let error = system.try_build(&options()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains(named), "{error}");
        assert!(error.to_string().contains(VERSION), "{error}");
    }
    let error = System::bare()
        .try_build(&options())
        .unwrap_err()
        .to_string();
    for option in ["BLK_DEV_LOOP", "OVERLAY_FS", "ISO9660_FS", "SQUASHFS"] {
        assert!(
            error.contains(&format!("CONFIG_{option} is not set")),
            "{error}"
        );
    }
}

#[test]
fn verity_has_its_modules_or_is_refused() {
    let mut system = System::new();
    let folder = format!("/lib/modules/{VERSION}/kernel");
    let mut options = options();
    options.verity = true;
    let error = system.try_build(&options).unwrap_err().to_string();
    assert!(error.contains("CONFIG_BLK_DEV_DM is not set"), "{error}");
    system.file(&format!("{folder}/drivers/md/dm-mod.ko"), module(&[]));
    let error = system.try_build(&options).unwrap_err().to_string();
    assert!(error.contains("CONFIG_DM_VERITY is not set"), "{error}");
    let verity = module(&["depends=dm-mod"]);
    system.file(&format!("{folder}/drivers/md/dm-verity.ko"), verity);
    let fast = format!("{folder}/arch/x86/crypto/sha256-ssse3.ko");
    system.file(&fast, module(&[]));
    let (_, _, index) = system.build(&options);
    assert_eq!(index.modules["dm_verity"].depends, ["dm_mod"]);
    assert_eq!(index.modules["dm_verity"].soft_pre, ["sha256_ssse3"]);
    options.omit_modules = vec!["dm-verity".into()];
    let error = system.try_build(&options).unwrap_err().to_string();
    assert!(error.contains("dm_verity is left out"), "{error}");
}

#[test]
fn a_kernel_with_everything_built_in_needs_no_modules() {
    let mut system = System::bare();
    system.text(
        &format!("/boot/config-{VERSION}"),
        &CONFIG.replace("=m", "=y"),
    );
    let (initramfs, _, index) = system.built();
    assert!(initramfs.modules.is_empty() && index.modules.is_empty());
}

#[test]
fn without_a_configuration_the_squashfs_module_says_what_it_unpacks() {
    let mut system = System::new();
    assert!(
        system
            .0
            .remove_path(&TreePath::parse(format!("/boot/config-{VERSION}")).unwrap())
    );
    let path = format!("/lib/modules/{VERSION}/kernel/fs/squashfs/squashfs.ko");
    system.file(&path, module(&["x=xz_dec_init"]));
    let mut options = options();
    options.root_image = RootImage::Squashfs(SquashfsCompressor::Xz);
    assert!(system.try_build(&options).is_ok());
    options.root_image = RootImage::Squashfs(SquashfsCompressor::Zstd);
    let error = system.try_build(&options).unwrap_err();
    assert!(
        error.to_string().contains("CONFIG_SQUASHFS_ZSTD"),
        "{error}"
    );
    options.root_image = RootImage::Erofs;
    let error = system.try_build(&options).unwrap_err();
    assert!(error.to_string().contains("CONFIG_EROFS_FS"), "{error}");
}
