//! Accounts against the programs of shadow, and what is refused.

use super::*;
use crate::steps::place::tests::{TIME, text_of, tree_of};
use crate::testing::{assert_same, has_root_and, list, read_folder, run, write_folder};
use config::settings::{Password, SshKey};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\n\
    old:x:1005:1005:Old:/home/old:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n";
const GROUP: &str =
    "root:x:0:\nmail:x:8:\nshadow:x:42:\nwheel:x:10:old\nold:x:1005:\nusers:x:100:\n";
const SHADOW: &str =
    "root:$6$x$y:19000:0:99999:7:::\ndaemon:*:1:0:99999:7:::\nold:!:19000:0:99999:7:::\n";
const GSHADOW: &str = "root:*::\nmail:*::\nshadow:*::\nwheel:*::old\nold:!::\nusers:*::\n";
const LOGIN: &str = "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\n\
    PASS_MAX_DAYS 99999\nPASS_MIN_DAYS 0\nPASS_WARN_AGE 7\nUMASK 022\nHOME_MODE 0750\n";

fn system(more: &[(&str, &str)]) -> Tree<Content> {
    let mut files = vec![
        ("etc/passwd", PASSWD),
        ("etc/group", GROUP),
        ("etc/shadow", SHADOW),
        ("etc/gshadow", GSHADOW),
        ("etc/subuid", "old:100000:65536\n"),
        ("etc/subgid", "old:100000:65536\n"),
        ("etc/login.defs", LOGIN),
        (
            "etc/default/useradd",
            "SHELL=/bin/sh\nCREATE_MAIL_SPOOL=no\n",
        ),
        ("etc/skel/.profile", "# profile\n"),
        ("etc/skel/.config/x/y", "deep\n"),
        ("etc/skel/link", "-> .profile"),
        ("bin/sh", ""),
        ("root/", ""),
        ("home/old/file", "mine"),
    ];
    files.extend(more);
    let mut tree = tree_of(&files);
    for path in ["home/old", "home/old/file"] {
        let (_, id) = tree.resolve(path).unwrap();
        let metadata = tree.metadata_mut(id);
        (metadata.uid, metadata.gid) = (1005, 1005);
    }
    tree
}

fn user(name: &str) -> User {
    User {
        name: name.to_owned(),
        ..User::default()
    }
}

#[test]
fn a_new_user_has_all_that_belongs_to_an_account() {
    let mut tree = system(&[]);
    let new = User {
        password: Some(Password::PlainText("secret".to_owned())),
        password_expires_days: Some(30),
        secondary_groups: vec!["wheel".to_owned()],
        startup_command: Some("/bin/sh".to_owned()),
        ssh_keys: vec![SshKey::Line("ssh-ed25519 AAAA me\n".to_owned())],
        ..user("alice")
    };
    assert_eq!(add_users(&mut tree, &[new], TIME).unwrap(), []);
    let passwd = text_of(&tree, "etc/passwd");
    assert!(passwd.starts_with(PASSWD), "{passwd}");
    assert!(passwd.ends_with("alice:x:1006:1006::/home/alice:/bin/sh\n"));
    let shadow = text_of(&tree, "etc/shadow");
    let line = shadow.lines().last().unwrap();
    assert!(
        line.starts_with("alice:$6$") && line.ends_with(":19675:0:30:7:::"),
        "{line}"
    );
    assert!(text_of(&tree, "etc/group").contains("wheel:x:10:old,alice\n"));
    assert!(text_of(&tree, "etc/group").ends_with("alice:x:1006:\n"));
    assert!(text_of(&tree, "etc/gshadow").contains("wheel:*::old,alice\n"));
    assert!(text_of(&tree, "etc/gshadow").ends_with("alice:!::\n"));
    assert!(text_of(&tree, "etc/subuid").ends_with("alice:165536:65536\n"));
    assert_eq!(
        text_of(&tree, "home/alice/.ssh/authorized_keys"),
        "ssh-ed25519 AAAA me\n"
    );
    for (path, mode) in [
        ("home/alice", 0o750),
        ("home/alice/.profile", 0o644),
        ("home/alice/.config/x/y", 0o644),
        ("home/alice/.ssh", 0o700),
        ("home/alice/.ssh/authorized_keys", 0o600),
    ] {
        let (_, id) = tree.resolve(path).unwrap();
        let metadata = &tree.inode(id).metadata;
        assert_eq!(
            (metadata.uid, metadata.gid, metadata.permissions),
            (1006, 1006, mode),
            "{path}"
        );
    }
}

