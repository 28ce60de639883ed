//! `systemctl enable` and `disable` without a running systemd: links below `/etc/systemd/system`.
//!
//! Source: systemd 252, `src/shared/install.c`: `install_info_apply`, `install_context_mark_for_removal`, `remove_marked_symlinks`.

use std::collections::{BTreeSet, VecDeque};

use block::{Content, Error, Result};
use tree::{Inode, Node, Timestamp, Tree, TreePath};

use super::unit::{self, CONFIG, Found, Links, Unit};
use super::{KEY, name};
use crate::Warning;
use crate::steps::place;

/// The most units that `Also` may bring in; a distribution has some 500 in all. More is an error.
const MAX_ALSO: usize = 1000;

/// How often links to links are looked for; the kernel follows 40 at most.
const MAX_PASSES: usize = 64;

/// Enables the unit `asked`, whose name is valid. Answers `false` where there is no such unit.
pub(super) fn enable(
    tree: &mut Tree<Content>,
    asked: &str,
    time: Timestamp,
    warnings: &mut Vec<Warning>,
) -> Result<bool> {
    let refuse = |message: String| Error::unsupported(format!("the unit {asked}"), message);
    let first = match unit::find(tree, asked, Links::OnlyOfPackages)? {
        Found::Unit(unit) => unit,
        Found::Missing => return Ok(false),
        Found::Masked { path } => {
            return Err(refuse(format!(
                "it is masked: {path} is empty or leads to /dev/null"
            )));
        }
        Found::Alias { path, target } => {
            return Err(refuse(format!(
                "{path} is a link to {target}: name the unit itself"
            )));
        }
    };
    let mut seen = BTreeSet::from([asked.to_owned(), first.name.clone()]);
    let mut pending = VecDeque::from([first]);
    let mut links = 0;
    while let Some(unit) = pending.pop_front() {
        links += install(tree, &unit, time, warnings)?;
        for also in &unit.install.also {
            let also = expand(also, &unit)?;
            if !seen.insert(also.clone()) {
                continue;
            }
            if seen.len() > MAX_ALSO {
                let message = format!("`Also` brings in more than {MAX_ALSO} units");
                return Err(Error::limit(format!("the unit {asked}"), message));
            }
            match unit::find(tree, &also, Links::OnlyOfPackages)? {
                Found::Unit(unit) => pending.push_back(unit),
                _ => warnings.push(Warning::setting(
                    KEY,
                    format!("{} also wants {also}, which cannot be enabled", unit.name),
                )),
            }
        }
    }
    if links == 0 {
        let text = format!(
            "{asked} has nothing to enable: its unit file has no [Install], so that others start it or nothing does"
        );
        warnings.push(Warning::setting(KEY, text));
    }
    Ok(true)
}

/// Makes the links of one unit and answers how many there are, those that were there included.
fn install(
    tree: &mut Tree<Content>,
    unit: &Unit,
    time: Timestamp,
    warnings: &mut Vec<Warning>,
) -> Result<usize> {
    let mut count = 0;
    for alias in &unit.install.aliases {
        let alias = alias_of(unit, &expand(alias, unit)?)?;
        link(tree, &format!("{CONFIG}/{alias}"), unit, Replace::No, time)?;
        count += 1;
    }
    let lists = [
        (&unit.install.wanted_by, ".wants"),
        (&unit.install.required_by, ".requires"),
        (&unit.install.upheld_by, ".upholds"),
    ];
    for (list, suffix) in lists {
        for target in list {
            let target = expand(target, unit)?;
            let linked = match &unit.install.default_instance {
                Some(instance) if name::is_template(&unit.name) => {
                    name::with_instance(&unit.name, &expand(instance, unit)?)
                }
                _ => unit.name.clone(),
            };
            check_target(unit, &linked, &target)?;
            let path = format!("{CONFIG}/{target}{suffix}/{linked}");
            link(tree, &path, unit, Replace::Yes, time)?;
            count += 1;
            if unit::find(tree, &target, Links::Follow)? == Found::Missing {
                let text = format!("{linked} is enabled for {target}, which is not in the image");
                warnings.push(Warning::setting(KEY, text));
            }
        }
    }
    Ok(count)
}

fn expand(text: &str, unit: &Unit) -> Result<String> {
    name::expand(text, &unit.name).ok_or_else(|| {
        let message = format!("\"{text}\" is known only on the machine that boots");
        Error::unsupported(format!("the [Install] section of {}", unit.name), message)
    })
}

/// A template without an instance can only be linked for another template.
fn check_target(unit: &Unit, linked: &str, target: &str) -> Result<()> {
    let what = || format!("the [Install] section of {}", unit.name);
    if !name::is_valid(target) {
        let message = format!("\"{target}\" cannot be the name of a unit");
        return Err(Error::corrupt(what(), message));
    }
    if name::is_template(linked) && !name::is_template(target) {
        let message = format!(
            "it is a template: name an instance, like {}",
            name::with_instance(linked, "NAME")
        );
        return Err(Error::unsupported(format!("the unit {linked}"), message));
    }
    Ok(())
}

