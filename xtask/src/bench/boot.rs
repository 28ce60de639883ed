//! `cargo xtask bench boot`: our initramfs against dracut's `dmsquash-live`, KIWI's `kiwi-live` and Debian's live-boot, on the same root file
//! system image, kernel and machine.
//!
//! All are started directly with the same kernel, so that the firmware and the boot loader are not measured, and read the same root file
//! system image from a CD. The kernel's own clock on the serial line says when `/init` starts and when the system's own systemd does; the
//! console's login prompt says when all is up, and QEMU how much was read until then.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use contract::media;
use testkit::fixture;
use testkit::guest::{self, BOOT, Guest};
use testkit::programs::{self, Optimised};
use testkit::tools;
use vm::{DirectKernel, Firmware};

use super::measure::{median, runs};

/// The packages of the programs that are started here.
const PACKAGES: [&str; 6] = [
    "xorriso",
    "qemu-system-x86",
    "qemu-utils",
    "e2fsprogs",
    "fdisk",
    "python3-pip",
];

/// What every kernel command line has.
const COMMON: &str =
    "console=ttyS0 printk.time=1 loglevel=7 systemd.show_status=0 panic=-1 no_timer_check";
/// That of all that know dracut's names.
const DRACUT: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1";
/// That of live-boot.
const LIVE_BOOT: &str = "boot=live nopersistence";

/// What the kernel says when it starts the initramfs.
const INIT_STARTS: &str = "Run /init as init process";
/// What systemd says, to the kernel's log, each time that it starts.
const SYSTEMD_STARTS: &str = "running in system mode";

/// Who boots.
struct Contestant {
    name: &'static str,
    initramfs: PathBuf,
    iso: PathBuf,
    parameters: &'static str,
    boots: Vec<Boot>,
}

/// One boot.
#[derive(Clone, Copy, Debug)]
struct Boot {
    /// From the start of `/init` to the start of the system's own init, in seconds on the kernel's clock.
    initramfs: f64,
    /// From the start of the machine to the login prompt, in seconds on ours.
    login: f64,
    /// What was read from the medium until then, with the initramfs, in MiB.
    read: f64,
}

/// Measures, and prints the table.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let count = runs(words, 3)?;
    tools::need(&PACKAGES)?;
    let peers = fixture::peers("bookworm")?;
    let liveos = programs::build(Optimised::Shipped)?.liveos;
    let parent = programs::target().join("bench");
    fs::create_dir_all(&parent)?;
    let work = tempfile::Builder::new()
        .prefix("boot-")
        .tempdir_in(parent)?;
    let iso = super::build::iso(work.path(), &liveos, &peers.disk)?;
    let boot = boot_folder(work.path(), &iso)?;
    let kernel = named(&boot, "vmlinuz")?;
    let contestant = |name, initramfs, iso: &Path, parameters| Contestant {
        name,
        initramfs,
        iso: iso.to_path_buf(),
        parameters,
        boots: Vec::new(),
    };
    let theirs = live_boot_iso(work.path(), &iso)?;
    let mut all = [
        contestant("liveos-init", named(&boot, "initramfs")?, &iso, DRACUT),
        contestant("dracut `dmsquash-live`", peers.dmsquash_live, &iso, DRACUT),
        contestant("KIWI `kiwi-live`", peers.kiwi_live, &iso, DRACUT),
        contestant("Debian `live-boot`", peers.live_boot, &theirs, LIVE_BOOT),
    ];
    for number in 1..=count {
        for contestant in &mut all {
            eprintln!("run {number} of {count}: {}", contestant.name);
            let boot = boot_once(contestant, &kernel).context(contestant.name)?;
            contestant.boots.push(boot);
        }
    }
    println!(
        "Medians of {count} boots each, in turn; emulated, one processor, the kernel started directly.\n"
    );
    table(&all)
}

