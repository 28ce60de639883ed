//! `os.groups` and `os.users`: accounts, made and changed as the image's own `useradd`, `usermod` and `groupadd` would.
//!
//! * `table`: `/etc/passwd`, `shadow`, `group`, `gshadow`, `subuid`, `subgid` as lines; every other byte stays;
//! * `defaults`: what new accounts are like, from `login.defs` and `default/useradd`;
//! * `password`: hashes by the image's own scheme; `home`: homes, mail boxes, SSH keys;
//! * `user`: one user, from settings to lines.
//!
//! Not written: the copies with a dash at the end (`/etc/passwd-`) that the programs leave, and `lastlog`.

mod defaults;
mod home;
mod password;
mod table;
mod user;

#[cfg(test)]
mod tests;

use block::{Content, Error, Result};
use config::settings::{Group, User};
use tree::{Metadata, Timestamp, Tree};

use super::place;
use crate::Warning;
use defaults::Defaults;
use table::Table;

/// Adds groups; one that is there already stays as it is.
///
/// # Errors
///
/// [`block::Kind::Unsupported`] for a gid of a group that exists, a gid that is taken, a name that cannot be one, and no free gid.
pub fn add_groups(tree: &mut Tree<Content>, groups: &[Group], time: Timestamp) -> Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut accounts = Accounts::load(tree)?;
    for group in groups {
        let refuse = |message: String| {
            Error::unsupported(format!("os.groups: the group {}", group.name), message)
        };
        if let Some(line) = accounts.group.find(&group.name) {
            if group.gid.is_some() {
                let gid = accounts.group.field(line, GID);
                return Err(refuse(format!(
                    "it exists with gid {gid}, which cannot be changed: take `gid` out"
                )));
            }
            continue;
        }
        check_name(&group.name).map_err(refuse)?;
        let gid = match group.gid {
            Some(gid) if accounts.group.find_number(GID, gid).is_some() => {
                return Err(refuse(format!("the gid {gid} is taken")));
            }
            Some(gid) => gid,
            None => accounts.next_gid(None).ok_or_else(|| {
                refuse("there is no free gid between GID_MIN and GID_MAX".to_owned())
            })?,
        };
        accounts.append_group(&group.name, gid);
    }
    accounts.store(tree, time)
}

/// Adds users, and changes those that exist.
///
/// # Errors
///
/// [`block::Kind::Unsupported`] for a `uid` or `homeDirectory` of a user that exists, a uid that is taken, a name that cannot be one;
/// [`block::Kind::NotFound`] for a group that is not there; what reading the files of passwords and keys answers.
pub fn add_users(
    tree: &mut Tree<Content>,
    users: &[User],
    time: Timestamp,
) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    for user in users {
        let mut accounts = Accounts::load(tree)?;
        user::apply(tree, &mut accounts, user, time, &mut warnings)
            .map_err(|error| error.while_doing(format!("os.users: the user {}", user.name)))?;
    }
    Ok(warnings)
}

/// Fields of `passwd`, `shadow` and `group`, by their place in the line.
const PASSWORD: usize = 1;
const UID: usize = 2;
const GID: usize = 2;
const USER_GID: usize = 3;
const HOME: usize = 5;
const SHELL: usize = 6;
const MEMBERS: usize = 3;
const LAST_CHANGE: usize = 2;
const MAX_DAYS: usize = 4;

/// The files of accounts.
#[derive(Debug)]
struct Accounts {
    passwd: Table,
    shadow: Table,
    group: Table,
    gshadow: Table,
    subuid: Table,
    subgid: Table,
    defaults: Defaults,
}

impl Accounts {
    fn load(tree: &Tree<Content>) -> Result<Self> {
        Ok(Self {
            passwd: Table::load(tree, "/etc/passwd")?,
            shadow: Table::load(tree, "/etc/shadow")?,
            group: Table::load(tree, "/etc/group")?,
            gshadow: Table::load(tree, "/etc/gshadow")?,
            subuid: Table::load(tree, "/etc/subuid")?,
            subgid: Table::load(tree, "/etc/subgid")?,
            defaults: defaults::load(tree)?,
        })
    }

    /// Writes what was changed. New secret files belong to the group `shadow`, where there is one.
    fn store(&self, tree: &mut Tree<Content>, time: Timestamp) -> Result<()> {
        let public = place::metadata(0o644, time);
        let shadow_gid = self.gid_of("shadow");
        let secret = Metadata {
            gid: shadow_gid.unwrap_or(0),
            ..place::metadata(if shadow_gid.is_some() { 0o640 } else { 0o600 }, time)
        };
        for table in [&self.passwd, &self.group, &self.subuid, &self.subgid] {
            table.store(tree, &public)?;
        }
        self.shadow.store(tree, &secret)?;
        self.gshadow.store(tree, &secret)
    }

    fn append_group(&mut self, name: &str, gid: u32) {
        self.group.append(&[name, "x", &gid.to_string(), ""]);
        if self.gshadow.is_there {
            self.gshadow.append(&[name, "!", "", ""]);
        }
    }

    /// The gid of a group by its name.
    fn gid_of(&self, name: &str) -> Option<u32> {
        let line = self.group.find(name)?;
        self.group.field(line, GID).parse().ok()
    }

    /// The gid of a new group: `preferred` if it is in range and free.
    ///
    /// Source: shadow 4.13 `libmisc/find_new_gid.c`.
    fn next_gid(&self, preferred: Option<u32>) -> Option<u32> {
        let range = self.defaults.gids.clone();
        let used: Vec<u32> = self.group.numbers(GID).collect();
        let preferred = preferred.filter(|gid| range.contains(gid) && !used.contains(gid));
        preferred.or_else(|| next_number(&used, range))
    }

    /// The uid of a new user.
    ///
    /// Source: shadow 4.13 `libmisc/find_new_uid.c`.
    fn next_uid(&self) -> Option<u32> {
        let used: Vec<u32> = self.passwd.numbers(UID).collect();
        next_number(&used, self.defaults.uids.clone())
    }
}

/// The number after the highest one of the range that is used, or the lowest free one where that is past the range.
fn next_number(used: &[u32], range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let highest = used.iter().filter(|number| range.contains(number)).max();
    let Some(highest) = highest else {
        return Some(*range.start()).filter(|number| range.contains(number));
    };
    let next = highest.checked_add(1).filter(|next| range.contains(next));
    next.or_else(|| {
        let used: std::collections::BTreeSet<&u32> = used.iter().collect();
        range.clone().find(|number| !used.contains(number))
    })
}

/// Checks the name of a user or group: what would break the files or a command line is refused.
fn check_name(name: &str) -> std::result::Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b":,/\\\"'#*?<>|&;()!".contains(&byte);
    let bad_start = name.starts_with(['-', '+', '~', '.']);
    if name.is_empty() || name.len() > 32 || bad_start || !name.bytes().all(is_plain) {
        let rule =
            "a name has 1 to 32 letters, digits and any of `_.-$@`, and begins with none of `-+~.`";
        return Err(rule.to_owned());
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a name of digits alone would be taken for an id".to_owned());
    }
    Ok(())
}
