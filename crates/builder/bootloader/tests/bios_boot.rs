//! Boots our GRUB core image and our configurations in QEMU's SeaBIOS, up to a kernel that says how it was started.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod i386_pc;
mod kernel;
mod machine;
mod reference;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use block::{Kind, Result};
use bootloader::bios::{CoreOptions, DEFAULT_MODULES, core_image, is_media_file, isolinux};
use bootloader::cmdline;
use bootloader::live::{ImageConfig, LiveBoot, LiveConfig, LiveKernel, configure};
use i386_pc::{FOLDER, system_files};
use kernel::kernel;
use machine::{console, media, stage};
use reference::need;

/// Media with our core image and these files; with GRUB's module folder if `modules` says so.
fn grub_media(
    folder: &Path,
    grub: &str,
    modules: Modules,
    files: BTreeMap<String, Vec<u8>>,
) -> PathBuf {
    let options = CoreOptions {
        prefix: grub,
        config: None,
        modules: DEFAULT_MODULES,
    };
    let core = core_image(&system_files, &options).unwrap();
    let image = format!("{grub}/i386-pc/eltorito.img");
    let stage = stage(
        folder,
        files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.clone()))
            .chain([(image.as_str(), core.eltorito)]),
    );
    if modules == Modules::OnMedia {
        for entry in std::fs::read_dir(FOLDER)
            .unwrap()
            .map(|entry| entry.unwrap())
        {
            if is_media_file(entry.file_name().to_str().unwrap()) {
                std::fs::copy(
                    entry.path(),
                    stage
                        .join(grub.trim_start_matches('/'))
                        .join("i386-pc")
                        .join(entry.file_name()),
                )
                .unwrap();
            }
        }
    }
    let mbr = folder.join("mbr.img");
    std::fs::write(&mbr, &core.hybrid_mbr).unwrap();
    let arguments = [
        "-no-emul-boot",
        "-boot-load-size",
        "4",
        "-boot-info-table",
        "--grub2-boot-info",
        "--grub2-mbr",
    ];
    media(
        &stage,
        &[
            &["-b", image.trim_start_matches('/')][..],
            &arguments,
            &[mbr.to_str().unwrap()],
        ]
        .concat(),
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Modules {
    OnMedia,
    BuiltIn,
}

fn tools() -> bool {
    ["qemu-system-x86_64", "xorriso", FOLDER]
        .into_iter()
        .all(need)
}

#[test]
fn ref_our_core_image_boots_from_a_cd_and_from_a_disk() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = "serial --unit=0 --speed=115200\nterminal_output serial\n\
                  search --no-floppy --label CDROM --set=found\n\
                  insmod progress\n\
                  if [ -f /boot/grub/grub.cfg ]; then echo \"STARTED prefix=$prefix found=$found\"; fi\nhalt\n";
    let files = BTreeMap::from([("/boot/grub/grub.cfg".to_owned(), config.as_bytes().to_vec())]);
    let iso = grub_media(folder.path(), "/boot/grub", Modules::OnMedia, files);
    let iso = iso.to_str().unwrap();
    let text = console(&["-cdrom", iso, "-boot", "d"]);
    assert!(
        text.contains("STARTED prefix=(hd96)/boot/grub found=cd"),
        "{text}"
    );
    let text = console(&[
        "-drive",
        &format!("file={iso},format=raw,if=virtio,readonly=on"),
    ]);
    assert!(
        text.contains("STARTED prefix=(hd0)/boot/grub found=hd0"),
        "{text}"
    );
}

/// The files of media with this configuration and a kernel and initramfs for each version.
fn files(config: &LiveConfig, boot: &LiveBoot) -> BTreeMap<String, Vec<u8>> {
    let mut files = config.files.clone();
    for live in &boot.kernels {
        files.insert(live.image.clone(), kernel());
        files.insert(
            live.initramfs.clone(),
            format!("initramfs of {}\n", live.version).into_bytes(),
        );
    }
    files
}

