//! Live media in the layouts of the tools that make them, put together by the reference programs and read here.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests start reference programs and read the environment"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use block::Kind;
use media::{Maker, Medium, VERSION, kernel_image};
use source::{Media, Options, Origin, RootOnMedia, Source};
use support::{bytes, chain, need, put, run};

mod media;
mod support;

const TOOLS: [&str; 6] = [
    "genisoimage",
    "xorriso",
    "mksquashfs",
    "mkfs.ext4",
    "mkfs.vfat",
    "mcopy",
];

fn open(path: &Path) -> Source {
    source::open(path, &Options::default()).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn refused(path: &Path) -> block::Error {
    source::open(path, &Options::default()).unwrap_err()
}

fn media_of(source: &Source) -> &Media {
    match &source.origin {
        Origin::Media(media) => media,
        other => panic!("{other:?}"),
    }
}

/// Holds that the root file system is that of [`Medium::system`], whole.
fn assert_system(source: &Source) {
    assert_eq!(
        bytes(&source.tree, "etc/os-release"),
        b"ID=test\nPRETTY_NAME=\"Test 1\"\n"
    );
    assert_eq!(bytes(&source.tree, "usr/share/large"), media::large());
    let (_, id) = source.tree.resolve("usr/bin/program").unwrap();
    let inode = source.tree.inode(id);
    assert_eq!(inode.metadata.permissions, 0o4755);
    let facts = inspect::facts(&source.tree).unwrap();
    let versions: Vec<_> = facts
        .kernels
        .iter()
        .map(|kernel| kernel.version.as_str())
        .collect();
    assert_eq!(versions, [VERSION], "{:?}", facts.warnings);
}

/// The EFI programs of the tree.
fn programs(source: &Source) -> Vec<String> {
    let efi = source.tree.resolve("boot/efi/EFI");
    let (path, id) = efi.unwrap();
    let all = source.tree.walk_from(path, id);
    all.filter(|entry| matches!(entry.inode.node, tree::Node::File(_)))
        .map(|entry| entry.path.to_string())
        .collect()
}

#[test]
fn ref_a_bootstrap_iso_of_image_customizer_is_a_system_with_its_boot_folder() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::image_customizer();
    medium.squashfs("liveos/rootfs.img", &[]);
    let iso = medium.write(Maker::Genisoimage);
    let source = open(&iso);
    assert_system(&source);
    let found = media_of(&source);
    assert_eq!(found.volume_id, "CDROM");
    assert_eq!(found.root.path().to_string(), "/liveos/rootfs.img");
    assert!(matches!(
        &found.root,
        RootOnMedia::Squashfs { nested: None, .. }
    ));
    assert!(found.has_system_boot);
    assert_eq!(found.saved.as_deref(), Some(b"liveos: {}\n".as_slice()));
    assert_eq!(found.kernels.len(), 1);
    assert_eq!(
        bytes(&source.tree, "boot/grub2/grub.cfg"),
        media::GRUB_CONFIG
    );
    assert_eq!(
        bytes(&source.tree, &format!("boot/config-{VERSION}")),
        b"CONFIG_X=y\n"
    );
    assert_eq!(
        bytes(&source.tree, "boot/efi/EFI/BOOT/bootx64.efi"),
        media::program()
    );
    assert_eq!(
        programs(&source),
        [
            "/boot/efi/EFI/BOOT/bootx64.efi",
            "/boot/efi/EFI/BOOT/grubx64.efi"
        ]
    );
    assert!(source.tree.file("boot/grub2/efiboot.img").is_none());
    let (_, id) = source.tree.resolve("usr/bin/program").unwrap();
    let label = source
        .tree
        .inode(id)
        .metadata
        .xattrs
        .get(b"user.label".as_slice());
    assert_eq!(label.map(|value| &**value), Some(b"kept".as_slice()));
}

