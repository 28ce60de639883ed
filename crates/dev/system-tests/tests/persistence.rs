//! What the system writes stays: on sticks with each kind of partition table, beside an ISO file, after a power cut and after a reset.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use block::partition::{Partition, Scheme, Table};
use block::{DiskFile, ReadAt};
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware};

const MIB: u64 = 1 << 20;
/// How much room a stick has behind the media.
const ROOM: u64 = 200 * MIB;
/// What the system boots with; its first program is a shell on the console, which the tests look through.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 quiet panic=-1 init=/bin/sh";
const PERSISTENT: &str = "rd.live.overlay.persistent";
/// What is told where there is no place.
const IN_MEMORY: &str = "what is written is in memory";

/// A folder with the ISO, its kernel and initramfs, and sticks that are made of it.
struct Workshop {
    folder: tempfile::TempDir,
    iso: PathBuf,
}

impl Workshop {
    /// `None` where a tool is missing.
    fn open(more: &[&str]) -> Result<Option<Self>> {
        if !tools::available(&FOR_BOOTS)
            || !tools::available(&["e2fsck"])
            || !tools::available(more)
        {
            return Ok(None);
        }
        let disk = fixture::test_system(&TestSystem::default())?;
        let workshop = Self {
            folder: tempfile::tempdir()?,
            iso: iso(&disk, &[])?,
        };
        let names = names(&workshop.iso, "/boot")?;
        let version = names.iter().find_map(|name| name.strip_prefix("vmlinuz-"));
        let version = version.context("the ISO has no kernel")?;
        for (name, to) in [
            (format!("/boot/vmlinuz-{version}"), "kernel"),
            (format!("/boot/initramfs-{version}.img"), "initramfs"),
        ] {
            extract(&workshop.iso, &name, &workshop.path(to))?;
        }
        Ok(Some(workshop))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A stick with the ISO on it, as after `dd`, and `room` more bytes.
    fn stick(&self, room: u64) -> Result<PathBuf> {
        let path = self.path("stick");
        fs::copy(&self.iso, &path)?;
        let len = fs::metadata(&path)?.len();
        let file = File::options().write(true).open(&path)?;
        file.set_len(len + room)?;
        Ok(path)
    }

    /// Starts a machine with these disks, each one on USB or on virtio, up to a shell.
    fn boot(&self, disks: &[(&Path, &str)], parameters: &str) -> Result<Guest> {
        self.start(disks, parameters, &self.path("initramfs"))
    }

    fn start(&self, disks: &[(&Path, &str)], parameters: &str, initramfs: &Path) -> Result<Guest> {
        let mut machine = guest::machine("");
        machine.media = None;
        machine.firmware = Firmware::Bios;
        machine
            .extra
            .extend(["-device", "qemu-xhci"].map(Into::into));
        for (number, (path, device)) in disks.iter().enumerate() {
            let drive = format!("if=none,id=disk{number},format=raw,file={}", path.display());
            let device = format!("{device},drive=disk{number}");
            machine.extra.extend(["-drive".into(), drive.into()]);
            machine.extra.extend(["-device".into(), device.into()]);
        }
        machine.kernel = Some(DirectKernel {
            kernel: self.path("kernel"),
            initramfs: initramfs.to_owned(),
            command_line: format!("{LIVE} {PATIENT_KERNEL} {parameters}"),
        });
        let mut guest = Guest::start(&machine)?;
        let (which, text) = guest.expect_any(&["# ", "liveos-init: L0"], BOOT)?;
        ensure!(which == 0, "it did not boot: {text}");
        guest.send("stty -echo; PS1=; echo \"rea\"dy\n")?;
        guest.expect("ready\r\n", COMMAND)?;
        Ok(guest)
    }
}

/// Where the new root's upper folder is.
fn upper(guest: &mut Guest) -> Result<String> {
    guest.command("readlink /run/overlayfs")
}

/// The last partition of a disk, and how many there are.
fn last_partition(disk: &Path) -> Result<(usize, Scheme, Partition)> {
    let table = Table::read(&DiskFile::open(disk)?)?.context("there is no table")?;
    ensure!(table.warnings.is_empty(), "{:?}", table.warnings);
    let count = table.partitions.len();
    let last = table.partitions.into_iter().next_back();
    Ok((count, table.scheme, last.context("there is no partition")?))
}

/// Copies a partition into a file of its own, and has `e2fsck` replay its journal and then look at all of it.
fn check_file_system(workshop: &Workshop, disk: &Path, part: &Partition) -> Result<()> {
    let image = workshop.path("partition");
    let mut bytes = vec![0; part.len as usize];
    DiskFile::open(disk)?.read_exact_at(&mut bytes, part.start)?;
    fs::write(&image, bytes)?;
    let path = image.to_str().context("a path")?;
    // 0 is clean, 1 is mended: the journal of a machine that was cut off.
    let status = tools::command("e2fsck").args(["-p", path]).status()?;
    ensure!(matches!(status.code(), Some(0 | 1)), "e2fsck -p: {status}");
    tools::run("e2fsck", ["-f", "-n", path]).map(drop)
}

/// Three boots of a stick: written and cut off, still there, dropped.
fn stays_and_goes(workshop: &Workshop, stick: &Path, scheme: Scheme) -> Result<()> {
    let disks = [(stick, "usb-storage")];
    let (before, _, _) = last_partition(stick)?;
    let mut guest = workshop.boot(&disks, PERSISTENT)?;
    ensure!(upper(&mut guest)? == "/run/initramfs/overlayfs/rw");
    guest.command("echo kept >/etc/kept && rm /etc/os-release && sync && touch /etc/after")?;
    // The power is cut: nothing is unmounted.
    drop(guest);
    let (count, found, part) = last_partition(stick)?;
    ensure!((count, found) == (before + 1, scheme), "{count} {found:?}");
    check_file_system(workshop, stick, &part)?;
    let mut guest = workshop.boot(&disks, PERSISTENT)?;
    guest.command("grep -q kept /etc/kept && [ ! -e /etc/os-release ]")?;
    guest.command("[ -e /run/rootfsbase/etc/os-release ]")?;
    let links = guest.command("readlink /run/overlay/overlayfs")?;
    ensure!(links == "/run/initramfs/overlayfs", "{links}");
    guest.command("sync")?;
    drop(guest);
    ensure!(last_partition(stick)?.2 == part);
    let mut guest = workshop.boot(&disks, &format!("{PERSISTENT} rd.live.overlay.reset"))?;
    guest.command("[ ! -e /etc/kept ] && [ -e /etc/os-release ]")?;
    guest.command("[ ! -e /run/initramfs/overlayfs/rw.dropped ] && sync")?;
    drop(guest);
    check_file_system(workshop, stick, &part)
}

#[test]
fn ref_what_is_written_to_a_gpt_stick_survives_a_power_cut_and_not_a_reset() {
    let Some(workshop) = Workshop::open(&["sgdisk"]).unwrap() else {
        return;
    };
    let stick = workshop.stick(ROOM).unwrap();
    let old = fs::read(&workshop.iso).unwrap();
    stays_and_goes(&workshop, &stick, Scheme::Gpt).unwrap();
    let said = tools::run("sgdisk", ["-v", stick.to_str().unwrap()]).unwrap();
    assert!(said.contains("No problems found"), "{said}");
    // The media themselves are what they were, but for the table.
    let new = fs::read(&stick).unwrap();
    let end = old.len() - 33 * 512;
    assert!(old[32768..end] == new[32768..end]);
    assert!(old[..440] == new[..440]);
}

#[test]
fn ref_what_is_written_to_an_mbr_stick_survives_a_power_cut_and_not_a_reset() {
    let Some(workshop) = Workshop::open(&[]).unwrap() else {
        return;
    };
    let stick = workshop.stick(ROOM).unwrap();
    let len = fs::metadata(&workshop.iso).unwrap().len();
    let file = File::options().read(true).write(true).open(&stick).unwrap();
    // The table as KIWI and others make it: no GPT, one active partition over all of the media.
    file.write_all_at(&[0; 512], 512).unwrap();
    file.write_all_at(&[0; 512], len - 512).unwrap();
    let sectors = u32::try_from(len / 512 - 64).unwrap().to_le_bytes();
    let entry = [
        [0x80, 0, 0, 0, 0x17, 0, 0, 0, 64, 0, 0, 0].as_slice(),
        &sectors,
    ]
    .concat();
    file.write_all_at(&entry, 446).unwrap();
    file.write_all_at(&[0; 48], 462).unwrap();
    stays_and_goes(&workshop, &stick, Scheme::Mbr).unwrap();
}

#[test]
fn ref_a_full_stick_and_a_foreign_disk_with_our_label_are_left_alone() {
    let Some(workshop) = Workshop::open(&["mkfs.ext4"]).unwrap() else {
        return;
    };
    let stick = workshop.stick(0).unwrap();
    let foreign = workshop.path("foreign");
    File::create(&foreign).unwrap().set_len(64 * MIB).unwrap();
    tools::run("mkfs.ext4", ["-q", "-L", "cow", foreign.to_str().unwrap()]).unwrap();
    let before = (fs::read(&stick).unwrap(), fs::read(&foreign).unwrap());
    let disks = [
        (stick.as_path(), "usb-storage"),
        (foreign.as_path(), "virtio-blk-pci"),
    ];
    let mut guest = workshop.boot(&disks, PERSISTENT).unwrap();
    assert!(
        guest.transcript().contains(IN_MEMORY),
        "{}",
        guest.transcript()
    );
    assert_eq!(
        upper(&mut guest).unwrap(),
        "/run/initramfs/overlay/overlayfs"
    );
    guest.command("echo new >/etc/new && sync").unwrap();
    drop(guest);
    assert!(before == (fs::read(&stick).unwrap(), fs::read(&foreign).unwrap()));
}

#[test]
fn ref_a_label_that_is_named_is_made_on_the_boot_disk_and_found_on_another() {
    let Some(workshop) = Workshop::open(&["mkfs.ext4"]).unwrap() else {
        return;
    };
    let stick = workshop.stick(ROOM).unwrap();
    let disks = [(stick.as_path(), "usb-storage")];
    for _ in 0..2 {
        let mut guest = workshop.boot(&disks, "rd.overlay=LABEL=persist").unwrap();
        let at = upper(&mut guest).unwrap();
        assert!(
            at.starts_with("/run/initramfs/overlayfs/liveos/overlay-CDROM-"),
            "{at}"
        );
        guest.command("echo more >>/etc/kept && sync").unwrap();
        drop(guest);
    }
    let mut guest = workshop
        .boot(&disks, "rd.live.overlay=LABEL=persist")
        .unwrap();
    assert_eq!(guest.command("cat /etc/kept").unwrap(), "more\nmore");
    drop(guest);
    let other = workshop.path("other");
    File::create(&other).unwrap().set_len(64 * MIB).unwrap();
    tools::run("mkfs.ext4", ["-q", "-L", "data", other.to_str().unwrap()]).unwrap();
    let disks = [disks[0], (other.as_path(), "virtio-blk-pci")];
    let mut guest = workshop
        .boot(&disks, "rd.overlay=LABEL=data:/deep/er")
        .unwrap();
    assert_eq!(
        upper(&mut guest).unwrap(),
        "/run/initramfs/overlayfs/deep/er"
    );
}

/// Two boots of an ISO file on this disk: what the first wrote is there in the second.
fn stays_beside(workshop: &Workshop, disk: &Path) -> Result<()> {
    let disks = [(disk, "virtio-blk-pci")];
    let words = format!("iso-scan/filename=/isos/live.iso {PERSISTENT} rd.live.cowfile.mbsize=40");
    let mut guest = workshop.boot(&disks, &words)?;
    ensure!(upper(&mut guest)? == "/run/initramfs/overlayfs/rw");
    guest.command("echo kept >/etc/kept && sync")?;
    drop(guest);
    let mut guest = workshop.boot(&disks, &words)?;
    guest.command("grep -q kept /etc/kept")?;
    guest.command("[ -f /run/initramfs/isoscan/live_system.cow ]")?;
    guest.command("[ ! -e /run/initramfs/isoscan/live_system.cow.new ]")?;
    Ok(())
}

#[test]
fn ref_what_is_written_stays_beside_an_iso_file_on_ext4() {
    let Some(workshop) = Workshop::open(&["mkfs.ext4"]).unwrap() else {
        return;
    };
    fs::create_dir_all(workshop.path("tree/isos")).unwrap();
    fs::copy(&workshop.iso, workshop.path("tree/isos/live.iso")).unwrap();
    let disk = workshop.path("disk");
    let len = fs::metadata(&workshop.iso).unwrap().len();
    File::create(&disk)
        .unwrap()
        .set_len(len + 150 * MIB)
        .unwrap();
    let tree = workshop.path("tree");
    tools::run(
        "mkfs.ext4",
        ["-q", "-d", tree.to_str().unwrap(), disk.to_str().unwrap()],
    )
    .unwrap();
    stays_beside(&workshop, &disk).unwrap();
    tools::run("e2fsck", ["-p", disk.to_str().unwrap()]).unwrap();
}

#[test]
fn ref_what_is_written_stays_beside_an_iso_file_on_fat() {
    let Some(workshop) = Workshop::open(&["mkfs.vfat", "mcopy", "mmd"]).unwrap() else {
        return;
    };
    let disk = workshop.path("disk");
    let len = fs::metadata(&workshop.iso).unwrap().len();
    File::create(&disk)
        .unwrap()
        .set_len(len + 150 * MIB)
        .unwrap();
    let path = disk.to_str().unwrap();
    tools::run("mkfs.vfat", [path]).unwrap();
    tools::run("mmd", ["-i", path, "::isos"]).unwrap();
    let iso = workshop.iso.to_str().unwrap();
    tools::run("mcopy", ["-i", path, iso, "::isos/live.iso"]).unwrap();
    stays_beside(&workshop, &disk).unwrap();
}
