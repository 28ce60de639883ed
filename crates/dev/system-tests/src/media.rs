//! ISOs that are made once for a program and a disk, and what is on them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use testkit::guest::PATIENT_KERNEL;
use testkit::{fixture, tools};

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
    let digest: String = Sha256::digest(&program)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let recipe = format!("{digest} {} {}", disk.display(), arguments.join(" "));
    let folder = fixture::cached("iso", &recipe, |folder| {
        let mut all = vec!["--append", PATIENT_KERNEL];
        all.extend(arguments);
        builds::build(disk, &folder.join("live.iso"), &all).map(drop)
    })?;
    Ok(folder.join("live.iso"))
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

/// The names of the files in the folder `path` of `iso`, as xorriso lists them.
///
/// # Errors
///
/// Where xorriso refuses.
pub fn names(iso: &Path, path: &str) -> Result<Vec<String>> {
    let mut command = tools::command("xorriso");
    let list = tools::output(command.arg("-indev").arg(iso).args(["-lsx", path, "--"]))?;
    Ok(list
        .lines()
        .map(|line| line.trim_matches('\'').to_owned())
        .collect())
}