#[test]
fn ref_a_full_os_iso_is_read_from_its_initramfs() {
    if !need(&TOOLS) || !need(&["cpio", "gzip", "zstd"]) {
        return;
    }
    for compressor in ["gzip -1", "zstd -1", "cat"] {
        let medium = Medium::image_customizer();
        medium.put("system/init", b"#!/bin/sh\n");
        medium.shell(&format!(
            "mkdir -p iso/boot && cd system && find . | cpio -o -H newc --quiet | {compressor} > ../iso/boot/initrd.img"
        ));
        let source = open(&medium.write(Maker::Genisoimage));
        assert_system(&source);
        let found = media_of(&source);
        assert!(
            matches!(&found.root, RootOnMedia::FullOs { path } if path.to_string() == "/boot/initrd.img")
        );
        assert!(source.tree.file("boot/initrd.img").is_none());
        assert!(source.tree.file("init").is_some());
    }
}

#[test]
fn ref_a_full_os_iso_of_ours_has_its_attributes_and_not_our_init() {
    if !need(&TOOLS) || !need(&["cpio"]) {
        return;
    }
    let archive = |own_init: bool, attributes: Option<&str>| {
        let medium = Medium::image_customizer();
        medium.put("system/init", b"liveos-init");
        if own_init {
            medium.put("system/.liveos/init", b"own");
        }
        if let Some(text) = attributes {
            medium.put("system/.liveos/attributes", text.as_bytes());
        }
        medium.put("system/kernel/x86/microcode/GenuineIntel.bin", b"microcode");
        medium.shell("cd system && find . | cpio -o -H newc --quiet > ../iso/boot/initrd.img");
        (medium.write(Maker::Genisoimage), medium)
    };
    let mut attributes = contract::attributes::Attributes::new(1);
    let set = [(
        b"security.selinux".as_slice().into(),
        b"label\0".as_slice().into(),
    )];
    let set = std::sync::Arc::new(set.into_iter().collect());
    attributes.insert(b"/usr/bin/program", &set).unwrap();
    let text = attributes.print();
    for own_init in [true, false] {
        let (iso, _medium) = archive(own_init, Some(&text));
        let source = open(&iso);
        assert_system(&source);
        let (_, id) = source.tree.resolve("usr/bin/program").unwrap();
        assert_eq!(source.tree.inode(id).metadata.xattrs, set);
        assert!(source.tree.resolve(".liveos").is_err());
        assert!(source.tree.resolve("kernel").is_err());
        match own_init {
            true => assert_eq!(bytes(&source.tree, "init"), b"own"),
            false => assert!(source.tree.resolve("init").is_err()),
        }
    }
    let elsewhere = text.replace("/usr/bin/program", "/nowhere");
    for damaged in [
        None,
        Some(""),
        Some(&*elsewhere),
        Some(&text[..text.len() - 5]),
    ] {
        let (iso, _medium) = archive(true, damaged);
        let error = refused(&iso);
        assert_eq!(error.kind(), Kind::Corrupt, "{}", chain(&error));
        assert!(chain(&error).contains("attributes"), "{}", chain(&error));
    }
}

#[test]
fn ref_an_initramfs_that_says_that_it_is_one_is_no_system() {
    if !need(&TOOLS) || !need(&["cpio"]) {
        return;
    }
    let medium = Medium::image_customizer();
    medium.put("system/etc/initrd-release", b"ID=dracut\n");
    medium.shell("cd system && find . | cpio -o -H newc --quiet > ../iso/boot/initrd.img");
    let error = refused(&medium.write(Maker::Genisoimage));
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        error.to_string().contains("root file system image"),
        "{error}"
    );
}

