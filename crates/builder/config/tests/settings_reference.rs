//! The reference page and the JSON schema say what the reader does.
#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use config::file::{Overrides, parse, reference, schema};
use serde_json::{Value, json};
use testkit::{fixture, tools};

/// What stands before the keys on the page.
const MARK: &str = "anew. -->\n\n";

fn page() -> PathBuf {
    fixture::workspace().join("docs/configuration.md")
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variable asks for the page to be written"
)]
fn the_reference_has_every_key_that_is_read() {
    let text = fs::read_to_string(page()).unwrap();
    let (before, keys) = text.split_once(MARK).unwrap();
    if std::env::var("LIVEOS_UPDATE_DOCS").is_ok() {
        fs::write(page(), format!("{before}{MARK}{}", reference())).unwrap();
        return;
    }
    assert!(
        keys == reference(),
        "docs/configuration.md is not what is read: run this test with LIVEOS_UPDATE_DOCS=1"
    );
}

/// The blocks of YAML on the page.
fn examples() -> Vec<String> {
    let text = fs::read_to_string(page()).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_examples_of_the_page_are_right() {
    let examples = examples();
    assert_eq!(examples.len(), 2);
    let read = |text: &str| {
        parse(
            Path::new("live.yaml"),
            text.as_bytes(),
            Overrides::default(),
        )
    };
    let settings = read(&examples[0]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(settings.warnings, Vec::<String>::new());
    assert!(examples[1].starts_with("# packages.yaml\n"));
    let faults = read("os:\n  hostnme: live\n\n\n\niso:\n  initramfsType: fullos\n").unwrap_err();
    let shown = faults.to_string();
    let text = fs::read_to_string(page()).unwrap();
    assert!(text.contains(&shown), "{shown}");
}

#[test]
fn every_key_of_the_schema_has_its_meaning_and_every_reference_its_definition() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let mut used = BTreeSet::new();
    let mut objects: Vec<&Value> = definitions.values().collect();
    objects.push(&schema);
    for object in objects {
        assert_eq!(object["additionalProperties"], json!(false), "{object}");
        for (name, property) in object["properties"].as_object().unwrap() {
            let about = property["description"].as_str().unwrap_or_default();
            assert!(about.contains('.'), "{name}: {about:?}");
        }
        references(object, &mut used);
    }
    let used: Vec<&str> = used.iter().map(String::as_str).collect();
    let known: Vec<&str> = definitions.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

/// The names of the definitions that `value` refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                found.insert(reference.strip_prefix("#/$defs/").unwrap().to_owned());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Documents that the reader takes.
const RIGHT: &[&str] = &[
    "{}",
    r#"{"os": null, "iso": {}}"#,
    r#"{"os": {"hostname": "a", "users": [{"name": "a", "uid": 1, "password": {"type": "locked"}}]}}"#,
    r#"{"os": {"additionalFiles": [{"content": "", "destination": "/a", "permissions": "0644"}, {"content": "b", "destination": "b", "permissions": 600}]}}"#,
    r#"{"os": {"selinux": {"mode": "enforcing"}, "modules": [{"name": "a", "options": {"b": 1}}]}}"#,
    r#"{"pxe": {"initramfsType": "", "kdumpBootFiles": null, "bootstrapFileUrl": "http://h/a.iso"}}"#,
    r#"{"input": {"image": {"oci": "r.example/x:1"}}, "previewFeatures": ["uki"]}"#,
    r#"{"input": {"image": {"oci": {"uri": "r.example/x:1", "platform": {"os": "linux"}}}}}"#,
    r#"{"input": {"image": {"azureLinux": {"variant": "core", "version": 3.5}}}}"#,
    r#"{"scripts": {"postCustomization": [{"content": "a", "arguments": ["b", 1], "environmentVariables": {"A": null, "B": 1}}]}}"#,
    r#"{"rootImage": {"compression": {"algorithm": "zstd", "level": 22}}, "initramfs": {"generator": "dracut"}}"#,
    r#"{"storage": {"verity": []}, "output": {"image": {"format": "iso", "path": "a"}}}"#,
];

/// Documents that neither the reader nor the schema takes.
const WRONG: &[&str] = &[
    "[]",
    r#"{"colour": 1}"#,
    r#"{"os": {"hostname": []}}"#,
    r#"{"os": {"hostnme": "a"}}"#,
    r#"{"os": {"users": {}}}"#,
    r#"{"os": {"users": [{"uid": 1}]}}"#,
    r#"{"os": {"users": [{"name": "a", "uid": 60001}]}}"#,
    r#"{"os": {"users": [{"name": "a", "uid": "1"}]}}"#,
    r#"{"os": {"packages": {"updateExistingPackages": "true"}}}"#,
    r#"{"os": {"additionalFiles": [{"content": "b", "destination": "b", "permissions": "1777"}]}}"#,
    r#"{"os": {"selinux": {"mode": "on"}}}"#,
    r#"{"iso": {"initramfsType": "fullos"}}"#,
    r#"{"iso": {"bootstrapFileUrl": "http://h/a.iso"}}"#,
    r#"{"rootImage": {"compression": {"algorithm": "brotli"}}}"#,
    r#"{"rootImage": {"compression": {"level": 3}}}"#,
    r#"{"scripts": {"postCustomization": [{"content": "a", "environmentVariables": {"A": []}}]}}"#,
    r#"{"storage": {"disks": [{"maxSize": "4GiB"}]}}"#,
];

#[test]
fn the_reader_takes_and_refuses_what_the_schema_is_asked_about() {
    let read = |text: &str| parse(Path::new("a.json"), text.as_bytes(), Overrides::default());
    for text in RIGHT {
        read(text).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    }
    for text in WRONG {
        assert!(read(text).is_err(), "{text}");
    }
}

/// Reads a schema and documents, and says of each document whether it keeps the schema.
const VALIDATE: &str = "
import json, sys
import jsonschema
schema, documents = json.load(open(sys.argv[1]))
validator = jsonschema.Draft202012Validator
validator.check_schema(schema)
print(json.dumps([validator(schema).is_valid(json.loads(text)) for text in documents]))
";

#[test]
fn ref_a_validator_takes_and_refuses_with_the_schema_what_the_reader_does() {
    if !tools::available(&["python3"]) {
        return;
    }
    if tools::output(tools::command("python3").args(["-c", "import jsonschema"])).is_err() {
        skip("python3-jsonschema");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.json");
    let documents: Vec<&str> = RIGHT.iter().chain(WRONG).copied().collect();
    fs::write(&path, json!([schema(), documents]).to_string()).unwrap();
    let mut validate = tools::command("python3");
    let answer = tools::output(validate.args(["-c", VALIDATE]).arg(&path)).unwrap();
    let answer: Vec<bool> = serde_json::from_str(&answer).unwrap();
    for (index, (text, is_valid)) in documents.iter().zip(&answer).enumerate() {
        assert_eq!(*is_valid, index < RIGHT.len(), "{text}");
    }
    assert_eq!(answer.len(), documents.len());
}

#[expect(clippy::print_stderr, reason = "a skipped test says so in its output")]
fn skip(package: &str) {
    assert!(!tools::in_ci(), "needs {package}");
    eprintln!("SKIPPED: needs {package}");
}