#[test]
fn ref_the_menus_default_starts_the_newest_kernel_with_our_arguments() {
    if !tools() {
        return;
    }
    let debian = include_str!("samples/debian.cfg")
        .replace("terminal_output serial", "terminal_output gfxterm");
    let samples = [
        (
            debian.as_str(),
            &["6.1.0-13-amd64", "6.1.0-9-amd64"][..],
            Modules::OnMedia,
        ),
        (
            include_str!("samples/fedora.cfg"),
            &["6.5.12-300.fc39.x86_64"],
            Modules::BuiltIn,
        ),
        (
            include_str!("samples/azure.cfg"),
            &["5.15.1.cm2"],
            Modules::BuiltIn,
        ),
        ("echo nothing\n", &["6.1", "6.0"], Modules::BuiltIn),
    ];
    for (sample, versions, modules) in samples {
        let mut boot = LiveBoot::new(
            "CDROM",
            "It's > 1 \"sample\"",
            versions
                .iter()
                .map(|version| LiveKernel::new(version))
                .collect(),
        );
        boot.timeout = Some(1);
        boot.extra_arguments = vec!["extra=a b;c".to_owned(), "x=$y&{z}".to_owned()];
        let file = |path: &str| -> Result<Option<Vec<u8>>> {
            let block = "# GRUB Environment Block\nmariner_cmdline=init=/sbin/init ro quiet\nmariner_linux=vmlinuz-5.15.1.cm2\n";
            Ok((path == "/boot/mariner.cfg").then(|| block.as_bytes().to_vec()))
        };
        let image = ImageConfig {
            grub_config: Some(sample.as_bytes()),
            bls_entries: &[],
            file: &file,
        };
        let config = configure(&image, &boot).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let iso = grub_media(folder.path(), "/boot/grub2", modules, files(&config, &boot));
        let text = console(&["-cdrom", iso.to_str().unwrap(), "-boot", "d"]);
        let line = cmdline::join(&config.entries[0].command_line(&boot));
        let expected = format!(
            "BOOT_IMAGE={} {line}|initramfs of {}\n",
            boot.kernels[0].image, versions[0]
        );
        assert!(text.ends_with(&expected), "{expected:?}\n{text:?}");
    }
}

/// isolinux's files of this machine.
fn isolinux_files(name: &str) -> Result<Option<Vec<u8>>> {
    let folders = ["/usr/lib/ISOLINUX", "/usr/lib/syslinux/modules/bios"];
    Ok(folders
        .iter()
        .find_map(|folder| std::fs::read(Path::new(folder).join(name)).ok()))
}

fn generated(versions: &[&str]) -> (LiveConfig, LiveBoot) {
    let mut boot = LiveBoot::new(
        "CDROM",
        "A ^sample",
        versions
            .iter()
            .map(|version| LiveKernel::new(version))
            .collect(),
    );
    boot.timeout = Some(0);
    boot.extra_arguments = vec!["extra=a b;c".to_owned()];
    let file = |path: &str| -> Result<Option<Vec<u8>>> {
        Ok((path == "/etc/kernel/cmdline")
            .then(|| b"root=/dev/sda quiet console=ttyS0,115200n8".to_vec()))
    };
    let image = ImageConfig {
        grub_config: None,
        bls_entries: &[],
        file: &file,
    };
    (configure(&image, &boot).unwrap(), boot)
}

#[test]
fn ref_isolinux_starts_the_newest_kernel_with_our_arguments() {
    if ![
        "qemu-system-x86_64",
        "xorriso",
        "/usr/lib/ISOLINUX/isolinux.bin",
    ]
    .into_iter()
    .all(need)
    {
        return;
    }
    let (config, boot) = generated(&["6.1", "6.0"]);
    let isolinux = isolinux(&isolinux_files, &boot, &config.entries).unwrap();
    let mut files = files(&config, &boot);
    files.extend(isolinux.files);
    let folder = tempfile::tempdir().unwrap();
    let mbr = folder.path().join("mbr.img");
    std::fs::write(&mbr, isolinux.hybrid_mbr.unwrap()).unwrap();
    let stage = stage(
        folder.path(),
        files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.clone())),
    );
    let arguments = [
        "-b",
        "isolinux/isolinux.bin",
        "-c",
        "isolinux/boot.cat",
        "-no-emul-boot",
        "-boot-load-size",
        "4",
        "-boot-info-table",
        "-isohybrid-mbr",
        mbr.to_str().unwrap(),
    ];
    let iso = media(&stage, &arguments);
    let arguments = cmdline::join(&config.entries[0].command_line(&boot));
    let expected =
        format!("BOOT_IMAGE=/boot/vmlinuz-6.1 {arguments} initrd=/boot/initramfs-6.1.img|");
    let iso = iso.to_str().unwrap();
    for drive in [
        &["-cdrom", iso, "-boot", "d"][..],
        &[
            "-drive",
            &format!("file={iso},format=raw,if=virtio,readonly=on"),
        ],
    ] {
        let text = console(drive);
        assert!(text.ends_with(&expected), "{expected:?}\n{text:?}");
    }
}

#[test]
fn ref_isolinux_without_its_files_is_refused_by_name() {
    if !need("/usr/lib/ISOLINUX/isolinux.bin") {
        return;
    }
    let (config, boot) = generated(&["6.1"]);
    for missing in ["isolinux.bin", "ldlinux.c32", "menu.c32", "libutil.c32"] {
        let files = |name: &str| {
            if name == missing {
                Ok(None)
            } else {
                isolinux_files(name)
            }
        };
        let error = isolinux(&files, &boot, &config.entries).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains(missing), "{error}");
    }
    let old = |name: &str| {
        if name == "isolinux.bin" {
            Ok(Some(b"ISOLINUX 4.05".to_vec()))
        } else {
            isolinux_files(name)
        }
    };
    assert_eq!(
        isolinux(&old, &boot, &config.entries).unwrap_err().kind(),
        Kind::Unsupported
    );
}
