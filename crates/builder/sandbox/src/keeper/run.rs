//! Running one program: the process that makes its world, what it writes, how it ended.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use block::{Error, Result};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::WaitOptions;

use super::resolv::Resolver;
use super::scan::{self, split};
use super::scratch::Scratch;
use super::{Channel, scan::join};
use crate::message::Answer;
use crate::spec::{Spec, SpecBind, path_of};
use crate::{RUNNER, inside};

/// How a run came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// The program ended, with this wait status.
    Program(i32),
    /// `liveos` is gone: so is the program.
    Liveos,
}

/// Runs the program that `spec` describes.
pub(super) fn run(scratch: &mut Scratch, channel: &mut Channel, spec: &[u8]) -> Result<End> {
    let mut spec = Spec::decode(spec).map_err(|error| Error::io("reading an order", error))?;
    let folder = scratch.folder().as_os_str().as_encoded_bytes();
    spec.root = join(folder, b"root");
    lend(scratch, &mut spec)
        .map_err(|error| Error::io("lending to a program in the sandbox", error))?;
    let made = make_places(scratch, &spec)?;
    let resolver = if spec.network {
        Resolver::lend(scratch)?
    } else {
        Resolver::default()
    };
    let end = start(&spec).and_then(|mut started| {
        let end = attend(&mut started, channel);
        // Whatever happened: nothing runs on.
        let ended = finish(&mut started);
        match end? {
            Some(liveos) => Ok(liveos),
            None => ended.map(End::Program),
        }
    });
    resolver.take_back(scratch)?;
    for (path, is_folder) in made.iter().rev() {
        unmake(scratch, path, *is_folder);
    }
    end
}

/// Turns folders and files that are in no tree into binds, `/tmp` first.
fn lend(scratch: &mut Scratch, spec: &mut Spec) -> std::io::Result<()> {
    let mut binds = Vec::new();
    let folders = std::mem::take(&mut spec.temporary);
    for inside in std::iter::once(b"tmp".to_vec()).chain(folders) {
        let host = scratch.own(&inside)?;
        binds.push(bind(host, inside, false));
    }
    for (number, file) in std::mem::take(&mut spec.files).into_iter().enumerate() {
        let host = scratch.lend(number, &file.bytes, file.executable)?;
        binds.push(bind(host, file.inside, true));
    }
    spec.binds.splice(0..0, binds);
    Ok(())
}

fn bind(host: PathBuf, inside: Vec<u8>, read_only: bool) -> SpecBind {
    SpecBind {
        host: host.into_os_string().into_encoded_bytes(),
        inside,
        read_only,
    }
}

/// Makes the places that something is mounted on, where the tree has none. Answers with those, and whether each is a folder.
fn make_places(scratch: &Scratch, spec: &Spec) -> Result<Vec<(Vec<u8>, bool)>> {
    let mut made = Vec::new();
    let folders = inside::MOUNT_POINTS
        .iter()
        .map(|path| (path.as_bytes().to_vec(), true));
    let binds = spec.binds.iter().map(|bind| {
        let is_folder = path_of(&bind.host).is_dir();
        (bind.inside.clone(), is_folder)
    });
    for (path, is_folder) in folders.chain(binds) {
        make_place(scratch, &path, is_folder, &mut made).map_err(|error| {
            let shown = path_of(&[b"/", path.as_slice()].concat());
            Error::io("making a place to mount on", error).in_file(shown)
        })?;
    }
    Ok(made)
}