#[test]
fn ref_kiwi_puts_the_system_into_squashfs_or_into_a_file_system_in_it() {
    if !need(&TOOLS) {
        return;
    }
    for nested in [false, true] {
        let medium = Medium::new();
        if nested {
            medium.nested_ext4("LiveOS/squashfs.img", "LiveOS/rootfs.img");
        } else {
            medium.squashfs("LiveOS/squashfs.img", &["-comp", "xz"]);
        }
        medium.put("iso/boot/x86_64/loader/linux", &kernel_image(VERSION));
        medium.put("iso/boot/x86_64/loader/initrd", b"initrd");
        medium.put("iso/boot/grub2/grub.cfg", media::GRUB_CONFIG);
        medium.put("iso/EFI/BOOT/bootx64.efi", &media::program());
        let source = open(&medium.write(Maker::Xorriso));
        assert_system(&source);
        let found = media_of(&source);
        let inner = nested.then(|| "/LiveOS/rootfs.img".to_owned());
        let RootOnMedia::Squashfs { nested: path, .. } = &found.root else {
            panic!("{:?}", found.root);
        };
        assert_eq!(path.as_ref().map(ToString::to_string), inner);
        assert!(!found.has_system_boot);
        assert_eq!(
            bytes(&source.tree, &format!("boot/vmlinuz-{VERSION}")),
            kernel_image(VERSION)
        );
        assert!(source.tree.file("boot/grub2/grub.cfg").is_none());
        let said: Vec<String> = source.warnings.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|text| text.contains("boot/grub2/grub.cfg")),
            "{said:?}"
        );
    }
}

#[test]
fn ref_live_build_media_are_read_through_their_partition_table() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::new();
    medium.put(&format!("system/boot/config-{VERSION}"), b"CONFIG_X=y\n");
    medium.squashfs("live/filesystem.squashfs", &[]);
    medium.put(
        &format!("iso/live/vmlinuz-{VERSION}"),
        &kernel_image(VERSION),
    );
    medium.put("iso/install/vmlinuz", &kernel_image("6.1.0-installer"));
    medium.put("iso/boot/grub/grub.cfg", media::GRUB_CONFIG);
    medium.esp("esp.img", "EFI/boot");
    let source = open(&medium.write(Maker::Hybrid));
    assert_system(&source);
    let found = media_of(&source);
    let table = block::partition::Table::read(&*found.disk.image)
        .unwrap()
        .unwrap();
    assert!(!table.partitions.is_empty());
    assert_eq!(found.kernels.len(), 2);
    assert_eq!(
        bytes(&source.tree, &format!("boot/config-{VERSION}")),
        b"CONFIG_X=y\n"
    );
    // There is no EFI folder: the programs come out of the boot image.
    assert_eq!(programs(&source), ["/boot/efi/EFI/BOOT/BOOTX64.EFI"]);
}

#[test]
fn ref_fedora_media_are_read_nested_and_plain() {
    if !need(&TOOLS) {
        return;
    }
    for nested in [false, true] {
        let medium = Medium::new();
        if nested {
            medium.nested_ext4("LiveOS/squashfs.img", "LiveOS/rootfs.img");
        } else {
            medium.squashfs("LiveOS/squashfs.img", &["-comp", "zstd"]);
        }
        medium.put("iso/images/pxeboot/vmlinuz", &kernel_image(VERSION));
        medium.put("iso/EFI/BOOT/BOOTX64.EFI", &media::program());
        medium.put("iso/EFI/BOOT/grub.cfg", media::GRUB_CONFIG);
        let source = open(&medium.write(Maker::Xorriso));
        assert_system(&source);
        assert_eq!(programs(&source), ["/boot/efi/EFI/BOOT/BOOTX64.EFI"]);
    }
}

#[test]
fn ref_file_systems_that_are_not_read_are_refused_by_name() {
    if !need(&TOOLS) {
        return;
    }
    let mut erofs = vec![0; 1 << 16];
    erofs[1024..1028].copy_from_slice(&[0xe2, 0xe1, 0xf5, 0xe0]);
    let mut btrfs = vec![0; 1 << 17];
    btrfs[0x1_0040..0x1_0048].copy_from_slice(b"_BHRfS_M");
    let xfs = [b"XFSB".as_slice(), &[0; 4096]].concat();
    for (name, bytes) in [("erofs", &erofs), ("btrfs", &btrfs), ("xfs", &xfs)] {
        let direct = Medium::new();
        direct.put("iso/LiveOS/squashfs.img", bytes);
        let nested = Medium::new();
        nested.put("inner/LiveOS/rootfs.img", bytes);
        nested.shell("mksquashfs inner squashfs.img -quiet -no-progress && mkdir iso/LiveOS && mv squashfs.img iso/LiveOS/");
        for (medium, place) in [
            (direct, "LiveOS/squashfs.img"),
            (nested, "LiveOS/rootfs.img"),
        ] {
            let error = refused(&medium.write(Maker::Xorriso));
            assert_eq!(error.kind(), Kind::Unsupported, "{}", chain(&error));
            let text = chain(&error);
            assert!(
                text.contains(&format!("it is {name}")) && text.contains(place),
                "{text}"
            );
        }
    }
}

