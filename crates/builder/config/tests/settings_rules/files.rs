//! Files that a configuration names: they are there, and what they should be.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::{Folder, accepted, faults, refused};

#[test]
fn a_file_that_is_not_there_or_is_something_else_is_refused() {
    let rows = [
        (
            "iso: {additionalFiles: [{source: nosuch, destination: /a}]}",
            "`iso.additionalFiles[0].source` names ",
            "nosuch, which is not there",
        ),
        (
            "pxe: {additionalFiles: [{source: folder, destination: /a}]}",
            "`pxe.additionalFiles[0].source` names ",
            "folder, which is a folder, and a file is needed",
        ),
        (
            "os: {additionalFiles: [{source: /dev/null, destination: /a}]}",
            "`os.additionalFiles[0].source` names ",
            "/dev/null, which is no regular file",
        ),
        (
            "initramfs: {additionalFiles: [{source: nosuch, destination: /a}]}",
            "`initramfs.additionalFiles[0].source` names ",
            "which is not there",
        ),
        (
            "os: {additionalDirs: [{source: file.txt, destination: /a}]}",
            "`os.additionalDirs[0].source` names ",
            "file.txt, which is no folder",
        ),
        (
            "os: {additionalDirs: [{source: nosuch, destination: /a}]}",
            "`os.additionalDirs[0].source` names ",
            "which is not there",
        ),
        (
            "os: {users: [{name: a, sshPublicKeyPaths: [nosuch]}]}",
            "`os.users[0].sshPublicKeyPaths[0]` names ",
            "which is not there",
        ),
        (
            "os: {users: [{name: a, password: {type: plain-text-file, value: nosuch}}]}",
            "`os.users[0].password.value` names ",
            "which is not there",
        ),
        (
            "os: {users: [{name: a, password: {type: hashed-file, value: folder}}]}",
            "`os.users[0].password.value` names ",
            "which is a folder",
        ),
        (
            "os: {packages: {installLists: [nosuch]}}",
            "`os.packages.installLists[0]` names ",
            "which is not there",
        ),
        (
            "os: {packages: {removeLists: [folder]}}",
            "`os.packages.removeLists[0]` names ",
            "which is a folder",
        ),
        (
            "os: {packages: {updateLists: [file.txt/x]}}",
            "`os.packages.updateLists[0]` names ",
            "which cannot be reached: ",
        ),
        (
            "os: {packages: {sources: [nosuch]}}",
            "`os.packages.sources[0]` names ",
            "which is not there",
        ),
        (
            "os: {packages: {sources: [/dev/null]}}",
            "`os.packages.sources[0]` names ",
            "which is neither a file nor a folder",
        ),
        (
            "os: {packages: {sources: [file.txt]}}",
            "`os.packages.sources[0]` names ",
            "file.txt, which is neither a folder nor ends in .repo, .list or .sources",
        ),
        (
            "scripts: {postCustomization: [{path: nosuch.sh}]}",
            "`scripts.postCustomization[0].path` names ",
            "which is not there",
        ),
        (
            "scripts: {finalizeCustomization: [{path: folder}]}",
            "`scripts.finalizeCustomization[0].path` names ",
            "which is a folder",
        ),
        (
            "baseConfigs: [{path: nosuch.yaml}]",
            "`baseConfigs[0].path` names ",
            "which is not there",
        ),
    ];
    for (text, key, reason) in rows {
        let faults = faults(text);
        assert!(
            matches!(faults.as_slice(), [fault] if fault.contains(key) && fault.contains(reason)),
            "{text}: {faults:?}"
        );
    }
    accepted(&[
        "input: {image: {path: nosuch.qcow2}}",
        "output: {image: {path: nosuch/live.iso}}",
        "os: {packages: {sources: [folder]}}",
        "os: {additionalDirs: [{source: folder, destination: /}]}",
    ]);
}

#[test]
fn a_script_outside_of_the_folder_is_refused_even_through_a_link() {
    refused(&[
        (
            "scripts: {postCustomization: [{path: ¦../a.sh}]}",
            "`scripts.postCustomization[0].path` is `../a.sh`, which is not below the folder of this file",
        ),
        (
            "scripts: {postCustomization: [{path: ¦/bin/sh}]}",
            "`scripts.postCustomization[0].path` is `/bin/sh`, which is not below",
        ),
        (
            "scripts: {postCustomization: [{path: ¦folder/../../a.sh}]}",
            "`scripts.postCustomization[0].path` is `folder/../../a.sh`, which is not below",
        ),
    ]);
    let folder = Folder::new();
    symlink("/etc/passwd", folder.path().join("link.sh")).unwrap();
    symlink("script.sh", folder.path().join("inner.sh")).unwrap();
    folder.write(
        "config.yaml",
        "scripts: {postCustomization: [{path: inner.sh}, {path: link.sh}]}",
    );
    let faults = folder.load("config.yaml").unwrap_err();
    let faults: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        faults,
        [
            "`scripts.postCustomization[1].path` is `link.sh`, a link that leads out of the folder of this file"
        ]
    );
}

#[test]
fn a_pipe_is_no_file_and_is_not_waited_for() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    folder.write("config.yaml", "os: {packages: {installLists: [pipe]}, additionalFiles: [{source: pipe, destination: /a}]}\nbaseConfigs: [{path: pipe}]\n");
    let faults = folder.load("config.yaml").unwrap_err();
    assert_eq!(faults.count(), 3);
    for fault in faults.iter() {
        assert!(
            fault.message.ends_with("pipe, which is no regular file"),
            "{fault}"
        );
    }
}

#[test]
fn lists_of_packages_are_read_and_their_faults_are_in_their_files() {
    let folder = Folder::new();
    folder.write("good.yaml", "packages: [a, b]\n");
    folder.write("empty.yaml", "# none\n");
    folder.write("json.json", "{\"packages\": [\"c\"]}");
    folder.write("config.yaml", "os: {packages: {installLists: [good.yaml, empty.yaml, json.json], install: [d], removeLists: [good.yaml]}}");
    let settings = folder.load("config.yaml").unwrap();
    assert_eq!(settings.os[0].packages.install, ["a", "b", "c", "d"]);
    assert_eq!(settings.os[0].packages.remove, ["a", "b"]);
    folder.write("bad.yaml", "package: [a]\n");
    folder.write("worse.yaml", "packages:\n- a b\n- ''\n");
    folder.write("broken.yaml", "packages: [\n");
    folder.write(
        "config.yaml",
        "os: {packages: {installLists: [bad.yaml, worse.yaml, broken.yaml], install: ['-x'], removePackageManager: true}}",
    );
    let faults = folder.load("config.yaml").unwrap_err();
    let faults: Vec<String> = faults
        .iter()
        .map(|fault| {
            let name = fault.file.file_name().unwrap().to_str().unwrap();
            format!("{name}:{}: {}", fault.line, fault.message)
        })
        .collect();
    assert_eq!(
        faults[..5],
        [
            "config.yaml:1: `os.packages.install[0]` is `-x`, and a name does not start with `-`",
            "config.yaml:1: `os.packages.removePackageManager` cannot be had with live media",
            "bad.yaml:1: unknown key `package`",
            "worse.yaml:2: `packages[0]` is `a b`, and must be without blanks",
            "worse.yaml:3: `packages[1]` is empty",
        ]
    );
    assert!(
        faults[5].starts_with("broken.yaml:2: is no YAML: "),
        "{faults:?}"
    );
    assert_eq!(faults.len(), 6);
}
