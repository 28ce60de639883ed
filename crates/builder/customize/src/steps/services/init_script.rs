//! Scripts in `/etc/init.d` that have no unit, on a system with systemd: its generator starts those that a run level has a link to.
//!
//! Source: systemd 252 `src/sysv-generator/sysv-generator.c`; `update-rc.d` of Debian 12. The numbers in the links' names do not
//! matter to the generator, which takes the order from the script's header.

use block::{Content, Result};
use tree::{Inode, Name, Node, Timestamp, Tree, TreePath};

use crate::steps::place;

const SCRIPTS: &str = "/etc/init.d";

/// The run levels that the generator looks at.
const LEVELS: [char; 4] = ['2', '3', '4', '5'];

/// Whether there is such a script; the name is a unit's.
pub(super) fn script(tree: &Tree<Content>, unit: &str) -> Option<String> {
    let name = unit.strip_suffix(".service")?;
    tree.file(format!("{SCRIPTS}/{name}"))?;
    Some(name.to_owned())
}

/// Gives a script start links in the run levels of its header.
pub(super) fn enable(tree: &mut Tree<Content>, script: &str, time: Timestamp) -> Result<()> {
    let text = place::text(tree, format!("{SCRIPTS}/{script}"))?.unwrap_or_default();
    let wanted: Vec<char> = text
        .lines()
        .find_map(|line| line.strip_prefix("# Default-Start:"))
        .map_or_else(|| LEVELS.to_vec(), |levels| levels.chars().collect());
    for level in LEVELS.into_iter().filter(|level| wanted.contains(level)) {
        replace(tree, script, level, 'S', time)?;
    }
    Ok(())
}

/// Turns the start links of a script into stop links.
pub(super) fn disable(tree: &mut Tree<Content>, script: &str, time: Timestamp) -> Result<()> {
    for level in LEVELS {
        if !links(tree, script, level, 'S').is_empty() {
            replace(tree, script, level, 'K', time)?;
        }
    }
    Ok(())
}

/// Makes the one link of a script in a run level begin with `letter`.
fn replace(
    tree: &mut Tree<Content>,
    script: &str,
    level: char,
    letter: char,
    time: Timestamp,
) -> Result<()> {
    if !links(tree, script, level, letter).is_empty() {
        return Ok(());
    }
    let other = if letter == 'S' { 'K' } else { 'S' };
    for path in links(tree, script, level, other) {
        tree.remove_path(&path);
    }
    let folder = format!("/etc/rc{level}.d");
    let (folder, _) = place::folder(tree, folder, &place::metadata(0o755, time))?;
    let Ok(name) = Name::new(format!("{letter}01{script}").as_bytes()) else {
        return Ok(());
    };
    let node = Node::Symlink(format!("../init.d/{script}").as_bytes().into());
    place::add(
        tree,
        folder,
        name,
        Inode::new(place::metadata(0o777, time), node),
    )?;
    Ok(())
}

/// The links of a script in a run level: the letter, two digits, the script's name.
fn links(tree: &Tree<Content>, script: &str, level: char, letter: char) -> Vec<TreePath> {
    let folder = format!("/etc/rc{level}.d");
    let Ok((top, _)) = tree.resolve(&folder) else {
        return Vec::new();
    };
    tree.list(&folder)
        .filter(|(name, _)| {
            let name = String::from_utf8_lossy(name.as_bytes());
            let rest = name.strip_prefix(letter).and_then(|rest| rest.get(2..));
            rest == Some(script)
        })
        .map(|(name, _)| top.join(name))
        .collect()
}
