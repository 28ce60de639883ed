//! `os.groups` and `os.users`.

use std::path::PathBuf;

use crate::file::fields::{Context, Fields, Section, Shape};
use crate::file::form::{Form, key};
use crate::file::local::Local;
use crate::file::node::Node;
use crate::file::rule;
use crate::file::shape::{Choice, Integer, Text};
use crate::settings::{Group, Password, SshKey, User};

pub(super) const GROUP: Section<Group> = Section("Group", group);
pub(super) const USER: Section<User> = Section("User", user);

/// The numbers of users and groups: up to `UID_MAX` of login.defs(5).
const ID: Integer = Integer {
    least: 0,
    most: 60_000,
};
/// A password's days; one less than none is never.
const DAYS: Integer = Integer {
    least: -1,
    most: 99_999,
};
const ACCOUNT: Text = Text::of("a name", rule::account);

fn group(fields: &mut Fields<'_>) -> Group {
    let gid = key(
        "gid",
        "Its number, from 0 to 60000. An error at build time where the group is there already.",
    )
    .default("the next that is free");
    Group {
        name: fields.need(key("name", "Its name."), &ACCOUNT),
        gid: id(fields.get(gid, &ID)),
    }
}

fn id(number: Option<i64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

fn user(fields: &mut Fields<'_>) -> User {
    let uid = key(
        "uid",
        "Its number, from 0 to 60000. An error at build time where the user is there already.",
    )
    .default("the next that is free");
    let password = key("password", "The password.").default("none: nobody gets in by a password");
    let days = key(
        "passwordExpiresDays",
        "After how many days the password expires; −1 is never.",
    )
    .default("as the image's `/etc/login.defs` says");
    let primary = key("primaryGroup", "The primary group.").default("one of the user's name");
    let secondary = key("secondaryGroups", "Further groups.");
    let shell = key("startupCommand", "The shell.").default("as the image has it");
    let home = key(
        "homeDirectory",
        "The home folder. An error at build time where the user is there already.",
    )
    .default("`/home/NAME`");
    User {
        name: fields.need(
            key("name", "Its name. A user that is there already is changed."),
            &ACCOUNT,
        ),
        uid: id(fields.get(uid, &ID)),
        password: fields
            .get(password, &Section("Password", password_section))
            .flatten(),
        password_expires_days: fields
            .get(days, &DAYS)
            .and_then(|days| i32::try_from(days).ok()),
        ssh_keys: ssh_keys(fields),
        primary_group: fields.get(primary, &ACCOUNT),
        secondary_groups: fields.list(secondary, ACCOUNT),
        startup_command: fields.get(shell, &Text::of("a program", rule::absolute)),
        home_directory: fields.get(home, &Text::of("a path", rule::absolute)),
    }
}

fn ssh_keys(fields: &mut Fields<'_>) -> Vec<SshKey> {
    let files = key(
        "sshPublicKeyPaths",
        "Files of public keys for `~/.ssh/authorized_keys`, relative to this file.",
    );
    let lines = key("sshPublicKeys", "Public keys for the same.");
    let files = fields.list(files, Local::File);
    let lines = fields.list(lines, Text::of("a public key", rule::line));
    let files = files.into_iter().map(SshKey::File);
    files.chain(lines.into_iter().map(SshKey::Line)).collect()
}

/// The ways in which a password is given.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Locked,
    PlainText,
    Hashed,
    PlainTextFile,
    HashedFile,
}

const KINDS: Choice<Kind> = Choice(&[
    ("locked", Kind::Locked, "no password lets the user in"),
    ("plain-text", Kind::PlainText, "the password itself"),
    ("hashed", Kind::Hashed, "its hash, as crypt(5) writes it"),
    (
        "plain-text-file",
        Kind::PlainTextFile,
        "a file whose first line is the password",
    ),
    (
        "hashed-file",
        Kind::HashedFile,
        "a file whose first line is the hash",
    ),
]);

fn password_section(fields: &mut Fields<'_>) -> Option<Password> {
    let kind = key(
        "type",
        "How it is given. (Image Customizer's releases know `locked` only.)",
    )
    .needed();
    let value = key(
        "value",
        "The password, its hash, or the path of a file, relative to this one. Not with `locked`. Messages never show it.",
    );
    let kind = fields.get(kind, &KINDS);
    let is_given = fields.has("value");
    let value = fields.get(value, &Secret);
    let kind = kind?;
    if let Kind::Locked = kind {
        if is_given {
            fields.refuse("value", "has no meaning with the type `locked`");
        }
        return Some(Password::Locked);
    }
    if !is_given {
        fields.refuse("", "needs the key `value`");
    }
    let value = value?;
    match kind {
        Kind::Locked => Some(Password::Locked),
        Kind::PlainText => Some(Password::PlainText(value)),
        Kind::Hashed => hash(fields, value),
        Kind::PlainTextFile => file(fields).map(Password::PlainTextFile),
        Kind::HashedFile => file(fields).map(Password::HashedFile),
    }
}

/// A hash that can stand in `/etc/shadow`.
fn hash(fields: &mut Fields<'_>, value: String) -> Option<Password> {
    if value.contains(|letter: char| letter == ':' || letter.is_control() || letter.is_whitespace())
    {
        fields.refuse(
            "value",
            "is no hash as crypt(5) writes it: it has a blank or a `:`",
        );
        return None;
    }
    Some(Password::Hashed(value))
}

/// The file that `value` names.
fn file(fields: &mut Fields<'_>) -> Option<PathBuf> {
    fields.again("value", &Local::File)
}

/// Text that no message shows.
#[derive(Clone, Copy, Debug)]
struct Secret;

impl Shape for Secret {
    type Value = String;

    fn read(&self, node: &Node, context: &mut Context) -> Option<String> {
        context.keep_secret(node.position);
        Text::of("a single line", secret_line).read(node, context)
    }

    fn form(&self) -> Form {
        Text::any("the password, its hash or a path").form()
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}

fn secret_line(text: &str) -> rule::Checked {
    match text.contains(char::is_control) {
        true => Err("must be a single line".to_owned()),
        false => Ok(()),
    }
}
