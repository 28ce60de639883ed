//! Which accelerator a machine runs under: hardware virtualisation where it works, emulation otherwise.
//!
//! A `/dev/kvm` that can be opened proves nothing: inside some virtual machines it is there, a guest's first
//! instructions run, and a kernel never comes up, because each instruction is emulated at a cost of microseconds.
//! So a tiny guest that has to work for its answer is started twice, under KVM and under the emulator, and the first to
//! finish wins. That needs no guess about how fast either should be, and a loaded host slows both.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself, through Linux's KVM.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// How long the race may take before emulation is chosen; the emulator needs about a second for it.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// The status with which QEMU ends when the guest answered: twice the answer plus one.
///
/// Source: QEMU, `hw/misc/debugexit.c`.
const ANSWERED: i32 = (0x31 << 1) | 1;

/// The time between two looks at the racers.
const LOOK: Duration = Duration::from_millis(10);

/// The guest's program: a boot sector, loaded at 0x7c00 in real mode.
///
/// It makes page tables for the first 2 MiB at 0x1000 to 0x3fff, enters 64-bit mode as a kernel would, counts
/// down from 400 million there (a tenth of a second on a processor, a second in the emulator), and writes 0x31 to port
/// 0xf4, where `isa-debug-exit` listens.
const GUEST: [u8; 0x96] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfc, 0xbf, 0x00, 0x10,
    0xb9, 0x00, 0x18, 0xf3, 0xab, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0xc7, 0x06, 0x00, 0x20, 0x03,
    0x30, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x66, 0xb8, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8,
    0x0f, 0x20, 0xe0, 0x0c, 0x20, 0x0f, 0x22, 0xe0, 0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32,
    0x80, 0xcc, 0x01, 0x0f, 0x30, 0x0f, 0x01, 0x16, 0x90, 0x7c, 0x0f, 0x20, 0xc0, 0x66, 0x0d, 0x01,
    0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, 0xea, 0x5b, 0x7c, 0x08, 0x00, 0x66, 0xb8, 0x10, 0x00, 0x8e,
    0xd8, 0x8e, 0xd0, 0xb9, 0x00, 0x84, 0xd7, 0x17, 0xff, 0xc9, 0x75, 0xfc, 0xb0, 0x31, 0xe6, 0xf4,
    0xf4, 0xeb, 0xfd, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x92, 0x00, 0x00,
    0x17, 0x00, 0x78, 0x7c, 0x00, 0x00,
];

/// Chooses the accelerator for the QEMU at `qemu`.
///
/// Takes a second or so where there is a `/dev/kvm` that may be used, at most `deadline`, and no time elsewhere. Nothing is
/// remembered: the next call asks again.
///
/// # Errors
///
/// [`Error::Io`] where a temporary file cannot be made or QEMU cannot be started at all.
pub fn choose(qemu: &Path, deadline: Duration) -> Result<Accelerator> {
    let kvm = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    if kvm.is_err() {
        return Ok(Accelerator::Tcg);
    }
    drop(kvm);
    race(qemu, deadline)
}

/// Starts the guest under both accelerators and answers with the one that finished first.
fn race(qemu: &Path, deadline: Duration) -> Result<Accelerator> {
    let scratch = tempfile::tempdir().map_err(|error| {
        Error::io(
            "making a temporary folder for the accelerator's test",
            error,
        )
    })?;
    let sector = scratch.path().join("sector");
    std::fs::write(&sector, boot_sector())
        .map_err(|error| Error::io("writing the accelerator's test", error))?;
    let start = |accel| {
        Racer::start(qemu, accel, &sector).map_err(|error| Error::io("starting QEMU", error))
    };
    let mut kvm = start("kvm")?;
    let mut tcg = start("tcg,thread=single")?;
    let began = Instant::now();
    while began.elapsed() < deadline {
        match kvm.answer() {
            Some(true) => return Ok(Accelerator::Kvm),
            Some(false) => return Ok(Accelerator::Tcg),
            None => {}
        }
        if tcg.answer().is_some() {
            return Ok(Accelerator::Tcg);
        }
        std::thread::sleep(LOOK);
    }
    Ok(Accelerator::Tcg)
}

fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..GUEST.len()].copy_from_slice(&GUEST);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// One of the two machines; it ends with this value.
struct Racer(Child);

impl Racer {
    fn start(qemu: &Path, accel: &str, sector: &Path) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "starting QEMU is what this crate is for"
        )]
        let mut command = Command::new(qemu);
        let mut drive = OsStr::new("driver=file,node-name=sector,locking=off,filename=").to_owned();
        drive.push(sector);
        command
            .args([
                "-accel",
                accel,
                "-machine",
                "pc",
                "-nodefaults",
                "-nographic",
                "-m",
                "32",
            ])
            .arg("-blockdev")
            .arg(drive)
            .args(["-device", "ide-hd,drive=sector"])
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
    }

    /// Whether the guest answered; `None` while it runs.
    fn answer(&mut self) -> Option<bool> {
        match self.0.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.code() == Some(ANSWERED)),
            Err(_) => Some(false),
        }
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        // A machine that has ended already cannot be killed, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;

    fn need(tool: &str) -> Option<std::path::PathBuf> {
        let host = Host::new(&std::env::var_os("PATH").unwrap_or_default());
        let found = host.qemu().ok();
        if found.is_none() {
            assert!(std::env::var_os("CI").is_none(), "needs {tool}");
            eprintln!("SKIPPED: needs {tool}");
        }
        found
    }

    #[test]
    fn the_sector_has_the_signature_that_a_bios_looks_for() {
        let sector = boot_sector();
        assert_eq!(&sector[510..], &[0x55, 0xaa]);
        assert_eq!(sector[0], 0xfa);
    }

    #[test]
    fn ref_the_guest_answers_under_the_emulator() {
        let Some(qemu) = need("qemu-system-x86") else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let sector = folder.path().join("sector");
        std::fs::write(&sector, boot_sector()).unwrap();
        let mut racer = Racer::start(&qemu, "tcg,thread=single", &sector).unwrap();
        assert_eq!(racer.0.wait().unwrap().code(), Some(ANSWERED));
        assert_eq!(racer.answer(), Some(true));
    }

    #[test]
    fn ref_a_guest_that_says_nothing_is_no_answer() {
        let Some(qemu) = need("qemu-system-x86") else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let sector = folder.path().join("absent");
        let mut racer = Racer::start(&qemu, "tcg", &sector).unwrap();
        racer.0.wait().unwrap();
        assert_eq!(racer.answer(), Some(false));
    }

    #[test]
    fn ref_the_race_has_an_end_whatever_the_host_offers() {
        let Some(qemu) = need("qemu-system-x86") else {
            return;
        };
        let chosen = race(&qemu, DEADLINE).unwrap();
        let virtualised = std::fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.contains(" vmx") || text.contains(" svm"));
        if !virtualised {
            assert_eq!(chosen, Accelerator::Tcg);
        }
    }

    #[test]
    fn without_time_there_is_emulation() {
        let Some(qemu) = need("qemu-system-x86") else {
            return;
        };
        assert_eq!(race(&qemu, Duration::ZERO).unwrap(), Accelerator::Tcg);
    }
}