#[test]
fn ref_arch_media_have_their_kernel_among_its_modules() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::new();
    medium.put(
        &format!("system/usr/lib/modules/{VERSION}/vmlinuz"),
        &kernel_image(VERSION),
    );
    medium.squashfs("arch/x86_64/airootfs.sfs", &[]);
    medium.put("iso/arch/boot/x86_64/vmlinuz-linux", &kernel_image(VERSION));
    let source = open(&medium.write(Maker::Xorriso));
    assert_system(&source);
    assert!(
        source
            .tree
            .list("boot")
            .all(|(name, _)| name.as_bytes() == b"efi")
    );
}

#[test]
fn ref_root_file_systems_in_layers_are_refused_by_name() {
    if !need(&TOOLS) {
        return;
    }
    let casper = [
        "casper/minimal.squashfs",
        "casper/minimal.standard.squashfs",
    ];
    let live = ["live/filesystem.squashfs", "live/more.squashfs"];
    for images in [casper, live] {
        let medium = Medium::new();
        for image in images {
            medium.squashfs(image, &[]);
        }
        let error = refused(&medium.write(Maker::Xorriso));
        assert_eq!(error.kind(), Kind::Unsupported, "{}", chain(&error));
        let text = error.to_string();
        assert!(images.iter().all(|image| text.contains(image)), "{text}");
    }
    let medium = Medium::new();
    medium.squashfs("casper/filesystem.squashfs", &[]);
    medium.squashfs("casper/installer.squashfs", &[]);
    medium.put("iso/casper/vmlinuz", &kernel_image(VERSION));
    let source = open(&medium.write(Maker::Xorriso));
    assert_system(&source);
    let said = source.warnings.iter().map(ToString::to_string);
    assert_eq!(
        said.filter(|text| text.contains("casper/installer.squashfs"))
            .count(),
        1
    );
}

#[test]
fn ref_an_image_in_a_place_of_its_own_is_found_by_its_content() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::new();
    medium.squashfs("somewhere/else.bin", &[]);
    medium.put("iso/k/bzimage", &kernel_image(VERSION));
    medium.shell(
        "mkdir other && echo x > other/x && mksquashfs other iso/aaa.squashfs -quiet -no-progress",
    );
    let source = open(&medium.write(Maker::Xorriso));
    assert_system(&source);
    assert_eq!(
        media_of(&source).root.path().to_string(),
        "/somewhere/else.bin"
    );

    // One that is damaged is not in the way, unless it is the only one.
    medium.put("iso/zzz.img", &[b"hsqs".as_slice(), &[1; 200]].concat());
    let squashfs = medium.path("iso/zzz.img");
    let mut bytes = std::fs::read(&squashfs).unwrap();
    bytes[28] = 4;
    bytes[29] = 0;
    std::fs::write(&squashfs, &bytes).unwrap();
    assert_system(&open(&medium.write(Maker::Xorriso)));
    let other = Medium::new();
    other.put("iso/zzz.img", &bytes);
    let error = refused(&other.write(Maker::Xorriso));
    assert!(
        chain(&error).contains("reading /zzz.img"),
        "{}",
        chain(&error)
    );

    medium.squashfs("a-second.img", &[]);
    let error = refused(&medium.write(Maker::Xorriso));
    assert_eq!(error.kind(), Kind::Unsupported);
    let text = error.to_string();
    assert!(
        text.contains("/a-second.img") && text.contains("/somewhere/else.bin"),
        "{text}"
    );
}

