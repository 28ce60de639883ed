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
    if !has_root_and("matchpathcon") {
        return;
    }
    let mut tree = tree_of(&[]);
    for name in ["", ".homedirs", ".subs_dist"] {
        let path = format!("{CONTEXTS}/files/file_contexts{name}");
        let bytes = std::fs::read(&path).unwrap();
        place::write(&mut tree, &path, bytes, &place::metadata(0o644, TIME)).unwrap();
    }
    let contexts = FileContexts::load(&tree, "default").unwrap();
    assert!(contexts.compile_all().unwrap() > 2000);
    let paths = paths_of_this_machine();
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    let file = format!("{CONTEXTS}/files/file_contexts");
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

/// What `setfiles` makes of a folder, with labels that are there already.
#[test]
fn ref_setfiles_sets_the_same_labels() {
    if !has_root_and("setfiles") {
        return;
    }
    let mut tree = to_be_labelled();
    let folder = tempfile::tempdir().unwrap();
    crate::testing::write_folder(&tree, folder.path());
    for (path, label) in [
        ("etc/passwd", "staff_u:object_r:user_home_t:s0:c1"),
        ("srv/data", "staff_u:object_r:public_content_t:s0"),
        ("run/x", "staff_u:object_r:user_home_t:s0"),
        ("usr/bin/passwd", "staff_u:object_r:passwd_exec_t:s0"),
    ] {
        let value = format!("{label}\0");
        let (_, id) = tree.resolve(path).unwrap();
        let xattrs = &mut tree.metadata_mut(id).xattrs;
        std::sync::Arc::make_mut(xattrs)
            .insert((*b"security.selinux").into(), value.as_bytes().into());
        let path = folder.path().join(path);
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::lsetxattr(path, "security.selinux", value.as_bytes(), flags).unwrap();
    }
    let root = folder.path().to_str().unwrap();
    let file = format!("{CONTEXTS}/files/file_contexts");
    let output = run("setfiles", &["-m", "-r", root, &file, root]);
    assert!(output.status.success(), "{output:?}");
    relabel(&mut tree, "default", Scope::All).unwrap();
    let label_of = |xattrs: &tree::Xattrs| {
        let label = xattrs.get(b"security.selinux".as_slice());
        label.map_or_else(|| "-".to_owned(), |label| label.escape_ascii().to_string())
    };
    let ours: Vec<String> = tree
        .walk()
        .map(|entry| format!("{} {}", entry.path, label_of(&entry.inode.metadata.xattrs)))
        .collect();
    let theirs: Vec<String> = tree
        .walk()
        .map(|entry| {
            let path = folder
                .path()
                .join(entry.path.to_string().trim_start_matches('/'));
            let mut buffer = vec![0; 256];
            let label = match rustix::fs::lgetxattr(path, "security.selinux", &mut buffer[..]) {
                Ok(len) => buffer[..len].escape_ascii().to_string(),
                Err(_) => "-".to_owned(),
            };
            format!("{} {label}", entry.path)
        })
        .collect();
    assert_same(&ours, &theirs);
}

/// Debian's policy.
const CONTEXTS: &str = "/etc/selinux/default/contexts";

/// A system with Debian's policy and files that it knows.
fn to_be_labelled() -> Tree<Content> {
    let mut tree = tree_of(&[
        ("etc/passwd", "x"),
        ("etc/shadow", "x"),
        (
            "etc/systemd/system/own.service",
            "-> /usr/lib/systemd/system/ssh.service",
        ),
        ("usr/bin/passwd", "x"),
        ("usr/sbin/sshd", "x"),
        ("usr/lib/systemd/system/ssh.service", "x"),
        ("lib", "-> usr/lib"),
        ("home/me/.ssh/authorized_keys", "x"),
        ("home/me/public_html/index.html", "x"),
        ("root/.bashrc", "x"),
        ("var/log/syslog", "x"),
        ("var/run", "-> /run"),
        ("run/x", "x"),
        ("tmp/x", "x"),
        ("opt/a/bin/b", "x"),
        ("srv/data", "x"),
        ("boot/vmlinuz-1", "x"),
        ("dev/", ""),
    ]);
    for name in [
        "files/file_contexts",
        "files/file_contexts.homedirs",
        "files/file_contexts.subs_dist",
        "customizable_types",
    ] {
        let path = format!("{CONTEXTS}/{name}");
        let bytes = std::fs::read(&path).unwrap();
        place::write(&mut tree, &path, bytes, &place::metadata(0o644, TIME)).unwrap();
    }
    tree
}
