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
