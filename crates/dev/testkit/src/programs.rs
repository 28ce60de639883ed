//! Our own two programs, built as they are shipped or as they are tried.
//!
//! `liveos-init` comes first and is embedded into `liveos`, which puts it into every initramfs that it makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::fixture::workspace;
use crate::tools;

/// The target of the programs: named always, so that the linker's options do not reach build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How `liveos-init` is compiled and linked beyond being static: firmware loads it from slow media, so what only a debugger, an unwinder or
/// a randomised address needs is left out, and digests are computed by the shorter code where the processor has no instructions for them.
const SMALL: &str = "-C relocation-model=static -C force-unwind-tables=no -C link-arg=-Wl,-z,noseparate-code \
    -C link-arg=-Wl,--no-eh-frame-hdr --cfg sha2_backend_soft=\"compact\"";

/// The target of the program without the network, where it is installed: musl is a C library of 0.5 MiB less.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// The compiler for that target, of Debian's package `musl-tools`: libraries of C are built with it, although nothing of them is linked.
const MUSL_COMPILER: &str = "musl-gcc";

/// How the program is compiled for that target: its linker has no use for the rest of [`SMALL`].
const SMALL_MUSL: &str =
    "-C relocation-model=static -C force-unwind-tables=no --cfg sha2_backend_soft=\"compact\"";

/// The linker's script that leaves out the tables for unwinding, in the workspace.
const SMALL_SCRIPT: &str = "crates/runtime/init/small.ld";

/// The variable by which the build of `liveos` learns of the program to embed.
const INIT_VARIABLE: &str = "LIVEOS_INIT_BINARY";

/// The variable that names a folder with both programs, as a release has them: these are tried then.
const MADE: &str = "LIVEOS_PROGRAMS";

/// How `liveos` is built. `liveos-init` is always built as it is shipped: its size is part of what is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimised {
    /// For shipping: everything that makes it small and fast, in minutes.
    Shipped,
    /// For tests and demonstrations: as fast to run, larger, built sooner.
    Tried,
}

/// The two programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The builder's command.
    pub liveos: PathBuf,
    /// The program in the initramfs.
    pub init: PathBuf,
}

/// Cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Cargo in the workspace.
#[must_use]
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tools::command(program);
    command.current_dir(workspace());
    command
}

/// Builds both programs, static, unless `LIVEOS_PROGRAMS` names a folder that has them; where nothing has changed that takes a second.
///
/// # Errors
///
/// Where Cargo fails, or a program is not static.
pub fn build(optimised: Optimised) -> Result<Programs> {
    if let Some(folder) = std::env::var_os(MADE).map(PathBuf::from) {
        return Ok(Programs {
            liveos: folder.join("liveos"),
            init: folder.join("liveos-init"),
        });
    }
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let profile = match optimised {
        Optimised::Shipped => "dist",
        Optimised::Tried => "release",
    };
    let init = built_init(&target(), &[])?;
    let mut command = static_build("liveos", profile, TARGET, "");
    command.env(INIT_VARIABLE, &init);
    let liveos = finish(
        &mut command,
        &target().join(TARGET).join(profile).join("liveos"),
    )?;
    Ok(Programs { liveos, init })
}

/// Builds `liveos-init` without the network, beside the one with it; the folder that `LIVEOS_PROGRAMS` names may have one as
/// `liveos-init-without-network`.
///
/// # Errors
///
/// Where Cargo fails, or the program is not static.
pub fn init_without_network() -> Result<PathBuf> {
    let made = std::env::var_os(MADE)
        .map(|folder| PathBuf::from(folder).join("liveos-init-without-network"));
    if let Some(made) = made.filter(|path| path.is_file()) {
        return Ok(made);
    }
    let (folder, options) = (target().join("without-network"), ["--no-default-features"]);
    if !has_musl() {
        return built_init(&folder, &options);
    }
    let mut command = static_build("liveos-init", "dist-init", MUSL, SMALL_MUSL);
    command.args(options).arg("--target-dir").arg(&folder);
    command.env(format!("CC_{}", MUSL.replace('-', "_")), MUSL_COMPILER);
    finish(
        &mut command,
        &folder.join(MUSL).join("dist-init/liveos-init"),
    )
}

/// Whether programs can be built for musl. Where rustup is, the target is installed if it is not there yet.
fn has_musl() -> bool {
    if tools::find(MUSL_COMPILER).is_none() {
        return false;
    }
    if tools::find("rustup").is_some() {
        // Without a network it is as if it could not be had.
        let _ = tools::run("rustup", ["--quiet", "target", "add", MUSL]);
    }
    let library = tools::run("rustc", ["--print", "target-libdir", "--target", MUSL]);
    library.is_ok_and(|path| Path::new(path.trim()).is_dir())
}

fn built_init(target: &Path, options: &[&str]) -> Result<PathBuf> {
    let script = workspace().join(SMALL_SCRIPT);
    let flags = format!("{SMALL} -C link-arg={}", script.display());
    let mut command = static_build("liveos-init", "dist-init", TARGET, &flags);
    command.args(options).arg("--target-dir").arg(target);
    finish(
        &mut command,
        &target.join(TARGET).join("dist-init/liveos-init"),
    )
}

/// Cargo, about to build a static program.
fn static_build(package: &str, profile: &str, target: &str, flags: &str) -> Command {
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--package", package, "--bin", package])
        .args(["--profile", profile, "--target", target])
        .env(
            "RUSTFLAGS",
            format!("-C target-feature=+crt-static {flags}"),
        );
    command
}

/// Builds the program that will be at `path`.
fn finish(command: &mut Command, path: &Path) -> Result<PathBuf> {
    tools::output(command).with_context(|| format!("building {}", path.display()))?;
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    match interpreted(&bytes) {
        Some(false) => Ok(path.to_path_buf()),
        Some(true) => bail!(
            "{} is not static: it asks for a dynamic linker",
            path.display()
        ),
        None => bail!("{} is no program", path.display()),
    }
}

/// Whether an ELF file of 64 bits asks for a dynamic linker; `None` where it is no such file.
///
/// Source: System V ABI, ELF-64: `e_phoff`, `e_phentsize`, `e_phnum`; `PT_INTERP` is 3.
fn interpreted(bytes: &[u8]) -> Option<bool> {
    let field = |at: u64, len: u64| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let mut value = [0; 8];
        let len = usize::try_from(len).ok()?;
        value
            .get_mut(..len)?
            .copy_from_slice(bytes.get(at..at.checked_add(len)?)?);
        Some(u64::from_le_bytes(value))
    };
    if !bytes.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let (first, size, count) = (field(0x20, 8)?, field(0x36, 2)?, field(0x38, 2)?);
    for number in 0..count {
        if field(first.checked_add(number * size)?, 4)? == 3 {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_test_asks_for_a_dynamic_linker_and_a_text_is_no_program() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(interpreted(&own), Some(true));
        assert_eq!(interpreted(b"#!/bin/sh"), None);
        assert_eq!(interpreted(&own[..0x30]), None);
    }
}
