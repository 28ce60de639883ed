//! The sandbox as `liveos` holds it: a keeper, and what its scratch holds.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use block::{Content, DiskFile, Error, Result};
use tree::{Timestamp, Tree};

use crate::changes::Applier;
use crate::message::{Answer, Order};
use crate::program::Lines;
use crate::spec::path_of;
use crate::{AS_ROOT, AS_USER, Changes, Ended, KEEPER, Program, diff, identity, wire};

/// How a sandbox is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The folder in which the tree is unpacked, in a folder of its own. It needs as much room as the tree has bytes, and again as
    /// much as programs change.
    pub scratch: PathBuf,
    /// The time that files get which programs change: one that the clock gave would make every build another.
    pub time: Timestamp,
    /// The executable that becomes the sandbox's processes: `/proc/self/exe` where it calls [`child_main`](crate::child_main).
    pub executable: PathBuf,
}

impl Options {
    /// A sandbox in the folder `scratch`, whose processes are this executable.
    pub fn new(scratch: impl Into<PathBuf>, time: Timestamp) -> Self {
        Self {
            scratch: scratch.into(),
            time,
            executable: PathBuf::from("/proc/self/exe"),
        }
    }
}

/// A place where programs of a tree run. Dropping it removes its folder; files that were read back stay readable.
#[derive(Debug)]
pub struct Sandbox {
    keeper: Child,
    reader: BufReader<UnixStream>,
    writer: BufWriter<UnixStream>,
    frame: Vec<u8>,
    folder: PathBuf,
    time: Timestamp,
    /// What the scratch holds, as it was laid down or read back last.
    held: Option<Tree<Content>>,
    /// The xattrs that could not be laid down, by path and name.
    withheld: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

impl Sandbox {
    /// Makes an empty one. What a build that was killed together with its keeper left in the folder is removed.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) where the machine or its administrator does not let this user have one, and
    /// [`Kind::NotFound`](block::Kind::NotFound) where a program for it is missing: both say what to do.
    pub fn new(options: &Options) -> Result<Self> {
        let doing = |error| Error::io("making a sandbox", error).in_file(&options.scratch);
        let base = std::fs::canonicalize(&options.scratch).map_err(doing)?;
        let is_root = rustix::process::geteuid().is_root();
        let (ours, theirs) = UnixStream::pair().map_err(doing)?;
        let keeper = start(&options.executable, &base, is_root, theirs)?;
        let mut sandbox = Self {
            keeper,
            reader: BufReader::new(ours.try_clone().map_err(doing)?),
            writer: BufWriter::with_capacity(1 << 18, ours),
            frame: Vec::new(),
            folder: PathBuf::new(),
            time: options.time,
            held: None,
            withheld: BTreeSet::new(),
        };
        if !matches!(sandbox.answer()?, Answer::Waiting) {
            return Err(confused());
        }
        if !is_root {
            identity::map(sandbox.keeper.id())?;
        }
        sandbox.order(&Order::Begin)?;
        sandbox.flush()?;
        let Answer::Ready(folder) = sandbox.answer()? else {
            return Err(confused());
        };
        sandbox.folder = path_of(&folder);
        Ok(sandbox)
    }

    /// Makes the scratch hold `tree`: all of it the first time, later what differs from what it holds.
    ///
    /// Device nodes, and xattrs that belong to a security module (SELinux labels), stay with the tree.
    ///
    /// # Errors
    ///
    /// What reading the tree's files and writing the scratch's answers; an owner that is outside of the user's ranges.
    pub fn enter(&mut self, tree: &Tree<Content>) -> Result<()> {
        let held = self.held.take();
        diff::orders(held.as_ref(), tree, &mut |order| self.order(&order))?;
        self.order(&Order::Settle)?;
        self.flush()?;
        let Answer::Settled(withheld) = self.answer()? else {
            return Err(confused());
        };
        self.withheld.extend(withheld);
        self.held = Some(tree.clone());
        Ok(())
    }

