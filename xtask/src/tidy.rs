//! `cargo xtask tidy`: what no compiler checks.
//!
//! The direction of dependencies (shared ← builder, server, runtime ← dev ← xtask), a module comment in every file,
//! the length of files, names that say nothing, and a section in ARCHITECTURE.md for every crate.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testkit::fixture::workspace;
use testkit::programs::cargo;
use testkit::tools;

/// The lines that a file may have before its tests.
const LONGEST_FILE: usize = 500;
/// Files that are longer, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];
/// Names of modules that say nothing: what lies there lacks a type or a home.
const MUTE_NAMES: [&str; 8] = [
    "common", "helper", "helpers", "imp", "manager", "misc", "util", "utils",
];

/// Prints every fault, and fails where there is one.
pub(crate) fn run(_words: &[String]) -> Result<()> {
    let root = workspace();
    let mut faults = Vec::new();
    let crates = members()?;
    for member in &crates {
        direction(member, &crates, &mut faults);
        lints(&root, member, &mut faults)?;
    }
    architecture(&root, &crates, &mut faults);
    for folder in ["crates", "xtask", "fuzz"] {
        for path in sources(&root.join(folder))? {
            let text = fs::read_to_string(&path)?;
            let shown = path
                .strip_prefix(&root)
                .unwrap_or(&path)
                .display()
                .to_string();
            file(&shown, &text, &mut faults);
        }
    }
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        count => bail!("faults found: {count}"),
    }
}

/// A crate of the workspace: its name, its folder, and the crates of the workspace that it is built with.
struct Member {
    name: String,
    folder: String,
    depends: Vec<String>,
}

fn members() -> Result<Vec<Member>> {
    let text = tools::output(cargo().args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]))?;
    let metadata: Value = serde_json::from_str(&text).context("reading cargo's metadata")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo names no packages")?;
    let root = workspace();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(word(&package["manifest_path"]));
            let folder = manifest.parent().unwrap_or(&manifest);
            let depends = package["dependencies"].as_array().into_iter().flatten();
            Member {
                name: word(&package["name"]),
                folder: folder
                    .strip_prefix(&root)
                    .unwrap_or(folder)
                    .display()
                    .to_string(),
                // What only tests use may point anywhere: it is in no program.
                depends: depends
                    .filter(|depend| depend["kind"] != "dev" && depend["path"].is_string())
                    .map(|depend| word(&depend["name"]))
                    .collect(),
            }
        })
        .collect())
}

/// The part of the repository that a folder belongs to: `shared`, `builder`, … or `xtask`.
fn part(folder: &str) -> &str {
    let mut words = folder.split('/');
    match (words.next(), words.next()) {
        (Some("crates"), Some(part)) => part,
        (Some(top), _) => top,
        (None, _) => "",
    }
}

/// Whether a crate of the part `from` may be built with one of the part `to`.
fn allowed(from: &str, to: &str) -> bool {
    match from {
        "shared" => to == "shared",
        "dev" => to != "xtask",
        "xtask" => true,
        _ => to == "shared" || to == from,
    }
}

fn direction(member: &Member, all: &[Member], faults: &mut Vec<String>) {
    for name in &member.depends {
        let Some(other) = all.iter().find(|other| other.name == *name) else {
            continue;
        };
        let (from, to) = (part(&member.folder), part(&other.folder));
        if !allowed(from, to) {
            faults.push(format!(
                "{}/Cargo.toml: {} is in {from} and must not depend on {name}, which is in {to}",
                member.folder, member.name
            ));
        }
    }
}

/// A crate without the workspace's lints has none.
fn lints(root: &Path, member: &Member, faults: &mut Vec<String>) -> Result<()> {
    let manifest = root.join(&member.folder).join("Cargo.toml");
    if !fs::read_to_string(&manifest)?.contains("[lints]\nworkspace = true") {
        faults.push(format!(
            "{}/Cargo.toml: has no [lints] workspace = true",
            member.folder
        ));
    }
    Ok(())
}

