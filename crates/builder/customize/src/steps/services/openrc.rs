//! OpenRC: `rc-update add` and `del`, as links below `/etc/runlevels`.
//!
//! Source: OpenRC 0.53 `src/rc-update/rc-update.c`.

use block::{Content, Result};
use tree::{Inode, Name, Node, Timestamp, Tree, TreePath};

use crate::steps::place;

const SCRIPTS: &str = "/etc/init.d";
const RUNLEVELS: &str = "/etc/runlevels";

/// The names of all services.
pub(super) fn all(tree: &Tree<Content>) -> Vec<String> {
    tree.list(SCRIPTS)
        .map(|(name, _)| String::from_utf8_lossy(name.as_bytes()).into_owned())
        .collect()
}

/// Adds a service to the run level `default`, unless some run level has it. Answers `false` where there is no such service.
pub(super) fn enable(tree: &mut Tree<Content>, service: &str, time: Timestamp) -> Result<bool> {
    let script = format!("{SCRIPTS}/{service}");
    if tree.file(&script).is_none() {
        return Ok(false);
    }
    if !links(tree, service).is_empty() {
        return Ok(true);
    }
    let folder = format!("{RUNLEVELS}/default");
    let (folder, _) = place::folder(tree, folder, &place::metadata(0o755, time))?;
    let Ok(name) = Name::new(service.as_bytes()) else {
        return Ok(false);
    };
    let node = Node::Symlink(script.as_bytes().into());
    place::add(
        tree,
        folder,
        name,
        Inode::new(place::metadata(0o777, time), node),
    )?;
    Ok(true)
}

/// Takes a service out of all run levels. Answers `false` where there is no such service.
pub(super) fn disable(tree: &mut Tree<Content>, service: &str) -> bool {
    let links = links(tree, service);
    for link in &links {
        tree.remove_path(link);
    }
    !links.is_empty() || tree.file(format!("{SCRIPTS}/{service}")).is_some()
}

/// The links of a service in all run levels.
fn links(tree: &Tree<Content>, service: &str) -> Vec<TreePath> {
    let Ok((top, _)) = tree.resolve(RUNLEVELS) else {
        return Vec::new();
    };
    tree.list(RUNLEVELS)
        .filter_map(|(level, _)| {
            let name = Name::new(service.as_bytes()).ok()?;
            let link = top.join(level).join(&name);
            tree.lookup(&link).map(|_| link)
        })
        .collect()
}
