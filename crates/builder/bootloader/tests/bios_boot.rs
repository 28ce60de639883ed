//! Boots our GRUB core image in QEMU's SeaBIOS, from a CD and from the same file as a disk.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod i386_pc;
mod reference;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bootloader::bios::{CoreOptions, DEFAULT_MODULES, core_image, is_media_file};
use i386_pc::{FOLDER, system_files};
use reference::need;

/// An ISO with our core image and this `grub.cfg`, mastered by xorriso.
#[expect(clippy::disallowed_methods, reason = "the reference tool is a program")]
fn media(folder: &Path, config: &str) -> PathBuf {
    let options = CoreOptions {
        prefix: "/boot/grub",
        config: None,
        modules: DEFAULT_MODULES,
    };
    let core = core_image(&system_files, &options).unwrap();
    let stage = folder.join("stage");
    let modules = stage.join("boot/grub/i386-pc");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::write(modules.join("eltorito.img"), &core.eltorito).unwrap();
    std::fs::write(stage.join("boot/grub/grub.cfg"), config).unwrap();
    for entry in std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap())
    {
        if is_media_file(entry.file_name().to_str().unwrap()) {
            std::fs::copy(entry.path(), modules.join(entry.file_name())).unwrap();
        }
    }
    let mbr = folder.join("mbr.img");
    std::fs::write(&mbr, &core.hybrid_mbr).unwrap();
    let iso = folder.join("media.iso");
    let status = Command::new("xorriso")
        .args([
            "-as",
            "mkisofs",
            "-quiet",
            "-R",
            "-V",
            "CDROM",
            "-b",
            "boot/grub/i386-pc/eltorito.img",
            "-no-emul-boot",
        ])
        .args([
            "-boot-load-size",
            "4",
            "-boot-info-table",
            "--grub2-boot-info",
            "--grub2-mbr",
        ])
        .arg(&mbr)
        .arg("-o")
        .args([&iso, &stage])
        .status();
    assert!(status.unwrap().success());
    iso
}

/// What the machine writes to its serial line until it powers itself off; after the deadline it is stopped.
#[expect(
    clippy::disallowed_methods,
    reason = "the reference machine is a program"
)]
fn console(drive: &[&str]) -> String {
    let mut machine = Command::new("qemu-system-x86_64")
        .args([
            "-accel",
            "tcg",
            "-smp",
            "1",
            "-m",
            "128",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
            "-net",
            "none",
        ])
        .args(drive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = machine.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        output.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let deadline = Instant::now() + Duration::from_secs(120);
    while machine.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            machine.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    reader.join().unwrap()
}

#[test]
fn ref_our_core_image_boots_from_a_cd_and_from_a_disk() {
    if !["qemu-system-x86_64", "xorriso", FOLDER]
        .into_iter()
        .all(need)
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = "serial --unit=0 --speed=115200\nterminal_output serial\n\
                  search --no-floppy --label CDROM --set=found\n\
                  insmod progress\n\
                  if [ -f /boot/grub/grub.cfg ]; then echo \"STARTED prefix=$prefix found=$found\"; fi\nhalt\n";
    let iso = media(folder.path(), config);
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
