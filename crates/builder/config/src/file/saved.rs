//! What a build leaves on media for the next one: Image Customizer's `saved-configs.yaml`, read and written.
//!
//! Its own reader refuses unknown keys, so nothing of ours may be among them: what only we save stands in comments that begin with
//! [`OURS`]. In the other direction unknown keys are a warning: a newer version may save more.

use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;

use super::fault::{Fault, Faults};
use super::node::{Node, Value};
use super::source::Source;
use super::yaml;
use crate::settings::{BootstrapUrl, KdumpBootFiles, SelinuxMode, Verity};

/// How a comment begins whose rest is ours.
const OURS: &str = "#liveos ";

/// The settings of a medium. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedConfigs {
    /// `liveos.kdumpBootFiles`.
    pub kdump_boot_files: Option<KdumpBootFiles>,
    /// `liveos.kernelCommandLine.extraCommandLine`: what the medium's boot configuration has beyond the system's own, one argument each.
    pub extra_command_line: Vec<String>,
    /// Where a machine that boots from the network gets the root file system from: ours, see [`OURS`].
    pub bootstrap_url: Option<BootstrapUrl>,
    /// Whether the root file system image is to have a hash tree, where that was said: ours too.
    pub verity: Option<Verity>,
    /// `os.dracutPackage`.
    pub dracut_package: Option<PackageVersion>,
    /// `os.selinuxRequestedMode`.
    pub selinux_mode: Option<SelinuxMode>,
    /// `os.selinuxPolicyPackage`.
    pub selinux_policy_package: Option<PackageVersion>,
}

/// The version of an installed package, as `102-7.azl3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageVersion {
    /// The numbers of the version.
    pub components: Vec<u64>,
    /// The release.
    pub release: u32,
    /// The distribution's short name: `azl`.
    pub distribution: String,
    /// The distribution's version.
    pub distribution_version: u32,
}

/// The names of the modes in configuration files and here.
const MODES: [(&str, SelinuxMode); 4] = [
    ("disabled", SelinuxMode::Disabled),
    ("permissive", SelinuxMode::Permissive),
    ("enforcing", SelinuxMode::Enforcing),
    ("force-enforcing", SelinuxMode::ForceEnforcing),
];

impl SavedConfigs {
    /// Reads the bytes of the file at `path`; answers with what was not understood too, one sentence each.
    ///
    /// # Errors
    ///
    /// Where the bytes are no YAML; where only a value is not of its kind, that is among what was not understood.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<(Self, Vec<String>), Faults> {
        let source = Source::new(path, 0, bytes.to_vec()).map_err(one)?;
        let document = yaml::parse(&source).map_err(all)?;
        let mut reader = Reader {
            source: &source,
            saved: Self::default(),
            warnings: Vec::new(),
        };
        if let Some(document) = document {
            reader.document(&document);
        }
        let ours: Vec<String> = source
            .text
            .lines()
            .filter_map(|line| line.strip_prefix(OURS))
            .map(str::to_owned)
            .collect();
        for line in ours {
            reader.ours(path, &line)?;
        }
        Ok((reader.saved, reader.warnings))
    }

    /// The file's text, which [`parse`](Self::parse) reads back to an equal value, and which Image Customizer reads.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = String::new();
        match &self.bootstrap_url {
            Some(BootstrapUrl::Base(url)) => ours(&mut text, "bootstrapBaseUrl", url),
            Some(BootstrapUrl::File(url)) => ours(&mut text, "bootstrapFileUrl", url),
            None => {}
        }
        if let Some(verity) = self.verity {
            ours(&mut text, "verity", verity.name());
        }
        text.push_str("liveos:\n");
        if let Some(kdump) = self.kdump_boot_files {
            // OK: writing to a string cannot fail; so below.
            let _ = writeln!(text, "    kdumpBootFiles: {}", kdump_name(kdump));
        }
        text.push_str("    kernelCommandLine:\n        extraCommandLine:");
        if self.extra_command_line.is_empty() {
            text.push_str(" []");
        }
        text.push('\n');
        for argument in &self.extra_command_line {
            let _ = writeln!(text, "            - {}", quoted(argument));
        }
        text.push_str("pxe: {}\nos:\n");
        package(&mut text, "dracutPackage", self.dracut_package.as_ref());
        let mode = self.selinux_mode.map_or("", mode_name);
        let _ = writeln!(text, "    selinuxRequestedMode: {}", quoted(mode));
        let policy = self.selinux_policy_package.as_ref();
        package(&mut text, "selinuxPolicyPackage", policy);
        text
    }

    /// The settings after a build that was asked for `new`, on media that had these: what is new wins; arguments come after the old ones,
    /// each once, so that the same build again changes nothing.
    #[must_use]
    pub fn merge(self, new: Self) -> Self {
        let mut extra_command_line = self.extra_command_line;
        extra_command_line.retain(|argument| !new.extra_command_line.contains(argument));
        for argument in new.extra_command_line {
            if !extra_command_line.contains(&argument) {
                extra_command_line.push(argument);
            }
        }
        Self {
            kdump_boot_files: new.kdump_boot_files.or(self.kdump_boot_files),
            extra_command_line,
            bootstrap_url: new.bootstrap_url.or(self.bootstrap_url),
            verity: new.verity.or(self.verity),
            dracut_package: new.dracut_package.or(self.dracut_package),
            selinux_mode: new.selinux_mode.or(self.selinux_mode),
            selinux_policy_package: new.selinux_policy_package.or(self.selinux_policy_package),
        }
    }
}

