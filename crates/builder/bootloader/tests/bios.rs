//! GRUB's core image: against `grub-mkimage`, and against damaged module folders.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod i386_pc;
mod reference;

use std::process::Command;

use block::Kind;
use bootloader::bios::{CoreOptions, DEFAULT_MODULES, core_image};
use i386_pc::{FOLDER, system_files};
use reference::need;

/// The payload of an El Torito image: kernel and module list, uncompressed.
fn payload(image: &[u8]) -> Vec<u8> {
    let core = &image[2560..];
    let field = |at: usize| u32::from_le_bytes(core[at..at + 4].try_into().unwrap()) as usize;
    let (packed_len, plain_len) = (field(8), field(12));
    let mut options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
    options.dict_size(1 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma1(&options);
    let mut stream = liblzma::stream::Stream::new_raw_decoder(&filters).unwrap();
    let mut plain = Vec::with_capacity(plain_len);
    let packed = &core[core.len() - packed_len..];
    stream
        .process_vec(packed, &mut plain, liblzma::stream::Action::Run)
        .unwrap();
    assert_eq!(plain.len(), plain_len);
    plain
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the reference tool is a program")]
fn ref_the_core_image_holds_what_grub_mkimage_puts_into_it() {
    if !need("grub-mkimage") || !need(FOLDER) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let early = folder.path().join("early.cfg");
    std::fs::write(&early, "set early=1\n").unwrap();
    for (config, modules) in [
        (
            None,
            &["biosdisk", "iso9660", "normal", "configfile", "search"][..],
        ),
        (Some("set early=1\n"), DEFAULT_MODULES),
    ] {
        let theirs = folder.path().join("theirs.img");
        let mut command = Command::new("grub-mkimage");
        command
            .args(["-O", "i386-pc-eltorito", "-p", "/boot/grub", "-o"])
            .arg(&theirs);
        if config.is_some() {
            command.arg("-c").arg(&early);
        }
        assert!(command.args(modules).status().unwrap().success());
        let theirs = std::fs::read(&theirs).unwrap();
        let options = CoreOptions {
            prefix: "/boot/grub",
            config,
            modules,
        };
        let ours = core_image(&system_files, &options).unwrap();
        assert!(
            payload(&theirs) == payload(&ours.eltorito),
            "the payloads differ"
        );
        let blocks = u16::from_le_bytes(ours.eltorito[2556..2558].try_into().unwrap());
        assert_eq!(
            usize::from(blocks),
            (ours.eltorito.len() - 2560).div_ceil(512)
        );
        let decompressor = system_files("lzma_decompress.img").unwrap().unwrap();
        let fields = |image: &[u8]| {
            [
                &image[..2556],
                &image[2558..2568],
                &image[2576..2560 + decompressor.len()],
            ]
            .concat()
        };
        assert_eq!(
            fields(&theirs),
            fields(&ours.eltorito),
            "the boot sectors differ"
        );
        assert!(
            ours.eltorito.len() < theirs.len() + 1024,
            "{} against {}",
            ours.eltorito.len(),
            theirs.len()
        );
    }
}

#[test]
fn ref_a_missing_file_is_named_with_its_package() {
    if !need(FOLDER) {
        return;
    }
    let options = CoreOptions {
        prefix: "/boot/grub",
        config: None,
        modules: &["iso9660"],
    };
    for missing in [
        "kernel.img",
        "lzma_decompress.img",
        "diskboot.img",
        "cdboot.img",
        "boot_hybrid.img",
        "moddep.lst",
        "iso9660.mod",
        "fshelp.mod",
    ] {
        let files = |name: &str| {
            if name == missing {
                Ok(None)
            } else {
                system_files(name)
            }
        };
        let error = core_image(&files, &options).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        let text = error.to_string();
        assert!(
            text.contains(missing) && text.contains("grub-pc-bin"),
            "{text}"
        );
    }
}

#[test]
fn ref_damaged_files_are_refused_or_built_in_but_never_a_panic() {
    if !need(FOLDER) {
        return;
    }
    let options = CoreOptions {
        prefix: "/boot/grub",
        config: None,
        modules: &[],
    };
    let kernel = system_files("kernel.img").unwrap().unwrap();
    let build = |kernel: &[u8]| {
        let files = |name: &str| {
            if name == "kernel.img" {
                Ok(Some(kernel.to_vec()))
            } else {
                system_files(name)
            }
        };
        core_image(&files, &options)
    };
    let header = 0..52;
    let sections = kernel.len() - 240..kernel.len();
    for at in header.chain(sections) {
        let mut damaged = kernel.clone();
        damaged[at] ^= 0xff;
        if let Err(error) = build(&damaged) {
            assert!(
                matches!(
                    error.kind(),
                    Kind::Corrupt | Kind::Unsupported | Kind::Limit
                ),
                "{error}"
            );
        }
    }
    for len in [0, 1, 4, 51, 52, 1000, kernel.len() - 1] {
        assert!(
            build(&kernel[..len]).is_err(),
            "{len} bytes of kernel.img were taken"
        );
    }
}

#[test]
fn ref_boot_sectors_of_another_length_are_refused() {
    if !need(FOLDER) {
        return;
    }
    let options = CoreOptions {
        prefix: "/boot/grub",
        config: None,
        modules: &[],
    };
    for short in [
        "diskboot.img",
        "cdboot.img",
        "boot_hybrid.img",
        "lzma_decompress.img",
    ] {
        let files = |name: &str| {
            if name == short {
                Ok(Some(vec![0; 15]))
            } else {
                system_files(name)
            }
        };
        assert_eq!(
            core_image(&files, &options).unwrap_err().kind(),
            Kind::Corrupt,
            "{short}"
        );
    }
}

#[test]
fn ref_a_module_list_names_no_file_elsewhere() {
    if !need(FOLDER) {
        return;
    }
    let options = CoreOptions {
        prefix: "/boot/grub",
        config: None,
        modules: &["iso9660"],
    };
    for (list, kind) in [
        ("iso9660: ../../etc/shadow\n".to_owned(), Kind::Corrupt),
        ("iso9660: missing\n".to_owned(), Kind::NotFound),
        ("iso9660: iso9660 iso9660\n".repeat(1000), Kind::NotFound),
    ] {
        let files = |name: &str| match name {
            "moddep.lst" => Ok(Some(list.clone().into_bytes())),
            "iso9660.mod" if kind == Kind::NotFound && list.len() > 1000 => Ok(None),
            name => system_files(name),
        };
        let error = core_image(&files, &options).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let no_module = |name: &str| match name {
        "iso9660.mod" => Ok(Some(b"#!/bin/sh".to_vec())),
        name => system_files(name),
    };
    assert_eq!(
        core_image(&no_module, &options).unwrap_err().kind(),
        Kind::Corrupt
    );
    let large = |name: &str| match name {
        "iso9660.mod" => Ok(Some([&b"\x7fELF"[..], &vec![0; 5 << 20]].concat())),
        name => system_files(name),
    };
    assert_eq!(
        core_image(&large, &options).unwrap_err().kind(),
        Kind::Limit
    );
}

#[test]
fn ref_more_than_a_bios_can_take_is_refused() {
    if !need(FOLDER) {
        return;
    }
    let noise: Vec<u8> = (0u32..1 << 20)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[(n % 3) as usize + 1])
        .collect();
    let files = |name: &str| match name {
        "iso9660.mod" => Ok(Some([&b"\x7fELF"[..], &noise].concat())),
        name => system_files(name),
    };
    let options = CoreOptions {
        prefix: "/boot/grub",
        config: None,
        modules: &["iso9660"],
    };
    let error = core_image(&files, &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit, "{error}");
}