/// A row for each; those of the others with the ratio of ours to theirs.
fn table(all: &[Contestant]) -> Result<()> {
    println!(
        "| | start of `/init` to the system's init, s | machine to login, s | read until login, MiB | initramfs, KiB |\n|---|---|---|---|---|"
    );
    let of = |contestant: &Contestant, value: fn(&Boot) -> f64| -> Result<f64> {
        median(contestant.boots.iter().map(value))
    };
    let Some(ours) = all.first() else {
        bail!("nobody boots");
    };
    let values: [fn(&Boot) -> f64; 3] = [|b| b.initramfs, |b| b.login, |b| b.read];
    for contestant in all {
        let mut cells = Vec::new();
        for (value, digits) in values.into_iter().zip([2, 1, 1]) {
            let theirs = of(contestant, value)?;
            let ratio = of(ours, value)? / theirs;
            cells.push(match std::ptr::eq(contestant, ours) {
                true => format!("{theirs:.digits$}"),
                false => format!("{theirs:.digits$} (ours: {ratio:.2} of it)"),
            });
        }
        let kib = fs::metadata(&contestant.initramfs)?.len() >> 10;
        println!("| {} | {} | {kib} |", contestant.name, cells.join(" | "));
    }
    println!(
        "\nWanted of ours: at most 0.10 of each time of an initramfs, at most 1.00 of what is read, an initramfs of at most 12288 KiB."
    );
    Ok(())
}

/// The folder `/boot` of the ISO.
fn boot_folder(work: &Path, iso: &Path) -> Result<PathBuf> {
    let boot = work.join("boot");
    extract(iso, "/boot", &boot)?;
    Ok(boot)
}

fn extract(iso: &Path, path: &str, to: &Path) -> Result<()> {
    let mut command = tools::command("xorriso");
    command
        .args(["-osirrox", "on", "-indev"])
        .arg(iso)
        .args(["-extract", path])
        .arg(to);
    tools::output(&mut command).map(drop)
}

/// The file in `folder` whose name starts so.
fn named(folder: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        {
            return Ok(path);
        }
    }
    bail!("{} has no {prefix}…", folder.display())
}

/// The same root file system image where live-boot looks for it, under the name that it knows.
fn live_boot_iso(work: &Path, iso: &Path) -> Result<PathBuf> {
    let tree = work.join("live-boot");
    fs::create_dir_all(tree.join("live"))?;
    let image = tree.join("live/filesystem.squashfs");
    extract(iso, &format!("/{}", media::ROOT_IMAGE), &image)?;
    let path = work.join("live-boot.iso");
    let mut command = tools::command("xorriso");
    command
        .args(["-as", "mkisofs", "-quiet", "-R", "-V", "CDROM", "-o"])
        .arg(&path)
        .arg(&tree);
    tools::output(&mut command)?;
    fs::remove_dir_all(tree)?;
    Ok(path)
}

fn boot_once(contestant: &Contestant, kernel: &Path) -> Result<Boot> {
    let mut machine = guest::machine(&contestant.iso);
    machine.firmware = Firmware::Bios;
    // KIWI's initramfs has 100 MiB when it is unpacked.
    machine.memory_mib = 2048;
    machine.kernel = Some(DirectKernel {
        kernel: kernel.to_path_buf(),
        initramfs: contestant.initramfs.clone(),
        command_line: format!("{} {COMMON}", contestant.parameters),
    });
    let mut guest = Guest::start(&machine)?;
    guest.expect("login: ", BOOT)?;
    let login = guest.age().as_secs_f64();
    let read = guest.bytes_read()? + fs::metadata(&contestant.initramfs)?.len();
    Ok(Boot {
        initramfs: initramfs_seconds(&guest.transcript())?,
        login,
        read: read as f64 / f64::from(1 << 20),
    })
}

/// The time between the start of `/init` and the last start of systemd, which is the one in the system.
fn initramfs_seconds(transcript: &str) -> Result<f64> {
    let at = |line: &str| -> Option<f64> {
        let (stamp, _) = line.split_once('[')?.1.split_once(']')?;
        stamp.trim().parse().ok()
    };
    let start = transcript
        .lines()
        .find(|line| line.contains(INIT_STARTS))
        .and_then(at);
    let end = transcript
        .lines()
        .rfind(|line| line.contains(SYSTEMD_STARTS))
        .and_then(at);
    match (start, end) {
        (Some(start), Some(end)) => Ok(end - start),
        _ => bail!("the console does not say when /init or systemd started"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_systemd_is_the_systems_own() {
        let transcript = "SeaBIOS\n[    1.500000] Run /init as init process\n\
            [    2.100000] systemd[1]: systemd 252 running in system mode (+PAM)\n\
            [   19.250000] systemd[1]: systemd 252 running in system mode (+PAM)\nlogin: ";
        assert_eq!(initramfs_seconds(transcript).unwrap(), 17.75);
        assert!(initramfs_seconds("login: ").is_err());
    }
}
