//! `cargo xtask bench build`: an ISO from a disk image, by us and by the classical pipeline.
//!
//! The classical pipeline is what tools of this kind do: convert the disk image to raw, mount its root through a
//! loop device, copy it into a folder, `mksquashfs` that, and `xorriso` the result. It gets our own kernel,
//! initramfs and boot images for nothing. Both are run in turn, so that a busy machine slows both; medians count.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use testkit::fixture::{self, Contents, Debian};
use testkit::programs::{self, Optimised};
use testkit::tools;

use super::measure::{Cost, cost, median, runs};

/// The packages of the programs that are measured and that measure.
const PACKAGES: [&str; 6] = [
    "time",
    "squashfs-tools",
    "xorriso",
    "qemu-utils",
    "mount",
    "util-linux",
];

/// zstd's level for both: the one that `liveos build` takes by itself.
const LEVEL: &str = "3";

/// One run of the classical pipeline.
struct Classical {
    convert: Cost,
    copy: Cost,
    squash: Cost,
    iso: Cost,
    squash_len: u64,
    iso_len: u64,
}

impl Classical {
    fn all(&self) -> Cost {
        self.convert.and(self.copy).and(self.squash).and(self.iso)
    }
}

/// One run of ours.
struct Ours {
    cost: Cost,
    squash_len: u64,
    iso_len: u64,
}

/// Measures, and prints the table.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let count = runs(words, 3)?;
    tools::need(&PACKAGES)?;
    if !tools::is_root() {
        bail!("the classical pipeline mounts a loop device: only root can run this measurement");
    }
    let disk = fixture::debian(&Debian {
        suite: "bookworm",
        contents: Contents::Large,
    })?;
    let liveos = programs::build(Optimised::Shipped)?.liveos;
    let mut ours = Vec::new();
    let mut classical = Vec::new();
    for number in 1..=count {
        eprintln!("run {number} of {count}: liveos build");
        let work = work_folder()?;
        ours.push(build(work.path(), &liveos, &disk)?);
        eprintln!("run {number} of {count}: the classical pipeline");
        classical.push(pipeline(work.path(), &disk)?);
    }
    table(&ours, &classical)
}

/// A folder beside the fixtures: on the same file system for both, and not in memory.
pub(super) fn work_folder() -> Result<tempfile::TempDir> {
    let parent = programs::target().join("bench");
    fs::create_dir_all(&parent)?;
    Ok(tempfile::Builder::new().prefix("run-").tempdir_in(parent)?)
}

fn build(work: &Path, liveos: &Path, disk: &Path) -> Result<Ours> {
    let iso = work.join("ours.iso");
    let arguments = [
        OsStr::new("build"),
        disk.as_os_str(),
        OsStr::new("-o"),
        iso.as_os_str(),
    ];
    let cost = cost(work, liveos.as_os_str(), arguments).context("liveos build")?;
    Ok(Ours {
        cost,
        squash_len: len_in_iso(&iso, "/liveos/rootfs.img")?,
        iso_len: fs::metadata(&iso)?.len(),
    })
}

/// The length of the file at `path` in `iso`, as xorriso lists it.
pub(super) fn len_in_iso(iso: &Path, path: &str) -> Result<u64> {
    let list = tools::output(
        tools::command("xorriso")
            .arg("-indev")
            .arg(iso)
            .args(["-lsl", path]),
    )?;
    let line = list
        .lines()
        .find(|line| line.contains(path.rsplit('/').next().unwrap_or(path)));
    let word = line.and_then(|line| line.split_whitespace().nth(4));
    word.and_then(|word| word.parse().ok())
        .with_context(|| format!("{path} is not in the ISO"))
}

fn pipeline(work: &Path, disk: &Path) -> Result<Classical> {
    let raw = work.join("disk.raw");
    let arguments = [
        "convert".as_ref(),
        "-O".as_ref(),
        "raw".as_ref(),
        disk.as_os_str(),
        raw.as_os_str(),
    ];
    let convert = cost(work, OsStr::new("qemu-img"), arguments)?;
    fs::write(work.join("copy"), COPY)?;
    let copy = cost(work, OsStr::new("sh"), ["copy"])?;
    let squash = cost(
        work,
        OsStr::new("mksquashfs"),
        [
            "tree",
            "iso/liveos/rootfs.img",
            "-comp",
            "zstd",
            "-Xcompression-level",
            LEVEL,
            "-noappend",
            "-quiet",
            "-no-progress",
        ],
    )?;
    let squash_len = fs::metadata(work.join("iso/liveos/rootfs.img"))?.len();
    // What we take the boot files from is not part of what is measured.
    let boot = [
        "-osirrox", "on", "-indev", "ours.iso", "-extract", "/boot", "iso/boot",
    ];
    tools::output(tools::command("xorriso").args(boot).current_dir(work))?;
    let iso = cost(
        work,
        OsStr::new("xorriso"),
        [
            "-as",
            "mkisofs",
            "-quiet",
            "-iso-level",
            "3",
            "-R",
            "-J",
            "-V",
            "CDROM",
            "-o",
            "theirs.iso",
            "iso",
        ],
    )?;
    Ok(Classical {
        convert,
        copy,
        squash,
        iso,
        squash_len,
        iso_len: fs::metadata(work.join("theirs.iso"))?.len(),
    })
}

