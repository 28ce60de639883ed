//! A machine in QEMU and media by xorriso.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Writes files by their paths under a folder.
pub(crate) fn stage<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
) -> PathBuf {
    let stage = folder.join("stage");
    for (path, bytes) in files {
        let file = stage.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    stage
}

/// An ISO of a folder with the volume identifier `CDROM`, mastered by xorriso with these further arguments.
#[expect(clippy::disallowed_methods, reason = "the reference tool is a program")]
pub(crate) fn media(stage: &Path, arguments: &[&str]) -> PathBuf {
    let iso = stage.with_extension("iso");
    let output = Command::new("xorriso")
        .args(["-as", "mkisofs", "-quiet", "-R", "-V", "CDROM"])
        .args(arguments)
        .arg("-o")
        .arg(&iso)
        .arg(stage)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    iso
}

/// What a machine writes to its serial line until it ends by itself; after the deadline it is stopped.
#[expect(
    clippy::disallowed_methods,
    reason = "the reference machine is a program"
)]
pub(crate) fn console(arguments: &[&str]) -> String {
    let mut machine = Command::new("qemu-system-x86_64")
        .args([
            "-accel", "tcg", "-smp", "1", "-m", "256", "-display", "none", "-serial", "stdio",
        ])
        .args([
            "-no-reboot",
            "-net",
            "none",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=1",
        ])
        .args(arguments)
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
    let deadline = Instant::now() + Duration::from_secs(60);
    while machine.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            machine.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    reader.join().unwrap()
}
