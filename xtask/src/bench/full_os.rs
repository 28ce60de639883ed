//! `cargo xtask bench full-os`: a system as an initramfs, by us and by `cpio | zstd`.
//!
//! Ours is the whole of `liveos build`: it opens the disk image, reads its file systems and writes an ISO. The peer gets the system
//! unpacked in a folder, for nothing, and writes the initramfs alone. Both are run in turn, so that a busy machine slows both; medians
//! count.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use testkit::fixture::{self, Contents, Debian};
use testkit::programs::{self, Optimised};
use testkit::tools;

use super::build::{len_in_iso, work_folder};
use super::measure::{Cost, cost, median, runs};

/// The packages of the programs that are measured and that measure.
const PACKAGES: [&str; 7] = [
    "time",
    "cpio",
    "zstd",
    "xorriso",
    "qemu-utils",
    "mount",
    "util-linux",
];

/// What each took, and how long the initramfs is.
struct Run {
    cost: Cost,
    len: u64,
}

/// Measures, and prints the table.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let count = runs(words, 3)?;
    tools::need(&PACKAGES)?;
    if !tools::is_root() {
        bail!(
            "the peer's folder is made through a loop device: only root can run this measurement"
        );
    }
    let disk = fixture::debian(&Debian {
        suite: "bookworm",
        contents: Contents::Large,
    })?;
    let liveos = programs::build(Optimised::Shipped)?.liveos;
    let work = work_folder()?;
    eprintln!("unpacking the system for the peer");
    unpack(work.path(), &disk)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 1..=count {
        eprintln!("run {number} of {count}: liveos build --initramfs-type full-os");
        ours.push(build(work.path(), &liveos, &disk)?);
        eprintln!("run {number} of {count}: cpio | zstd -T0");
        theirs.push(peer(work.path())?);
    }
    table(&ours, &theirs)
}

fn build(work: &Path, liveos: &Path, disk: &Path) -> Result<Run> {
    let iso = work.join("ours.iso");
    let _ = fs::remove_file(&iso);
    let arguments = [
        "build".as_ref(),
        disk.as_os_str(),
        "--initramfs-type".as_ref(),
        "full-os".as_ref(),
        "-o".as_ref(),
        iso.as_os_str(),
    ];
    let cost = cost(work, liveos.as_os_str(), arguments)?;
    let len = len_in_iso(&iso, &format!("/{}", contract::media::FULL_OS_INITRAMFS))?;
    Ok(Run { cost, len })
}

/// The level is the one that `liveos build` takes by itself.
const PEER: &str = "cd tree && find . | LC_ALL=C sort | cpio --quiet -o -H newc | zstd -q -T0 -3 -f -o ../theirs.img";

fn peer(work: &Path) -> Result<Run> {
    let cost = cost(work, OsStr::new("sh"), ["-c", PEER])?;
    let len = fs::metadata(work.join("theirs.img"))?.len();
    Ok(Run { cost, len })
}

/// The content of the root partition, the last one, without what lies in `/boot`.
const UNPACK: &str = "set -eu
qemu-img convert -O raw \"$1\" disk.raw
start=$(sfdisk --json disk.raw | sed -n 's/.*\"start\": *\\([0-9]*\\).*/\\1/p' | tail -n 1)
mkdir mnt tree
mount -o ro,loop,offset=$((start * 512)) disk.raw mnt
trap 'umount mnt' EXIT
cp -a mnt/. tree/
rm -rf tree/boot
";

fn unpack(work: &Path, disk: &Path) -> Result<()> {
    let mut command = tools::command("unshare");
    command
        .args(["--mount", "sh", "-c", UNPACK, "sh"])
        .arg(disk)
        .current_dir(work);
    tools::output(&mut command)?;
    Ok(fs::remove_file(work.join("disk.raw"))?)
}

/// A row: its name, the number, and what the ratio may be.
type Row = (&'static str, fn(&Run) -> f64, &'static str);

fn table(ours: &[Run], theirs: &[Run]) -> Result<()> {
    let of = |runs: &[Run], what: fn(&Run) -> f64| median(runs.iter().map(what));
    let rows: [Row; 4] = [
        ("wall time, s", |run| run.cost.wall, " (at most 1.20)"),
        ("processor time, s", |run| run.cost.cpu, ""),
        (
            "peak memory of one process, MiB",
            |run| run.cost.peak_kib / 1024.0,
            "",
        ),
        (
            "initramfs, MiB",
            |run| f64::from(u32::try_from(run.len >> 10).unwrap_or(u32::MAX)) / 1024.0,
            "",
        ),
    ];
    println!(
        "Medians of {} runs each, in turn; zstd level 3 for both.\n",
        ours.len()
    );
    println!(
        "| | `liveos build --initramfs-type full-os` | `cpio \\| zstd -T0` | ratio |\n|---|---|---|---|"
    );
    for (name, what, limit) in rows {
        let (our, their) = (of(ours, what)?, of(theirs, what)?);
        println!(
            "| {name} | {our:.1} | {their:.1} | {:.2}{limit} |",
            our / their
        );
    }
    Ok(())
}
