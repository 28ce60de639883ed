//! What the image's own `useradd` would do: `/etc/login.defs` and `/etc/default/useradd`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use block::{Content, Result};
use tree::Tree;

use crate::steps::place;

/// The rules for new accounts.
///
/// Source: shadow 4.13, `login.defs(5)`, `useradd(8)`, `lib/getdef.c`; what the files do not say is as there.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    /// `UID_MIN` to `UID_MAX`.
    pub(super) uids: RangeInclusive<u32>,
    /// `GID_MIN` to `GID_MAX`.
    pub(super) gids: RangeInclusive<u32>,
    /// `USERGROUPS_ENAB`: each user has a group of the same name.
    pub(super) user_groups: bool,
    /// `GROUP`, where users have no group of their own: a name or a number.
    pub(super) group: String,
    /// `HOME`: the folder of homes.
    pub(super) home: String,
    /// `SHELL`.
    pub(super) shell: String,
    /// `SKEL`.
    pub(super) skeleton: String,
    /// The folder of mail boxes, where new users get one.
    pub(super) mail: Option<String>,
    /// `HOME_MODE`, else what `UMASK` leaves.
    pub(super) home_permissions: u16,
    /// `PASS_MIN_DAYS`, `PASS_MAX_DAYS`, `PASS_WARN_AGE` as shadow's fields.
    pub(super) password_days: [String; 3],
    /// `SUB_UID_MIN`, `SUB_UID_MAX`, `SUB_UID_COUNT`.
    pub(super) sub_uids: SubordinateRange,
    /// The same of `SUB_GID_…`.
    pub(super) sub_gids: SubordinateRange,
}

/// Where subordinate ids are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SubordinateRange {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) count: u64,
}

/// Reads the image's rules. SUSE ships them below `/usr/etc`.
pub(super) fn load(tree: &Tree<Content>) -> Result<Defaults> {
    let login = login_definitions(tree)?;
    let useradd = assignments(tree)?;
    let number = |name: &str, default: u64| {
        let value = login.get(name).and_then(|text| number(text));
        value.unwrap_or(default)
    };
    let id = |name, default| u32::try_from(number(name, default)).unwrap_or(u32::MAX);
    let days = |name| login.get(name).cloned().unwrap_or_default();
    let setting = |name: &str, default: &str| {
        let value = useradd.get(name).filter(|value| !value.is_empty());
        value.map_or_else(|| default.to_owned(), Clone::clone)
    };
    let umask = number("UMASK", 0o022);
    let home_permissions = number("HOME_MODE", 0o777 & !umask) & 0o7777;
    let has_mail = useradd
        .get("CREATE_MAIL_SPOOL")
        .is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    let subordinate = |kind: &str| SubordinateRange {
        first: number(&format!("SUB_{kind}_MIN"), 100_000),
        last: number(&format!("SUB_{kind}_MAX"), 600_100_000),
        count: number(&format!("SUB_{kind}_COUNT"), 65_536),
    };
    Ok(Defaults {
        uids: id("UID_MIN", 1000)..=id("UID_MAX", 60_000),
        gids: id("GID_MIN", 1000)..=id("GID_MAX", 60_000),
        // Without the file it is BusyBox that adds users, and gives each a group.
        user_groups: login.is_empty()
            || login
                .get("USERGROUPS_ENAB")
                .is_some_and(|value| value.eq_ignore_ascii_case("yes")),
        group: setting("GROUP", "100"),
        home: setting("HOME", "/home"),
        shell: setting("SHELL", default_shell(tree)),
        skeleton: setting("SKEL", "/etc/skel"),
        mail: has_mail.then(|| {
            let folder = login.get("MAIL_DIR").cloned();
            folder.unwrap_or_else(|| "/var/spool/mail".to_owned())
        }),
        home_permissions: u16::try_from(home_permissions).unwrap_or(0o700),
        password_days: [
            days("PASS_MIN_DAYS"),
            days("PASS_MAX_DAYS"),
            days("PASS_WARN_AGE"),
        ],
        sub_uids: subordinate("UID"),
        sub_gids: subordinate("GID"),
    })
}

/// What a login shell is where nothing says so: bash if the image has it.
fn default_shell(tree: &Tree<Content>) -> &'static str {
    match tree.file("/bin/bash") {
        Some(_) => "/bin/bash",
        None => "/bin/sh",
    }
}

/// `login.defs`: a name, blanks, a value.
pub(super) fn login_definitions(tree: &Tree<Content>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for path in ["/usr/etc/login.defs", "/etc/login.defs"] {
        let text = place::text(tree, path)?.unwrap_or_default();
        for line in text.lines().map(str::trim) {
            if line.starts_with('#') {
                continue;
            }
            if let Some((name, value)) = line.split_once([' ', '\t']) {
                let value = value.trim().trim_matches('"');
                found.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    Ok(found)
}

/// `default/useradd`: `NAME=value`.
fn assignments(tree: &Tree<Content>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for path in ["/usr/etc/default/useradd", "/etc/default/useradd"] {
        let text = place::text(tree, path)?.unwrap_or_default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.split_once('=') {
                let value = value.trim().trim_matches('"');
                found.insert(name.trim().to_owned(), value.to_owned());
            }
        }
    }
    Ok(found)
}

/// A number as C's `strtol` with base 0 reads it: decimal, `0` octal, `0x` hexadecimal.
fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        Some(digits) => u64::from_str_radix(digits, 8).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::tree_of;

    #[test]
    fn files_of_the_image_say_what_new_accounts_are_like() {
        let tree = tree_of(&[
            (
                "etc/login.defs",
                "# UID_MIN 5\nUID_MIN\t 2000\nUMASK 077\nUSERGROUPS_ENAB yes\nPASS_MAX_DAYS 90\nMAIL_DIR /m\n",
            ),
            (
                "etc/default/useradd",
                "# SHELL=/x\nSHELL=/bin/zsh\nHOME=/users\nCREATE_MAIL_SPOOL=yes\nSKEL=\n",
            ),
        ]);
        let found = load(&tree).unwrap();
        assert_eq!((found.uids, found.gids), (2000..=60_000, 1000..=60_000));
        assert!(found.user_groups);
        assert_eq!(found.home_permissions, 0o700);
        assert_eq!(found.password_days, ["", "90", ""]);
        assert_eq!(
            (
                found.home.as_str(),
                found.shell.as_str(),
                found.mail.as_deref()
            ),
            ("/users", "/bin/zsh", Some("/m"))
        );
        assert_eq!(found.skeleton, "/etc/skel");
    }

    #[test]
    fn numbers_are_read_as_the_c_library_does() {
        let texts = ["0", "022", "0x1F", "1000", "9x", ""];
        let numbers: Vec<_> = texts.iter().map(|text| number(text)).collect();
        assert_eq!(
            numbers,
            [Some(0), Some(0o22), Some(31), Some(1000), None, None]
        );
    }
}
