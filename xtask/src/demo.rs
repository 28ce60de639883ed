//! `cargo xtask demo`: from nothing to a login in a live system, and what each step took.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::fixture::{self, Contents, Debian, ROOT_PASSWORD};
use testkit::guest::{self, BOOT, COMMAND, Guest};
use testkit::programs::{self, Optimised, Programs};
use testkit::tools;

use crate::steps::Steps;

/// The packages that the demonstration needs beside those of the fixture.
const PACKAGES: [&str; 4] = ["gcc", "libc6-dev", "ovmf", "qemu-system-x86"];

/// Nobody: the user as whom the image is built where we are root.
const NOBODY: u32 = 65534;

/// Does it all.
pub(crate) fn run(_words: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    let mut packages = PACKAGES.to_vec();
    packages.extend(fixture::PACKAGES);
    steps.step("packages", || tools::need(&packages))?;
    let disk = steps.step(
        "a sample disk image: Debian 12 on ext4, with an ESP",
        || {
            fixture::debian(&Debian {
                suite: "bookworm",
                contents: Contents::Minimal,
            })
        },
    )?;
    let programs = steps.step("liveos and liveos-init", || {
        programs::build(Optimised::Tried)
    })?;
    let iso = steps.step("liveos build, as an unprivileged user", || {
        build(&programs, &disk)
    })?;
    println!(
        "{} MB in {}",
        fs::metadata(&iso)?.len() / 1_000_000,
        iso.display()
    );

    let mut machine = guest::machine(&iso);
    machine.memory_mib = 2048;
    let mut guest = steps.step("a machine with UEFI", || Guest::start(&machine))?;
    steps.step("boot to the login", || {
        guest.log_in("root", ROOT_PASSWORD, BOOT)
    })?;
    steps.step("a look inside", || look(&mut guest))?;
    steps.step("power off", || {
        guest.send("poweroff\n")?;
        guest.wait_for_end(COMMAND).map(drop)
    })?;
    steps.print();
    println!(
        "\nBoot it yourself: {} run {}",
        programs.liveos.display(),
        iso.display()
    );
    Ok(())
}

/// Runs `liveos build` in a folder of its own, without root's privilege and without a program in reach.
fn build(programs: &Programs, disk: &Path) -> Result<PathBuf> {
    let work = tempfile::Builder::new().prefix("liveos-demo-").tempdir()?;
    let iso = work.path().join("live.iso");
    let mut command = if tools::is_root() {
        // Neither our target folder nor its parents need to be open to others; so what is needed is copied.
        let program = work.path().join("liveos");
        let input = work.path().join("disk.qcow2");
        fs::copy(&programs.liveos, &program)?;
        fs::copy(disk, &input)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(&input, fs::Permissions::from_mode(0o644))?;
        chown(work.path(), Some(NOBODY), Some(NOBODY))?;
        let setpriv = tools::find("setpriv").context("setpriv is not on this machine")?;
        let mut command = tools::command(setpriv);
        let nobody = NOBODY.to_string();
        command.args([
            "--reuid",
            &nobody,
            "--regid",
            &nobody,
            "--clear-groups",
            "--",
        ]);
        command.arg(program).arg("build").arg(input);
        command
    } else {
        let mut command = tools::command(&programs.liveos);
        command.arg("build").arg(disk);
        command
    };
    command
        .arg("-o")
        .arg(&iso)
        .env_clear()
        .current_dir(work.path());
    tools::output(&mut command)?;
    let kept = programs::target().join("demo");
    fs::create_dir_all(&kept)?;
    let kept = kept.join("live.iso");
    fs::copy(&iso, &kept)?;
    Ok(kept)
}

/// Prints what the running system says of itself.
fn look(guest: &mut Guest) -> Result<()> {
    for line in [
        "grep PRETTY_NAME /etc/os-release",
        "uname -r",
        "findmnt -n -o SOURCE,FSTYPE /",
        "systemctl is-system-running --wait || systemctl --failed --no-legend",
    ] {
        println!(
            "    # {line}\n    {}",
            guest.command(line)?.replace('\n', "\n    ")
        );
    }
    Ok(())
}
