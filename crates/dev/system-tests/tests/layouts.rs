//! Images in the layouts of other distributions, and media as input: what comes out boots.

use anyhow::{Context, Result, ensure};
use system_tests::builds;
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, Layout, Part, Partitions, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest};
use testkit::tools;
use vm::Firmware;

const LAYOUTS: [Layout; 3] = [
    Layout::AzureLinux2,
    Layout::AzureLinux3,
    Layout::AzureLinux4,
];

/// What media of another tool did not have on their command line: the console, and what the machines of these tests need.
const PARAMETERS: &str = "console=ttyS0 quiet no_timer_check";

/// A system in `layout`, with a file system of its own for `/boot` or without.
fn system(layout: Layout, partitions: Partitions) -> TestSystem {
    TestSystem {
        layout,
        partitions,
        ..TestSystem::default()
    }
}

/// Holds that the boot configuration on `iso` is the image's own, made to boot the medium.
fn has_own_menu(layout: Layout, iso: &std::path::Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("grub.cfg");
    let path = match layout {
        Layout::Debian => "/boot/grub/grub.cfg",
        _ => "/boot/grub2/grub.cfg",
    };
    extract(iso, path, &file)?;
    let config = std::fs::read_to_string(file)?;
    let kernels: Vec<String> = names(iso, "/boot")?
        .into_iter()
        .filter(|name| name.starts_with("vmlinuz-"))
        .collect();
    ensure!(kernels.len() == 1, "{kernels:?}");
    let linux: Vec<&str> = config
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("linux"))
        .collect();
    ensure!(!linux.is_empty(), "{config}");
    for line in linux {
        ensure!(line.contains("root=live:CDLABEL=CDROM"), "{line}");
        ensure!(!line.contains("UUID="), "{line}");
    }
    let own = match layout {
        Layout::Debian => "Test system",
        Layout::AzureLinux2 => "CBL-Mariner",
        _ => "Microsoft Azure Linux",
    };
    ensure!(config.contains(own), "{config}");
    ensure!(!config.contains("0-rescue"), "{config}");
    Ok(())
}

/// Builds media from every layout with these partitions, and starts them.
fn boots(partitions: Partitions, firmware: Firmware) -> Result<()> {
    if !tools::available(&FOR_BOOTS) || !tools::available(&["grub-mkimage"]) {
        return Ok(());
    }
    for layout in LAYOUTS {
        let disk = fixture::test_system(&system(layout, partitions))?;
        let iso = iso(&disk, &["--compression", "lz4"])?;
        let tried = has_own_menu(layout, &iso).and_then(|()| passes(&iso, firmware));
        tried.with_context(|| format!("{layout:?}"))?;
    }
    Ok(())
}