#[test]
fn ref_an_ext4_image_on_the_medium_itself_is_read() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::new();
    medium.ext4("iso/LiveOS/rootfs.img");
    medium.put("iso/isolinux/vmlinuz", &kernel_image(VERSION));
    let source = open(&medium.write(Maker::Xorriso));
    assert_system(&source);
    assert!(matches!(
        &media_of(&source).root,
        RootOnMedia::FileSystem { format: "ext4", .. }
    ));
}

#[test]
fn ref_an_iso_of_files_is_no_live_medium() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::new();
    medium.put("iso/readme", b"text");
    let error = refused(&medium.write(Maker::Xorriso));
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        chain(&error).contains("no file of the ISO"),
        "{}",
        chain(&error)
    );
}

#[test]
fn ref_a_disk_on_which_an_iso_was_once_is_a_disk() {
    if !need(&TOOLS) || !need(&["sfdisk"]) {
        return;
    }
    let medium = Medium::new();
    medium.put("iso/readme", b"text");
    let iso = medium.write(Maker::Xorriso);
    medium.put(
        &format!("system/boot/vmlinuz-{VERSION}"),
        &kernel_image(VERSION),
    );
    medium.ext4("root.img");
    let disk = medium.path("disk.raw");
    std::fs::copy(iso, &disk).unwrap();
    let file = std::fs::File::options().write(true).open(&disk).unwrap();
    file.set_len(64 << 20).unwrap();
    medium.shell("echo 'start=2048, type=83' | sfdisk --quiet --wipe never --label dos disk.raw && dd if=root.img of=disk.raw bs=1M seek=1 conv=notrunc status=none");
    let source = open(&disk);
    assert!(
        matches!(&source.origin, Origin::Disk(_)),
        "{:?}",
        source.origin
    );
    assert_system(&source);
}

#[test]
fn ref_a_damaged_medium_is_an_error_or_the_same_system() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::new();
    medium.nested_ext4("LiveOS/squashfs.img", "LiveOS/rootfs.img");
    medium.put("iso/images/pxeboot/vmlinuz", &kernel_image(VERSION));
    let iso = medium.write(Maker::Xorriso);
    let whole = std::fs::read(&iso).unwrap();
    let damaged = medium.path("damaged.iso");
    let dump = |source: &Source| {
        source
            .tree
            .dump(|content| block::ReadAt::len(content).to_string())
    };
    let expected = dump(&open(&iso));
    let mut errors = 0;
    let steps: Vec<usize> = (0..40).map(|step| whole.len() * step / 40).collect();
    for len in steps {
        std::fs::write(&damaged, &whole[..len]).unwrap();
        match source::open(&damaged, &Options::default()) {
            // Only padding is missing.
            Ok(source) => assert_eq!(dump(&source), expected, "{len}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let mut state = 1_u64;
    for _ in 0..60 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 20).unwrap() % whole.len();
        let mut bytes = whole.clone();
        for byte in bytes.iter_mut().skip(at).take(512) {
            *byte ^= 0x5a;
        }
        std::fs::write(&damaged, &bytes).unwrap();
        match source::open(&damaged, &Options::default()) {
            Ok(source) => assert_eq!(dump(&source), expected, "{at}"),
            Err(error) => {
                errors += 1;
                assert!(!chain(&error).is_empty());
            }
        }
    }
    assert!(errors > 0, "nothing that was damaged was noticed");
}

#[test]
fn ref_reading_a_nested_file_system_at_random_does_not_unpack_a_block_each_time() {
    if !need(&TOOLS) {
        return;
    }
    let medium = Medium::new();
    medium.nested_ext4("LiveOS/squashfs.img", "LiveOS/rootfs.img");
    medium.put("iso/images/pxeboot/vmlinuz", &kernel_image(VERSION));
    let source = open(&medium.write(Maker::Xorriso));
    let content = source.tree.file("usr/share/large").unwrap();
    let large = media::large();
    let mut state = 7_u64;
    for _ in 0..20_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = usize::try_from(state >> 33).unwrap() % (large.len() - 16);
        let mut found = [0; 16];
        block::ReadAt::read_exact_at(content, &mut found, at as u64).unwrap();
        assert_eq!(found, large[at..at + 16]);
    }
}