#[test]
fn an_existing_user_is_changed_and_roots_home_is_known() {
    let mut tree = system(&[("root/.ssh/authorized_keys", "one")]);
    let root = User {
        password: Some(Password::Hashed("$6$a$b".to_owned())),
        password_expires_days: Some(-1),
        ssh_keys: vec![SshKey::Line("one\ntwo".to_owned())],
        ..user("root")
    };
    let old = User {
        primary_group: Some("users".to_owned()),
        ..user("old")
    };
    let warnings = add_users(&mut tree, &[root, old], TIME).unwrap();
    assert_eq!(warnings, [], "old had no password to lose");
    let shadow = text_of(&tree, "etc/shadow");
    assert!(
        shadow.starts_with("root:$6$a$b:19000:0::7:::\n"),
        "{shadow}"
    );
    assert!(shadow.contains("\nold:*:19000:"), "{shadow}");
    assert_eq!(text_of(&tree, "root/.ssh/authorized_keys"), "one\ntwo\n");
    assert!(text_of(&tree, "etc/passwd").contains("old:x:1005:100:Old:"));
    let (_, id) = tree.resolve("home/old/file").unwrap();
    assert_eq!(tree.inode(id).metadata.gid, 100);
}

#[test]
fn a_password_that_goes_is_named() {
    let mut tree = system(&[]);
    let warnings = add_users(&mut tree, &[user("root")], TIME).unwrap();
    assert!(
        warnings[0].to_string().contains("password of root"),
        "{warnings:?}"
    );
    assert!(text_of(&tree, "etc/shadow").starts_with("root:*:"));
}

#[test]
fn what_cannot_be_is_refused_with_the_users_name() {
    let with = |change: &dyn Fn(&mut User), name: &str| {
        let mut user = user(name);
        change(&mut user);
        user
    };
    let missing = std::path::PathBuf::from("/nonexistent/password");
    for (user, says) in [
        (with(&|user| user.uid = Some(7), "old"), "uid"),
        (
            with(&|user| user.home_directory = Some("/x".into()), "old"),
            "homeDirectory",
        ),
        (with(&|user| user.uid = Some(1005), "new"), "1005 is taken"),
        (
            with(&|user| user.primary_group = Some("none".into()), "new"),
            "no group none",
        ),
        (
            with(&|user| user.secondary_groups = vec!["none".into()], "new"),
            "no group none",
        ),
        (
            with(&|user| user.home_directory = Some("x".into()), "new"),
            "absolute",
        ),
        (
            with(&|user| user.home_directory = Some("/a:b".into()), "new"),
            "colon",
        ),
        (
            with(
                &|user| user.startup_command = Some("/a\nroot::0:0".into()),
                "new",
            ),
            "control",
        ),
        (
            with(
                &|user| user.password = Some(Password::Hashed("a:b".into())),
                "new",
            ),
            "password",
        ),
        (
            with(
                &|user| user.password = Some(Password::HashedFile(missing.clone())),
                "new",
            ),
            "/nonexistent/password",
        ),
        (with(&|_| {}, "a:b"), "a name has"),
        (with(&|_| {}, "-rf"), "a name has"),
        (with(&|_| {}, "123"), "digits alone"),
        (with(&|_| {}, "wheel"), "primaryGroup"),
        (
            with(
                &|user| user.ssh_keys = vec![SshKey::Line("k".into())],
                "nobody",
            ),
            "not there",
        ),
    ] {
        let error = add_users(&mut system(&[]), std::slice::from_ref(&user), TIME).unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        assert!(
            text.contains(says) && text.contains(&user.name),
            "{says}: {text}"
        );
        assert!(!text.contains("a:b\""), "no secret is shown: {text}");
    }
}

