//! A tree and a plan to a tree: the one list of steps that make an installed system a live one.
//!
//! What a configuration asks for comes first, in Image Customizer's order:
//!
//! 1. packages (programs of the image);
//! 2. [`steps::apply`], edits of the tree: [`steps::hostname`], [`steps::accounts`] (groups, users), [`steps::files`] (folders,
//!    files), [`steps::services`], [`steps::modules`], [`steps::release`], [`steps::history`], [`steps::kernel_command_line`],
//!    [`steps::selinux`] (the mode), [`steps::overlays`];
//! 3. the first scripts (programs), then labels by [`steps::selinux::relabel`], then the last scripts (programs).
//!
//! Then [`apply`] makes it live, always, and by edits of the tree alone:
//!
//! 1. [`fstab`]: file systems of the disk that the system came from are no longer mounted.
//! 2. [`boot`]: what is on the media itself (`/boot`) leaves the root file system image.
//!
//! What else the image holds stays as it is: host keys, logs, caches and the machine id are its owner's matter.
#![forbid(unsafe_code)]

pub mod boot;
pub mod configured;
pub mod description;
pub mod fstab;
pub mod programs;
pub mod steps;
#[cfg(test)]
mod testing;

use block::{Content, Result};
use tree::Tree;

/// Takes every step that makes an installed system a live one. `kept_in_boot` are names of files that stay in `/boot`.
///
/// # Errors
///
/// Whatever a step answers; the tree is half changed then.
pub fn apply(tree: &mut Tree<Content>, kept_in_boot: &[String]) -> Result<Vec<Warning>> {
    let warnings = fstab::without_disks(tree)?;
    boot::leave_to_the_media(tree, kept_in_boot);
    Ok(warnings)
}

/// Something that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Swap space of the disk is not used by the live system.
    SwapDropped {
        /// The first field of its line in `fstab`.
        spec: String,
    },
    /// A setting that could not be honoured as it stands, or that changes more than it says.
    Setting {
        /// The key of the configuration: `os.users`.
        key: &'static str,
        /// The fact, and what can be done.
        text: String,
    },
}

impl Warning {
    /// A warning of the setting `key`.
    pub(crate) fn setting(key: &'static str, text: impl Into<String>) -> Self {
        Self::Setting {
            key,
            text: text.into(),
        }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SwapDropped { spec } => {
                write!(
                    f,
                    "etc/fstab: the swap space {spec} is not used by the live system"
                )
            }
            Self::Setting { key, text } => write!(f, "{key}: {text}"),
        }
    }
}