    /// Runs a program, and waits until it ends; whatever it started ends with it. `output` gets each line that it writes.
    ///
    /// # Errors
    ///
    /// Where it cannot be started. That it ended with another code than 0 is no error here.
    pub fn run(&mut self, program: &Program, output: &mut dyn FnMut(&str)) -> Result<Ended> {
        self.order(&Order::Run(program.spec().encode()))?;
        self.flush()?;
        let mut lines = Lines::new(output);
        loop {
            match self.answer()? {
                Answer::Output(bytes) => lines.take(&bytes),
                Answer::Ended(status) => {
                    return Ok(Ended {
                        status: ExitStatus::from_raw(status),
                        last_lines: lines.finish(),
                    });
                }
                _ => return Err(confused()),
            }
        }
    }

    /// Reads back what programs changed since [`enter`](Self::enter) into `tree`, which is the tree that was entered.
    ///
    /// Files that no program touched stay as they are, to the byte and to the range of the input. What was changed gets the
    /// sandbox's time, unless the program gave it one of its own before that. What the scratch never held (device nodes, SELinux
    /// labels) stays, as long as its path and kind do; what is new has none.
    ///
    /// # Errors
    ///
    /// What reading the scratch answers; the tree is half changed then.
    pub fn leave(&mut self, tree: &mut Tree<Content>) -> Result<Changes> {
        self.order(&Order::Collect)?;
        self.flush()?;
        let withheld = std::mem::take(&mut self.withheld);
        let mut applier = Applier {
            tree,
            withheld: &withheld,
            time: self.time,
            changes: Changes::default(),
            found: Vec::new(),
        };
        let started = loop {
            match self.answer()? {
                Answer::Removed(path) => applier.remove(&path)?,
                Answer::Found(found) => applier.found.push(*found),
                Answer::Collected(started) => break started,
                _ => return Err(confused()),
            }
        };
        let changes = applier.finish(self.pack()?, started)?;
        self.withheld = withheld;
        self.held = Some(tree.clone());
        Ok(changes)
    }

    /// The pack as it is now.
    fn pack(&self) -> Result<DiskFile> {
        let path = self.folder.join("pack");
        let file = File::open(&path)
            .map_err(|error| Error::io("opening what was read back", error).in_file(&path))?;
        DiskFile::from_file(file, path)
    }

    fn order(&mut self, order: &Order) -> Result<()> {
        wire::send(&mut self.writer, &order.encode()).map_err(gone)
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(gone)
    }

    /// The next answer; one that says that something failed is that error.
    fn answer(&mut self) -> Result<Answer> {
        let arrived = wire::receive(&mut self.reader, &mut self.frame).map_err(gone)?;
        if !arrived {
            let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(gone(error));
        }
        match Answer::decode(&self.frame).map_err(gone)? {
            Answer::Failed(fault) => Err(fault.into_error()),
            answer => Ok(answer),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The keeper ends when nobody is at the other end, and it has removed the folder when it has ended. Where it was killed
        // there is nobody to do so any more; the next sandbox in the same folder does.
        let _ = self.writer.get_ref().shutdown(Shutdown::Both);
        let _ = self.keeper.wait();
    }
}

fn start(executable: &Path, base: &Path, is_root: bool, stream: UnixStream) -> Result<Child> {
    let arguments: [OsString; 3] = [
        KEEPER.into(),
        if is_root { AS_ROOT } else { AS_USER }.into(),
        base.into(),
    ];
    #[expect(
        clippy::disallowed_methods,
        reason = "running programs is what this crate is for"
    )]
    let mut command = Command::new(executable);
    command
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
        .spawn()
        .map_err(|error| Error::io("starting a process of the sandbox", error).in_file(executable))
}

fn gone(error: std::io::Error) -> Error {
    Error::io("talking to the sandbox", error)
}

fn confused() -> Error {
    Error::corrupt(
        "talking to the sandbox",
        "its answer does not fit the order",
    )
}
