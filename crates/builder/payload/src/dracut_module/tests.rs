//! The scripts, run by a real shell against stand-ins for what each version of dracut has: only two versions are in Debian to be tried whole.

use std::fs;
use std::path::Path;
use std::process::Command;

use block::Content;
use tree::Timestamp;

use super::{FOLDER, NAME, PROGRAM, SCRIPTS, files, scripts};

/// What the functions of dracut that the module calls do here: write down what was asked for.
const DRACUT: &str = r#"set -eu
inst_simple() { mkdir -p "$initdir/${2%/*}"; cp "$1" "$initdir/$2"; echo "simple $2"; }
inst_hook() { mkdir -p "$initdir$hooks/$1"; cp "$3" "$initdir$hooks/$1/$2-${3##*/}"; echo "hook $1 $2 ${3##*/}"; }
inst_multiple() { echo "multiple $*"; }
instmods() { echo "instmods hostonly=${hostonly-unset} $*"; }
"#;

/// A version: its folder of hooks, whether it has the module `initqueue`, and what it says of the folder of systemd.
const VERSIONS: [(&str, &str, bool, &str); 5] = [
    ("055", "/lib/dracut/hooks", false, "/usr/lib/systemd"),
    ("059", "/lib/dracut/hooks", false, "/lib/systemd"),
    ("102", "/var/lib/dracut/hooks", false, "/usr/lib/systemd"),
    ("107", "/var/lib/dracut/hooks", false, "/usr/lib/systemd"),
    ("111", "/var/lib/dracut/hooks", true, "/usr/lib/systemd"),
];

#[expect(
    clippy::disallowed_methods,
    reason = "the scripts are programs of a shell"
)]
fn shell(program: &str, script: &str, folder: &Path) -> String {
    let output = Command::new(program)
        .arg("-c")
        .arg(script)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{text}{said}");
    text
}

/// The module's folder and one for an initramfs.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("module");
    fs::create_dir(&module).unwrap();
    for (name, text) in scripts() {
        fs::write(module.join(name), text).unwrap();
    }
    fs::write(module.join("liveos-init"), "program").unwrap();
    folder
}

#[test]
fn the_module_asks_every_version_for_what_that_has() {
    for (version, hooks, has_initqueue, systemd) in VERSIONS {
        let folder = scratch();
        let modules = folder.path().join("dracut/modules.d");
        fs::create_dir_all(modules.join("99base")).unwrap();
        if has_initqueue {
            fs::create_dir_all(modules.join("77initqueue")).unwrap();
        }
        let script = format!(
            "{DRACUT}moddir=module initdir=$PWD/initramfs hooks={hooks} hostonly=1 dracutbasedir=$PWD/dracut systemdutildir={systemd}
mkdir initramfs; . module/module-setup.sh
check && exit 1 || echo \"check $?\"
echo \"depends $(depends | tr '\\n' ' ')\"
installkernel; install; echo \"again $hostonly\""
        );
        let said = shell("bash", &script, folder.path());
        let line = |start: &str| said.lines().find(|line| line.starts_with(start));
        assert_eq!(line("check"), Some("check 255"), "{version}");
        let depends = if has_initqueue { "initqueue" } else { "" };
        assert_eq!(
            line("depends").unwrap().trim(),
            format!("depends {depends}").trim(),
            "{version}"
        );
        let modules = line("instmods").unwrap();
        assert!(
            modules.starts_with("instmods hostonly= "),
            "{version}: {modules}"
        );
        for module in [
            "loop",
            "overlay",
            "squashfs",
            "erofs",
            "isofs",
            "udf",
            "ext4",
            "vfat",
            "dm_mod",
            "dm_snapshot",
            "dm_verity",
            "dm_crypt",
        ] {
            assert!(
                modules.split(' ').any(|word| word == module),
                "{version}: {module}"
            );
        }
        assert_eq!(
            line("again"),
            Some("again 1"),
            "the machine's own setting stays"
        );
        assert!(
            said.contains("hook cmdline 20 liveos-claim.sh\nhook pre-mount 00 liveos-mount.sh\n"),
            "{version}: {said}"
        );
        let initramfs = folder.path().join("initramfs");
        let generators = initramfs
            .join(systemd.trim_start_matches('/'))
            .join("system-generators");
        for name in ["dracut-dmsquash-generator", "dracut-livenet-generator"] {
            let target = fs::read_link(generators.join(name)).unwrap();
            assert_eq!(target, Path::new("/dev/null"), "{version}");
        }
        assert!(
            initramfs.join("usr/lib/liveos/liveos-init").is_file(),
            "{version}"
        );
    }
}

