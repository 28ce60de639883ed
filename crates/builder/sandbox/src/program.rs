//! A program to run in a sandbox, and how it ended.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tree::TreePath;

use crate::spec::{Spec, SpecBind, SpecFile};

/// How many of a program's last lines are kept for messages.
const LAST_LINES: usize = 20;
/// The longest line that is handed on whole; a longer one is handed on in parts.
const LONGEST_LINE: usize = 1 << 16;

/// What every program finds in its environment, unless it is given another value.
const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
];

/// Whether a program has a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A loopback device of its own, and nothing else.
    #[default]
    None,
    /// The host's, with the host's `/etc/resolv.conf` for as long as the program runs.
    Host,
}

/// Something of the host's that a program sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// A file or folder of the host; a relative path is meant from the caller's folder.
    pub host: PathBuf,
    /// Where it is seen. What is missing on the way is made for the time.
    pub inside: TreePath,
    /// Whether the program can only read it.
    pub read_only: bool,
}

/// A file that a program sees, and that is in no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LentFile {
    /// Where it is seen. What is missing on the way is made for the time.
    pub inside: TreePath,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it can be run.
    pub executable: bool,
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name (looked up in its `PATH` where it has no slash) and its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, beside `PATH`, `HOME`, `LANG` and `TERM`, which have fixed values where they are not given here.
    pub environment: BTreeMap<OsString, OsString>,
    /// The folder it starts in, inside.
    pub directory: TreePath,
    /// Whether it has a network.
    pub network: Network,
    /// What of the host it sees.
    pub binds: Vec<Bind>,
    /// Files that it finds and cannot change.
    pub files: Vec<LentFile>,
    /// Folders that begin empty, stay from program to program, and never get into the tree: caches, above all.
    pub temporary: Vec<TreePath>,
    /// Its standard input; at most 32 MiB with everything else.
    pub input: Vec<u8>,
}

impl Program {
    /// A program without a network, that starts in `/` and sees nothing of the host.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: BTreeMap::new(),
            directory: TreePath::root(),
            network: Network::None,
            binds: Vec::new(),
            files: Vec::new(),
            temporary: Vec::new(),
            input: Vec::new(),
        }
    }

    /// The same with a variable in its environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The same with something of the host's that it can read.
    #[must_use]
    pub fn sees(mut self, host: impl Into<PathBuf>, inside: TreePath) -> Self {
        self.binds.push(Bind {
            host: host.into(),
            inside,
            read_only: true,
        });
        self
    }

    /// The same with a file that is in no tree.
    #[must_use]
    pub fn finds(mut self, inside: TreePath, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push(LentFile {
            inside,
            bytes: bytes.into(),
            executable: false,
        });
        self
    }

    /// The same with this network.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    pub(crate) fn spec(&self) -> Spec {
        let mut environment: BTreeMap<Vec<u8>, Vec<u8>> = ENVIRONMENT
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        for (name, value) in &self.environment {
            environment.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
        let bytes = |path: &TreePath| {
            let path = path.as_bytes();
            path.get(1..).unwrap_or_default().to_vec()
        };
        let binds = self.binds.iter().map(|bind| SpecBind {
            host: absolute(&bind.host).as_os_str().as_bytes().to_vec(),
            inside: bytes(&bind.inside),
            read_only: bind.read_only,
        });
        let files = self.files.iter().map(|file| SpecFile {
            inside: bytes(&file.inside),
            bytes: file.bytes.clone(),
            executable: file.executable,
        });
        Spec {
            arguments: self
                .arguments
                .iter()
                .map(|word| word.as_bytes().to_vec())
                .collect(),
            environment: environment.into_iter().collect(),
            directory: self.directory.as_bytes().to_vec(),
            network: self.network == Network::Host,
            binds: binds.collect(),
            files: files.collect(),
            temporary: self.temporary.iter().map(bytes).collect(),
            input: self.input.clone(),
            ..Spec::default()
        }
    }
}

/// The path from the root: the sandbox's processes are in another folder than the caller. An empty path is the caller's folder.
fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    // OK: it fails only where the caller's folder is gone; the error then comes from what is not found.
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code or the signal that ended it.
    pub status: ExitStatus,
    /// The last lines that it wrote, at most 20.
    pub last_lines: Vec<String>,
}

impl Ended {
    /// Whether it ended with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// How it ended and what it wrote last, for a message.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = format!("it ended with {}", self.status);
        if !self.last_lines.is_empty() {
            text.push_str("; the last that it wrote:");
        }
        for line in &self.last_lines {
            text.push_str("\n    ");
            text.push_str(line);
        }
        text
    }
}

/// Cuts what a program writes into lines.
pub(crate) struct Lines<'a> {
    open: Vec<u8>,
    last: VecDeque<String>,
    each: &'a mut dyn FnMut(&str),
}

impl<'a> Lines<'a> {
    pub(crate) fn new(each: &'a mut dyn FnMut(&str)) -> Self {
        Self {
            open: Vec::new(),
            last: VecDeque::new(),
            each,
        }
    }

    pub(crate) fn take(&mut self, written: &[u8]) {
        for part in written.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend(part);
            if part.ends_with(b"\n") || self.open.len() > LONGEST_LINE {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.open);
        // A progress bar writes over its own line: what it showed last counts.
        let line = line.trim_end_matches(['\n', '\r']);
        let line = line.rsplit('\r').next().unwrap_or_default().to_owned();
        self.open.clear();
        (self.each)(&line);
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    pub(crate) fn finish(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.end_line();
        }
        self.last.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_pieces_arrives_in_lines() {
        let mut seen = Vec::new();
        let mut each = |line: &str| seen.push(line.to_owned());
        let mut lines = Lines::new(&mut each);
        for piece in ["a", "b\nc\r\n", "", "10%\r20%\n\nend"] {
            lines.take(piece.as_bytes());
        }
        assert_eq!(lines.finish(), ["ab", "c", "20%", "", "end"]);
        assert_eq!(seen, ["ab", "c", "20%", "", "end"]);
    }

    #[test]
    fn only_the_last_lines_are_kept_and_endless_ones_are_cut() {
        let mut count = 0;
        let mut each = |_: &str| count += 1;
        let mut lines = Lines::new(&mut each);
        (0..100).for_each(|number| lines.take(format!("{number}\n").as_bytes()));
        lines.take(&vec![b'x'; 3 * LONGEST_LINE]);
        lines.take(&[b'x'; 1]);
        assert!(lines.open.len() <= LONGEST_LINE);
        let last = lines.finish();
        assert_eq!(last.len(), LAST_LINES);
        assert!(count >= 101);
    }

    #[test]
    fn a_variable_that_is_given_takes_the_place_of_the_usual_one() {
        let spec = Program::new(["x"])
            .variable("HOME", "/h")
            .variable("A", "b")
            .spec();
        let value = |name: &str| {
            let mut found = spec.environment.iter();
            let found = found.find(|(key, _)| key == name.as_bytes());
            String::from_utf8(found.unwrap().1.clone()).unwrap()
        };
        assert_eq!(
            (value("HOME"), value("A"), value("TERM")),
            ("/h".into(), "b".into(), "dumb".into())
        );
        assert_eq!(spec.environment.len(), 5);
    }
}
