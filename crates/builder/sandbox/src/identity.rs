//! The users and groups of a user namespace: root is the user who runs `liveos`, the others come from the ranges that the machine's
//! administrator gave to this user.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use block::{Error, Result};

/// Where the programs are that may map identities.
const FOLDERS: [&str; 5] = [
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/run/wrappers/bin",
];

/// `count` identities of the machine from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u32,
    count: u32,
}

/// Maps the identities of the user namespace that the process `pid` has made.
pub(crate) fn map(pid: u32) -> Result<()> {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let name = user_name(uid);
    let tools = [
        ("newuidmap", "/etc/subuid", uid),
        ("newgidmap", "/etc/subgid", gid),
    ];
    for (tool, file, own) in tools {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let ranges = ranges(&text, name.as_deref(), uid);
        if ranges.is_empty() {
            return Err(no_range(file, name.as_deref(), uid));
        }
        run(tool, pid, own, &ranges)?;
    }
    Ok(())
}

fn no_range(file: &str, name: Option<&str>, uid: u32) -> Error {
    let user = name.map_or_else(|| uid.to_string(), str::to_owned);
    let message = format!(
        "there is no range for {user}, and programs of the image need users of their own: let root run \
         \"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}\" with a range that nobody has, \
         or run liveos as root"
    );
    Error::unsupported("mapping users for the sandbox", message).in_file(file)
}

/// The name of the user `uid` in `/etc/passwd`.
fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?;
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The ranges of a user in the text of `/etc/subuid` or `/etc/subgid`.
///
/// Source: subuid(5) of shadow 4.13: `name or number:first:count`.
fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    let number = uid.to_string();
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let start = fields.next()?.parse().ok()?;
        let count = fields.next()?.parse().ok()?;
        let is_ours = Some(owner) == name || owner == number;
        (is_ours && count > 0).then_some(Range { start, count })
    });
    lines.collect()
}

/// The arguments of `newuidmap` and `newgidmap`: inside, outside, count, over and over.
fn arguments(pid: u32, own: u32, ranges: &[Range]) -> Vec<String> {
    let mut words = vec![pid, 0, own, 1];
    let mut inside = 1_u32;
    for range in ranges {
        let count = range.count.min(u32::MAX.saturating_sub(inside));
        words.extend([inside, range.start, count]);
        inside = inside.saturating_add(count);
    }
    words.iter().map(u32::to_string).collect()
}

fn run(tool: &str, pid: u32, own: u32, ranges: &[Range]) -> Result<()> {
    let Some(path) = find(tool) else {
        let message = format!(
            "{tool} is not on this machine: install the package uidmap (Debian, Ubuntu) or shadow-utils (Fedora), \
             or run liveos as root"
        );
        return Err(Error::not_found("mapping users for the sandbox", message));
    };
    let doing = |error| Error::io("mapping users for the sandbox", error).in_file(&path);
    #[expect(
        clippy::disallowed_methods,
        reason = "only a program with privileges of its own may map identities"
    )]
    let output = Command::new(&path)
        .args(arguments(pid, own, ranges))
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(doing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let message = format!("it ended with {}: {}", output.status, said.trim());
    Err(Error::unsupported("mapping users for the sandbox", message).in_file(path))
}

fn find(tool: &str) -> Option<PathBuf> {
    let places = FOLDERS.iter().map(|folder| Path::new(folder).join(tool));
    places.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "# c\nother:1:2\nme:100000:65536\n1000:300000:10\nme:x:1\nme:5\nme:7:0\n\nmelanie:1:1\n";
        let range = |start, count| Range { start, count };
        assert_eq!(
            ranges(text, Some("me"), 1000),
            [range(100_000, 65536), range(300_000, 10)]
        );
        assert_eq!(ranges(text, None, 1000), [range(300_000, 10)]);
        assert_eq!(ranges(text, Some("nobody"), 7), []);
    }

    #[test]
    fn root_inside_is_the_user_and_the_ranges_follow() {
        let ranges = [
            Range {
                start: 100_000,
                count: 1000,
            },
            Range {
                start: 5,
                count: u32::MAX,
            },
        ];
        let words = arguments(42, 1000, &ranges);
        assert_eq!(words[..7], ["42", "0", "1000", "1", "1", "100000", "1000"]);
        assert_eq!(words[7..9], ["1001", "5"]);
        assert_eq!(words[9], (u32::MAX - 1001).to_string());
    }

    #[test]
    fn a_missing_range_says_what_to_do() {
        let error = no_range("/etc/subuid", Some("me"), 1000);
        assert_eq!(error.kind(), block::Kind::Unsupported);
        let text = error.to_string();
        assert!(
            text.starts_with("/etc/subuid: ") && text.contains("usermod --add-subuids"),
            "{text}"
        );
    }
}
