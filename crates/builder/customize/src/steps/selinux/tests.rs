//! Modes, and labels against `matchpathcon`.

use super::*;
use crate::steps::place::tests::{TIME, text_of, tree_of};
use crate::testing::{assert_same, has_root_and, run};
use tree::mode;

fn system() -> Tree<Content> {
    tree_of(&[
        (
            "etc/selinux/config",
            "# SELINUX=x\nSELINUX=enforcing\nSELINUXTYPE=default\n",
        ),
        ("etc/selinux/default/policy/policy.33", "x"),
        ("etc/default/grub", "GRUB_CMDLINE_LINUX=\"selinux=1 ro\"\n"),
        (
            "boot/grub/grub.cfg",
            "menuentry a {\n linux /vmlinuz ro security=apparmor quiet\n}\n",
        ),
    ])
}

#[test]
fn a_mode_is_set_in_the_file_and_on_the_command_line() {
    for (asked, file, arguments) in [
        (SelinuxMode::Disabled, "disabled", "selinux=0"),
        (
            SelinuxMode::Permissive,
            "permissive",
            "security=selinux selinux=1",
        ),
        (
            SelinuxMode::Enforcing,
            "enforcing",
            "security=selinux selinux=1",
        ),
        (
            SelinuxMode::ForceEnforcing,
            "enforcing",
            "security=selinux selinux=1 enforcing=1",
        ),
    ] {
        let mut tree = system();
        for _ in 0..2 {
            apply(&mut tree, asked, TIME).unwrap();
            assert_eq!(
                text_of(&tree, "etc/selinux/config"),
                format!("# SELINUX=x\nSELINUX={file}\nSELINUXTYPE=default\n")
            );
            assert_eq!(
                text_of(&tree, "boot/grub/grub.cfg"),
                format!("menuentry a {{\n linux /vmlinuz ro quiet {arguments}\n}}\n")
            );
            assert_eq!(
                text_of(&tree, "etc/default/grub"),
                format!("GRUB_CMDLINE_LINUX=\"ro {arguments}\"\n")
            );
        }
    }
}

#[test]
fn a_system_without_a_policy_is_refused() {
    let without_policy = [("etc/selinux/config", "SELINUXTYPE=default\n")];
    for files in [without_policy.as_slice(), &[]] {
        let mut tree = tree_of(files);
        let error = apply(&mut tree, SelinuxMode::Enforcing, TIME).unwrap_err();
        assert_eq!(error.kind(), block::Kind::NotFound);
        assert!(
            error.to_string().contains("no policy is installed"),
            "{error}"
        );
        apply(&mut tree, SelinuxMode::Disabled, TIME).unwrap();
    }
}

#[test]
fn the_kernels_arguments_can_turn_it_off() {
    let setting = |mode: &str| SeLinux {
        mode: mode.to_owned(),
        policy: "p".to_owned(),
        file_contexts: true,
    };
    let in_use = |mode, line: &str| {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        is_in_use(Some(&setting(mode)), &arguments)
    };
    assert!(in_use("enforcing", "ro quiet") && in_use("permissive", "selinux=0 selinux=1"));
    assert!(!in_use("enforcing", "selinux=0") && !in_use("enforcing", "security=apparmor"));
    assert!(!in_use("disabled", "selinux=1") && !is_in_use(None, &[]));
}

/// Our labels and the library's for every file of this machine's own folders, with Debian's policy.
#[test]
fn ref_matchpathcon_gives_the_same_labels() {
    const FOLDER: &str = "/etc/selinux/default/contexts/files";
    if !has_root_and("matchpathcon") {
        return;
    }
    let mut tree = tree_of(&[]);
    for name in ["", ".homedirs", ".subs_dist"] {
        let path = format!("{FOLDER}/file_contexts{name}");
        let bytes = std::fs::read(&path).unwrap();
        place::write(&mut tree, &path, bytes, &place::metadata(0o644, TIME)).unwrap();
    }
    let contexts = FileContexts::load(&tree, "default").unwrap();
    let paths = paths_of_this_machine();
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    let file = format!("{FOLDER}/file_contexts");
    for some in paths.chunks(2000) {
        let mut arguments = vec!["-N", "-f", file.as_str()];
        arguments.extend(some.iter().map(|(path, _)| path.as_str()));
        let output = run("matchpathcon", &arguments);
        theirs.extend(
            String::from_utf8(output.stdout)
                .unwrap()
                .lines()
                .map(str::to_owned),
        );
    }
    for (path, kind) in &paths {
        let label = contexts.label(path.as_bytes(), *kind).unwrap();
        let label = String::from_utf8_lossy(label.unwrap_or(b"<<none>>")).into_owned();
        ours.push(format!("{path}\t{label}"));
    }
    assert!(ours.len() > 5000, "{}", ours.len());
    let (ours, theirs): (std::collections::BTreeSet<_>, std::collections::BTreeSet<_>) =
        (ours.into_iter().collect(), theirs.into_iter().collect());
    let only = |some: &std::collections::BTreeSet<String>, others| -> Vec<String> {
        some.difference(others).cloned().collect()
    };
    assert_same(&only(&ours, &theirs), &only(&theirs, &ours));
}

/// Paths with the type bits of their modes.
fn paths_of_this_machine() -> Vec<(String, u16)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    let mut pending: Vec<std::path::PathBuf> = [
        "/etc",
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib/systemd",
        "/usr/share/doc",
        "/usr/libexec",
        "/lib",
        "/bin",
        "/dev",
        "/var/lib",
        "/var/log",
    ]
    .map(Into::into)
    .to_vec();
    while let Some(path) = pending.pop() {
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        let Some(text) = path.to_str().filter(|text| !text.contains(['\n', '\t'])) else {
            continue;
        };
        let kind = u16::try_from(metadata.mode() & u32::from(mode::TYPE)).unwrap();
        found.push((text.to_owned(), kind));
        if metadata.is_dir() && found.len() < 60_000 {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(entries.map(|entry| entry.path()));
        }
    }
    found
}
