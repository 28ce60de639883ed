//! Systems in memory, whose medium goes while they run.
#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use contract::failure::{MEDIUM_DAMAGED, NOT_ENOUGH_MEMORY};
use system_tests::media::{FOR_BOOTS, extract, iso, names, place};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware, Machine};

/// What an entry of the boot menu has, and a shell for an init.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img init=/bin/sh \
    console=ttyS0 quiet panic=-1";
/// A stick that can be pulled out.
const STICK: [&str; 4] = [
    "-device",
    "qemu-xhci,id=xhci",
    "-device",
    "usb-storage,bus=xhci.0,drive=medium,id=stick,removable=on",
];
/// A drive that can be asked.
const DRIVE: [&str; 2] = ["-device", "ide-cd,drive=medium,id=drive"];

/// The media of the test system with their kernel and initramfs.
struct Workshop {
    folder: tempfile::TempDir,
    iso: PathBuf,
}

impl Workshop {
    fn open() -> Result<Option<Self>> {
        if !tools::available(&FOR_BOOTS) {
            return Ok(None);
        }
        let iso = iso(&fixture::test_system(&TestSystem::default())?, &[])?;
        let folder = tempfile::tempdir()?;
        let kernels = names(&iso, "/boot")?;
        let version = kernels
            .iter()
            .find_map(|name| name.strip_prefix("vmlinuz-"))
            .context("the ISO has no kernel")?;
        for (path, name) in [
            (format!("/boot/vmlinuz-{version}"), "kernel"),
            (format!("/boot/initramfs-{version}.img"), "initramfs"),
        ] {
            extract(&iso, &path, &folder.path().join(name))?;
        }
        Ok(Some(Self { folder, iso }))
    }

    fn machine(&self, device: &[&str], parameters: &str) -> Machine {
        let mut machine = guest::machine(&self.iso);
        machine.firmware = Firmware::Bios;
        machine.media = None;
        let drive = format!(
            "if=none,id=medium,format=raw,readonly=on,file={}",
            self.iso.display()
        );
        machine.extra.extend(["-drive".into(), drive.into()]);
        machine.extra.extend(device.iter().map(Into::into));
        machine.kernel = Some(DirectKernel {
            kernel: self.folder.path().join("kernel"),
            initramfs: self.folder.path().join("initramfs"),
            command_line: format!("{LIVE} {PATIENT_KERNEL} {parameters}"),
        });
        machine
    }
}

/// Starts `machine` up to its shell; the console so far, and the machine.
fn to_a_shell(machine: &Machine) -> Result<(String, Guest)> {
    let mut guest = Guest::start(machine)?;
    let (which, text) = guest.expect_any(&["# ", "liveos-init: L0"], BOOT)?;
    ensure!(which == 0, "it did not boot: {text}");
    guest.send("stty -echo; PS1=; echo \"rea\"dy\n")?;
    guest.expect("ready\r\n", COMMAND)?;
    Ok((text, guest))
}

/// Reads what was never read before, all of it, with nothing left of what was.
fn reads_everything(guest: &mut Guest) -> Result<()> {
    guest.command("echo 3 >/proc/sys/vm/drop_caches")?;
    guest
        .command("find /bin /usr /etc /boot -type f -exec cat {} + | wc -c")
        .map(drop)?;
    guest
        .command(
            "echo new >/etc/written && grep -q new /etc/written && ! dmesg | grep -q 'I/O error'",
        )
        .map(drop)
}

fn in_workshop(test: impl FnOnce(&Workshop) -> Result<()>) {
    if let Some(workshop) = Workshop::open().unwrap() {
        test(&workshop).unwrap();
    }
}

#[test]
fn ref_a_stick_can_be_pulled_out_when_the_system_is_in_memory() {
    in_workshop(|workshop| {
        let (text, mut guest) = to_a_shell(&workshop.machine(&STICK, "rd.live.ram"))?;
        ensure!(text.contains("copying to memory: 100 %"), "{text}");
        let mounts = guest.command("cat /proc/mounts")?;
        ensure!(!mounts.contains("/run/initramfs/live "), "{mounts}");
        guest.unplug("stick")?;
        guest.command("while [ -e /sys/block/sda ]; do sleep 1; done")?;
        reads_everything(&mut guest)
    });
}

#[test]
fn ref_the_drive_opens_after_the_copy_where_that_is_asked_for() {
    in_workshop(|workshop| {
        let (_, mut guest) = to_a_shell(&workshop.machine(&DRIVE, "copytoram=y rd.live.eject"))?;
        ensure!(guest.is_open("drive")?, "the drive is closed");
        reads_everything(&mut guest)
    });
}

#[test]
fn ref_one_changed_byte_in_the_middle_of_the_image_does_not_get_into_memory() {
    in_workshop(|workshop| {
        let damaged = workshop.folder.path().join("damaged.iso");
        std::fs::copy(&workshop.iso, &damaged)?;
        let (first, len) = place(&workshop.iso, "/liveos/rootfs.img")?;
        let file = File::options().read(true).write(true).open(&damaged)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, first + len / 2)?;
        file.write_all_at(&[byte[0] ^ 1], first + len / 2)?;
        let damaged = Workshop {
            folder: tempfile::tempdir()?,
            iso: damaged,
        };
        for name in ["kernel", "initramfs"] {
            std::fs::copy(
                workshop.folder.path().join(name),
                damaged.folder.path().join(name),
            )?;
        }
        let mut guest = Guest::start(&damaged.machine(&STICK, "rd.live.ram"))?;
        let refusal = format!("liveos-init: {}", MEDIUM_DAMAGED.code);
        let (which, text) = guest.expect_any(&[&refusal, "# "], BOOT)?;
        ensure!(which == 0, "it booted: {text}");
        guest.expect(MEDIUM_DAMAGED.advice, COMMAND).map(drop)
    });
}

#[test]
fn ref_a_copy_that_does_not_fit_is_refused_with_figures_and_an_optional_one_left_out() {
    in_workshop(|workshop| {
        let mut machine = workshop.machine(&STICK, "rd.live.ram rd.minmem=3000");
        let mut guest = Guest::start(&machine)?;
        let refusal = format!("liveos-init: {}", NOT_ENOUGH_MEMORY.code);
        guest.expect(&refusal, BOOT)?;
        let text = guest.expect(NOT_ENOUGH_MEMORY.advice, COMMAND)?;
        ensure!(
            text.contains("3000 MiB are to be left") && text.contains("MiB are missing"),
            "{text}"
        );
        drop(guest);
        machine = workshop.machine(&STICK, "copytoram=auto");
        let (_, mut guest) = to_a_shell(&machine)?;
        guest
            .command("grep -q ' /run/initramfs/live ' /proc/mounts")
            .map(drop)
    });
}
