//! ISOs that are made once for a program and a disk, what is on them, and the way in which a boot of them stops.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use contract::failure::Code;
use sha2::{Digest, Sha256};
use testkit::guest::{BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::{fixture, tools};
use vm::Machine;

use crate::builds;

/// The programs without which nothing boots.
pub const FOR_BOOTS: [&str; 5] = [
    "qemu-system-x86_64",
    "qemu-img",
    "mkfs.ext4",
    "mcopy",
    "xorriso",
];

/// The ISO that `liveos build` makes of `disk` with further `arguments`; kept until the program changes.
///
/// # Errors
///
/// Where the build fails.
pub fn iso(disk: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let program = std::fs::read(builds::programs()?.liveos).context("reading liveos")?;
    let wish = format!("{} {}", disk.display(), arguments.join(" "));
    let name = format!("iso-{}", &digest(wish.as_bytes())[..8]);
    let folder = fixture::cached(&name, &digest(&program), |folder| {
        let mut all = vec!["--append", PATIENT_KERNEL];
        all.extend(arguments);
        builds::build(disk, &folder.join("live.iso"), &all).map(drop)
    })?;
    fixture::keep_only(&name, &folder)?;
    Ok(folder.join("live.iso"))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Takes the file at `path` out of `iso` to `to`, with xorriso.
///
/// # Errors
///
/// Where xorriso refuses or the file is not there.
pub fn extract(iso: &Path, path: &str, to: &Path) -> Result<()> {
    let mut command = tools::command("xorriso");
    command
        .args(["-osirrox", "on", "-indev"])
        .arg(iso)
        .args(["-extract", path])
        .arg(to);
    tools::output(&mut command).map(drop)
}

/// The names of what the folder `path` of `iso` holds, as xorriso finds it.
///
/// # Errors
///
/// Where xorriso refuses.
pub fn names(iso: &Path, path: &str) -> Result<Vec<String>> {
    let mut command = tools::command("xorriso");
    command
        .arg("-indev")
        .arg(iso)
        .args(["-find", path, "-maxdepth", "1"]);
    let list = tools::output(&mut command)?;
    let base = |line: &str| {
        line.trim_matches('\'')
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    Ok(list.lines().map(base).collect())
}

/// Where the content of the file `path` lies in `iso`: the first byte and the length, as xorriso reports it.
///
/// # Errors
///
/// Where xorriso refuses or the file is not there.
pub fn place(iso: &Path, path: &str) -> Result<(u64, u64)> {
    let mut command = tools::command("xorriso");
    command
        .arg("-indev")
        .arg(iso)
        .args(["-find", path, "-exec", "report_lba", "--"]);
    let report = tools::output(&mut command)?;
    // File data lba:  0 ,  first sector ,  sectors ,  length ,  'path'
    let line = report
        .lines()
        .find(|line| line.starts_with("File data lba:"));
    let numbers: Vec<u64> = line
        .context("the file is not on the ISO")?
        .split(',')
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    match numbers[..] {
        [first, _, len] => Ok((first * 2048, len)),
        _ => anyhow::bail!("xorriso says {report:?}"),
    }
}

/// Starts `machine` and waits for the refusal with `code`; it must come before anything of the system runs.
///
/// # Errors
///
/// Where the machine boots, ends in another way, or says nothing in time.
pub fn stops(machine: &Machine, code: Code) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    let refusal = format!("liveos-init: {}", code.code);
    let (which, text) = guest.expect_any(&["CHECKS BEGIN", &refusal], BOOT)?;
    ensure!(which == 1, "it booted: {text}");
    guest.expect(code.advice, COMMAND).map(drop)
}
