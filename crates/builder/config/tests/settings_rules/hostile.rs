//! Files that no person wrote: they end in a value or in faults, soon and in bounds.

use std::path::Path;

use config::file::{Overrides, parse};

use crate::{Folder, faults, read, refused};

fn parsed(bytes: &[u8]) -> Result<(), String> {
    let result = parse(Path::new("config.yaml"), bytes, Overrides::default());
    result.map(|_| ()).map_err(|faults| faults.to_string())
}

#[test]
fn depth_is_bounded_however_it_is_made() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        (0..1000)
            .map(|level| format!("{}a:\n", " ".repeat(level)))
            .collect(),
        "? ".repeat(100_000),
    ] {
        let error = parsed(text.as_bytes()).unwrap_err();
        assert!(
            error.contains("deeper than 32 levels") || error.contains("is no YAML"),
            "{error}"
        );
    }
    let nested = (0..40).fold("a0: &a0 []\n".to_owned(), |text, level| {
        format!("{text}a{}: &a{} [*a{level}]\n", level + 1, level + 1)
    });
    let error = parsed(nested.as_bytes()).unwrap_err();
    assert!(error.contains("deeper than 32 levels"), "{error}");
}

#[test]
fn aliases_do_not_make_a_small_file_huge() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 0..12 {
        let aliases = vec![format!("*a{level}"); 10].join(", ");
        bomb.push_str(&format!("a{}: &a{} [{aliases}]\n", level + 1, level + 1));
    }
    let error = parsed(bomb.as_bytes()).unwrap_err();
    assert!(error.contains("its aliases followed"), "{error}");
    let long = format!(
        "a: &a {}\nos: {{packages: {{install: [{}]}}}}\n",
        "x".repeat(500_000),
        vec!["*a"; 1000].join(", ")
    );
    let error = parsed(long.as_bytes()).unwrap_err();
    assert!(error.contains("its aliases followed"), "{error}");
}

#[test]
fn an_alias_of_what_it_is_in_or_of_nothing_is_refused() {
    refused(&[
        (
            "os: &a [¦*a]",
            "this alias stands for a value that it is in",
        ),
        ("os: ¦*a", "is no YAML: "),
        (
            "¦<<: 1",
            "`<<` takes over a section, and this is a single value",
        ),
        ("¦<<: [[]]", "`<<` takes over a section, and this is a list"),
    ]);
}

#[test]
fn a_file_that_is_too_long_is_refused_unread() {
    let folder = Folder::new();
    folder.write("config.yaml", vec![b'#'; (1 << 20) + 1]);
    let error = folder.load("config.yaml").unwrap_err().to_string();
    assert!(
        error.ends_with(
            "config.yaml: is longer than the 1024 KiB that a configuration file may have"
        ),
        "{error}"
    );
    folder.write("config.yaml", vec![b'#'; 1 << 20]);
    folder.load("config.yaml").unwrap();
    let error = config::file::load(Path::new("/dev/zero"), Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("is longer than"), "{error}");
    let error = config::file::load(folder.path(), Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("cannot be read: "), "{error}");
}

#[test]
fn a_chain_without_end_is_bounded() {
    let folder = Folder::new();
    for number in 0..300 {
        folder.write(
            &format!("{number}.yaml"),
            format!("baseConfigs: [{{path: {}.yaml}}]", number + 1),
        );
    }
    folder.write("300.yaml", "");
    let faults = folder.load("0.yaml").unwrap_err();
    let faults: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        faults,
        ["is one file more than the 256 that a chain may have"]
    );
    let lists = vec!["list.yaml"; 300].join(", ");
    folder.write("list.yaml", "packages: [a]");
    folder.write(
        "lists.yaml",
        format!("os: {{packages: {{installLists: [{lists}]}}}}"),
    );
    let faults = folder.load("lists.yaml").unwrap_err();
    assert!(
        faults.to_string().contains("is one file more than the 256"),
        "{faults}"
    );
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place() {
    for (text, expected) in [
        ("os: {", "2:1 is no YAML: "),
        ("os: {}\n  iso: {}\n", "2:"),
        ("os: 'a\n", "1:5 is no YAML: "),
        ("os:\n\thostname: a\n", "2:2 is no YAML: "),
        ("@", "1:1 is no YAML: "),
        ("os: !mine {}", "1:5 the tag `!mine` is not known"),
        ("os: {hostname: !!binary aGk=}", "1:16 the tag "),
        (
            "os: {}\n---\niso: {}\n",
            "2:1 a second document begins here",
        ),
        ("[a]: b", "1:1 a key is text, and this is a list"),
    ] {
        let faults = faults(text);
        assert!(
            matches!(faults.as_slice(), [fault] if fault.starts_with(expected)),
            "{text:?}: {faults:?}"
        );
    }
    let error = parsed(b"os: {hostname: \xff}").unwrap_err();
    assert_eq!(
        error,
        "config.yaml: is no text in UTF-8: byte 15 belongs to none"
    );
}

