//! `cargo xtask bench boot`: our initramfs against dracut's `dmsquash-live`, on the same ISO, kernel and machine.
//!
//! Both are started directly with the same kernel, so that the firmware and the boot loader are not measured, and
//! read the same root file system from the same CD. The kernel's own clock on the serial line says when `/init` starts
//! and when the system's own systemd does; the console's login prompt says when all is up.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::fixture::{self, Contents, Debian};
use testkit::guest::{self, BOOT, Guest};
use testkit::programs::{self, Optimised};
use testkit::tools;
use vm::{DirectKernel, Firmware};

use super::measure::{median, runs};

/// The packages of the programs that are started here.
const PACKAGES: [&str; 5] = [
    "xorriso",
    "qemu-system-x86",
    "qemu-utils",
    "e2fsprogs",
    "fdisk",
];

/// The kernel command line of both.
const COMMAND_LINE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 printk.time=1 loglevel=7 systemd.show_status=0 panic=-1 no_timer_check";

/// What the kernel says when it starts the initramfs.
const INIT_STARTS: &str = "Run /init as init process";
/// What systemd says, to the kernel's log, each time that it starts.
const SYSTEMD_STARTS: &str = "running in system mode";

/// One boot, in seconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// From the start of `/init` to the start of the system's own init, on the kernel's clock.
    initramfs: f64,
    /// From the start of the machine to the login prompt, on ours.
    login: f64,
}

/// Measures, and prints the table.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let count = runs(words, 3)?;
    tools::need(&PACKAGES)?;
    let disk = fixture::debian(&Debian {
        suite: "bookworm",
        contents: Contents::Dracut,
    })?;
    let liveos = programs::build(Optimised::Shipped)?.liveos;
    let parent = programs::target().join("bench");
    fs::create_dir_all(&parent)?;
    let work = tempfile::Builder::new()
        .prefix("boot-")
        .tempdir_in(parent)?;
    let iso = super::build::iso(work.path(), &liveos, &disk)?;
    let files = boot_files(work.path(), &iso, &disk)?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for number in 1..=count {
        eprintln!("run {number} of {count}: liveos-init");
        ours.push(boot(&iso, &files.kernel, &files.ours).context("booting with liveos-init")?);
        eprintln!("run {number} of {count}: dracut");
        theirs.push(boot(&iso, &files.kernel, &files.dracut).context("booting with dracut")?);
    }
    let pair = |value: fn(&Times) -> f64| -> Result<(f64, f64)> {
        Ok((
            median(ours.iter().map(value))?,
            median(theirs.iter().map(value))?,
        ))
    };
    let (init, their_init) = pair(|times| times.initramfs)?;
    let (login, their_login) = pair(|times| times.login)?;
    println!(
        "Medians of {count} boots each, in turn; emulated, one processor, the kernel started directly.\n"
    );
    println!("| | liveos-init | dracut `dmsquash-live` | ratio |\n|---|---|---|---|");
    println!(
        "| start of `/init` to the system's init, s | {init:.2} | {their_init:.2} | {:.2} (at most 0.10) |",
        init / their_init
    );
    println!(
        "| start of the machine to the login, s | {login:.1} | {their_login:.1} | {:.2} (at most 0.65) |",
        login / their_login
    );
    let mib = |path: &Path| -> Result<u64> { Ok(fs::metadata(path)?.len() >> 10) };
    println!(
        "| initramfs, KiB | {} (at most 12288) | {} | |",
        mib(&files.ours)?,
        mib(&files.dracut)?
    );
    Ok(())
}

struct Files {
    kernel: PathBuf,
    ours: PathBuf,
    dracut: PathBuf,
}

/// Takes the kernel and our initramfs from the ISO and dracut's from the disk image.
fn boot_files(work: &Path, iso: &Path, disk: &Path) -> Result<Files> {
    let boot = work.join("boot");
    let mut command = tools::command("xorriso");
    command
        .args(["-osirrox", "on", "-indev"])
        .arg(iso)
        .args(["-extract", "/boot"])
        .arg(&boot);
    tools::output(&mut command)?;
    let named = |prefix: &str| -> Result<PathBuf> {
        for entry in fs::read_dir(&boot)? {
            let path = entry?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
            {
                return Ok(path);
            }
        }
        anyhow::bail!("the ISO has no /boot/{prefix}…")
    };
    let dracut = work.join("dracut");
    let mut command = tools::command("sh");
    command
        .args(["-c", DRACUT, "sh"])
        .arg(disk)
        .arg(&dracut)
        .current_dir(work);
    tools::output(&mut command).context("taking dracut's initramfs from the disk image")?;
    Ok(Files {
        kernel: named("vmlinuz")?,
        ours: named("initramfs")?,
        dracut,
    })
}

const DRACUT: &str = r#"set -eu
qemu-img convert -O raw "$1" raw
start=$(sfdisk --json raw | sed -n 's/.*"start": *\([0-9]*\).*/\1/p' | tail -n 1)
dd if=raw of=root bs=512 skip="$start" conv=sparse status=none
rm raw
name=$(debugfs -R 'ls -p /boot' root 2>/dev/null | cut -d/ -f6 | grep '^initrd.img-' | head -n 1)
debugfs -R "dump /boot/$name $2" root 2>/dev/null
rm root
test -s "$2"
"#;

fn boot(iso: &Path, kernel: &Path, initramfs: &Path) -> Result<Times> {
    let mut machine = guest::machine(iso);
    machine.firmware = Firmware::Bios;
    machine.kernel = Some(DirectKernel {
        kernel: kernel.to_path_buf(),
        initramfs: initramfs.to_path_buf(),
        command_line: COMMAND_LINE.to_owned(),
    });
    let mut guest = Guest::start(&machine)?;
    guest.expect("login: ", BOOT)?;
    let login = guest.age().as_secs_f64();
    let transcript = guest.transcript();
    Ok(Times {
        initramfs: initramfs_seconds(&transcript)?,
        login,
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
        _ => anyhow::bail!("the console does not say when /init or systemd started"),
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