fn one(fault: Fault) -> Faults {
    all(vec![fault])
}

fn all(faults: Vec<Fault>) -> Faults {
    let mut all = Faults::default();
    faults.into_iter().for_each(|fault| all.push(fault));
    all
}

fn kdump_name(kdump: KdumpBootFiles) -> &'static str {
    match kdump {
        KdumpBootFiles::None => "none",
        KdumpBootFiles::Keep => "keep",
    }
}

fn mode_name(mode: SelinuxMode) -> &'static str {
    let found = MODES.iter().find(|(_, known)| *known == mode);
    found.map_or("", |(name, _)| name)
}

fn ours(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{OURS}{key}: {}", quoted(value));
}

fn package(text: &mut String, key: &str, version: Option<&PackageVersion>) {
    let Some(version) = version else {
        let _ = writeln!(text, "    {key}: null");
        return;
    };
    let components: Vec<String> = version.components.iter().map(u64::to_string).collect();
    let _ = writeln!(
        text,
        "    {key}:\n        PackageVersionComponents: [{}]\n        PackageRelease: {}\n        DistroName: {}\n        DistroVersion: {}",
        components.join(", "),
        version.release,
        quoted(&version.distribution),
        version.distribution_version
    );
}

/// `text` in double quotes, on one line.
///
/// Source: YAML 1.2.2, 5.7 and 7.3.1.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ => {
                let _ = write!(out, "\\U{:08X}", u32::from(letter));
            }
        }
    }
    out.push('"');
    out
}

