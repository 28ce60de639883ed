//! Boots the redirector and an edited configuration with Debian's GRUB for UEFI, from a CD and from a disk.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod machine;
mod reference;

use std::path::{Path, PathBuf};
use std::process::Command;

use block::Result;
use bootloader::live::{ImageConfig, LiveBoot, LiveKernel, Origin, configure, redirector_paths};
use machine::{console, media, stage};
use reference::need;

/// GRUB for CDs with its modules built in, as Debian signs it.
const GRUB: &str = "/usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi";
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

#[expect(clippy::disallowed_methods, reason = "the reference tool is a program")]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// An ESP with GRUB as the removable-media program and the redirector beside it.
fn esp(folder: &Path, redirector: &str) -> PathBuf {
    let image = folder.join("esp.img");
    let config = folder.join("redirector.cfg");
    std::fs::write(&config, redirector).unwrap();
    let name = image.to_str().unwrap();
    run("mkfs.vfat", &["-C", name, "8192"]);
    run("mmd", &["-i", name, "::EFI", "::EFI/BOOT"]);
    run("mcopy", &["-i", name, GRUB, "::EFI/BOOT/BOOTX64.EFI"]);
    run(
        "mcopy",
        &["-i", name, config.to_str().unwrap(), "::EFI/BOOT/grub.cfg"],
    );
    image
}

/// Media whose `grub.cfg` says at its end what it came to: the default is no kernel that UEFI would start.
fn sample_media(folder: &Path) -> PathBuf {
    let file = |_: &str| -> Result<Option<Vec<u8>>> { Ok(None) };
    // GRUB before 2.12 does not know the question and restarts into the firmware's settings at once.
    let sample = include_str!("samples/debian.cfg").replace("fwsetup --is-supported", "true");
    let image = ImageConfig {
        grub_config: Some(sample.as_bytes()),
        bls_entries: &[],
        file: &file,
    };
    let boot = LiveBoot::new("CDROM", "Sample", vec![LiveKernel::new("6.1.0-13-amd64")]);
    let config = configure(&image, &boot).unwrap();
    assert_eq!(config.origin, Origin::Edited);
    let mut files = config.files;
    let end =
        "echo \"REACHED prefix=$prefix root=$root default=$default timeout=$timeout\"\nhalt\n";
    files
        .get_mut("/boot/grub2/grub.cfg")
        .unwrap()
        .extend_from_slice(end.as_bytes());
    files.insert("/liveos/rootfs.img".to_owned(), b"root".to_vec());
    for path in redirector_paths(Some("debian")) {
        files.insert(path, config.redirector.clone().into_bytes());
    }
    // Without it GRUB looks beside its program, as it does for other distributions.
    files.remove("/.disk/info").unwrap();
    let esp = esp(folder, &config.redirector);
    files.insert(
        "/boot/grub2/efiboot.img".to_owned(),
        std::fs::read(&esp).unwrap(),
    );
    let stage = stage(
        folder,
        files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.clone())),
    );
    let el_torito = [
        "-e",
        "boot/grub2/efiboot.img",
        "-no-emul-boot",
        "-appended_part_as_gpt",
    ];
    let partition = ["-append_partition", "2", "0xef", esp.to_str().unwrap()];
    media(&stage, &[el_torito, partition].concat())
}

#[test]
fn ref_the_redirector_leads_uefi_to_the_menu_of_the_media() {
    let tools = [
        "qemu-system-x86_64",
        "xorriso",
        "mkfs.vfat",
        "mcopy",
        GRUB,
        FIRMWARE,
    ];
    if !tools.into_iter().all(need) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let iso = sample_media(folder.path());
    let variables = folder.path().join("variables.fd");
    let code = format!("if=pflash,format=raw,readonly=on,file={FIRMWARE}");
    let store = format!("if=pflash,format=raw,file={}", variables.display());
    let cd = format!("file={},media=cdrom,readonly=on", iso.display());
    let disk = format!("file={},format=raw,if=virtio,readonly=on", iso.display());
    for (drive, device) in [(&cd, "cd0"), (&disk, "hd")] {
        std::fs::copy(VARIABLES, &variables).unwrap();
        let text = console(&[
            "-machine", "q35", "-drive", &code, "-drive", &store, "-drive", drive,
        ]);
        let line = text.lines().find_map(|line| line.split_once("REACHED "));
        let line = line.map(|(_, line)| line.trim()).unwrap_or_default();
        assert!(line.starts_with(&format!("prefix=({device}")), "{text}");
        assert!(line.contains(")/boot/grub2 root="), "{text}");
        assert!(
            line.contains("default=gnulinux-simple-0a0a timeout=5"),
            "{text}"
        );
    }
}
