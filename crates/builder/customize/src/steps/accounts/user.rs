//! One user of the settings: a new one, or changes of one that exists.

use std::path::Path;

use block::{Content, DiskFile, Error, Result};
use config::settings::{Password, SshKey, User};
use tree::{Timestamp, Tree};

use super::home::{self, Owner};
use super::table::Table;
use super::{
    Accounts, GID, HOME, LAST_CHANGE, MAX_DAYS, MEMBERS, PASSWORD, SHELL, UID, USER_GID,
    check_name, password,
};
use crate::Warning;

/// The longest file with a password or keys of the builder's machine; a longer one is refused.
const MAX_SECRET: usize = 1 << 20;

/// What no password matches. Of `*` and `!` every sshd lets keys in with the first.
const NO_PASSWORD: &str = "*";

/// What is asked of an account.
#[derive(Clone, Copy)]
struct Update<'a> {
    user: &'a User,
    /// For `shadow`.
    hash: &'a str,
    time: Timestamp,
}

/// Adds or changes a user.
pub(super) fn apply(
    tree: &mut Tree<Content>,
    accounts: &mut Accounts,
    user: &User,
    time: Timestamp,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let hash = hash(tree, user, warnings)?;
    let existing = accounts.passwd.find(&user.name);
    let is_new = existing.is_none();
    if let Some(line) = existing {
        let update = Update {
            user,
            hash: &hash,
            time,
        };
        change(tree, accounts, line, update, warnings)?;
    } else {
        let update = Update {
            user,
            hash: &hash,
            time,
        };
        create(tree, accounts, update, warnings)?;
    }
    let line = accounts.passwd.find(&user.name).unwrap_or_default();
    if let Some(days) = user.password_expires_days {
        set_expiry(accounts, &user.name, days, time);
    }
    for group in &user.secondary_groups {
        let found = find_group(&accounts.group, group)?;
        accounts.group.add_member(found, MEMBERS, &user.name);
        let name = accounts.group.field(found, 0);
        if let Some(found) = accounts.gshadow.find(&name) {
            accounts.gshadow.add_member(found, MEMBERS, &user.name);
        }
    }
    if let Some(shell) = &user.startup_command {
        check_field("startupCommand", shell)?;
        accounts.passwd.set(line, SHELL, shell);
    }
    accounts.store(tree, time)?;
    let keys = keys(&user.ssh_keys)?;
    let home = accounts.passwd.field(line, HOME);
    let owner = owner(accounts, line)?;
    if is_new {
        if !home::create(tree, &home, owner, &accounts.defaults, time)? {
            let text = format!(
                "the home {home} of {} is there already and stays as it is",
                user.name
            );
            warnings.push(Warning::setting("os.users", text));
        }
        create_mail_box(tree, accounts, &user.name, owner, time)?;
    }
    if !keys.is_empty() {
        home::add_keys(tree, &home, owner, &keys, time)?;
    }
    Ok(())
}

/// The account's own lines.
fn create(
    tree: &Tree<Content>,
    accounts: &mut Accounts,
    Update { user, hash, time }: Update<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let name = user.name.as_str();
    check_name(name).map_err(|message| Error::unsupported("name", message))?;
    let uid = match user.uid {
        Some(uid) if accounts.passwd.find_number(UID, uid).is_some() => {
            return Err(Error::unsupported("uid", format!("{uid} is taken")));
        }
        Some(uid) => uid,
        None => accounts.next_uid().ok_or_else(|| {
            Error::unsupported("uid", "there is no free one between UID_MIN and UID_MAX")
        })?,
    };
    let gid = primary_gid(accounts, user, uid)?;
    let home = match &user.home_directory {
        Some(home) => home.clone(),
        None => format!("{}/{name}", accounts.defaults.home),
    };
    check_field("homeDirectory", &home)?;
    if !home.starts_with('/') {
        let message = format!("{home} is no absolute path");
        return Err(Error::unsupported("homeDirectory", message));
    }
    let shell = accounts.defaults.shell.clone();
    if tree.resolve(&shell).is_err() && user.startup_command.is_none() {
        warnings.push(Warning::setting(
            "os.users",
            format!("the shell {shell} of {name} is not in the image"),
        ));
    }
    let (uid_text, gid_text) = (uid.to_string(), gid.to_string());
    let line = [name, "x", &uid_text, &gid_text, "", &home, &shell];
    accounts.passwd.append(&line);
    let days = days_since_1970(time).to_string();
    let [min, max, warn] = accounts.defaults.password_days.clone();
    accounts
        .shadow
        .append(&[name, hash, &days, &min, &max, &warn, "", "", ""]);
    add_subordinate_ids(accounts, name, uid, warnings);
    Ok(())
}

