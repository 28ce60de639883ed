//! A test once more, as an ordinary user with ranges of its own.
//!
//! The user exists in a mount namespace only: `/etc/passwd`, `/etc/subuid` and `/etc/subgid` are covered there, and the machine's own
//! stay as they are.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::tools;

/// The user's number, and its group's.
const USER: u32 = 54321;

/// The programs that becoming another user takes.
pub const TOOLS: [&str; 4] = ["unshare", "setpriv", "newuidmap", "newgidmap"];

/// The variable by which a test that runs as the user finds the sandbox's executable.
pub const CHILD: &str = "LIVEOS_TEST_CHILD";

/// Covers the three files, and becomes the user. The arguments: the folder with the files, then the command.
const BECOME: &str = "set -e; \
    for f in passwd subuid subgid; do [ -e /etc/$f ] || : > /etc/$f; mount --bind \"$1/$f\" /etc/$f; done; \
    shift; exec setpriv --reuid 54321 --regid 54321 --clear-groups -- \"$@\"";

/// The executable that becomes the sandbox's processes; `own` is that of the test's crate.
#[must_use]
pub fn child(own: &str) -> PathBuf {
    std::env::var_os(CHILD).map_or_else(|| PathBuf::from(own), PathBuf::from)
}

/// Runs the test `name` of this test program as the user, in a folder of the user's own and with `variable` in its environment.
///
/// # Errors
///
/// Where it does not pass: with what it printed.
pub fn run_as(name: &str, child: &Path, variable: (&str, &Path)) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    fs::set_permissions(place, Permissions::from_mode(0o755))?;
    let passwd = fs::read_to_string("/etc/passwd")?;
    let own = format!("{passwd}liveos-test:x:{USER}:{USER}::/:/bin/sh\n");
    fs::write(place.join("passwd"), own)?;
    for file in ["subuid", "subgid"] {
        fs::write(place.join(file), "liveos-test:700000:65536\n")?;
    }
    let tests = std::env::current_exe().context("finding this test program")?;
    for (file, from) in [("tests", tests.as_path()), ("child", child)] {
        fs::copy(from, place.join(file))?;
        fs::set_permissions(place.join(file), Permissions::from_mode(0o755))?;
    }
    let work = place.join("work");
    fs::create_dir(&work)?;
    chown(&work, Some(USER), Some(USER))?;
    let mut command = tools::command("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            BECOME,
            "sh",
        ])
        .arg(place)
        .arg(place.join("tests"))
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(CHILD, place.join("child"))
        .env("TMPDIR", &work)
        .env(variable.0, variable.1)
        .current_dir(&work);
    tools::output(&mut command)
}