struct Reader<'a> {
    source: &'a Source,
    saved: SavedConfigs,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn warn(&mut self, node: &Node, text: &str) {
        let path = self.source.path.display();
        let line = node.position.line;
        self.warnings.push(format!("{path}:{line}: {text}"));
    }

    fn unknown(&mut self, key: &str, node: &Node) {
        let shown = key.escape_debug();
        self.warn(
            node,
            &format!("the key `{shown}` is not known: passed over"),
        );
    }

    fn not_a(&mut self, key: &str, what: &str, node: &Node) {
        let text = format!("`{key}` is no {what} but {}: passed over", node.kind());
        self.warn(node, &text);
    }

    /// The keys and values of a section; nothing where it is none.
    fn section(&mut self, key: &str, node: &Node) -> Vec<(String, Rc<Node>)> {
        match &node.value {
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.name.clone(), Rc::clone(&entry.node)))
                .filter(|(_, node)| !node.is_null())
                .collect(),
            _ if node.is_null() => Vec::new(),
            _ => {
                self.not_a(key, "section", node);
                Vec::new()
            }
        }
    }

    fn document(&mut self, document: &Node) {
        for (key, node) in self.section("the file", document) {
            match key.as_str() {
                // Earlier versions say `iso`.
                "liveos" | "iso" => self.live(&key, &node),
                "pxe" => self.pxe(&node),
                "os" => self.os(&node),
                _ => self.unknown(&key, &node),
            }
        }
    }

    fn live(&mut self, name: &str, node: &Node) {
        for (key, node) in self.section(name, node) {
            match key.as_str() {
                "kdumpBootFiles" => {
                    self.saved.kdump_boot_files = match text(&node) {
                        Some("none") => Some(KdumpBootFiles::None),
                        Some("keep") => Some(KdumpBootFiles::Keep),
                        _ => {
                            self.not_a(&key, "`none` and no `keep`", &node);
                            None
                        }
                    }
                }
                "kernelCommandLine" => self.kernel_command_line(&node),
                _ => self.unknown(&key, &node),
            }
        }
    }

    fn kernel_command_line(&mut self, node: &Node) {
        for (key, node) in self.section("kernelCommandLine", node) {
            match (key.as_str(), &node.value) {
                ("extraCommandLine", Value::List(items)) => {
                    for item in items {
                        match text(item).filter(|text| !text.is_empty()) {
                            Some(argument) => {
                                self.saved.extra_command_line.push(argument.to_owned());
                            }
                            None => self.not_a("extraCommandLine", "argument", item),
                        }
                    }
                }
                // The first versions had one text.
                ("extraCommandLine", Value::Scalar { text, .. }) => {
                    let arguments = text.split_ascii_whitespace().map(str::to_owned);
                    self.saved.extra_command_line.extend(arguments);
                }
                ("extraCommandLine", Value::Map(_)) => self.not_a(&key, "list", &node),
                _ => self.unknown(&key, &node),
            }
        }
    }

    fn pxe(&mut self, node: &Node) {
        for (key, node) in self.section("pxe", node) {
            self.url(&key, &node);
        }
    }

    fn url(&mut self, key: &str, node: &Node) {
        let make = match key {
            "bootstrapBaseUrl" => BootstrapUrl::Base,
            "bootstrapFileUrl" => BootstrapUrl::File,
            _ => return self.unknown(key, node),
        };
        match text(node) {
            Some("") => {}
            Some(url) => self.saved.bootstrap_url = Some(make(url.to_owned())),
            None => self.not_a(key, "URL", node),
        }
    }

    /// A line of ours: one key with its value.
    fn ours(&mut self, path: &Path, line: &str) -> Result<(), Faults> {
        let source = Source::new(path, 0, line.as_bytes().to_vec()).map_err(one)?;
        let Some(node) = yaml::parse(&source).map_err(all)? else {
            return Ok(());
        };
        for (key, node) in self.section("a comment of ours", &node) {
            if key == "verity" {
                let known = [Verity::Auto, Verity::On, Verity::Off];
                let named = known
                    .into_iter()
                    .find(|verity| text(&node) == Some(verity.name()));
                self.saved.verity = named;
                if named.is_none() {
                    self.not_a(&key, "`auto`, `on` or `off`", &node);
                }
            } else {
                self.url(&key, &node);
            }
        }
        Ok(())
    }

    fn os(&mut self, node: &Node) {
        for (key, node) in self.section("os", node) {
            match key.as_str() {
                "dracutPackage" => self.saved.dracut_package = self.package(&key, &node),
                "selinuxPolicyPackage" => {
                    self.saved.selinux_policy_package = self.package(&key, &node);
                }
                "selinuxRequestedMode" => {
                    let mode = text(&node);
                    let found = MODES.iter().find(|(name, _)| Some(*name) == mode);
                    self.saved.selinux_mode = found.map(|(_, mode)| *mode);
                    if found.is_none() && mode != Some("") {
                        self.not_a(&key, "mode of SELinux", &node);
                    }
                }
                _ => self.unknown(&key, &node),
            }
        }
    }

    fn package(&mut self, name: &str, node: &Node) -> Option<PackageVersion> {
        let mut version = PackageVersion::default();
        let entries = self.section(name, node);
        if entries.is_empty() {
            return None;
        }
        for (key, node) in entries {
            let fits = match (key.as_str(), &node.value) {
                ("PackageVersionComponents", Value::List(items)) => {
                    let numbers = items.iter().map(|item| text(item)?.parse().ok());
                    let numbers: Option<Vec<u64>> = numbers.collect();
                    set(&mut version.components, numbers)
                }
                ("PackageRelease", _) => set(&mut version.release, number(&node)),
                ("DistroVersion", _) => set(&mut version.distribution_version, number(&node)),
                ("DistroName", _) => set(&mut version.distribution, text(&node).map(str::to_owned)),
                ("PackageVersionComponents", _) => false,
                _ => {
                    self.unknown(&key, &node);
                    true
                }
            };
            if !fits {
                self.not_a(&key, "part of a version", &node);
                return None;
            }
        }
        Some(version)
    }
}

