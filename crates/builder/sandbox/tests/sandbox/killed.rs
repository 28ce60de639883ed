//! `liveos` killed at any point: no mount, no process and no file is left.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use block::{Content, ReadAt, Result};
use tree::{Inode, Node};

use crate::system::{self, metadata, path, put, shell};

/// How long is waited for what has to happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// The processes whose command line has `text` in it.
pub(crate) fn processes(text: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (number != std::process::id() && line.contains(text)).then_some(line)
    })
    .collect()
}

/// The mounts of all processes with `text` in their place or source.
fn mounts(text: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let files =
        all.filter_map(|entry| std::fs::read_to_string(entry.path().join("mountinfo")).ok());
    files
        .flat_map(|file| file.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains(text))
        .collect()
}

/// Waits until nothing is left of a sandbox in `scratch`.
fn nothing_is_left(scratch: &Path) {
    let text = scratch.to_str().unwrap();
    let started = Instant::now();
    loop {
        let files: Vec<_> = std::fs::read_dir(scratch)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        let left = (files, processes(text), mounts(text));
        if left == (vec![], vec![], vec![]) {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "left: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A source that never answers, once it was asked.
#[derive(Debug)]
struct Stuck;

impl ReadAt for Stuck {
    fn len(&self) -> u64 {
        1 << 20
    }
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> Result<()> {
        say("reached");
        loop {
            std::thread::park();
        }
    }
}

/// Tells the test that waits for this process.
fn say(word: &str) {
    let mut out = std::fs::File::options()
        .write(true)
        .open("/proc/self/fd/1")
        .unwrap();
    writeln!(out, "MARK {word}").unwrap();
}

/// Not a test but a process that tests kill: it makes a sandbox, goes on to a phase, and stays there.
#[test]
#[ignore = "the process that other tests kill"]
fn victim() {
    let Some(phase) = std::env::var_os("LIVEOS_TEST_PHASE") else {
        return;
    };
    let scratch = std::env::var_os("LIVEOS_TEST_SCRATCH").unwrap();
    let mut tree = system::tree().unwrap();
    for number in 0..500 {
        put(&mut tree, &format!("/var/f{number}"), 0o644, b"x");
    }
    if phase == "unpacking" {
        let content = Content::from_source(Arc::new(Stuck));
        tree.put(
            &path("/zz"),
            Inode::new(metadata(0o644), Node::File(content)),
        )
        .unwrap();
    }
    let mut sandbox = system::sandbox(Path::new(&scratch), &tree).unwrap();
    let unique = std::env::var_os("LIVEOS_TEST_UNIQUE").unwrap();
    let unique = unique.to_str().unwrap();
    let script = match phase.to_str().unwrap() {
        "running" => format!("mkdir -p /var/a/b; sleep {unique} & echo started; sleep {unique}"),
        _ => {
            "cd /var; i=0; while [ $i -lt 400 ]; do echo $i > n$i; i=$((i+1)); done; chown 33:44 n*"
                .to_owned()
        }
    };
    let ended = sandbox.run(&shell(&script), &mut |line| {
        if line == "started" {
            say("reached");
        }
    });
    assert!(ended.unwrap().success());
    say("reached");
    for _ in 0..1_000_000 {
        sandbox.leave(&mut tree).unwrap();
        sandbox.run(&shell("touch /var/n*"), &mut |_| ()).unwrap();
    }
}

/// Starts the victim, and waits until it is in its phase.
fn start(phase: &str, scratch: &Path, unique: &str) -> Child {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test kills a process of its own"
    )]
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::victim",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("LIVEOS_TEST_PHASE", phase)
        .env("LIVEOS_TEST_SCRATCH", scratch)
        .env("LIVEOS_TEST_UNIQUE", unique)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reached = output
        .lines()
        .map_while(std::result::Result::ok)
        .any(|line| line.contains("MARK reached"));
    assert!(reached, "the victim came to no phase");
    child
}

/// Whether this user can have a sandbox at all.
fn possible() -> bool {
    let scratch = tempfile::tempdir().unwrap();
    system::tree().is_some_and(|tree| system::sandbox(scratch.path(), &tree).is_some())
}

#[test]
fn ref_nothing_is_left_when_liveos_is_killed() {
    if !possible() {
        return;
    }
    for (phase, delays) in [
        ("unpacking", &[0_u64][..]),
        ("running", &[0]),
        ("reading back", &[0, 3, 10, 30]),
    ] {
        for delay in delays {
            let scratch = tempfile::tempdir().unwrap();
            let unique = format!("{}", 8_000_000 + std::process::id());
            let mut child = start(phase, scratch.path(), &unique);
            assert!(
                !processes(scratch.path().to_str().unwrap()).is_empty(),
                "the keeper is seen"
            );
            std::thread::sleep(Duration::from_millis(*delay));
            child.kill().unwrap();
            child.wait().unwrap();
            nothing_is_left(scratch.path());
            assert_eq!(
                processes(&format!("sleep {unique}")),
                Vec::<String>::new(),
                "{phase}"
            );
        }
    }
}

#[test]
fn ref_what_a_killed_keeper_left_is_removed_by_the_next_sandbox() {
    if !possible() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let unique = format!("{}", 9_000_000 + std::process::id());
    let mut child = start("running", scratch.path(), &unique);
    let keeper = keeper_of(scratch.path());
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).unwrap();
    child.wait().unwrap();
    // The program dies with the keeper, though nobody is left to clean up.
    let started = Instant::now();
    while !processes(&format!("sleep {unique}")).is_empty() {
        assert!(started.elapsed() < DEADLINE, "the program runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(
        mounts(scratch.path().to_str().unwrap()),
        Vec::<String>::new()
    );
    assert_eq!(
        std::fs::read_dir(scratch.path()).unwrap().count(),
        1,
        "the folder is left"
    );
    let tree = system::tree().unwrap();
    let sandbox = system::sandbox(scratch.path(), &tree).unwrap();
    assert_eq!(
        std::fs::read_dir(scratch.path()).unwrap().count(),
        1,
        "only the new one is there"
    );
    // A folder whose keeper lives is left alone.
    let second = system::sandbox(scratch.path(), &tree).unwrap();
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 2);
    drop((sandbox, second));
    nothing_is_left(scratch.path());
}

/// The keeper of the sandbox in `scratch`.
fn keeper_of(scratch: &Path) -> rustix::process::Pid {
    let text = scratch.to_str().unwrap();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let number = all.into_iter().find_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<i32>().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.contains("liveos-sandbox-keeper") && line.contains(text)).then_some(number)
    });
    rustix::process::Pid::from_raw(number.unwrap()).unwrap()
}
