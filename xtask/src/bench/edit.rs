//! `cargo xtask bench edit`: a kernel parameter of finished media, changed in place, in a copy, and by building media of media.
//!
//! The media are the small test system's with a file of a GiB that does not compress, so that copying them is what costs. The peer of a
//! change in a copy is `cp`, once as it is and once with the sync without which a copy is not there after a power cut; ours always syncs.
//! What ours costs without the sync is seen in a folder in memory (`/dev/shm`), where there is nothing to wait for. All are run in turn,
//! on media that are on the disk already.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, copy};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::fixture::{self, TestSystem};
use testkit::programs::{self, Optimised};
use testkit::tools;

use super::measure::{Cost, cost, median, runs};

/// The packages of the programs that are measured and that measure.
const PACKAGES: [&str; 1] = ["time"];
/// The length of the file that makes the media large, in bytes.
const FILLER: u64 = 1 << 30;

/// The folder in memory.
const MEMORY: &str = "/dev/shm";

/// Measures, and prints the table.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let count = runs(words, 5)?;
    tools::need(&PACKAGES)?;
    let liveos = programs::build(Optimised::Shipped)?.liveos;
    let parent = programs::target().join("bench");
    fs::create_dir_all(&parent)?;
    let folder = |parent: &Path| tempfile::Builder::new().prefix("edit-").tempdir_in(parent);
    let on_disk = folder(&parent)?;
    let in_memory = folder(Path::new(MEMORY))?;
    let media = media(on_disk.path(), &liveos)?;
    let mib = fs::metadata(&media)?.len() >> 20;
    let mut disk = Measures::default();
    let mut memory = Measures::default();
    for number in 1..=count {
        eprintln!("run {number} of {count}");
        let parameter = format!("run={number}");
        disk.run(on_disk.path(), &liveos, &media, &parameter)?;
    }
    let lent = in_memory.path().join("media.iso");
    fs::copy(&media, &lent)?;
    for number in 1..=count {
        eprintln!("run {number} of {count}, in memory");
        let parameter = format!("run={number}");
        memory.run(in_memory.path(), &liveos, &lent, &parameter)?;
    }
    println!("Medians of {count} runs each, in turn; media of {mib} MiB.\n");
    disk.medians()?.print(&memory.medians()?);
    Ok(())
}

/// What each way cost, run by run.
#[derive(Debug, Default)]
struct Measures {
    in_place: Vec<Cost>,
    in_copy: Vec<Cost>,
    rebuilt: Vec<Cost>,
    plain: Vec<Cost>,
    synced: Vec<Cost>,
}

impl Measures {
    /// One run of each in `work`.
    fn run(&mut self, work: &Path, liveos: &Path, media: &Path, parameter: &str) -> Result<()> {
        let (media, program) = (media.as_os_str(), liveos.as_os_str());
        let (changed, copied) = (work.join("changed.iso"), work.join("copied.iso"));
        let edit = [
            "edit".as_ref(),
            media,
            "--append".as_ref(),
            parameter.as_ref(),
        ];
        self.in_place.push(measured(work, program, &edit)?);
        let output = ["-o".as_ref(), changed.as_os_str()];
        let in_copy = [&edit[..], &output].concat();
        self.in_copy.push(measured(work, program, &in_copy)?);
        fs::remove_file(&changed)?;
        let [_, rest @ ..] = edit;
        let build = [&["build".as_ref()][..], &rest, &output].concat();
        self.rebuilt.push(measured(work, program, &build)?);
        fs::remove_file(&changed)?;
        for (runs, script) in [
            (&mut self.plain, "cp \"$1\" \"$2\""),
            (&mut self.synced, "cp \"$1\" \"$2\" && sync -d \"$2\""),
        ] {
            let shell = ["-c".as_ref(), script.as_ref(), "sh".as_ref()];
            let arguments = [&shell[..], &[media, copied.as_os_str()]].concat();
            runs.push(measured(work, "sh".as_ref(), &arguments)?);
            fs::remove_file(&copied)?;
        }
        Ok(())
    }

    fn medians(&self) -> Result<Medians> {
        let wall = |runs: &[Cost]| median(runs.iter().map(|run| run.wall));
        Ok(Medians {
            in_place: wall(&self.in_place)?,
            in_copy: wall(&self.in_copy)?,
            rebuilt: wall(&self.rebuilt)?,
            plain: wall(&self.plain)?,
            synced: wall(&self.synced)?,
        })
    }
}

/// In seconds.
#[derive(Clone, Copy, Debug)]
struct Medians {
    in_place: f64,
    in_copy: f64,
    rebuilt: f64,
    plain: f64,
    synced: f64,
}

impl Medians {
    /// Prints the table of what was measured on the disk, and beside it in `memory`.
    fn print(&self, memory: &Self) {
        println!(
            "| | s | ÷ `cp` and `sync` | ÷ `cp` | in memory, s | in memory ÷ `cp` |\n|---|---|---|---|---|---|"
        );
        println!(
            "| `liveos edit` in place | {:.2} (under 0.20) | | | {:.2} | |",
            self.in_place, memory.in_place
        );
        let row = |what: &str, bound: f64, own: f64, own_in_memory: f64| {
            println!(
                "| {what} | {own:.2} | {:.2} | {:.2} | {own_in_memory:.2} | {:.2} (at most {bound}) |",
                own / self.synced,
                own / self.plain,
                own_in_memory / memory.plain
            );
        };
        row(
            "`liveos edit -o`, synced",
            1.2,
            self.in_copy,
            memory.in_copy,
        );
        let what = "`liveos build` of the media, synced";
        row(what, 1.3, self.rebuilt, memory.rebuilt);
        println!("| `cp` and `sync` | {:.2} | 1 | | | |", self.synced);
        println!(
            "| `cp`, not synced | {:.2} | | 1 | {:.2} | 1 |",
            self.plain, memory.plain
        );
    }
}

/// One run with nothing left to be written from before.
fn measured(work: &Path, program: &OsStr, arguments: &[&OsStr]) -> Result<Cost> {
    tools::output(&mut tools::command("sync"))?;
    cost(work, program, arguments).with_context(|| format!("{arguments:?}"))
}

/// Media of over a GiB.
fn media(work: &Path, liveos: &Path) -> Result<PathBuf> {
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