/// What the claiming script does with the root, where liveos-init answers so; and what becomes of other modules' hooks.
fn claimed(shell_program: &str, answer: &str) -> (String, Vec<(String, u64)>) {
    let folder = scratch();
    let hooks = folder.path().join("hooks");
    let others = [
        "cmdline/30-parse-dmsquash-live.sh",
        "cmdline/29-parse-livenet.sh",
        "cmdline/31-parse-iso-scan.sh",
        "cmdline/30-parse-kiwi-live.sh",
        "cmdline/95-parse-block.sh",
        "pre-udev/30-dmsquash-live-genrules.sh",
        "pre-udev/30-dmsquash-liveiso-genrules.sh",
        "pre-mount/01-prepare-overlayfs.sh",
        "pre-pivot/10-mount-overlayfs.sh",
    ];
    for name in others {
        let path = hooks.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "echo ran\n").unwrap();
    }
    // The program is called by its full path, which a function cannot be in every shell.
    let (_, claim) = SCRIPTS[1];
    let claim = claim.replace("/usr/lib/liveos/liveos-init", answer);
    fs::write(folder.path().join("claim"), claim).unwrap();
    let script = "hookdir=$PWD/hooks; root=live:CDLABEL=X; unset rootok; netroot=x; . ./claim; echo \"$root ${rootok-} $netroot\"
for f in $hookdir/cmdline/*.sh; do . \"$f\"; done";
    let said = shell(shell_program, script, folder.path());
    let lens = others.map(|name| {
        (
            name.to_owned(),
            fs::metadata(hooks.join(name)).unwrap().len(),
        )
    });
    (said, lens.to_vec())
}

#[test]
fn a_live_medium_is_taken_from_all_other_modules() {
    for program in ["sh", "bash"] {
        let (said, hooks) = claimed(program, "true");
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            ["liveos 1 ", "ran"],
            "{program}"
        );
        for (name, len) in hooks {
            assert_eq!(len == 0, name != "cmdline/95-parse-block.sh", "{name}");
        }
    }
}

#[test]
fn any_other_root_is_left_alone() {
    for program in ["sh", "bash"] {
        let (said, hooks) = claimed(program, "false");
        assert!(
            said.starts_with("live:CDLABEL=X  x\nran\nran\nran\nran\nran\n"),
            "{program}: {said}"
        );
        assert!(hooks.iter().all(|(_, len)| *len > 0));
    }
}

#[test]
fn the_root_is_mounted_once_and_a_failure_is_dracuts_to_handle() {
    let (_, mount) = SCRIPTS[2];
    for (root, mounted, answer, expected) in [
        ("liveos", "false", "true", ""),
        ("liveos", "false", "false", "died\n"),
        ("liveos", "true", "false", ""),
        ("/dev/sda1", "false", "false", ""),
    ] {
        let folder = scratch();
        let text = mount.replace("/usr/lib/liveos/liveos-init", answer);
        fs::write(folder.path().join("mount"), text).unwrap();
        let script = format!(
            "modprobe() {{ :; }}; ismounted() {{ {mounted}; }}; die() {{ echo died; }}; root={root} NEWROOT=/sysroot; . ./mount"
        );
        assert_eq!(
            shell("sh", &script, folder.path()),
            expected,
            "{root} {mounted} {answer}"
        );
    }
}

#[test]
fn the_module_is_its_scripts_and_the_program_and_all_can_be_started() {
    let runtime = Content::from_bytes(b"program".as_slice());
    let files = files(&runtime, Timestamp::from_seconds(7)).unwrap();
    let names: Vec<String> = files.iter().map(|(path, _)| path.to_string()).collect();
    let expected = [
        "module-setup.sh",
        "liveos-claim.sh",
        "liveos-mount.sh",
        "liveos-init",
    ];
    assert_eq!(names, expected.map(|name| format!("{FOLDER}/{name}")));
    for (path, inode) in &files {
        assert_eq!(inode.metadata.permissions, 0o755, "{path}");
        assert_eq!(inode.metadata.mtime.seconds, 7, "{path}");
    }
}

#[test]
fn the_scripts_name_what_the_module_has() {
    let (_, setup) = SCRIPTS[0];
    for (name, _) in &SCRIPTS[1..] {
        assert!(setup.contains(&format!("\"$moddir/{name}\"")), "{name}");
    }
    assert!(setup.contains(&format!("\"$moddir/{PROGRAM}\"")));
    assert!(FOLDER.ends_with(&format!("55{NAME}")));
    // Hooks are sourced: an exit would end dracut.
    for (name, text) in &SCRIPTS[1..] {
        let ends = text
            .lines()
            .any(|line| line.trim_start().starts_with("exit"));
        assert!(!ends && text.starts_with("#!/bin/sh\n"), "{name}");
    }
}
