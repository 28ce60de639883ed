//! `/usr/share/image-customizer/history.json`: what was asked for each time the image was made.
//!
//! Passwords, keys and the values of environment variables are left out, and so are the folders of the builder's machine: paths are
//! relative to the configuration's folder, or names alone. What was put in by path is named by its SHA-256 digest too.

use std::path::Path;

use block::{Content, DiskFile, ReadAt as _, Result};
use config::settings::{
    FileSource, ImageHistory, KernelModule, LoadMode, Os, Password, Script, ScriptSource,
    SelinuxMode, Settings, SshKey, User,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tree::Tree;

use super::place;
use super::release::{Release, date};
use crate::Warning;

/// Where Image Customizer writes it.
const PATH: &str = "/usr/share/image-customizer/history.json";

/// What stands in the place of secrets.
const REDACTED: &str = "[redacted]";

/// How much of a file is read at once.
const BLOCK: usize = 1 << 20;

/// Adds an entry to the history, unless `os.imageHistory` says `none`.
///
/// Entries that are there stay byte for byte. A history that cannot be read stays as it is, with a warning.
///
/// # Errors
///
/// What reading the files that the settings name answers.
pub fn apply(
    tree: &mut Tree<Content>,
    settings: &Settings,
    release: &Release,
) -> Result<Vec<Warning>> {
    if settings
        .os
        .iter()
        .any(|os| os.image_history == Some(ImageHistory::None))
    {
        return Ok(Vec::new());
    }
    let config = described(settings)?;
    let entry = json!({
        "timestamp": date(release.time),
        "toolVersion": release.tool_version,
        "imageUuid": release.image_uuid,
        "config": config,
    });
    let entry = indented(&entry);
    let old = place::text(tree, PATH)?.unwrap_or_default();
    let text = if old.trim().is_empty() {
        format!("[\n{entry}\n]")
    } else {
        let entries = serde_json::from_str::<Vec<Value>>(&old);
        match (entries, old.trim_end().strip_suffix(']')) {
            (Ok(entries), Some(start)) => {
                let comma = if entries.is_empty() { "" } else { "," };
                format!("{}{comma}\n{entry}\n]", start.trim_end())
            }
            _ => {
                let text = format!("{PATH} of the image is no list of entries and stays as it is");
                return Ok(vec![Warning::setting("os.imageHistory", text)]);
            }
        }
    };
    let new = place::metadata(0o644, release.time);
    place::write(tree, PATH, text.into_bytes(), &new)?;
    Ok(Vec::new())
}

/// What a configuration asks of the system, as JSON: without secrets, with digests of what it names, and the same on every machine.
///
/// # Errors
///
/// What reading the files that the settings name answers.
pub fn describe(settings: &Settings) -> Result<String> {
    Ok(described(settings)?.to_string())
}

fn described(settings: &Settings) -> Result<Value> {
    let base = settings.files.last().and_then(|file| file.parent());
    Describer { base }.settings(settings)
}

/// JSON with an indent of one blank, inside of a list, as Image Customizer writes it.
fn indented(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // OK: a value of strings, numbers and lists is always written, and so is a vector.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(|line| format!(" {line}")).collect();
    lines.join("\n")
}

/// Turns settings back into what a configuration file says.
struct Describer<'a> {
    /// The folder of the configuration.
    base: Option<&'a Path>,
}

