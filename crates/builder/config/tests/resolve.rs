//! A request and the facts of an image become a plan, or a refusal that says why.
#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

use block::{Content, Kind};
use config::settings::{DracutModules, Generator, OutputFormat};
use config::{BiosLoader, Plan, Request, resolve};
use formats::squashfs::Compression;
use mediacheck::Styles;
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

const KERNEL_CONFIG: &str = "CONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZLIB=y\nCONFIG_SQUASHFS_ZSTD=y\n\
    CONFIG_BLK_DEV_DM=y\nCONFIG_DM_VERITY=y\n";

/// An x86-64 program, as far as its header goes.
fn program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[16..20].copy_from_slice(&[2, 0, 62, 0]);
    bytes
}

/// An image with one kernel of this configuration, shim and GRUB, and further files.
fn image(kernel_config: &str, more: &[&str], without: &[&str]) -> Tree<Content> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let efi = |name: &str| (name.to_owned(), efi_program());
    let mut files = vec![
        (
            "etc/os-release".to_owned(),
            b"ID=debian\nPRETTY_NAME=\"Test 1\"\n".to_vec(),
        ),
        ("usr/bin/env".to_owned(), program()),
        ("boot/vmlinuz-6.1".to_owned(), kernel()),
        (
            "boot/config-6.1".to_owned(),
            kernel_config.as_bytes().to_vec(),
        ),
        ("usr/lib/modules/6.1/modules.dep".to_owned(), Vec::new()),
        efi("boot/efi/EFI/debian/shimx64.efi"),
        efi("boot/efi/EFI/debian/grubx64.efi"),
    ];
    files.extend(more.iter().map(|path| ((*path).to_owned(), b"x".to_vec())));
    for (path, bytes) in files {
        if !without.iter().any(|part| path.contains(part)) {
            let inode = Inode::new(
                Metadata::with_permissions(0o755),
                Node::File(Content::from_bytes(bytes)),
            );
            tree.put(&TreePath::parse(&path).unwrap(), inode).unwrap();
        }
    }
    tree
}

/// The start of a kernel for x86 that says it is 6.1.
fn kernel() -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[60..64].copy_from_slice(&0x80_u32.to_le_bytes());
    bytes[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    bytes[0x300..0x304].copy_from_slice(b"6.1 ");
    bytes
}

/// The header of an EFI program for x86-64 (PE32+).
fn efi_program() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
    bytes[0x84..0x86].copy_from_slice(&0x8664u16.to_le_bytes());
    bytes[0x94..0x96].copy_from_slice(&240u16.to_le_bytes());
    bytes[0x98..0x9a].copy_from_slice(&0x20bu16.to_le_bytes());
    bytes
}

fn plan(tree: &Tree<Content>, request: &Request, host_grub: bool) -> block::Result<Plan> {
    let facts = inspect::facts(tree).unwrap();
    resolve(
        request,
        &facts,
        Timestamp::from_seconds(1_000_000_000),
        host_grub,
    )
}