/// Sets `place` to `value`, where there is one; answers whether there was.
fn set<T>(place: &mut T, value: Option<T>) -> bool {
    let is_some = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    is_some
}

/// The text of a single value; nothing is the empty text.
fn text(node: &Node) -> Option<&str> {
    match &node.value {
        _ if node.is_null() => Some(""),
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

fn number(node: &Node) -> Option<u32> {
    text(node)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (SavedConfigs, Vec<String>) {
        let path = Path::new("saved-configs.yaml");
        SavedConfigs::parse(path, text.as_bytes()).unwrap()
    }

    fn sample() -> SavedConfigs {
        SavedConfigs {
            kdump_boot_files: Some(KdumpBootFiles::Keep),
            extra_command_line: [
                "rd.info",
                "a=\"b c\"",
                "ä=\\\t\u{1f980}\u{2028}",
                "#x: - 'y",
            ]
            .map(str::to_owned)
            .into(),
            bootstrap_url: Some(BootstrapUrl::File("http://h/a b.iso?\"".to_owned())),
            verity: Some(Verity::Off),
            dracut_package: Some(PackageVersion {
                components: vec![102, 3],
                release: 7,
                distribution: "azl".to_owned(),
                distribution_version: 3,
            }),
            selinux_mode: Some(SelinuxMode::ForceEnforcing),
            selinux_policy_package: None,
        }
    }

    /// As Image Customizer 1.2 writes it.
    const THEIRS: &str = "liveos:\n    kdumpBootFiles: none\n    kernelCommandLine:\n        extraCommandLine:\n            - rd.info\n            - rd.shell=0\n\
        pxe: {}\nos:\n    dracutPackage:\n        PackageVersionComponents:\n            - 102\n        PackageRelease: 11\n        DistroName: azl\n        DistroVersion: 3\n    \
        selinuxRequestedMode: \"\"\n    selinuxPolicyPackage: null\n";

    #[test]
    fn what_is_written_is_read_back_without_a_warning() {
        for saved in [sample(), SavedConfigs::default()] {
            assert_eq!(parse(&saved.print()), (saved, Vec::new()));
        }
    }

    #[test]
    fn the_file_of_image_customizer_is_read_and_written_alike() {
        let (saved, warnings) = parse(THEIRS);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(saved.extra_command_line, ["rd.info", "rd.shell=0"]);
        assert_eq!(saved.kdump_boot_files, Some(KdumpBootFiles::None));
        let dracut = saved.dracut_package.clone().unwrap();
        assert_eq!((dracut.components, dracut.release), (vec![102], 11));
        assert_eq!(saved.selinux_mode, None);
        let keys = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines
                .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
                .collect()
        };
        assert_eq!(keys(&saved.print()), keys(THEIRS));
    }

    #[test]
    fn what_only_we_save_is_in_comments() {
        let mut saved = sample();
        let with = saved.print();
        saved.bootstrap_url = None;
        saved.verity = None;
        let without = saved.print();
        let lines: Vec<&str> = with.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.join("\n") + "\n", without);
    }

    #[test]
    fn unknown_keys_and_odd_values_are_warnings_that_name_their_line() {
        let text = "liveos:\n  kernelCommandLine: {extraCommandLine: [a, [b], '']}\n  other: 1\nmore: {}\nos:\n  selinuxRequestedMode: odd\n  \
            dracutPackage: {PackageRelease: x}\npxe: 5\n";
        let (saved, warnings) = parse(text);
        assert_eq!(saved.extra_command_line, ["a"]);
        assert_eq!(saved.dracut_package, None);
        let lines = [2, 2, 3, 4, 6, 7, 8];
        assert_eq!(warnings.len(), lines.len(), "{warnings:?}");
        for (line, warning) in lines.iter().zip(&warnings) {
            let place = format!("saved-configs.yaml:{line}: ");
            assert!(warning.starts_with(&place), "{warnings:?}");
        }
    }

    #[test]
    fn earlier_versions_have_another_name_and_one_text() {
        let text = "iso:\n  kernelCommandLine:\n    extraCommandLine: \"a b=c\"\n";
        let (saved, warnings) = parse(text);
        assert_eq!(saved.extra_command_line, ["a", "b=c"]);
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn an_empty_file_saves_nothing_and_a_broken_one_is_an_error() {
        for text in ["", "---\n", "{}", "liveos:\nos: ~\n"] {
            assert_eq!(parse(text), (SavedConfigs::default(), Vec::new()), "{text}");
        }
        let path = Path::new("x");
        for bytes in [
            b"a: [".as_slice(),
            b"\xff",
            b"a: 1\na: 2\n",
            b"#liveos a: [\n",
        ] {
            let faults = SavedConfigs::parse(path, bytes).unwrap_err();
            assert_eq!(faults.count(), 1);
        }
    }

    #[test]
    fn any_damage_gives_settings_or_faults() {
        let text = sample().print().into_bytes();
        for at in 0..text.len() {
            // OK: only that it answers is asked.
            let _ = SavedConfigs::parse(Path::new("x"), &text[..at]);
            for byte in [0, b'\n', b':', b'[', 0xff] {
                let mut damaged = text.clone();
                damaged[at] = byte;
                let _ = SavedConfigs::parse(Path::new("x"), &damaged);
            }
        }
    }

    #[test]
    fn the_same_build_again_changes_nothing_and_the_last_argument_wins() {
        let arguments = |list: &[&str]| SavedConfigs {
            extra_command_line: list.iter().map(|argument| (*argument).to_owned()).collect(),
            ..SavedConfigs::default()
        };
        let first = arguments(&["a", "x=1"]);
        let second = first.clone().merge(arguments(&["b", "x=2"]));
        assert_eq!(second.extra_command_line, ["a", "x=1", "b", "x=2"]);
        assert_eq!(second.clone().merge(arguments(&["b", "x=2"])), second);
        let third = second.clone().merge(arguments(&["x=1"]));
        assert_eq!(third.extra_command_line, ["a", "b", "x=2", "x=1"]);
        assert_eq!(sample().merge(SavedConfigs::default()), sample());
        let merged = sample().merge(SavedConfigs {
            selinux_mode: Some(SelinuxMode::Disabled),
            kdump_boot_files: Some(KdumpBootFiles::None),
            bootstrap_url: Some(BootstrapUrl::Base("http://h".to_owned())),
            ..SavedConfigs::default()
        });
        assert_eq!(merged.selinux_mode, Some(SelinuxMode::Disabled));
        assert_eq!(merged.kdump_boot_files, Some(KdumpBootFiles::None));
        assert_eq!(
            merged.bootstrap_url,
            Some(BootstrapUrl::Base("http://h".to_owned()))
        );
    }
}
