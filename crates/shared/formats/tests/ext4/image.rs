//! Making images with the real tools, and mounting them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{DiskFile, ReadAt};
use tempfile::TempDir;

/// Whether all of `tools` are there and we are root; says so where not, and panics where `CI` is set.
pub(crate) fn need(tools: &[&str]) -> bool {
    let missing = |tool: &&&str| {
        let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        !folders
            .iter()
            .any(|folder| Path::new(folder).join(tool).exists())
    };
    let what = match tools.iter().find(missing) {
        Some(tool) => (*tool).to_owned(),
        None if !rustix::process::geteuid().is_root() => "root".to_owned(),
        None => return true,
    };
    let ci = std::env::var("CI").is_ok();
    assert!(!ci, "this test needs {what}");
    eprintln!("SKIPPED: needs {what}");
    false
}

/// Runs a program to its end; its output, or what it said where it fails.
fn try_run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = std::process::Command::new(program);
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let output = command
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("{program} {arguments:?}: {text}{errors}"))
    }
}

/// Runs a program that has to succeed; its output.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    try_run(program, arguments).unwrap()
}

/// A file with a file system, in a folder that goes with it.
pub(crate) struct Image {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Image {
    /// A sparse file of `mebibytes`, formatted by `mke2fs` with `options`.
    pub(crate) fn make(mebibytes: u64, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        let mut arguments = vec!["-q", "-F"];
        arguments.extend(options);
        arguments.push(path.to_str().unwrap());
        run("mke2fs", &arguments);
        Self {
            _folder: folder,
            path,
        }
    }

    /// A sparse file of `len` bytes with our own new file system.
    pub(crate) fn create(len: u64, wish: &formats::ext4::Wish) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let mut options = std::fs::File::options();
        let options = options.read(true).write(true).create_new(true);
        let file = options.open(&path).unwrap();
        file.set_len(len).unwrap();
        let file = DiskFile::from_file(file, &path).unwrap();
        formats::ext4::create(&file, wish).unwrap_or_else(|error| panic!("{}", chain(&error)));
        Self {
            _folder: folder,
            path,
        }
    }

    /// Its bytes.
    pub(crate) fn open(&self) -> Arc<dyn ReadAt> {
        Arc::new(DiskFile::open(&self.path).unwrap())
    }

    /// What we read of it.
    pub(crate) fn read(&self) -> formats::ext4::Volume {
        formats::ext4::read(self.open()).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// Mounts it with `options` beside `loop`; `None`, with a line that says so, where this kernel does not do it.
    pub(crate) fn try_mount(&self, options: &str) -> Option<Mount> {
        match Mount::new(&self.path, options) {
            Ok(mount) => Some(mount),
            Err(error) => {
                eprintln!("SKIPPED: needs a kernel that mounts this: {error}");
                None
            }
        }
    }
}

impl Image {
    /// A copy, in a folder of its own.
    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        let (from, to) = (self.path.to_str().unwrap(), path.to_str().unwrap());
        run("cp", &["--sparse=always", from, to]);
        Self {
            _folder: folder,
            path,
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// A mounted image; unmounted when it goes.
pub(crate) struct Mount {
    pub(crate) folder: TempDir,
}

impl Mount {
    pub(crate) fn new(image: &Path, options: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("loop,{options}");
        let (from, to) = (image.to_str().unwrap(), folder.path().to_str().unwrap());
        try_run("mount", &["-t", "ext4", "-o", &options, from, to])?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Mount {
    /// Stops all writing, as a power failure does: what is not in the journal yet is lost.
    pub(crate) fn shut_down(self) {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH; here, no safe call does this.
        let program = "import fcntl, os, struct, sys\n\
            fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        run("python3", &["-c", program, self.path().to_str().unwrap()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let path = self.folder.path().to_str().unwrap();
        // A program that another test is just starting has our open files until it runs: then the mount is busy for a moment.
        let mut tries = (0..200).map(|_| try_run("umount", &[path]));
        let done = tries.any(|result| {
            let done = result.is_ok();
            if !done {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            done
        });
        assert!(done || std::thread::panicking(), "{path} stays mounted");
    }
}