/// The gid of a new user's own group, which is made if that is the image's way.
fn primary_gid(accounts: &mut Accounts, user: &User, uid: u32) -> Result<u32> {
    if let Some(group) = &user.primary_group {
        let line = find_group(&accounts.group, group)?;
        return gid_at(&accounts.group, line);
    }
    if !accounts.defaults.user_groups {
        let group = accounts.defaults.group.clone();
        let line = find_group(&accounts.group, &group);
        return line.and_then(|line| gid_at(&accounts.group, line));
    }
    if accounts.group.find(&user.name).is_some() {
        let message = "a group of this name exists: set `primaryGroup` to use it";
        return Err(Error::unsupported("primaryGroup", message));
    }
    let gid = accounts.next_gid(Some(uid)).ok_or_else(|| {
        Error::unsupported(
            "primaryGroup",
            "there is no free gid between GID_MIN and GID_MAX",
        )
    })?;
    accounts.append_group(&user.name, gid);
    Ok(gid)
}

/// Ranges for user namespaces, where the image's `useradd` gives some: its files are there and the uid is an ordinary one.
fn add_subordinate_ids(accounts: &mut Accounts, name: &str, uid: u32, warnings: &mut Vec<Warning>) {
    if !accounts.defaults.uids.contains(&uid) {
        return;
    }
    let uids = accounts.defaults.sub_uids;
    let gids = accounts.defaults.sub_gids;
    for (table, range) in [(&mut accounts.subuid, uids), (&mut accounts.subgid, gids)] {
        if !table.is_there || range.count == 0 || table.find(name).is_some() {
            continue;
        }
        let mut start = range.first;
        let mut taken = table.ranges();
        taken.sort_unstable();
        for (first, count) in taken {
            if first >= start.saturating_add(range.count) {
                break;
            }
            start = start.max(first.saturating_add(count));
        }
        if start.saturating_add(range.count - 1) > range.last {
            let text = format!("{name} gets no subordinate ids: there is no free range");
            warnings.push(Warning::setting("os.users", text));
            continue;
        }
        table.append(&[name, &start.to_string(), &range.count.to_string()]);
    }
}

/// The mail box of a new user, where the image's way is to make one.
fn create_mail_box(
    tree: &mut Tree<Content>,
    accounts: &Accounts,
    name: &str,
    owner: Owner,
    time: Timestamp,
) -> Result<()> {
    let Some(folder) = &accounts.defaults.mail else {
        return Ok(());
    };
    let path = format!("{folder}/{name}");
    home::create_mail_box(tree, &path, owner, accounts.gid_of("mail"), time)
}

/// Changes an account that exists.
fn change(
    tree: &mut Tree<Content>,
    accounts: &mut Accounts,
    line: usize,
    Update { user, hash, time }: Update<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let exists = "the user exists, and this cannot be changed: take the key out";
    if user.uid.is_some() {
        return Err(Error::unsupported("uid", exists));
    }
    if user.home_directory.is_some() {
        return Err(Error::unsupported("homeDirectory", exists));
    }
    let shadow = match accounts.shadow.find(&user.name) {
        Some(shadow) => shadow,
        None => {
            let days = days_since_1970(time).to_string();
            let old = accounts.passwd.field(line, PASSWORD);
            accounts
                .shadow
                .append(&[&user.name, &old, &days, "", "", "", "", "", ""]);
            accounts.passwd.set(line, PASSWORD, "x");
            accounts.shadow.find(&user.name).unwrap_or_default()
        }
    };
    let old = accounts.shadow.field(shadow, PASSWORD);
    if user.password.is_none() && !old.starts_with(['!', '*']) {
        let text = format!(
            "the password of {} no longer lets anybody in, as none is set: add `password` to set one",
            user.name
        );
        warnings.push(Warning::setting("os.users", text));
    }
    accounts.shadow.set(shadow, PASSWORD, hash);
    if let Some(group) = &user.primary_group {
        let found = find_group(&accounts.group, group)?;
        let gid = gid_at(&accounts.group, found)?;
        let before = owner(accounts, line)?;
        accounts.passwd.set(line, USER_GID, &gid.to_string());
        let home = accounts.passwd.field(line, HOME);
        home::change_group(tree, &home, before.gid, Owner { gid, ..before });
    }
    Ok(())
}

