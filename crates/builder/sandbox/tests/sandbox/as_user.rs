//! All tests once more, as an ordinary user with ranges of its own.
//!
//! The user exists in a mount namespace only: `/etc/passwd`, `/etc/subuid` and `/etc/subgid` are covered there, and the machine's own
//! stay as they are.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::system;

const USER: u32 = 54321;

/// Covers the three files, and becomes the user. The arguments: the folder with the files, then the command.
const BECOME: &str = "set -e; for f in passwd subuid subgid; do [ -e /etc/$f ] || : > /etc/$f; mount --bind \"$1/$f\" /etc/$f; done
                      shift; exec setpriv --reuid 54321 --regid 54321 --clear-groups -- \"$@\"";

fn available(program: &str) -> bool {
    let found = ["/usr/bin", "/bin", "/usr/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists());
    if !found {
        system::skip(program);
    }
    found
}

#[test]
fn ref_everything_works_as_an_ordinary_user_too() {
    if !system::is_root() {
        return;
    }
    if !["unshare", "setpriv", "newuidmap", "newgidmap"]
        .iter()
        .all(|program| available(program))
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    std::fs::write(
        place.join("passwd"),
        format!("{passwd}liveos-test:x:{USER}:{USER}::/:/bin/sh\n"),
    )
    .unwrap();
    for name in ["subuid", "subgid"] {
        std::fs::write(place.join(name), "liveos-test:700000:65536\n").unwrap();
    }
    let copies = [
        ("tests", std::env::current_exe().unwrap()),
        ("child", system::child()),
    ];
    for (name, from) in copies {
        std::fs::copy(from, place.join(name)).unwrap();
        std::fs::set_permissions(place.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let work = place.join("work");
    std::fs::create_dir(&work).unwrap();
    std::os::unix::fs::chown(&work, Some(USER), Some(USER)).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "becoming another user takes other programs"
    )]
    let output = Command::new("unshare")
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
        .arg("--nocapture")
        .env("LIVEOS_TEST_CHILD", place.join("child"))
        .env("TMPDIR", &work)
        .env("CI", "the user can have a sandbox: nothing may be skipped")
        .current_dir(&work)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    assert!(output.status.success(), "as an ordinary user:\n{text}");
    assert!(
        text.contains("isolation::a_program_writes_reads_and_ends_with_its_code ... ok"),
        "{text}"
    );
}
