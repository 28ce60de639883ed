//! `cargo xtask bench edit`: a kernel parameter of finished media, changed in place, in a copy, and by building media of media.
//!
//! The media are the small test system's with a file of a GiB that does not compress, so that copying them is what costs. The peer of a
//! change in a copy is `cp`, once as it is and once with the sync without which a copy is not there after a power cut; ours syncs. All are
//! run in turn, on media that are on the disk already.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, copy};
use std::path::Path;

use anyhow::{Context, Result};
use testkit::fixture::{self, TestSystem};
use testkit::programs::{self, Optimised};
use testkit::tools;

use super::measure::{Cost, cost, median, runs};

/// The packages of the programs that are measured and that measure.
const PACKAGES: [&str; 1] = ["time"];
/// The length of the file that makes the media large, in bytes.
const FILLER: u64 = 1 << 30;

/// Measures, and prints the table.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let count = runs(words, 5)?;
    tools::need(&PACKAGES)?;
    let liveos = programs::build(Optimised::Shipped)?.liveos;
    let parent = programs::target().join("bench");
    fs::create_dir_all(&parent)?;
    let work = tempfile::Builder::new()
        .prefix("edit-")
        .tempdir_in(parent)?;
    let media = media(work.path(), &liveos)?;
    let (media, program) = (media.as_os_str(), liveos.as_os_str());
    let at = |name: &str| work.path().join(name);
    let (changed, copied) = (at("changed.iso"), at("copied.iso"));
    let mut in_place = Vec::new();
    let mut in_copy = Vec::new();
    let mut rebuilt = Vec::new();
    let mut plain = Vec::new();
    let mut synced = Vec::new();
    for number in 1..=count {
        eprintln!("run {number} of {count}");
        let parameter = format!("run={number}");
        let arguments = [
            OsStr::new("edit"),
            media,
            "--append".as_ref(),
            parameter.as_ref(),
        ];
        in_place.push(measured(work.path(), program, &arguments)?);
        let arguments = [&arguments[..], &["-o".as_ref(), changed.as_os_str()]].concat();
        in_copy.push(measured(work.path(), program, &arguments)?);
        fs::remove_file(&changed)?;
        let arguments = [
            OsStr::new("build"),
            media,
            "-o".as_ref(),
            changed.as_os_str(),
            "--append".as_ref(),
            parameter.as_ref(),
        ];
        rebuilt.push(measured(work.path(), program, &arguments)?);
        fs::remove_file(&changed)?;
        for (runs, script) in [
            (&mut plain, "cp \"$1\" \"$2\""),
            (&mut synced, "cp \"$1\" \"$2\" && sync -d \"$2\""),
        ] {
            let arguments = [
                "-c".as_ref(),
                script.as_ref(),
                "sh".as_ref(),
                media,
                copied.as_os_str(),
            ];
            runs.push(measured(work.path(), "sh".as_ref(), &arguments)?);
            fs::remove_file(&copied)?;
        }
    }
    println!(
        "Medians of {count} runs each, in turn; media of {} MiB.\n",
        fs::metadata(media)?.len() >> 20
    );
    let wall = |runs: &[Cost]| median(runs.iter().map(|run| run.wall));
    print(
        wall(&in_place)?,
        [wall(&in_copy)?, wall(&rebuilt)?],
        [wall(&plain)?, wall(&synced)?],
    );
    Ok(())
}

/// Prints the table, of medians in seconds; `cp` without and with a sync.
fn print(in_place: f64, [in_copy, rebuilt]: [f64; 2], [cp, synced]: [f64; 2]) {
    println!("| | s | ÷ `cp` | ÷ `cp` and `sync` |\n|---|---|---|---|");
    println!("| `liveos edit` in place | {in_place:.2} (under 0.20) | | |");
    println!(
        "| `liveos edit -o`, synced | {in_copy:.2} | {:.2} (at most 1.2) | {:.2} |",
        in_copy / cp,
        in_copy / synced
    );
    println!(
        "| `liveos build` of the media, synced | {rebuilt:.2} | {:.2} (at most 1.3) | {:.2} |",
        rebuilt / cp,
        rebuilt / synced
    );
    println!("| `cp`, not synced | {cp:.2} | 1 | |");
    println!("| `cp` and `sync` | {synced:.2} | | 1 |");
}

/// One run with nothing left to be written from before.
fn measured(work: &Path, program: &OsStr, arguments: &[&OsStr]) -> Result<Cost> {
    tools::output(&mut tools::command("sync"))?;
    cost(work, program, arguments).with_context(|| format!("{arguments:?}"))
}

/// Media of over a GiB.
fn media(work: &Path, liveos: &Path) -> Result<std::path::PathBuf> {
    let disk = fixture::test_system(&TestSystem::default())?;
    let small = work.join("small.iso");
    let mut build = tools::command(liveos);
    tools::output(build.arg("build").arg(disk).arg("-o").arg(&small))?;
    let filler = work.join("filler");
    copy(
        &mut File::open("/dev/urandom")?.take(FILLER),
        &mut File::create(&filler)?,
    )?;
    let media = work.join("media.iso");
    let mut edit = tools::command(liveos);
    let add = format!("{}:/boot/filler", filler.display());
    tools::output(
        edit.arg("edit")
            .arg(small)
            .arg("-o")
            .arg(&media)
            .args(["--add", &add]),
    )?;
    fs::remove_file(filler)?;
    Ok(media)
}
