//! `scripts`: programs of the user that change the image.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One file's `scripts` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// The folder of the configuration file: the scripts see it as `/_imageconfigs`.
    pub folder: PathBuf,
    /// `postCustomization`: after all other steps, before the SELinux labels.
    pub post_customization: Vec<Script>,
    /// `finalizeCustomization`: last of all.
    pub finalize_customization: Vec<Script>,
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `path` or `content`.
    pub source: ScriptSource,
    /// `interpreter`.
    pub interpreter: String,
    /// `arguments`.
    pub arguments: Vec<String>,
    /// `environmentVariables`, and nothing else of the builder's environment.
    pub environment: BTreeMap<String, String>,
    /// `name`, for messages.
    pub name: Option<String>,
}

/// What a script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptSource {
    /// A file below the folder of the configuration file, relative to it.
    Path(PathBuf),
    /// Text of the configuration.
    Content(String),
}
