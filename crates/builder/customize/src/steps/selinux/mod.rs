//! SELinux: the mode that the image starts in, and the labels of its files.
//!
//! * `contexts`: the policy's file contexts; `relabel`: labels of a tree, as `setfiles` sets them.

mod contexts;
mod relabel;

#[cfg(test)]
mod tests;

use block::{Content, Error, Result};
use config::settings::SelinuxMode;
use inspect::SeLinux;
use tree::{Timestamp, Tree};

use super::kernel_command_line::{self, Edit, Variable};
use super::place;
use crate::Warning;
pub use contexts::FileContexts;
pub use relabel::{Scope, relabel};

/// Where the mode is set.
const CONFIG: &str = "/etc/selinux/config";

/// The kernel parameters that decide about SELinux.
const PARAMETERS: [&str; 3] = ["security", "selinux", "enforcing"];

/// Sets the mode: in `/etc/selinux/config` and on the kernel command lines of the image's boot configuration.
///
/// # Errors
///
/// [`block::Kind::NotFound`] for any mode but `disabled` where no policy is installed; what editing the boot configuration answers.
///
/// Source: Image Customizer 1.6, `handleSELinux`.
pub fn apply(
    tree: &mut Tree<Content>,
    asked: SelinuxMode,
    time: Timestamp,
) -> Result<Vec<Warning>> {
    let text = place::text(tree, CONFIG)?;
    if asked != SelinuxMode::Disabled {
        check_policy(tree, text.as_deref())?;
    }
    if let Some(text) = text {
        let mode = match asked {
            SelinuxMode::Disabled => "disabled",
            SelinuxMode::Permissive => "permissive",
            SelinuxMode::Enforcing | SelinuxMode::ForceEnforcing => "enforcing",
        };
        let new = with_mode(&text, mode);
        place::write(
            tree,
            CONFIG,
            new.into_bytes(),
            &place::metadata(0o644, time),
        )?;
    }
    let edit = Edit {
        remove: PARAMETERS.map(str::to_owned).to_vec(),
        append: parameters(asked)
            .iter()
            .map(|text| (*text).to_owned())
            .collect(),
        variable: Variable::Always,
    };
    kernel_command_line::apply(tree, "os.selinux", &edit, time)
}

/// The kernel parameters of a mode; none of the others of their names may stay.
#[must_use]
pub fn parameters(mode: SelinuxMode) -> &'static [&'static str] {
    match mode {
        SelinuxMode::Disabled => &["selinux=0"],
        SelinuxMode::Permissive | SelinuxMode::Enforcing => &["security=selinux", "selinux=1"],
        SelinuxMode::ForceEnforcing => &["security=selinux", "selinux=1", "enforcing=1"],
    }
}

/// Whether a system with this setting runs SELinux when it is started with these kernel arguments, so that its files need labels.
///
/// Source: Linux 6.1 `security/selinux/hooks.c` and `security/security.c`; the last of an argument's repetitions counts.
#[must_use]
pub fn is_in_use(setting: Option<&SeLinux>, arguments: &[String]) -> bool {
    let last = |name: &str| {
        let mut values = arguments.iter().filter_map(|argument| {
            let (found, value) = argument.split_once('=')?;
            (found == name).then_some(value)
        });
        values.next_back()
    };
    let is_off =
        last("selinux") == Some("0") || last("security").is_some_and(|name| name != "selinux");
    !is_off && setting.is_some_and(|setting| setting.mode != "disabled")
}

/// Refuses a system without a policy.
fn check_policy(tree: &Tree<Content>, config: Option<&str>) -> Result<()> {
    let name = config.and_then(|text| {
        let mut values = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("SELINUXTYPE="));
        values.next_back().map(str::trim)
    });
    let folder = format!("/etc/selinux/{}/policy", name.unwrap_or("targeted"));
    let has_policy = config.is_some() && tree.list(&folder).next().is_some();
    if has_policy {
        return Ok(());
    }
    let message = format!(
        "no policy is installed: {} is not there; install `selinux-policy` (Debian: selinux-policy-default) by `os.packages`",
        if config.is_none() { CONFIG } else { &folder }
    );
    Err(Error::not_found("os.selinux.mode", message))
}

/// The configuration with another mode; a line is added where none says it.
fn with_mode(text: &str, mode: &str) -> String {
    let mut is_there = false;
    let mut new = String::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("SELINUX=") {
            is_there = true;
            new.push_str(&format!("SELINUX={mode}\n"));
        } else {
            new.push_str(line);
        }
    }
    if !is_there {
        if !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        new.push_str(&format!("SELINUX={mode}\n"));
    }
    new
}
