//! Media that are files, and media that come late: the test system's ISO on other file systems, in the initramfs, in a port.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use contract::failure::{INITRAMFS_FILE, ISO_FILE_NOT_FOUND};
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{Attach, DirectKernel, Firmware, Machine, Media};

/// What says where things are on the test system's ISO.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 quiet panic=-1";

/// How long a stick stays in somebody's hand.
const IN_HAND: Duration = Duration::from_secs(20);

/// The test system's ISO, its kernel and its initramfs, in a folder of their own.
struct Workshop {
    folder: tempfile::TempDir,
    iso: PathBuf,
}

impl Workshop {
    /// `None` where a tool is missing.
    fn open(more: &[&str]) -> Result<Option<Self>> {
        if !tools::available(&FOR_BOOTS) || !tools::available(more) {
            return Ok(None);
        }
        let iso = iso(&fixture::test_system(&TestSystem::default())?, &[])?;
        let folder = tempfile::tempdir()?;
        let kernels = names(&iso, "/boot")?;
        let version = kernels
            .iter()
            .find_map(|name| name.strip_prefix("vmlinuz-"));
        let version = version.context("the ISO has no kernel")?;
        for (path, name) in [
            (format!("/boot/vmlinuz-{version}"), "kernel"),
            (format!("/boot/initramfs-{version}.img"), "initramfs"),
        ] {
            extract(&iso, &path, &folder.path().join(name))?;
        }
        Ok(Some(Self { folder, iso }))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a line of the shell in the folder; `$iso` is the ISO.
    fn run(&self, line: &str) -> Result<()> {
        let mut command = tools::command("sh");
        let command = command
            .args(["-euc", line])
            .env("iso", &self.iso)
            .current_dir(self.folder.path());
        tools::output(command).map(drop)
    }

    /// A machine with the disk `media`, if there is one, and these parameters.
    fn machine(&self, media: Option<(&str, Attach)>, parameters: &str) -> Machine {
        let mut machine = guest::machine("");
        machine.firmware = Firmware::Bios;
        machine.media = media.map(|(name, attach)| Media {
            path: self.path(name),
            attach,
        });
        machine.kernel = Some(DirectKernel {
            kernel: self.path("kernel"),
            initramfs: self.path("initramfs"),
            command_line: format!("{LIVE} {PATIENT_KERNEL} {parameters}"),
        });
        machine
    }
}

/// Waits for the checks of the test system, which must all pass.
fn checks(guest: &mut Guest) -> Result<()> {
    let (which, text) = guest.expect_any(&["ALL CHECKS DONE", "liveos-init: L0"], BOOT)?;
    ensure!(which == 0, "it did not boot: {text}");
    let (passed, failed) = (
        text.matches(" ok\r").count(),
        text.matches(" FAILED").count(),
    );
    ensure!(failed == 0 && passed == 10, "{text}");
    Ok(())
}

/// What is mounted at `path`: its kind and its source.
fn mounted(guest: &mut Guest, path: &str) -> Result<String> {
    guest.command(&format!("while read -r source at kind rest; do [ $at = {path} ] && echo $kind $source; done </proc/mounts; true"))
}

/// A shell of the test system.
fn shell(guest: &mut Guest) -> Result<()> {
    guest.expect("# ", COMMAND)?;
    guest.send("stty -echo; PS1=; echo \"rea\"dy\n")?;
    guest.expect("ready\r\n", COMMAND).map(drop)
}

#[test]
fn ref_an_iso_file_on_ext4_boots_and_the_journal_of_its_file_system_is_left_alone() {
    let Some(workshop) = Workshop::open(&["mkfs.ext4", "debugfs"]).unwrap() else {
        return;
    };
    // A disk that cannot be written: whoever wants to replay that journal cannot mount it.
    workshop
        .run(
            "mkdir -p tree/isos; cp \"$iso\" tree/isos/live.iso; truncate -s 1G disk; \
             mkfs.ext4 -q -d tree disk; debugfs -w -R 'feature needs_recovery' disk",
        )
        .unwrap();
    let parameters = "iso-scan/filename=/isos/live.iso checks.shell";
    let machine = workshop.machine(Some(("disk", Attach::Disk)), parameters);
    let mut guest = Guest::start(&machine).unwrap();
    checks(&mut guest).unwrap();
    shell(&mut guest).unwrap();
    assert_eq!(
        mounted(&mut guest, "/run/initramfs/isoscan")
            .unwrap()
            .trim(),
        "ext4 /dev/vda"
    );
    guest
        .command("[ $(readlink /run/initramfs/isoscandev) = /dev/vda ] && [ -e /run/initramfs/live/liveos/rootfs.img ]")
        .unwrap();
}

#[test]
fn ref_an_iso_file_on_a_stick_with_fat_boots_and_the_stick_is_free_after_a_copy_to_memory() {
    let Some(workshop) = Workshop::open(&["mkfs.vfat", "mcopy", "sfdisk"]).unwrap() else {
        return;
    };
    workshop
        .run(
            "truncate -s 600M part; mkfs.vfat part >/dev/null; mcopy -i part \"$iso\" ::live.iso; \
             truncate -s 700M disk; echo 'start=2048, type=c' | sfdisk -q disk; \
             dd if=part of=disk bs=1M seek=1 conv=notrunc,sparse status=none",
        )
        .unwrap();
    let parameters = "findiso=/live.iso rd.live.ram rd.minmem=64 checks.shell";
    let mut machine = workshop.machine(Some(("disk", Attach::Usb)), parameters);
    machine.memory_mib = 2048;
    let mut guest = Guest::start(&machine).unwrap();
    checks(&mut guest).unwrap();
    shell(&mut guest).unwrap();
    let left = guest
        .command("grep -E ' /run/initramfs/(isoscan|live) ' /proc/mounts; true")
        .unwrap();
    assert_eq!(left.trim(), "");
}

#[test]
fn ref_every_file_system_that_may_have_an_iso_file_is_mounted() {
    let programs = ["mkfs.xfs", "mkfs.btrfs", "mount"];
    if !tools::slow_tests() || !tools::is_root() {
        return;
    }
    let Some(workshop) = Workshop::open(&programs).unwrap() else {
        return;
    };
    for (make, name) in [("mkfs.xfs -q disk", "xfs"), ("mkfs.btrfs -q disk", "btrfs")] {
        workshop
            .run(&format!(
                "rm -f disk; truncate -s 1G disk; {make}; mkdir -p at; mount -o loop disk at; \
                 cp \"$iso\" at/live.iso; umount at"
            ))
            .unwrap();
        let parameters = "iso-scan/filename=/live.iso";
        let machine = workshop.machine(Some(("disk", Attach::Disk)), parameters);
        checks(&mut Guest::start(&machine).unwrap())
            .context(name)
            .unwrap();
    }
}

#[test]
fn ref_a_file_of_the_initramfs_is_the_medium() {
    let Some(workshop) = Workshop::open(&["cpio"]).unwrap() else {
        return;
    };
    workshop
        .run("truncate -s %4 initramfs; cp \"$iso\" live.iso; echo live.iso | cpio -o -H newc --quiet >> initramfs")
        .unwrap();
    let mut machine = workshop.machine(None, "root=live:/live.iso");
    machine.memory_mib = 2048;
    checks(&mut Guest::start(&machine).unwrap()).unwrap();
}

#[test]
fn ref_a_stick_that_is_plugged_in_after_twenty_seconds_boots() {
    let Some(workshop) = Workshop::open(&[]).unwrap() else {
        return;
    };
    let mut machine = workshop.machine(None, "rd.live.debug");
    let drive = format!(
        "driver=file,node-name=stick,read-only=on,filename={}",
        workshop.iso.display()
    );
    machine.extra.extend(
        [
            "-device",
            "qemu-xhci,id=xhci",
            "-blockdev",
            &drive,
            "-blockdev",
            "driver=raw,node-name=late,file=stick,read-only=on",
        ]
        .map(Into::into),
    );
    let mut guest = Guest::start(&machine).unwrap();
    let early = guest.expect("liveos-init: L0", IN_HAND);
    assert!(early.is_err(), "it did not wait: {early:?}");
    guest.plug_stick("late").unwrap();
    checks(&mut guest).unwrap();
}

#[test]
fn ref_files_that_are_not_there_end_with_their_codes_at_the_deadline() {
    let Some(workshop) = Workshop::open(&[]).unwrap() else {
        return;
    };
    for (parameters, code) in [
        (
            "iso-scan/filename=/none.iso rd.timeout=5",
            ISO_FILE_NOT_FOUND,
        ),
        ("root=live:/none.iso", INITRAMFS_FILE),
    ] {
        let mut guest = Guest::start(&workshop.machine(None, parameters)).unwrap();
        let refusal = format!("liveos-init: {}", code.code);
        guest.expect(&refusal, BOOT).context(parameters).unwrap();
        guest.expect(code.advice, COMMAND).unwrap();
    }
}

#[test]
fn ref_media_of_live_boot_and_of_archiso_boot_by_their_own_command_lines() {
    let Some(workshop) = Workshop::open(&[]).unwrap() else {
        return;
    };
    let image = workshop.path("rootfs.img");
    extract(&workshop.iso, "/liveos/rootfs.img", &image).unwrap();
    for (folder, name, parameters) in [
        ("live", "filesystem.squashfs", "boot=live components"),
        (
            "live",
            "filesystem.squashfs",
            "boot=live findiso=/live.iso toram rd.minmem=64",
        ),
        (
            "arch/x86_64",
            "airootfs.sfs",
            "archisobasedir=arch archisolabel=OTHER cow_spacesize=128M",
        ),
    ] {
        // Nothing but the dialect's own words.
        let common = "console=ttyS0 quiet panic=-1 rd.live.overlay.overlayfs=1";
        let medium = make(&workshop, folder, name, &image).unwrap();
        let on_disk = match parameters.contains("findiso") {
            true => {
                workshop
                    .run("rm -rf tree; mkdir tree; cp other.iso tree/live.iso; truncate -s 1G disk; mkfs.ext4 -q -F -d tree disk")
                    .unwrap();
                "disk"
            }
            false => medium,
        };
        let mut machine = workshop.machine(Some((on_disk, Attach::Disk)), "");
        machine.memory_mib = 2048;
        if let Some(kernel) = &mut machine.kernel {
            kernel.command_line = format!("{common} {PATIENT_KERNEL} {parameters}");
        }
        checks(&mut Guest::start(&machine).unwrap())
            .context(parameters)
            .unwrap();
    }
}

/// An ISO with the image under this name in this folder; answers with its name.
fn make(workshop: &Workshop, folder: &str, name: &str, image: &Path) -> Result<&'static str> {
    workshop.run(&format!(
        "rm -rf medium other.iso; mkdir -p medium/{folder}; cp {} medium/{folder}/{name}; \
         xorriso -as mkisofs -quiet -V OTHER -R -o other.iso medium 2>/dev/null",
        image.display()
    ))?;
    Ok("other.iso")
}