#[test]
fn groups_are_added_once() {
    let mut tree = system(&[]);
    let group = |name: &str, gid| Group {
        name: name.to_owned(),
        gid,
    };
    let groups = [
        group("wheel", None),
        group("a", Some(500)),
        group("b", None),
    ];
    add_groups(&mut tree, &groups, TIME).unwrap();
    assert!(text_of(&tree, "etc/group").ends_with("a:x:500:\nb:x:1006:\n"));
    assert!(text_of(&tree, "etc/gshadow").ends_with("a:!::\nb:!::\n"));
    for (refused, says) in [
        (group("wheel", Some(11)), "it exists with gid 10"),
        (group("c", Some(500)), "is taken"),
        (group("c:0", None), "a name has"),
    ] {
        let error = add_groups(&mut tree, &[refused], TIME)
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_system_without_any_file_gets_them() {
    let mut tree = tree_of(&[]);
    add_users(
        &mut tree,
        &[User {
            primary_group: Some("g".into()),
            ..user("new")
        }],
        TIME,
    )
    .unwrap_err();
    add_groups(
        &mut tree,
        &[Group {
            name: "g".into(),
            gid: None,
        }],
        TIME,
    )
    .unwrap();
    let new = User {
        primary_group: Some("g".into()),
        ..user("new")
    };
    let warnings = add_users(&mut tree, &[new], TIME).unwrap();
    assert!(warnings[0].to_string().contains("shell"), "{warnings:?}");
    assert_eq!(
        text_of(&tree, "etc/passwd"),
        "new:x:1000:1000::/home/new:/bin/sh\n"
    );
    let (_, id) = tree.resolve("etc/shadow").unwrap();
    assert_eq!(tree.inode(id).metadata.permissions, 0o600);
}

/// Our edits and the programs' on copies of one system.
#[test]
fn ref_useradd_makes_the_same_accounts() {
    if !has_root_and("useradd") {
        return;
    }
    let ours = |user: &User, tree: &mut Tree<Content>| {
        add_users(tree, std::slice::from_ref(user), TIME).unwrap();
    };
    for (user, arguments) in [
        (user("plain"), vec!["-m", "-p", "*", "plain"]),
        (
            User {
                uid: Some(500),
                ..user("low")
            },
            vec!["-m", "-p", "*", "-u", "500", "low"],
        ),
        (
            User {
                uid: Some(60_000),
                ..user("high")
            },
            vec!["-m", "-p", "*", "-u", "60000", "high"],
        ),
        (
            User {
                primary_group: Some("users".into()),
                home_directory: Some("/srv/a/b".into()),
                secondary_groups: vec!["wheel".into(), "mail".into()],
                startup_command: Some("/bin/false".into()),
                ..user("all")
            },
            vec![
                "-m",
                "-p",
                "*",
                "-g",
                "users",
                "-d",
                "/srv/a/b",
                "-G",
                "wheel,mail",
                "-s",
                "/bin/false",
                "all",
            ],
        ),
    ] {
        for mail in ["no", "yes"] {
            let useradd = format!("SHELL=/bin/sh\nCREATE_MAIL_SPOOL={mail}\n");
            let mut tree = system(&[
                ("etc/default/useradd", useradd.as_str()),
                ("var/mail/", ""),
                ("srv/", ""),
            ]);
            let login = format!("{LOGIN}MAIL_DIR /var/mail\n");
            place::write(
                &mut tree,
                "etc/login.defs",
                login.into(),
                &place::metadata(0o644, TIME),
            )
            .unwrap();
            let folder = tempfile::tempdir().unwrap();
            write_folder(&tree, folder.path());
            // With `-P` the skeleton is still the machine's unless it is named.
            let skeleton = folder.path().join("etc/skel");
            let root = folder.path().to_str().unwrap();
            let mut all = vec!["-P", root, "-k", skeleton.to_str().unwrap()];
            all.extend(&arguments);
            let output = run("useradd", &all);
            assert!(output.status.success(), "{output:?}");
            ours(&user, &mut tree);
            assert_same(&list(&tree), &theirs(folder.path()));
        }
    }
}

#[test]
fn ref_groupadd_and_usermod_make_the_same_changes() {
    if !has_root_and("usermod") {
        return;
    }
    let mut tree = system(&[]);
    let folder = tempfile::tempdir().unwrap();
    write_folder(&tree, folder.path());
    let root = folder.path().to_str().unwrap();
    for (program, arguments) in [
        ("groupadd", vec!["-P", root, "fresh"]),
        ("groupadd", vec!["-P", root, "-g", "77", "numbered"]),
        ("usermod", vec!["-P", root, "-a", "-G", "fresh,mail", "old"]),
        ("usermod", vec!["-P", root, "-g", "users", "old"]),
        ("usermod", vec!["-P", root, "-s", "/bin/dash", "old"]),
    ] {
        let output = run(program, &arguments);
        assert!(output.status.success(), "{output:?}");
    }
    let groups = [("fresh", None), ("numbered", Some(77))].map(|(name, gid)| Group {
        name: name.to_owned(),
        gid,
    });
    add_groups(&mut tree, &groups, TIME).unwrap();
    let old = User {
        password: Some(Password::Hashed("!".into())),
        primary_group: Some("users".into()),
        secondary_groups: vec!["fresh".into(), "mail".into()],
        startup_command: Some("/bin/dash".into()),
        ..user("old")
    };
    add_users(&mut tree, &[old], TIME).unwrap();
    assert_same(&list(&tree), &theirs(folder.path()));
}

/// What the programs left, without their copies and locks.
fn theirs(folder: &std::path::Path) -> Vec<String> {
    let mut lines = list(&read_folder(folder));
    lines.retain(|line| {
        let path = line.split(' ').next().unwrap_or_default();
        !path.ends_with('-') && !path.ends_with(".lock") && !path.ends_with(".pwd.lock")
    });
    lines
}

#[test]
fn ref_crypt_takes_our_hashes() {
    if !has_root_and("mkpasswd") {
        return;
    }
    for (method, user, name) in [
        (password::Method::Yescrypt { cost: 5 }, "a", "yescrypt"),
        (password::Method::Yescrypt { cost: 1 }, "b", "yescrypt"),
        (
            password::Method::Sha512 { rounds: None },
            "a",
            "sha512crypt",
        ),
        (
            password::Method::Sha512 { rounds: Some(1234) },
            "a",
            "sha512crypt",
        ),
        (
            password::Method::Sha256 { rounds: None },
            "ä",
            "sha256crypt",
        ),
    ] {
        let ours = password::hash(method, user, "pass wörd").unwrap();
        let (setting, _) = ours.rsplit_once('$').unwrap();
        // The hash of the same password with the same setting.
        let output = run(
            "mkpasswd",
            &[
                "-m",
                name,
                "-S",
                setting_of(setting, name),
                "-R",
                &rounds(method),
                "pass wörd",
            ],
        );
        let theirs = String::from_utf8_lossy(&output.stdout);
        let theirs = theirs.trim().replace("$rounds=5000$", "$");
        assert_eq!(theirs, ours, "{output:?}");
    }
}

fn setting_of<'a>(setting: &'a str, method: &str) -> &'a str {
    match method {
        "yescrypt" => setting,
        _ => setting.rsplit('$').next().unwrap(),
    }
}

fn rounds(method: password::Method) -> String {
    match method {
        password::Method::Yescrypt { cost } => cost.to_string(),
        password::Method::Sha512 { rounds } | password::Method::Sha256 { rounds } => {
            rounds.unwrap_or(5000).to_string()
        }
    }
}

#[test]
fn a_skeleton_that_holds_the_home_is_refused() {
    let mut tree = system(&[("etc/default/useradd", "SKEL=/\n")]);
    let error = add_users(&mut tree, &[user("new")], TIME).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("SKEL is /, which holds"), "{source}");
}
