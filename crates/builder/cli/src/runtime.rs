//! Where `liveos-init` comes from: this program carries it, or it lies beside it.

use std::path::{Path, PathBuf};

use block::{DiskFile, ReadAt as _};

use crate::failure::{Exit, Failure, Result};

/// What `cargo xtask dist` put in; empty in other builds.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/liveos-init"));

/// The largest program that is taken for `liveos-init`: 64 MiB, some fifty times its size.
const MAX_LEN: usize = 64 << 20;

/// The bytes of `liveos-init`: `given`, else the embedded one, else the one beside this program.
pub(crate) fn load(given: Option<&Path>) -> Result<Vec<u8>> {
    let path: PathBuf = match given {
        Some(path) => path.to_path_buf(),
        None if !EMBEDDED.is_empty() => return Ok(EMBEDDED.to_vec()),
        None => beside().ok_or_else(missing)?,
    };
    let read = |path: &Path| -> block::Result<Vec<u8>> {
        let file = DiskFile::open(path)?;
        block::read_vec(&file, 0, file.len(), MAX_LEN, "liveos-init")
    };
    let bytes =
        read(&path).map_err(|error| Failure::new(Exit::Host, "loading liveos-init", error))?;
    if bytes.starts_with(b"\x7fELF") {
        Ok(bytes)
    } else {
        let fact = format!("{} is no ELF program", path.display());
        Err(Failure::new(Exit::Arguments, "loading liveos-init", fact))
    }
}

fn beside() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join("liveos-init");
    path.is_file().then_some(path)
}

fn missing() -> Failure {
    Failure::new(
        Exit::Host,
        "loading liveos-init",
        "this build of liveos carries none, and there is none beside it",
    )
    .help("build both with `cargo xtask dist`, or give one with --runtime")
}
