//! What the configuration's `os:` asks for and needs no program of the image: each step an edit of the tree.
//!
//! Nothing runs, nothing of the builder's machine is seen but the files that the configuration names. The same settings and the same
//! tree give the same bytes: what programs take from a clock or by chance comes from the media's time and from digests.
//!
//! [`apply`] takes them all, in Image Customizer's order; each can be taken alone. Packages come before and scripts after, since both
//! are programs; [`selinux::relabel`] comes after the first scripts. `place` finds where a path of the image leads, for all of them.

pub mod accounts;
pub mod files;
pub mod history;
pub mod host_file;
pub mod hostname;
pub mod kernel_command_line;
pub mod modules;
pub mod overlays;
mod place;
pub mod release;
pub mod selinux;
pub mod services;

#[cfg(test)]
mod tests;

use block::{Content, Result};
use config::settings::Settings;
use inspect::InitSystem;
use tree::Tree;

use crate::Warning;
pub use overlays::Root;
pub use release::Release;

/// What the steps have to know besides the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// What makes the image, and the time of everything that has none of its own.
    pub release: Release,
    /// The image's process 1, which decides how services are enabled.
    pub init: Option<InitSystem>,
    /// What the running system's root will be.
    pub root: Root,
}

/// Takes every step between the packages and the scripts. Of a chain of configuration files each step is taken for all of them, the
/// base first, before the next step.
///
/// The order: host name; groups, users; folders, files; services; kernel modules; release file, history; kernel parameters; SELinux
/// mode; overlays.
///
/// # Errors
///
/// Whatever a step answers; the tree is half changed then.
///
/// Source: Image Customizer 1.6, `doOsCustomizations`.
pub fn apply(
    tree: &mut Tree<Content>,
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<Vec<Warning>> {
    let time = surroundings.release.time;
    let mut warnings = Vec::new();
    if let Some(hostname) = settings.hostname() {
        hostname::apply(tree, hostname, time)?;
    }
    for os in &settings.os {
        accounts::add_groups(tree, &os.groups, time)?;
    }
    for os in &settings.os {
        warnings.extend(accounts::add_users(tree, &os.users, time)?);
    }
    for os in &settings.os {
        files::add_directories(tree, &os.additional_directories, time)?;
    }
    for os in &settings.os {
        files::add_files(tree, &os.additional_files, time)?;
    }
    for os in &settings.os {
        let services = (
            os.enable_services.as_slice(),
            os.disable_services.as_slice(),
        );
        warnings.extend(services::apply(tree, services, surroundings.init, time)?);
    }
    for os in &settings.os {
        modules::apply(tree, &os.modules, time)?;
    }
    release::apply(tree, &surroundings.release)?;
    warnings.extend(history::apply(tree, settings, &surroundings.release)?);
    for os in &settings.os {
        let edit = kernel_command_line::Edit::append(&os.extra_command_line);
        let key = "os.kernelCommandLine";
        warnings.extend(kernel_command_line::apply(tree, key, &edit, time)?);
    }
    if let Some(mode) = settings.selinux() {
        warnings.extend(selinux::apply(tree, mode, time)?);
    }
    for os in &settings.os {
        warnings.extend(overlays::apply(
            tree,
            &os.overlays,
            surroundings.root,
            time,
        )?);
    }
    Ok(warnings)
}