impl Describer<'_> {
    fn settings(&self, settings: &Settings) -> Result<Value> {
        let os: Vec<Value> = settings
            .os
            .iter()
            .map(|os| self.os(os))
            .collect::<Result<_>>()?;
        let mut post = Vec::new();
        let mut finalize = Vec::new();
        for scripts in &settings.scripts {
            let folder = scripts.folder.as_path();
            for script in &scripts.post_customization {
                post.push(script_value(script, folder)?);
            }
            for script in &scripts.finalize_customization {
                finalize.push(script_value(script, folder)?);
            }
        }
        let scripts = object([
            ("postCustomization", list(post)),
            ("finalizeCustomization", list(finalize)),
        ]);
        Ok(object([("os", merged(os)), ("scripts", scripts)]))
    }

    fn os(&self, os: &Os) -> Result<Value> {
        let files: Vec<Value> = os
            .additional_files
            .iter()
            .map(|file| self.file(file))
            .collect::<Result<_>>()?;
        let directories: Vec<Value> = os
            .additional_directories
            .iter()
            .map(|directory| self.directory(directory))
            .collect::<Result<_>>()?;
        let packages = object([
            ("install", list(os.packages.install.iter().cloned())),
            ("remove", list(os.packages.remove.iter().cloned())),
            ("update", list(os.packages.update.iter().cloned())),
            (
                "updateExistingPackages",
                os.packages.update_existing.then_some(true).into(),
            ),
            ("snapshotTime", os.packages.snapshot_time.clone().into()),
        ]);
        let groups = os.groups.iter().map(|group| {
            object([
                ("name", group.name.clone().into()),
                ("gid", group.gid.into()),
            ])
        });
        Ok(object([
            ("hostname", os.hostname.clone().into()),
            ("packages", packages),
            ("additionalFiles", list(files)),
            ("additionalDirs", list(directories)),
            ("groups", list(groups)),
            ("users", list(os.users.iter().map(|user| self.user(user)))),
            (
                "services",
                object([
                    ("enable", list(os.enable_services.iter().cloned())),
                    ("disable", list(os.disable_services.iter().cloned())),
                ]),
            ),
            ("modules", list(os.modules.iter().map(module_value))),
            ("overlays", list(os.overlays.iter().map(overlay_value))),
            (
                "kernelCommandLine",
                object([(
                    "extraCommandLine",
                    list(os.extra_command_line.iter().cloned()),
                )]),
            ),
            (
                "selinux",
                object([("mode", os.selinux.map(mode_name).into())]),
            ),
        ]))
    }

    /// A path of the builder's machine without its folders.
    fn path(&self, path: &Path) -> Value {
        let relative = self.base.and_then(|base| path.strip_prefix(base).ok());
        let shown = relative.or_else(|| path.file_name().map(Path::new));
        shown.unwrap_or(path).to_string_lossy().into_owned().into()
    }

    fn file(&self, file: &config::settings::AdditionalFile) -> Result<Value> {
        let mut fields = vec![
            ("destination", file.destination.clone().into()),
            ("permissions", file.permissions.map(octal).into()),
        ];
        match &file.source {
            FileSource::Content(text) => fields.push(("content", text.clone().into())),
            FileSource::Path(path) => {
                fields.push(("source", self.path(path)));
                fields.push(("sha256hash", digest(path)?.into()));
            }
        }
        Ok(object(fields))
    }

    fn directory(&self, directory: &config::settings::AdditionalDirectory) -> Result<Value> {
        let mut digests = Map::new();
        for path in super::files::files_below(&directory.source)? {
            let below = path.strip_prefix(&directory.source).unwrap_or(&path);
            digests.insert(below.to_string_lossy().into_owned(), digest(&path)?.into());
        }
        Ok(object([
            ("source", self.path(&directory.source)),
            ("destination", directory.destination.clone().into()),
            (
                "newDirPermissions",
                octal(directory.new_directory_permissions).into(),
            ),
            (
                "mergedDirPermissions",
                directory.merged_directory_permissions.map(octal).into(),
            ),
            (
                "childFilePermissions",
                octal(directory.child_file_permissions).into(),
            ),
            ("sha256hashmap", Value::Object(digests)),
        ]))
    }

    fn user(&self, user: &User) -> Value {
        let password = user.password.as_ref().map(|password| {
            let kind = match password {
                Password::Locked => return json!({"type": "locked"}),
                Password::PlainText(_) => "plain-text",
                Password::Hashed(_) => "hashed",
                Password::PlainTextFile(_) => "plain-text-file",
                Password::HashedFile(_) => "hashed-file",
            };
            json!({"type": kind, "value": REDACTED})
        });
        let lines = user.ssh_keys.iter().filter_map(|key| match key {
            SshKey::Line(_) => Some(REDACTED),
            SshKey::File(_) => None,
        });
        let paths = user.ssh_keys.iter().filter_map(|key| match key {
            SshKey::Line(_) => None,
            SshKey::File(path) => Some(self.path(path)),
        });
        object([
            ("name", user.name.clone().into()),
            ("uid", user.uid.into()),
            ("password", password.into()),
            ("passwordExpiresDays", user.password_expires_days.into()),
            ("sshPublicKeys", list(lines)),
            ("sshPublicKeyPaths", list(paths)),
            ("primaryGroup", user.primary_group.clone().into()),
            (
                "secondaryGroups",
                list(user.secondary_groups.iter().cloned()),
            ),
            ("startupCommand", user.startup_command.clone().into()),
            ("homeDirectory", user.home_directory.clone().into()),
        ])
    }
}