fn make_place(
    scratch: &Scratch,
    path: &[u8],
    is_folder: bool,
    made: &mut Vec<(Vec<u8>, bool)>,
) -> std::io::Result<()> {
    let (folder, name) = split(path);
    if !folder.is_empty() {
        make_place(scratch, folder, true, made)?;
    }
    let parent = scan::open_folder(scratch.root(), folder)?;
    let result = if is_folder {
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::mkdirat(&parent, name, mode)
    } else {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::RUSR).map(drop)
    };
    match result {
        Ok(()) => made.push((path.to_vec(), is_folder)),
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Removes a place that was made for a mount; where a program put something into it, it stays.
fn unmake(scratch: &Scratch, path: &[u8], is_folder: bool) {
    let (folder, name) = split(path);
    let flags = if is_folder {
        AtFlags::REMOVEDIR
    } else {
        AtFlags::empty()
    };
    if let Ok(parent) = scan::open_folder(scratch.root(), folder) {
        // OK: see above.
        let _ = rustix::fs::unlinkat(&parent, name, flags);
    }
}

/// A program that runs.
#[derive(Debug)]
struct Started {
    runner: Child,
    output: File,
    report: File,
}

fn start(spec: &Spec) -> Result<Started> {
    let doing = |error: Errno| Error::io("starting a program in the sandbox", error.into());
    let orders = memory("orders", &spec.encode())?;
    let report = memory("report", b"")?;
    let flags = rustix::pipe::PipeFlags::CLOEXEC;
    let (output, input) = rustix::pipe::pipe_with(flags).map_err(doing)?;
    let report_end = report
        .try_clone()
        .map_err(|error| Error::io("starting a program in the sandbox", error))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "running programs is what this crate is for"
    )]
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(RUNNER)
        .env_clear()
        .stdin(Stdio::from(orders))
        .stdout(Stdio::from(input))
        .stderr(Stdio::from(report_end));
    let runner = command
        .spawn()
        .map_err(|error| Error::io("starting a process of the sandbox", error))?;
    Ok(Started {
        runner,
        output: File::from(output),
        report: File::from(report),
    })
}

/// A file in memory that holds `bytes`.
fn memory(name: &str, bytes: &[u8]) -> Result<OwnedFd> {
    inside::memory(name, bytes, MemfdFlags::CLOEXEC)
        .map_err(|error| Error::io("handing over to a program in the sandbox", error))
}

/// Passes on what the program writes, until nobody can write any more; [`End::Liveos`] where `liveos` is gone before.
fn attend(started: &mut Started, channel: &mut Channel) -> Result<Option<End>> {
    let doing = |error: Errno| Error::io("waiting for a program in the sandbox", error.into());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut watched = [
            PollFd::new(&channel.writer, PollFlags::IN | PollFlags::RDHUP),
            PollFd::new(&started.output, PollFlags::IN),
        ];
        match rustix::event::poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(doing(error)),
        }
        let [liveos, output] = watched.map(|watched| watched.revents());
        if !liveos.is_empty() && is_gone(channel) {
            return Ok(Some(End::Liveos));
        }
        if output.is_empty() {
            continue;
        }
        let len = started
            .output
            .read(&mut buffer)
            .map_err(|error| Error::io("reading what a program wrote", error))?;
        let Some(written) = buffer.get(..len).filter(|written| !written.is_empty()) else {
            return Ok(None);
        };
        if channel.answer(&Answer::Output(written.to_vec())).is_err() {
            return Ok(Some(End::Liveos));
        }
    }
}

/// Whether the other end of the channel is closed: nothing is ordered while a program runs.
fn is_gone(channel: &Channel) -> bool {
    let mut byte = [0_u8; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match rustix::net::recv(channel.writer.as_fd(), &mut byte, flags) {
        Ok((len, _)) => len == 0,
        Err(Errno::AGAIN | Errno::INTR) => false,
        Err(_) => true,
    }
}

/// Ends every process of the run, and says how the program ended.
fn finish(started: &mut Started) -> Result<i32> {
    // It has ended where the program has; else its end ends the program.
    let ended = started.runner.try_wait();
    if !matches!(ended, Ok(Some(_))) && !is_reported(&started.report) {
        // It may end in this moment.
        let _ = started.runner.kill();
    }
    let status = started.runner.wait();
    // The first process of a run is gone only when all the others are.
    while !matches!(
        rustix::process::wait(WaitOptions::empty()),
        Err(Errno::CHILD)
    ) {}
    let report = read_report(&started.report)
        .map_err(|error| Error::io("reading the report of a run", error))?;
    match Answer::decode(&report) {
        Ok(Answer::Ended(status)) => Ok(status),
        Ok(Answer::Failed(fault)) => Err(fault.into_error()),
        _ => {
            let text = String::from_utf8_lossy(&report).trim().to_owned();
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            let message = if text.is_empty() { status } else { text };
            Err(Error::corrupt("running a program in the sandbox", message))
        }
    }
}

fn is_reported(report: &File) -> bool {
    report.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

fn read_report(report: &File) -> std::io::Result<Vec<u8>> {
    let len = report.metadata()?.len().min(1 << 16);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    report.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