fn architecture(root: &Path, crates: &[Member], faults: &mut Vec<String>) {
    let Ok(text) = fs::read_to_string(root.join("ARCHITECTURE.md")) else {
        faults.push("ARCHITECTURE.md: is not there".to_owned());
        return;
    };
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    for member in crates {
        if !headings
            .iter()
            .any(|heading| heading.contains(&format!("`{}`", member.folder)))
        {
            faults.push(format!(
                "ARCHITECTURE.md: has no section with `{}` in its heading",
                member.folder
            ));
        }
    }
}

/// All Rust files under `folder`, in order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                found.extend(sources(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The faults of one file.
fn file(path: &str, text: &str, faults: &mut Vec<String>) {
    if !text.starts_with("//! ") {
        faults.push(format!("{path}:1: does not begin with a module comment"));
    }
    let lines = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .count();
    let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
    let excepted = LONG_FILES.iter().any(|(long, _)| *long == path);
    if lines > LONGEST_FILE && !is_test && !excepted {
        faults.push(format!(
            "{path}: has {lines} lines before its tests, {LONGEST_FILE} are allowed"
        ));
    }
    let mute = Path::new(path)
        .iter()
        .filter_map(|word| word.to_str())
        .map(|word| word.trim_end_matches(".rs"))
        .find(|word| MUTE_NAMES.contains(word));
    if let Some(name) = mute {
        faults.push(format!("{path}: the name {name:?} says nothing"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        file(path, text, &mut faults);
        faults
    }

    #[test]
    fn the_direction_is_shared_then_the_programs_then_development() {
        for (from, to, expected) in [
            ("shared", "shared", true),
            ("shared", "builder", false),
            ("builder", "shared", true),
            ("builder", "builder", true),
            ("builder", "runtime", false),
            ("runtime", "builder", false),
            ("builder", "dev", false),
            ("dev", "runtime", true),
            ("dev", "xtask", false),
            ("xtask", "dev", true),
        ] {
            assert_eq!(allowed(from, to), expected, "{from} -> {to}");
        }
        assert_eq!(part("crates/shared/block"), "shared");
        assert_eq!(part("xtask"), "xtask");
    }

    #[test]
    fn a_wrong_dependency_is_named() {
        let member = |name: &str, folder: &str, depends: &[&str]| Member {
            name: name.into(),
            folder: folder.into(),
            depends: depends.iter().map(|name| (*name).into()).collect(),
        };
        let all = [
            member("block", "crates/shared/block", &["vm"]),
            member("vm", "crates/builder/vm", &["block"]),
        ];
        let mut faults = Vec::new();
        for one in &all {
            direction(one, &all, &mut faults);
        }
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("block is in shared"), "{faults:?}");
    }

    #[test]
    fn a_file_needs_a_comment_a_bounded_length_and_a_name() {
        assert_eq!(
            faults("crates/a/src/b.rs", "//! What it is.\n"),
            Vec::<String>::new()
        );
        assert_eq!(faults("crates/a/src/b.rs", "use a;\n").len(), 1);
        assert_eq!(
            faults("crates/a/src/utils.rs", "//! What it is.\n").len(),
            1
        );
        assert_eq!(
            faults("crates/a/src/misc/b.rs", "//! What it is.\n").len(),
            1
        );
        let long = format!("//! What it is.\n{}", "x\n".repeat(LONGEST_FILE));
        assert_eq!(faults("crates/a/src/b.rs", &long).len(), 1);
        assert_eq!(faults("crates/a/tests/b.rs", &long).len(), 0);
        let tested = format!(
            "//! What it is.\n#[cfg(test)]\n{}",
            "x\n".repeat(LONGEST_FILE)
        );
        assert_eq!(faults("crates/a/src/b.rs", &tested).len(), 0);
    }
}