fn script_value(script: &Script, folder: &Path) -> Result<Value> {
    let mut fields = vec![
        ("interpreter", script.interpreter.clone().into()),
        ("arguments", list(script.arguments.iter().cloned())),
        ("name", script.name.clone().into()),
    ];
    let variables = script.environment.keys();
    let variables: Map<String, Value> = variables
        .map(|name| (name.clone(), REDACTED.into()))
        .collect();
    if !variables.is_empty() {
        fields.push(("environmentVariables", Value::Object(variables)));
    }
    match &script.source {
        ScriptSource::Content(text) => fields.push(("content", text.clone().into())),
        ScriptSource::Path(path) => {
            fields.push(("path", path.to_string_lossy().into_owned().into()));
            fields.push(("sha256hash", digest(&folder.join(path))?.into()));
        }
    }
    Ok(object(fields))
}

fn module_value(module: &KernelModule) -> Value {
    let mode = match module.load_mode {
        LoadMode::Always => "always",
        LoadMode::Auto => "auto",
        LoadMode::Disable => "disable",
        LoadMode::Inherit => "inherit",
    };
    let options = (!module.options.is_empty()).then(|| json!(module.options));
    object([
        ("name", module.name.clone().into()),
        ("loadMode", mode.into()),
        ("options", options.into()),
    ])
}

fn overlay_value(overlay: &config::settings::Overlay) -> Value {
    object([
        ("mountPoint", overlay.mount_point.clone().into()),
        ("lowerDirs", list(overlay.lower_directories.iter().cloned())),
        ("upperDir", overlay.upper_directory.clone().into()),
        ("workDir", overlay.work_directory.clone().into()),
        (
            "isInitrdOverlay",
            overlay.in_initramfs.then_some(true).into(),
        ),
        (
            "mountDependencies",
            list(overlay.mount_dependencies.iter().cloned()),
        ),
        ("mountOptions", overlay.mount_options.clone().into()),
    ])
}

fn mode_name(mode: SelinuxMode) -> &'static str {
    match mode {
        SelinuxMode::Disabled => "disabled",
        SelinuxMode::Permissive => "permissive",
        SelinuxMode::Enforcing => "enforcing",
        SelinuxMode::ForceEnforcing => "force-enforcing",
    }
}

fn octal(permissions: u16) -> String {
    format!("{permissions:o}")
}

/// An object of the fields that are not null; null where there is none.
fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let fields: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if fields.is_empty() {
        Value::Null
    } else {
        Value::Object(fields)
    }
}

/// A list; null where nothing is in it.
fn list<T: Into<Value>>(values: impl IntoIterator<Item = T>) -> Value {
    let values: Vec<Value> = values.into_iter().map(Into::into).collect();
    if values.is_empty() {
        Value::Null
    } else {
        Value::Array(values)
    }
}

