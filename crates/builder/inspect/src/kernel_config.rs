//! Which options a kernel was built with.

use std::collections::{BTreeMap, BTreeSet};

use block::{Content, Result};
use serde::{Serialize, Serializer};
use tree::{Tree, TreePath};

use crate::{file, ikconfig};

/// Where the modules of the device mapper are, in the folder of all modules.
const MAPPER: &str = "kernel/drivers/md";

/// Whether a kernel has an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionState {
    /// `=y`: in the kernel itself.
    Builtin,
    /// `=m`: as a module.
    Module,
    /// Not set.
    Off,
    /// The kernel's configuration was not found.
    Unknown,
}

/// A kernel's configuration, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct KernelConfig {
    /// Options without `CONFIG_`, with `y`, `m`, a number or the text between the quotes; `None` where no configuration was found.
    options: Option<BTreeMap<String, String>>,
    /// The names of what `modules.builtin` lists, `-` written as `_`.
    builtin: BTreeSet<String>,
    /// The names of the device mapper's modules that are there, `-` written as `_`.
    mapper: BTreeSet<String>,
    /// Where the options come from, for people.
    origin: String,
}

impl KernelConfig {
    /// The configuration that `text` is, in the format of a kernel's `.config`; `origin` names where it comes from.
    #[must_use]
    pub fn parse(text: &str, origin: impl Into<String>) -> Self {
        let options = text.lines().filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("CONFIG_")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        });
        Self {
            options: Some(options.collect()),
            builtin: BTreeSet::new(),
            mapper: BTreeSet::new(),
            origin: origin.into(),
        }
    }

    /// Whether the option `name`, without `CONFIG_`, is set.
    #[must_use]
    pub fn option(&self, name: &str) -> OptionState {
        let Some(options) = &self.options else {
            return OptionState::Unknown;
        };
        match options.get(name).map(String::as_str) {
            None | Some("n") => OptionState::Off,
            Some("m") => OptionState::Module,
            Some(_) => OptionState::Builtin,
        }
    }

    /// The text of the option `name`, without quotes; `None` where it is not set or not known.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        Some(self.options.as_ref()?.get(name)?.as_str())
    }

    /// Whether the configuration was found.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.options.is_some()
    }

    /// Where it was found, or what was searched for it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether `modules.builtin` was found.
    #[must_use]
    pub fn knows_builtin(&self) -> bool {
        !self.builtin.is_empty()
    }

    /// Whether `modules.builtin` lists the module `name` (`-` and `_` are the same): it needs no loading then.
    #[must_use]
    pub fn has_builtin(&self, name: &str) -> bool {
        self.builtin.contains(&name.replace('-', "_"))
    }
}

impl KernelConfig {
    /// Whether the kernel has a part of the device mapper: the option without `CONFIG_` is built in, or the module is there.
    #[must_use]
    pub fn has_mapper(&self, option: &str, module: &str) -> bool {
        self.option(option) == OptionState::Builtin
            || self.has_builtin(module)
            || self.mapper.contains(module)
    }
}

impl Serialize for KernelConfig {
    /// Only where it comes from: the thousands of options are not for reading.
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(&self.origin)
    }
}

/// Finds the configuration of the kernel `version`, with its image and the folder of its modules: beside it, else inside of it.
pub(crate) fn find(
    tree: &Tree<Content>,
    version: &str,
    image: &TreePath,
    modules: Option<&TreePath>,
) -> Result<KernelConfig> {
    let folder = modules.map_or_else(
        || format!("/usr/lib/modules/{version}"),
        ToString::to_string,
    );
    let candidates = [
        format!("/boot/config-{version}"),
        format!("{folder}/config"),
        format!("{folder}/build/.config"),
        format!("/usr/lib/ostree-boot/config-{version}"),
    ];
    let mut config = KernelConfig {
        origin: format!(
            "neither {} nor {} is there, and {image} has none inside",
            candidates[0], candidates[1]
        ),
        ..KernelConfig::default()
    };
    for path in candidates {
        if let Some(text) = file::text(tree, &path)? {
            config = KernelConfig::parse(&text, path);
            break;
        }
    }
    if !config.is_known()
        && let Some(content) = tree.file(image.as_bytes())
        && let Some(text) = ikconfig::find(content)?
    {
        config = KernelConfig::parse(&text, format!("inside of {image}"));
    }
    if let Some(list) = file::text(tree, format!("{folder}/modules.builtin"))? {
        config.builtin = list.lines().filter_map(module_name).collect();
    }
    let modules = file::files_in(tree, &format!("{folder}/{MAPPER}"));
    let names = modules.iter().map(|(name, ..)| name);
    config.mapper = names.filter_map(|name| module_name(name)).collect();
    Ok(config)
}

/// The name of the module at `path`: the file name up to `.ko`, `-` written as `_`.
pub(crate) fn module_name(path: &str) -> Option<String> {
    let file = path.trim().rsplit('/').next()?;
    let (name, _) = file.split_once(".ko")?;
    (!name.is_empty()).then(|| name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_builtin_module_or_off() {
        let text = "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=\"x=y\"\nCONFIG_E=n\n";
        let config = KernelConfig::parse(text, "test");
        assert_eq!(config.option("A"), OptionState::Builtin);
        assert_eq!(config.option("B"), OptionState::Module);
        assert_eq!(config.option("C"), OptionState::Off);
        assert_eq!(config.option("E"), OptionState::Off);
        assert_eq!(config.value("D"), Some("x=y"));
        let unknown = KernelConfig::default();
        assert_eq!(unknown.option("A"), OptionState::Unknown);
    }

    #[test]
    fn module_names_are_normalised() {
        let name = module_name("kernel/drivers/hid/hid-generic.ko.xz");
        assert_eq!(name.as_deref(), Some("hid_generic"));
        assert_eq!(module_name("kernel/.ko"), None);
        assert_eq!(module_name("modules.dep"), None);
    }
}