/// Starts `iso` and waits for its checks.
fn passes(iso: &std::path::Path, firmware: Firmware) -> Result<()> {
    let mut machine = guest::machine(iso);
    machine.firmware = firmware;
    let mut guest = Guest::start(&machine)?;
    guest.expect("CHECKS BEGIN", BOOT)?;
    let report = guest.expect("ALL CHECKS DONE", BOOT)?;
    ensure!(!report.contains(" FAILED"), "{report}");
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

#[test]
fn ref_layouts_of_azure_linux_boot_under_ovmf() {
    boots(Partitions::EspAndRoot, Firmware::Uefi).unwrap();
}

#[test]
fn ref_layouts_of_azure_linux_with_a_boot_partition_boot_under_seabios() {
    boots(Partitions::EspBootAndRoot, Firmware::Bios).unwrap();
}

#[test]
fn ref_media_that_are_made_from_media_are_the_same() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    for layout in [Layout::Debian, Layout::AzureLinux2, Layout::AzureLinux4] {
        let disk = fixture::test_system(&system(layout, Partitions::EspAndRoot)).unwrap();
        let first = iso(&disk, &["--compression", "lz4"]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let next = |from: &std::path::Path, name: &str| {
            let to = folder.path().join(name);
            let said = builds::build(from, &to, &["--compression", "lz4"]).unwrap();
            assert!(!said.contains("the boot menu is a new one"), "{said}");
            to
        };
        // What was appended to the first stands among the system's own parameters in the second; after that nothing moves.
        let second = next(&first, "second.iso");
        let third = next(&second, "third.iso");
        let bytes = |path: &std::path::Path| std::fs::read(path).unwrap();
        assert!(bytes(&second) == bytes(&third), "{layout:?}");
        has_own_menu(layout, &third).unwrap();
    }
}

/// Puts the medium `iso` of ours together again as another tool would have it, and answers with that: `line` is run in a folder with
/// `root.img` (the root file system image), `system` (its content), `kernel`, `shim.efi` and `grub.efi`, and fills the folder `iso`.
fn made_over(
    iso: &std::path::Path,
    folder: &std::path::Path,
    line: &str,
) -> Result<std::path::PathBuf> {
    let kernels = names(iso, "/boot")?;
    let kernel = kernels.iter().find(|name| name.starts_with("vmlinuz-"));
    let kernel = format!("/boot/{}", kernel.context("the ISO has no kernel")?);
    for (path, name) in [
        ("/liveos/rootfs.img", "root.img"),
        (kernel.as_str(), "kernel"),
        ("/EFI/BOOT/BOOTX64.EFI", "shim.efi"),
        ("/EFI/BOOT/grubx64.efi", "grub.efi"),
    ] {
        extract(iso, path, &folder.join(name))?;
    }
    let whole = format!(
        "set -eu; umask 022; mkdir iso; unsquashfs -quiet -no-progress -dest system root.img >/dev/null; {line}; \
         xorriso -as mkisofs -quiet -R -J -V OTHER -o other.iso iso; rm -r iso system root.img"
    );
    let mut command = tools::command("sh");
    tools::output(command.args(["-c", &whole]).current_dir(folder))?;
    Ok(folder.join("other.iso"))
}

/// KIWI: an ext4 file system in squashfs, the kernel under a name without a version.
const KIWI: &str = "mkdir -p inner/LiveOS iso/LiveOS iso/boot/x86_64/loader iso/EFI/BOOT; \
    truncate -s 768M inner/LiveOS/rootfs.img; mkfs.ext4 -q -F -d system inner/LiveOS/rootfs.img; \
    mksquashfs inner iso/LiveOS/squashfs.img -quiet -no-progress -comp lz4; rm -r inner; cp kernel iso/boot/x86_64/loader/linux; \
    cp shim.efi iso/EFI/BOOT/bootx64.efi; cp grub.efi iso/EFI/BOOT/grubx64.efi";

/// live-build: squashfs, the kernel beside it.
const LIVE_BUILD: &str = "mkdir -p iso/live iso/EFI/boot; mv root.img iso/live/filesystem.squashfs; touch root.img; \
    cp kernel iso/live/vmlinuz; cp shim.efi iso/EFI/boot/bootx64.efi; cp grub.efi iso/EFI/boot/grubx64.efi";

/// Makes media of ours from media of another tool, and starts them.
fn becomes_ours(line: &str) -> Result<()> {
    let needed = ["unsquashfs", "mksquashfs"];
    if !tools::available(&FOR_BOOTS) || !tools::available(&needed) {
        return Ok(());
    }
    if !tools::is_root() {
        // Only root can unpack what belongs to others, and devices.
        return Ok(());
    }
    let disk = fixture::test_system(&TestSystem::default())?;
    let first = iso(&disk, &["--compression", "lz4"])?;
    let folder = tempfile::tempdir()?;
    let other = made_over(&first, folder.path(), line)?;
    let again = folder.path().join("again.iso");
    let arguments = ["--compression", "lz4", "--append", PARAMETERS];
    builds::build(&other, &again, &arguments)?;
    passes(&again, Firmware::Uefi)
}

#[test]
fn ref_media_of_kiwi_become_media_of_ours() {
    becomes_ours(KIWI).unwrap();
}

#[test]
fn ref_media_of_live_build_become_media_of_ours() {
    becomes_ours(LIVE_BUILD).unwrap();
}

#[test]
fn ref_a_system_that_was_an_initramfs_comes_back_as_it_was() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let disk = fixture::test_system(&TestSystem {
        // An archive of an initramfs cannot hold it.
        without: vec![Part::LargeFile],
        ..TestSystem::default()
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let build = |from: &std::path::Path, name: &str, kind: &str| {
        let to = folder.path().join(name);
        let arguments = ["--compression", "lz4", "--initramfs-type", kind];
        builds::build(from, &to, &arguments).unwrap();
        to
    };
    let direct = build(&disk, "direct.iso", "bootstrap");
    let full_os = build(&disk, "full-os.iso", "full-os");
    let back = build(&full_os, "back.iso", "bootstrap");
    let root = |iso: &std::path::Path| {
        let file = iso.with_extension("rootfs");
        extract(iso, "/liveos/rootfs.img", &file).unwrap();
        std::fs::read(file).unwrap()
    };
    // Labels, capabilities, devices and hard links are in it.
    assert!(root(&direct) == root(&back));
}
