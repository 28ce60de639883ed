//! Configuration files, YAML or JSON, to [`Settings`].
//!
//! ```text
//! source ─▶ yaml ─▶ node ─▶ fields, shape, local, rule ─▶ section/* ─▶ chain ─▶ merge ─▶ Settings
//!                                    │
//!                                    └─▶ form ─▶ schema, manual
//! ```
//!
//! Every key and every value of a document knows its line. The functions of `section` ask for keys, each with what it may be and what it
//! does; from the same functions come the JSON schema and the reference page, so that a key is in them exactly if it is read. Nothing
//! stops at the first fault: all faults of all files of a chain are reported together.

mod chain;
mod fault;
mod fields;
mod form;
mod local;
mod manual;
mod merge;
mod nearest;
mod node;
mod rule;
pub mod saved;
mod schema;
mod section;
mod shape;
mod source;
mod yaml;

use std::path::Path;

pub use fault::{Fault, Faults};
pub use manual::reference;
pub use schema::schema;

use crate::settings::{Generator, Settings};

/// What the command line says itself, so that files need not be right about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The output's path is given: `output.image.path` does not count.
    pub output_path: bool,
    /// The output's format is given: `output.image.format` does not count.
    pub output_format: bool,
    /// The kind of initramfs is given: an address of `pxe` may stand beside `initramfsType: full-os`.
    pub initramfs_type: bool,
    /// The generator of the initramfs, where it is given: `initramfs.generator` does not count.
    pub generator: Option<Generator>,
}

/// Reads the configuration file at `path` with all that it builds on.
///
/// Paths in a file are relative to its folder. Files and folders that are named have to be there, `input.image.path` and what is written
/// excepted.
///
/// # Errors
///
/// All faults of all files. A file whose syntax is wrong has that fault only.
pub fn load(path: &Path, overrides: Overrides) -> Result<Settings, Faults> {
    merge::merge(chain::read(path), overrides)
}

/// Reads `text` as the configuration file at `path`, which need not be there; else as [`load`].
///
/// # Errors
///
/// As [`load`].
pub fn parse(path: &Path, text: &[u8], overrides: Overrides) -> Result<Settings, Faults> {
    let chain = match source::Source::new(path, 0, text.to_vec()) {
        Ok(source) => chain::of_source(source),
        Err(fault) => chain::Chain::broken(fault),
    };
    merge::merge(chain, overrides)
}