/// The name of an alias: an instance's is one too. Aliases have the kind of their unit.
fn alias_of(unit: &Unit, alias: &str) -> Result<String> {
    let instance = name::parts(&unit.name).map_or("", |(_, instance, _)| instance);
    let alias = if name::is_template(alias) && !instance.is_empty() {
        name::with_instance(alias, instance)
    } else {
        alias.to_owned()
    };
    let kind = |name: &str| name.rsplit('.').next().map(str::to_owned);
    if !name::is_valid(&alias)
        || kind(&alias) != kind(&unit.name)
        || name::is_template(&alias) != name::is_template(&unit.name)
    {
        let message = format!("\"{alias}\" cannot be another name of it");
        return Err(Error::corrupt(
            format!("the [Install] section of {}", unit.name),
            message,
        ));
    }
    Ok(alias)
}

/// Whether a link takes the place of something else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replace {
    Yes,
    No,
}

/// Makes a symbolic link to a unit.
fn link(
    tree: &mut Tree<Content>,
    path: &str,
    unit: &Unit,
    replace: Replace,
    time: Timestamp,
) -> Result<()> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (folder, _) = place::folder(tree, folder, &place::metadata(0o755, time))?;
    let refuse = |message: String| Error::unsupported(path.to_owned(), message);
    let file = tree::Name::new(file.as_bytes()).map_err(|error| refuse(error.to_string()))?;
    if let Some(id) = tree.directory(folder).and_then(|names| names.get(&file)) {
        let leads = tree.resolve(path).ok().map(|(_, id)| id);
        if leads.is_some() && leads == tree.resolve(&unit.path).ok().map(|(_, id)| id) {
            return Ok(());
        }
        if replace == Replace::No || tree.directory(*id).is_some() {
            return Err(refuse("something else is there".to_owned()));
        }
        tree.remove(folder, file.as_bytes());
    }
    let node = Node::Symlink(unit.path.as_bytes().into());
    place::add(
        tree,
        folder,
        file,
        Inode::new(place::metadata(0o777, time), node),
    )?;
    Ok(())
}

/// Disables the unit `asked`, whose name is valid. Answers `false` where there is no such unit.
pub(super) fn disable(
    tree: &mut Tree<Content>,
    asked: &str,
    warnings: &mut Vec<Warning>,
) -> Result<bool> {
    let mut marked = BTreeSet::new();
    let mut pending = vec![asked.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(asked_now) = pending.pop() {
        if !seen.insert(asked_now.clone()) {
            continue;
        }
        if seen.len() > MAX_ALSO {
            let message = format!("`Also` brings in more than {MAX_ALSO} units");
            return Err(Error::limit(format!("the unit {asked}"), message));
        }
        match unit::find(tree, &asked_now, Links::Follow)? {
            Found::Missing if asked_now == asked => return Ok(false),
            Found::Unit(unit) => {
                for also in &unit.install.also {
                    pending.extend(name::expand(also, &unit.name));
                }
                marked.extend([asked_now, unit.name]);
            }
            Found::Masked { path } if asked_now == asked => {
                let text = format!("{asked} is masked by {path}, so its links stay as they are");
                warnings.push(Warning::setting(KEY, text));
            }
            _ => {}
        }
    }
    for _ in 0..MAX_PASSES {
        if !remove_marked(tree, &mut marked) {
            break;
        }
    }
    Ok(true)
}

/// Removes links to what is marked, and folders that are empty then. What is removed is marked too: links to it go next.
fn remove_marked(tree: &mut Tree<Content>, marked: &mut BTreeSet<String>) -> bool {
    let Ok((top, id)) = tree.resolve(CONFIG) else {
        return false;
    };
    let found: Vec<TreePath> = tree
        .walk_from(top.clone(), id)
        .filter(|entry| matches!(entry.inode.node, Node::Symlink(_)))
        .filter(|entry| is_marked(tree, &entry.path, &entry.inode.node, marked))
        .map(|entry| entry.path)
        .collect();
    for path in &found {
        tree.remove_path(path);
        marked.insert(path.to_string());
        let mut folder = path.parent();
        while let Some(path) = folder.filter(|folder| *folder != top) {
            let is_empty = |id| {
                tree.directory(id)
                    .is_some_and(std::collections::BTreeMap::is_empty)
            };
            if !tree.lookup(&path).is_some_and(is_empty) {
                break;
            }
            tree.remove_path(&path);
            folder = path.parent();
        }
    }
    !found.is_empty()
}

/// Whether a link is one to a marked unit, by its own name or where it leads in the end.
fn is_marked(
    tree: &Tree<Content>,
    path: &TreePath,
    node: &Node<Content>,
    marked: &BTreeSet<String>,
) -> bool {
    let own = String::from_utf8_lossy(path.file_name().unwrap_or_default());
    if !name::is_valid(&own) {
        return false;
    }
    let leads = match (tree.resolve(path.as_bytes()), node) {
        (Ok((leads, _)), _) => leads.to_string(),
        (Err(_), Node::Symlink(target)) => String::from_utf8_lossy(target).into_owned(),
        _ => return false,
    };
    let base = leads.rsplit('/').next().unwrap_or_default();
    [own.as_ref(), leads.as_str(), base]
        .iter()
        .any(|name| marked.contains(*name))
}