/// Mounts the root partition, the last one, and copies its content; `/boot` is on the media itself, in both.
const COPY: &str = "set -eu
start=$(sfdisk --json disk.raw | sed -n 's/.*\"start\": *\\([0-9]*\\).*/\\1/p' | tail -n 1)
mkdir -p mnt tree iso/liveos
mount -o ro,loop,offset=$((start * 512)) disk.raw mnt
trap 'umount mnt' EXIT
cp -a mnt/. tree/
rm -rf tree/boot/*
";

fn table(ours: &[Ours], classical: &[Classical]) -> Result<()> {
    let wall = median(ours.iter().map(|run| run.cost.wall))?;
    let cpu = median(ours.iter().map(|run| run.cost.cpu))?;
    let peak = median(ours.iter().map(|run| run.cost.peak_kib))? / 1024.0;
    let their_wall = median(classical.iter().map(|run| run.all().wall))?;
    let their_cpu = median(classical.iter().map(|run| run.all().cpu))?;
    let their_peak = median(classical.iter().map(|run| run.all().peak_kib))? / 1024.0;
    let squash_cpu = median(classical.iter().map(|run| run.squash.cpu))?;
    let (Some(our), Some(their)) = (ours.first(), classical.first()) else {
        bail!("nothing was measured");
    };
    let mb = |len: u64| format!("{}.{}", len / 1_000_000, len % 1_000_000 / 100_000);
    println!(
        "Medians of {} runs each, in turn; zstd level {LEVEL} for both.\n",
        ours.len()
    );
    println!("| | `liveos build` | classical pipeline | ratio |\n|---|---|---|---|");
    println!(
        "| wall time, s | {wall:.1} | {their_wall:.1} | {:.2} (at most 0.60) |",
        wall / their_wall
    );
    println!(
        "| processor time, s | {cpu:.1} | {their_cpu:.1} | {:.2} |",
        cpu / their_cpu
    );
    println!(
        "| processor time against `mksquashfs` alone, s | {cpu:.1} | {squash_cpu:.1} | {:.2} (at most 1.15) |",
        cpu / squash_cpu
    );
    println!(
        "| peak memory of one process, MiB | {peak:.0} (at most 512) | {their_peak:.0} | {:.2} |",
        peak / their_peak
    );
    println!(
        "| root file system image, MB | {} | {} | {:.3} |",
        mb(our.squash_len),
        mb(their.squash_len),
        ratio(our.squash_len, their.squash_len)
    );
    println!(
        "| ISO, MB | {} | {} | {:.3} |",
        mb(our.iso_len),
        mb(their.iso_len),
        ratio(our.iso_len, their.iso_len)
    );
    println!("\nSteps of the classical pipeline, wall time in s:");
    for (name, part) in [
        (
            "qemu-img convert",
            classical
                .iter()
                .map(|run| run.convert.wall)
                .collect::<Vec<_>>(),
        ),
        (
            "mount, cp -a",
            classical.iter().map(|run| run.copy.wall).collect(),
        ),
        (
            "mksquashfs",
            classical.iter().map(|run| run.squash.wall).collect(),
        ),
        (
            "xorriso",
            classical.iter().map(|run| run.iso.wall).collect(),
        ),
    ] {
        println!("* {name}: {:.1}", median(part)?);
    }
    Ok(())
}

fn ratio(ours: u64, theirs: u64) -> f64 {
    let thousandths = ours.saturating_mul(1000) / theirs.max(1);
    f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1000.0
}

/// Where the path of an ISO is needed by another measurement: builds one from `disk` in `work`.
///
/// # Errors
///
/// Where the build fails.
pub(crate) fn iso(work: &Path, liveos: &Path, disk: &Path) -> Result<PathBuf> {
    build(work, liveos, disk).map(|_| work.join("ours.iso"))
}