#[test]
fn without_a_wish_it_is_zstd_3_and_the_field_s_volume_identifier() {
    let plan = plan(&image(KERNEL_CONFIG, &[], &[]), &Request::default(), true).unwrap();
    assert_eq!(plan.root_image.compression, Compression::Zstd { level: 3 });
    assert_eq!(plan.volume_id.as_str(), "CDROM");
    assert_eq!(plan.time.seconds, 1_000_000_000);
    assert_eq!(plan.bios, Some(BiosLoader::GrubOfHost));
    assert_eq!(plan.efi.grub.vendor, "debian");
    assert_eq!(plan.efi.network_grub.path, plan.efi.grub.path);
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn an_iso_of_a_network_boot_folder_has_the_grub_for_media() {
    let signed = "usr/lib/grub/x86_64-efi-signed";
    let mut tree = image(KERNEL_CONFIG, &[], &[]);
    for name in ["gcdx64.efi.signed", "grubnetx64.efi.signed"] {
        let node = Node::File(Content::from_bytes(efi_program()));
        let inode = Inode::new(Metadata::with_permissions(0o755), node);
        let path = TreePath::parse(format!("{signed}/{name}")).unwrap();
        let folder = Metadata::with_permissions(0o755);
        tree.make_directories(&path.parent().unwrap(), &folder)
            .unwrap();
        tree.put(&path, inode).unwrap();
    }
    for format in [OutputFormat::Iso, OutputFormat::PxeDir] {
        let request = Request {
            format,
            ..Request::default()
        };
        let efi = plan(&tree, &request, true).unwrap().efi;
        assert!(efi.grub.path.to_string().ends_with("gcdx64.efi.signed"));
        assert!(
            efi.network_grub
                .path
                .to_string()
                .ends_with("grubnetx64.efi.signed")
        );
    }
}

#[test]
fn a_kernel_without_zstd_gets_gzip() {
    let config = "CONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_ZLIB=y\n# CONFIG_SQUASHFS_ZSTD is not set\n";
    let plan = plan(&image(config, &[], &[]), &Request::default(), true).unwrap();
    assert_eq!(plan.root_image.compression, Compression::Gzip { level: 6 });
}

#[test]
fn a_kernel_that_cannot_mount_what_was_asked_for_is_refused_by_name_and_option() {
    let asked = |compression| Request {
        compression: Some(compression),
        ..Request::default()
    };
    for (config, compression, option) in [
        (
            "CONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_ZLIB=y\n",
            Compression::Zstd { level: 3 },
            "CONFIG_SQUASHFS_ZSTD",
        ),
        (KERNEL_CONFIG, Compression::Lz4, "CONFIG_SQUASHFS_LZ4"),
        (
            "CONFIG_X=y\n",
            Compression::Gzip { level: 6 },
            "CONFIG_SQUASHFS",
        ),
    ] {
        let error = plan(&image(config, &[], &[]), &asked(compression), true).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        let said = error.to_string();
        assert!(said.contains("6.1") && said.contains(option), "{said}");
    }
}

#[test]
fn what_the_media_cannot_boot_without_is_an_error_that_names_it() {
    for (missing, reason) in [
        ("vmlinuz", "has no kernel"),
        ("shim", "shimx64.efi"),
        ("grubx64", "grubx64.efi"),
    ] {
        let error = plan(
            &image(KERNEL_CONFIG, &[], &[missing]),
            &Request::default(),
            true,
        )
        .unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{missing}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn the_images_own_boot_loader_for_a_bios_comes_first_and_none_is_a_warning() {
    let files = [
        "normal.mod",
        "kernel.img",
        "cdboot.img",
        "diskboot.img",
        "boot_hybrid.img",
        "lzma_decompress.img",
    ]
    .map(|name| format!("usr/lib/grub/i386-pc/{name}"));
    let tree = image(KERNEL_CONFIG, &files.each_ref().map(String::as_str), &[]);
    let found = plan(&tree, &Request::default(), true).unwrap().bios;
    assert!(
        matches!(found, Some(BiosLoader::GrubOfImage(_))),
        "{found:?}"
    );
    let none = plan(&image(KERNEL_CONFIG, &[], &[]), &Request::default(), false).unwrap();
    assert_eq!(none.bios, None);
    assert!(
        none.warnings
            .iter()
            .any(|warning| warning.contains("UEFI only")),
        "{:?}",
        none.warnings
    );
}

#[test]
fn the_iso_has_what_the_media_check_reads_that_boots_it() {
    let tree = image(KERNEL_CONFIG, &[], &[]);
    let styles = |request: &Request| plan(&tree, request, true).unwrap().implanted;
    let mut request = Request::default();
    assert_eq!(styles(&request), Styles::None);
    request.dracut_modules = Some(DracutModules::Upstream);
    assert_eq!(
        styles(&request),
        Styles::None,
        "our own initramfs reads our table"
    );
    request.generator = Some(Generator::Dracut);
    assert_eq!(styles(&request), Styles::Isomd5sum);
    request.implanted = Some(Styles::Both);
    assert_eq!(styles(&request), Styles::Both);
}

#[test]
fn a_volume_identifier_that_no_command_line_could_hold_is_refused() {
    let request = Request {
        volume_id: Some("two words".into()),
        ..Request::default()
    };
    let error = plan(&image(KERNEL_CONFIG, &[], &[]), &request, true).unwrap_err();
    assert!(error.to_string().contains("two words"), "{error}");
}

#[test]
fn times_outside_of_what_the_media_hold_are_brought_inside() {
    for (asked, expected) in [(-5, 0), (1 << 40, i64::from(u32::MAX)), (77, 77)] {
        let request = Request {
            time: Some(asked),
            ..Request::default()
        };
        let plan = plan(&image(KERNEL_CONFIG, &[], &[]), &request, true).unwrap();
        assert_eq!(plan.time.seconds, expected);
    }
}

/// The files of a kernel's modules for dm-verity.
const VERITY_MODULES: [&str; 2] = [
    "usr/lib/modules/6.1/kernel/drivers/md/dm-mod.ko.xz",
    "usr/lib/modules/6.1/kernel/drivers/md/dm-verity.ko.xz",
];

#[test]
fn the_root_file_system_image_is_verified_wherever_all_kernels_can() {
    use config::settings::Verity;
    let ask = |config: &str, modules: &[&str], verity| {
        let request = Request {
            verity,
            ..Request::default()
        };
        plan(&image(config, modules, &[]), &request, true)
    };
    let as_modules = KERNEL_CONFIG
        .replace("DM=y", "DM=m")
        .replace("TY=y", "TY=m");
    let without = KERNEL_CONFIG.replace("CONFIG_DM_VERITY=y\n", "");
    let warns = |plan: &Plan| {
        plan.warnings
            .iter()
            .any(|text| text.contains("6.1 cannot verify"))
    };
    for (config, modules) in [(KERNEL_CONFIG, &[][..]), (&as_modules, &VERITY_MODULES)] {
        let plan = ask(config, modules, None).unwrap();
        assert!(plan.verity && !warns(&plan));
        assert!(ask(config, modules, Some(Verity::On)).unwrap().verity);
        assert!(!ask(config, modules, Some(Verity::Off)).unwrap().verity);
    }
    // The configuration says that it is a module, and the module is not there.
    for config in [&as_modules, &without] {
        for verity in [None, Some(Verity::Auto)] {
            let plan = ask(config, &VERITY_MODULES[..1], verity).unwrap();
            assert!(!plan.verity && warns(&plan));
        }
        let plan = ask(config, &[], Some(Verity::Off)).unwrap();
        assert!(!plan.verity && !warns(&plan));
        let error = ask(config, &[], Some(Verity::On)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
    }
}

#[test]
fn what_does_not_heed_a_root_hash_is_told() {
    use config::settings::{DracutModules, Generator, InitramfsType, Verity};
    let tree = image(KERNEL_CONFIG, &[], &[]);
    let upstream = Request {
        generator: Some(Generator::Dracut),
        dracut_modules: Some(DracutModules::Upstream),
        ..Request::default()
    };
    let made = plan(&tree, &upstream, true).unwrap();
    assert!(
        made.verity
            && made
                .warnings
                .iter()
                .any(|text| text.contains("do not heed"))
    );
    let full_os = Request {
        initramfs_type: Some(InitramfsType::FullOs),
        verity: Some(Verity::On),
        ..Request::default()
    };
    let made = plan(&tree, &full_os, true).unwrap();
    assert!(!made.verity && made.warnings.iter().any(|text| text.contains("no effect")));
}