/// The `os` sections of a chain of files as one: lists one after the other, of the rest the last counts.
fn merged(sections: Vec<Value>) -> Value {
    let mut result = Value::Null;
    for section in sections {
        merge(&mut result, section);
    }
    result
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (_, Value::Null) => {}
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// The SHA-256 digest of a file of the builder's machine.
fn digest(path: &Path) -> Result<String> {
    let file = DiskFile::open(path)?;
    let mut sha = Sha256::new();
    let mut offset = 0;
    let mut buffer = vec![0; BLOCK];
    while offset < file.len() {
        let left = usize::try_from(file.len() - offset).unwrap_or(BLOCK);
        let now = &mut buffer[..left.min(BLOCK)];
        file.read_exact_at(now, offset)?;
        sha.update(&*now);
        offset += now.len() as u64;
    }
    Ok(contract::hex::print(&sha.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};
    use config::settings::{AdditionalFile, Scripts};

    fn release() -> Release {
        Release {
            tool_version: "liveos 1".into(),
            time: TIME,
            image_uuid: "u".into(),
        }
    }

    fn settings(folder: &Path) -> Settings {
        let secret = User {
            name: "me".into(),
            password: Some(Password::PlainText("hidden".into())),
            ssh_keys: vec![SshKey::Line("hidden".into())],
            ..User::default()
        };
        let file = AdditionalFile {
            source: FileSource::Path(folder.join("files/a")),
            destination: "/a".into(),
            permissions: Some(0o640),
        };
        let script = Script {
            source: ScriptSource::Path("s.sh".into()),
            interpreter: "/bin/sh".into(),
            arguments: Vec::new(),
            environment: [("TOKEN".to_owned(), "hidden".to_owned())].into(),
            name: None,
        };
        let scripts = Scripts {
            folder: folder.to_path_buf(),
            post_customization: vec![script],
            ..Scripts::default()
        };
        let base = Os {
            hostname: Some("one".into()),
            additional_files: vec![file],
            enable_services: vec!["a".into()],
            ..Os::default()
        };
        let derived = Os {
            hostname: Some("two".into()),
            users: vec![secret],
            enable_services: vec!["b".into()],
            ..Os::default()
        };
        Settings {
            files: vec![folder.join("config.yaml")],
            os: vec![base, derived],
            scripts: vec![scripts],
            ..Settings::default()
        }
    }

    #[test]
    fn an_entry_tells_what_was_asked_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        std::fs::write(folder.path().join("files/a"), "abc").unwrap();
        std::fs::write(folder.path().join("s.sh"), "").unwrap();
        let settings = settings(folder.path());
        let description = describe(&settings).unwrap();
        assert!(description.contains("files/a") && !description.contains("hidden"));
        let mut tree = tree_of(&[]);
        assert_eq!(apply(&mut tree, &settings, &release()).unwrap(), []);
        let text = text_of(&tree, PATH);
        assert!(
            !text.contains("hidden") && text.contains(REDACTED),
            "{text}"
        );
        assert!(!text.contains(folder.path().to_str().unwrap()), "{text}");
        let once: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(once[0]["imageUuid"], "u");
        let os = &once[0]["config"]["os"];
        assert_eq!(
            (&os["hostname"], &os["services"]["enable"]),
            (&json!("two"), &json!(["a", "b"]))
        );
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            os["additionalFiles"],
            json!([{"source": "files/a", "destination": "/a", "permissions": "640", "sha256hash": abc}])
        );
        apply(&mut tree, &settings, &release()).unwrap();
        let twice = text_of(&tree, PATH);
        assert!(twice.starts_with(text.strip_suffix("\n]").unwrap()));
        let twice: Vec<Value> = serde_json::from_str(&twice).unwrap();
        assert_eq!((twice.len(), &twice[0]), (2, &twice[1]));
    }

    #[test]
    fn a_history_that_is_none_stays_and_none_can_be_asked_for() {
        let mut tree = tree_of(&[("usr/share/image-customizer/history.json", "{\"a\": 1}")]);
        let warnings = apply(&mut tree, &Settings::default(), &release()).unwrap();
        assert_eq!(warnings.len(), 1);
        assert_eq!(text_of(&tree, PATH), "{\"a\": 1}");
        let none = Os {
            image_history: Some(ImageHistory::None),
            ..Os::default()
        };
        let settings = Settings {
            os: vec![none],
            ..Settings::default()
        };
        let mut tree = tree_of(&[]);
        apply(&mut tree, &settings, &release()).unwrap();
        assert_eq!(tree.walk().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = apply(&mut tree_of(&[]), &settings(folder.path()), &release()).unwrap_err();
        assert!(error.to_string().contains("files/a"), "{error}");
    }
}
