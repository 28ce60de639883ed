//! Keys: unknown ones, those that are given twice, and all that can be wrong at once.

use crate::{faults, read, refused};

/// The help of the only fault of `text`.
fn help(text: &str) -> String {
    let faults = read(text).expect_err(text);
    let mut faults = faults.iter();
    let fault = faults.next().unwrap();
    assert_eq!(faults.next(), None, "{text}");
    fault.help.clone().unwrap_or_default()
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (text, expected) in [
        ("os: {hostnme: a}", "did you mean `hostname`?"),
        ("os: {Hostname: a}", "did you mean `hostname`?"),
        ("OS: {}", "did you mean `os`?"),
        ("ios: {}", "did you mean `iso`?"),
        (
            "os: {additional-files: []}",
            "did you mean `additionalFiles`?",
        ),
        (
            "pxe: {bootstrapFileURL: x}",
            "did you mean `bootstrapFileUrl`?",
        ),
        ("os: {packages: {instal: []}}", "did you mean `install`?"),
        (
            "os: {users: [{name: a, sshPublicKey: []}]}",
            "did you mean `sshPublicKeys`?",
        ),
        (
            "scripts: {postCustomisation: []}",
            "did you mean `postCustomization`?",
        ),
        (
            "iso: {kernelCommandLine: {extraCommandline: []}}",
            "did you mean `extraCommandLine`?",
        ),
    ] {
        assert_eq!(help(text), expected, "{text}");
    }
}

#[test]
fn a_key_of_another_section_is_shown_the_way() {
    for (text, expected) in [
        ("hostname: a", "`hostname` is a key of `os`"),
        (
            "os: {initramfsType: full-os}",
            "`initramfsType` is a key of `iso` and `pxe`",
        ),
        (
            "iso: {bootstrapFileUrl: 'http://h/a'}",
            "`bootstrapFileUrl` is a key of `pxe`",
        ),
        (
            "os: {finalizeCustomization: []}",
            "`finalizeCustomization` is a key of `scripts`",
        ),
        (
            "os: {previewFeatures: []}",
            "`previewFeatures` stands at the top of the file",
        ),
        ("pxe: {volumeId: A}", "`volumeId` is a key of `iso`"),
    ] {
        assert_eq!(help(text), expected, "{text}");
    }
}

#[test]
fn a_key_that_is_like_no_other_gets_the_list_of_those_that_there_are() {
    assert_eq!(
        help("os: {services: {colour: red}}"),
        "the keys here are `disable`, `enable`"
    );
}

#[test]
fn keys_that_do_nothing_yet_are_not_taken() {
    refused(&[
        ("¦persistence: {}", "unknown key `persistence`"),
        ("¦verity: {}", "unknown key `verity`"),
    ]);
}

#[test]
fn an_unknown_key_has_its_place_and_its_path() {
    refused(&[
        ("¦a: 1", "unknown key `a`"),
        (
            "os:\n  users:\n  - name: a\n    ¦colour: red\n",
            "unknown key `os.users[0].colour`",
        ),
        ("{\"os\": {\n  ¦\"colour\": 1}}", "unknown key `os.colour`"),
        ("? ¦a\n: 1", "unknown key `a`"),
    ]);
}

#[test]
fn a_key_that_is_given_twice_is_refused_with_the_line_of_the_first() {
    refused(&[
        (
            "os: {}\niso: {}\n¦os: {}\n",
            "`os` is given twice: line 1 has it already",
        ),
        (
            "os:\n  hostname: a\n  ¦'hostname': b\n",
            "`hostname` is given twice: line 2 has it already",
        ),
        (
            "{\"os\": {}, ¦\"os\": {}}",
            "`os` is given twice: line 1 has it already",
        ),
    ]);
}

#[test]
fn a_fault_is_shown_with_its_line_and_what_to_do() {
    let faults = read("os:\n  hostnme: a\n  users: 7\n").unwrap_err();
    let shown = faults.to_string();
    let mut parts = shown.split("config.yaml:").skip(1);
    assert_eq!(
        parts.next().unwrap().rsplit_once('\n').unwrap().0,
        "2:3: unknown key `os.hostnme`\n  2 |   hostnme: a\n    |   ^^^^^^^\n  help: did you mean `hostname`?"
    );
    assert_eq!(
        parts.next().unwrap(),
        "3:10: `os.users` is a single value, and must be a list\n  3 |   users: 7\n    |          ^"
    );
}

#[test]
fn a_long_line_is_shown_in_part_and_nothing_in_it_moves_the_cursor() {
    let text = format!(
        "os: {{hostname: a, x: \"{}\", colour: \u{7}{}}}",
        "y".repeat(300),
        "z".repeat(300)
    );
    let faults = read(&text).unwrap_err().to_string();
    let line = faults.lines().find(|line| line.contains("| y")).unwrap();
    assert!(line.chars().count() < 120, "{line}");
    assert!(!faults.contains('\u{7}'));
    let mark = faults
        .lines()
        .find(|line| line.ends_with("^^^^^^"))
        .unwrap();
    assert_eq!(mark.find('^'), line.find("colour"), "{faults}");
}

#[test]
fn twenty_faults_are_reported_at_once_in_the_order_of_their_lines() {
    let text = "\
colour: red
previewFeatures: [uki, nosuch]
input:
  image: {path: a, oci: r/x}
output:
  image: {format: qcow2}
iso:
  initramfsType: fullos
  volumeId: \"lower case\"
  kernelCommandLine: {extraCommandLine: ['']}
  additionalFiles: [{content: a, destination: /a, permissions: '999'}]
pxe:
  bootstrapFileUrl: torrent://host/a
  kdumpBootFiles: 1
os:
  hostname: a_b
  packages:
    install: vim
    updateExistingPackages: maybe
  users:
  - uid: 70000
  services: {enable: [~]}
  modules: [{name: a b}]
  overlays: [{mountPoint: a, upperDir: /u, workDir: /w}]
  selinux: {mode: on}
scripts:
  postCustomization: [{path: ../a.sh}]
rootImage: {compression: {algorithm: lz4, level: 1}}
";
    let faults = faults(text);
    let lines: Vec<u32> = faults
        .iter()
        .map(|fault| fault.split(':').next().unwrap().parse().unwrap())
        .collect();
    let expected = [
        1, 2, 4, 6, 8, 9, 10, 11, 13, 14, 16, 18, 19, 21, 21, 22, 23, 24, 25, 27, 28,
    ];
    assert_eq!(lines, expected, "{faults:#?}");
}

#[test]
fn a_file_of_nothing_but_faults_is_reported_in_bounds() {
    let text: String = (0..20_000)
        .map(|number| format!("k{number}: 1\n"))
        .collect();
    let faults = read(&text).unwrap_err();
    assert_eq!(faults.count(), 20_000);
    assert_eq!(faults.iter().count(), 100);
    assert!(faults.to_string().ends_with("and 19900 more faults"));
}
