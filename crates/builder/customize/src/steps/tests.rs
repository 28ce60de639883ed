//! All steps together.

use super::place::tests::{TIME, text_of, tree_of};
use super::*;
use crate::testing::list;
use config::settings::{AdditionalFile, FileSource, Os, SelinuxMode, User};

fn surroundings() -> Surroundings {
    Surroundings {
        release: Release {
            tool_version: "liveos 1".into(),
            time: TIME,
            image_uuid: release::image_uuid("liveos 1", TIME, b""),
        },
        init: Some(InitSystem::Systemd),
        root: Root::Overlay,
    }
}

fn system() -> Tree<Content> {
    tree_of(&[
        ("etc/login.defs", "USERGROUPS_ENAB yes\n"),
        ("boot/grub/grub.cfg", "menuentry a {\n linux /v ro\n}\n"),
    ])
}

/// Every file of the image that a step reads.
const READ: [(&str, &str); 22] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nold:x:1000:1000::/home/old:/bin/sh\n",
    ),
    (
        "etc/shadow",
        "root:*:19000:0:99999:7:::\nold:!:19000::::::\n",
    ),
    ("etc/group", "root:x:0:\nold:x:1000:\nwheel:x:10:old\n"),
    ("etc/gshadow", "root:*::\nold:!::\nwheel:!::old\n"),
    ("etc/subuid", "old:100000:65536\n"),
    (
        "etc/login.defs",
        "UID_MIN 1000\nUSERGROUPS_ENAB yes\nUMASK 022\nSUB_UID_COUNT 65536\n",
    ),
    (
        "etc/default/useradd",
        "SHELL=/bin/sh\nCREATE_MAIL_SPOOL=yes\nSKEL=/etc/skel\n",
    ),
    ("etc/skel/.profile", "x"),
    ("var/spool/mail/old", ""),
    ("root/.ssh/authorized_keys", "key\n"),
    (
        "etc/systemd/system/b.service",
        "-> /usr/lib/systemd/system/a.service",
    ),
    (
        "usr/lib/systemd/system/a.service",
        "[Install]\nWantedBy=x.target\nAlias=c.service\nAlso=d@i.service\n",
    ),
    (
        "usr/lib/systemd/system/d@.service",
        "[Install]\nWantedBy=y@%i.target\nDefaultInstance=z\n",
    ),
    (
        "etc/modprobe.d/modules-disabled.conf",
        "blacklist loop\nblacklist vfio\n",
    ),
    (
        "etc/modprobe.d/module-options.conf",
        "options loop max_loop=1\n",
    ),
    ("usr/share/image-customizer/history.json", "[{\"a\": 1}]"),
    (
        "boot/grub/grub.cfg",
        "menuentry 'a' {\n linux /v ro security=x $kernelopts\n}\n",
    ),
    (
        "boot/loader/entries/a.conf",
        "title A\noptions a b=\"c d\"\n",
    ),
    ("etc/default/grub", "GRUB_CMDLINE_LINUX=\"a 'b c'\"\n"),
    ("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=p\n"),
    ("etc/selinux/p/policy/policy.33", "x"),
    (
        "etc/selinux/p/contexts/files/file_contexts",
        "/.*  u:r:t:s0\n/etc/(a|b)[^/]*\\.x  --  u:r:e:s0\n/dev/x{1,2} -c <<none>>\n",
    ),
];

/// A base adds a user, and its derived configuration a file in the user's home and a service that comes by a file.
fn settings() -> Settings {
    let file = |destination: &str, text: &str| AdditionalFile {
        source: FileSource::Content(text.to_owned()),
        destination: destination.to_owned(),
        permissions: None,
    };
    let base = Os {
        users: vec![User {
            name: "me".into(),
            ..User::default()
        }],
        enable_services: vec!["mine".into()],
        ..Os::default()
    };
    let derived = Os {
        hostname: Some("live".into()),
        additional_files: vec![
            file("/home/me/note", "x"),
            file(
                "/usr/lib/systemd/system/mine.service",
                "[Install]\nWantedBy=a.target\n",
            ),
        ],
        extra_command_line: vec!["quiet".into()],
        selinux: Some(SelinuxMode::Disabled),
        ..Os::default()
    };
    Settings {
        os: vec![base, derived],
        ..Settings::default()
    }
}