#[test]
fn ends_of_lines_of_other_systems_are_ends_of_lines() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["os:", "  hostname: a", "  colour: red", ""].join(end);
        let error = read(&text).unwrap_err();
        let fault = error.iter().next().unwrap();
        assert_eq!((fault.line, fault.column), (3, 3));
        assert!(
            error.to_string().contains("  3 |   colour: red\n"),
            "{error}"
        );
    }
}

/// A file with most of the syntax and of the schema in it.
const WHOLE: &str = "\
# a comment
input: {image: {path: a}}
iso: &iso
  additionalFiles:
  - {content: \"a\\u00e9\", destination: /a, permissions: '644'}
  - &file
    content: |
      text
    destination: /b
pxe:
  <<: *iso
  additionalFiles: [*file]
os:
  users: [{name: a, uid: 1, password: {type: hashed, value: $6$a$b}}]
  modules: [{name: a, options: {b: c}}]
storage:
  bootType: efi
  disks: [{partitionTableType: gpt, partitions: [{id: a, type: esp, size: 8M}]}]
  filesystems: [{deviceId: a, type: vfat, mountPoint: /boot/efi}]
";

#[test]
fn a_damaged_file_ends_in_a_value_or_in_faults_with_a_place() {
    let whole = WHOLE.as_bytes();
    let damaged = |bytes: &[u8]| {
        if let Err(error) = parsed(bytes) {
            assert!(error.starts_with("config.yaml"), "{error}");
        }
    };
    for end in 0..whole.len() {
        damaged(&whole[..end]);
    }
    for at in 0..whole.len() {
        for byte in [whole[at] ^ 1, whole[at] ^ 0x80, b'{', b'\n', b'*', b'\t', 0] {
            let mut bytes = whole.to_vec();
            bytes[at] = byte;
            damaged(&bytes);
        }
    }
}

#[test]
fn surrogates_that_are_no_pair_are_refused_and_backslashes_are_counted() {
    for (json, expected) in [
        (r#"{"os": {"hostname": "\ud83d"}}"#, "is no YAML"),
        (r#"{"os": {"hostname": "\ud83dx"}}"#, "is no YAML"),
        (r#"{"os": {"hostname": "\ude00\ud83d"}}"#, "is no YAML"),
        (
            r#"{"os": {"hostname": "\ud83d\ude00"}}"#,
            "which is no host name",
        ),
        (
            r#"{"os": {"hostname": "\\ud83d\\ude00"}}"#,
            "which is no host name",
        ),
        (r#"{"os": {"hostname": "\u"#, "is no YAML"),
    ] {
        let error = parsed(json.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn no_message_moves_the_cursor_of_a_terminal() {
    for text in [
        "\"\\e[2J\": 1",
        "\"\\e[2J\": 1\n\"\\e[2J\": 1",
        "os: {hostname: \"\\e[2J\"}",
        "os: {imageHistory: \"\\e[2J\"}",
        "os: {additionalFiles: [{source: \"\\e[2J\", destination: a}]}",
        "os: {modules: [{name: a, options: {\"\\e[2J\": b}}]}",
        "scripts: {postCustomization: [{path: \"../\\e[2J\"}]}",
        "storage: {disks: [{partitions: [{id: \"\\e[2J\"}, {id: \"\\e[2J\"}]}]}",
        "baseConfigs: [{path: \"\\e[2J\"}]",
        "os: !\u{1b}[2J {}",
        "os: \u{1b}[2J: x",
    ] {
        let error = parsed(text.as_bytes()).unwrap_err();
        assert!(error.contains("config.yaml:"), "{error:?}");
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
}

#[test]
fn storage_of_thousands_of_partitions_ends() {
    let rows = |row: fn(usize) -> String| (0..6_000).map(row).collect::<Vec<_>>().join(", ");
    let text = format!(
        "storage: {{disks: [{{maxSize: 1T, partitions: [{}]}}], filesystems: [{}]}}",
        rows(|number| format!("{{id: p{number}, label: l{}, type: esp}}", number / 2)),
        rows(|number| format!(
            "{{deviceId: p{number}, type: xfs, mountPoint: {{path: /, idType: part-label}}}}"
        )),
    );
    let error = parsed(text.as_bytes()).unwrap_err();
    assert!(error.contains("more faults"), "{error}");
}