/// What `shadow` holds for the user's password.
fn hash(tree: &Tree<Content>, user: &User, warnings: &mut Vec<Warning>) -> Result<String> {
    let given = match &user.password {
        None | Some(Password::Locked) => return Ok(NO_PASSWORD.to_owned()),
        Some(Password::Hashed(hash)) => hash.clone(),
        Some(Password::HashedFile(path)) => first_line(path)?,
        Some(Password::PlainText(text)) => return hash_of(tree, &user.name, text, warnings),
        Some(Password::PlainTextFile(path)) => {
            return hash_of(tree, &user.name, &first_line(path)?, warnings);
        }
    };
    if given.is_empty() {
        return Ok(NO_PASSWORD.to_owned());
    }
    // The value is never shown.
    if !given
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b':')
    {
        let message = "a hash as crypt(5) writes it has no blanks, colons and control characters";
        return Err(Error::unsupported("password", message));
    }
    Ok(given)
}

fn hash_of(
    tree: &Tree<Content>,
    user: &str,
    password: &str,
    warnings: &mut Vec<Warning>,
) -> Result<String> {
    if password.is_empty() {
        return Ok(NO_PASSWORD.to_owned());
    }
    let choice = password::choose(tree)?;
    if let Some(unknown) = choice.unknown {
        let text = format!(
            "the image hashes passwords by {unknown}; that of {user} is hashed by SHA-512, which it reads too"
        );
        warnings.push(Warning::setting("os.users", text));
    }
    password::hash(choice.method, user, password)
}

/// The first line of a file of the builder's machine.
fn first_line(path: &Path) -> Result<String> {
    let text = secret(path)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn secret(path: &Path) -> Result<String> {
    let file = DiskFile::open(path)?;
    let content = Content::from_source(std::sync::Arc::new(file));
    let bytes = content
        .read_all(MAX_SECRET)
        .map_err(|error| error.in_file(path))?;
    String::from_utf8(bytes)
        .map_err(|_| Error::unsupported("reading the file", "it is not UTF-8").in_file(path))
}

/// The lines of all keys.
fn keys(keys: &[SshKey]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for key in keys {
        let text = match key {
            SshKey::Line(line) => line.clone(),
            SshKey::File(path) => secret(path)?,
        };
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// The line of a group by its name or number, as `useradd -g` takes both.
fn find_group(table: &Table, group: &str) -> Result<usize> {
    let by_number = || {
        group
            .parse()
            .ok()
            .and_then(|gid| table.find_number(GID, gid))
    };
    table.find(group).or_else(by_number).ok_or_else(|| {
        let message = format!("there is no group {group} in the image: add it to `os.groups`");
        Error::not_found("/etc/group", message)
    })
}

fn gid_at(table: &Table, line: usize) -> Result<u32> {
    let text = table.field(line, GID);
    text.parse()
        .map_err(|_| Error::corrupt("/etc/group", format!("the gid \"{text}\" is no number")))
}

fn owner(accounts: &Accounts, line: usize) -> Result<Owner> {
    let number = |field| {
        let text = accounts.passwd.field(line, field);
        text.parse()
            .map_err(|_| Error::corrupt("/etc/passwd", format!("the id \"{text}\" is no number")))
    };
    Ok(Owner {
        uid: number(UID)?,
        gid: number(USER_GID)?,
    })
}

/// The days after which a password has to be changed; -1 is never.
fn set_expiry(accounts: &mut Accounts, name: &str, days: i32, time: Timestamp) {
    let Some(line) = accounts.shadow.find(name) else {
        return;
    };
    if accounts.shadow.field(line, LAST_CHANGE).is_empty() {
        let today = days_since_1970(time).to_string();
        accounts.shadow.set(line, LAST_CHANGE, &today);
    }
    let text = if days < 0 {
        String::new()
    } else {
        days.to_string()
    };
    accounts.shadow.set(line, MAX_DAYS, &text);
}

/// A text that stands between the colons of a line.
fn check_field(key: &'static str, text: &str) -> Result<()> {
    if text.contains([':', '\n']) || text.chars().any(char::is_control) {
        let message = "it has a colon or a control character, which /etc/passwd cannot hold";
        return Err(Error::unsupported(key, message));
    }
    Ok(())
}

/// The day of a password's change: that of the media's time, and never 0, which would mean "has to be changed now".
fn days_since_1970(time: Timestamp) -> i64 {
    (time.seconds / 86_400).max(1)
}