#[test]
fn each_step_is_taken_for_all_files_before_the_next() {
    let mut tree = system();
    apply(&mut tree, &settings(), &surroundings()).unwrap();
    assert_eq!(text_of(&tree, "home/me/note"), "x");
    assert!(
        tree.resolve("etc/systemd/system/a.target.wants/mine.service")
            .is_ok()
    );
    assert_eq!(
        text_of(&tree, "boot/grub/grub.cfg"),
        "menuentry a {\n linux /v ro quiet selinux=0\n}\n"
    );
    assert!(text_of(&tree, "etc/image-customizer-release").contains("2023-11-14"));
}

#[test]
fn the_same_settings_give_the_same_tree() {
    let build = || {
        let mut tree = system();
        let warnings = apply(&mut tree, &settings(), &surroundings()).unwrap();
        (list(&tree), warnings)
    };
    assert_eq!(build(), build());
}

/// Damage of each file that is read, at each byte: a value or an error, and never a panic.
#[test]
fn damaged_files_of_the_image_are_errors_or_values() {
    let settings = demanding();
    for (path, text) in READ {
        for at in 0..text.len() {
            let mut damaged: Vec<Vec<u8>> = [0, b'\n', b':', b'/', b'(', b'"', b'9', 0xff]
                .map(|byte| {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[at] = byte;
                    bytes
                })
                .to_vec();
            damaged.push(text.as_bytes()[..at].to_vec());
            // All of them at every third byte: a run stays under some seconds.
            let some = if at % 3 == 0 { damaged.len() } else { 1 };
            for bytes in damaged.into_iter().take(some) {
                let mut tree = tree_of(&READ);
                let (_, id) = tree.resolve(path).unwrap();
                let node = tree::Node::File(Content::from_bytes(bytes));
                tree.set_node(id, node).unwrap();
                let taken = apply(&mut tree, &settings, &surroundings());
                let labelled = selinux::relabel(&mut tree, "p", selinux::Scope::All);
                for error in [taken.err(), labelled.err()].into_iter().flatten() {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}

/// Asks for something of every step.
fn demanding() -> Settings {
    let user = |name: &str| User {
        name: name.into(),
        secondary_groups: vec!["wheel".into()],
        password_expires_days: Some(9),
        ..User::default()
    };
    let root = User {
        ssh_keys: vec![config::settings::SshKey::Line("new".into())],
        primary_group: Some("old".into()),
        ..user("root")
    };
    let module = |load_mode| config::settings::KernelModule {
        name: "vfio".into(),
        load_mode,
        options: [("a".to_owned(), "1".to_owned())].into(),
    };
    let os = Os {
        groups: vec![config::settings::Group {
            name: "fresh".into(),
            gid: None,
        }],
        users: vec![root, user("me")],
        enable_services: vec!["a".into(), "d@q".into()],
        disable_services: vec!["a".into()],
        modules: vec![module(config::settings::LoadMode::Always)],
        extra_command_line: vec!["quiet".into()],
        selinux: Some(SelinuxMode::ForceEnforcing),
        ..Os::default()
    };
    Settings {
        os: vec![os],
        ..Settings::default()
    }
}

#[test]
fn what_is_not_damaged_is_taken() {
    let mut tree = tree_of(&READ);
    apply(&mut tree, &demanding(), &surroundings()).unwrap();
    let count = selinux::relabel(&mut tree, "p", selinux::Scope::All).unwrap();
    assert_eq!(count, tree.walk().count());
    assert_eq!(text_of(&tree, "var/spool/mail/me"), "");
}
