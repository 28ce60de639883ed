//! From the modules that are wanted to all that they need, and the index by which they are loaded.

use std::collections::{BTreeMap, BTreeSet};

use block::Result;
use contract::module_index::{Module, ModuleIndex, normalise};
use inspect::{Facts, KernelConfig};

use super::modinfo::ModInfo;
use super::modprobe::Modprobe;
use super::modules::{Loaded, Modules};
use super::selection::{ALWAYS, IMPLIED, NETWORK_ROWS, ROWS, Row, Rule};

/// The modules of an initramfs.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// By normalised name.
    pub(crate) modules: BTreeMap<String, Loaded>,
    /// Why each is here, for people.
    pub(crate) reasons: BTreeMap<String, String>,
    /// How they are loaded.
    pub(crate) index: ModuleIndex,
    /// What was asked for and could not be had, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// What is wanted besides the table, normalised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) add: BTreeSet<String>,
    pub(crate) force: Vec<String>,
    pub(crate) omit: BTreeSet<String>,
    /// Folders below the modules folder, all of whose modules are wanted.
    pub(crate) folders: Vec<String>,
    /// Whether the medium comes over the network.
    pub(crate) network: bool,
}

impl Wishes {
    /// Those of the image's dracut configuration.
    ///
    /// Source: dracut.conf(5) of dracut-ng 106: `=drivers/usb` in a list of drivers is a folder below `kernel`.
    pub(crate) fn of_dracut(facts: &Facts) -> Self {
        let mut wishes = Self::default();
        for name in ["add_drivers", "drivers", "filesystems"] {
            for word in facts.dracut.words(name) {
                match word.strip_prefix('=') {
                    Some(folder) => {
                        let folder = folder.trim_matches('/');
                        wishes.folders.push(format!("kernel/{folder}/"));
                    }
                    None => {
                        wishes.add.insert(normalise(word));
                    }
                }
            }
        }
        wishes.force = facts.dracut.words("force_drivers").map(normalise).collect();
        wishes.omit = facts.dracut.words("omit_drivers").map(normalise).collect();
        wishes
    }
}

/// Chooses modules by the table and by `wishes`, and everything that they need.
pub(crate) fn choose(
    modules: &mut Modules<'_>,
    config: &KernelConfig,
    modprobe: &Modprobe,
    wishes: &Wishes,
) -> Result<Chosen> {
    let mut chosen = Chosen::default();
    let mut pending = by_table(modules, ROWS)?;
    if wishes.network {
        pending.extend(by_table(modules, NETWORK_ROWS)?);
    }
    let asked = |name: String| (name, "asked for by the configuration".to_owned());
    for folder in &wishes.folders {
        pending.extend(modules.below(folder).into_iter().map(asked));
    }
    for wish in wishes.add.iter().chain(&wishes.force) {
        let mut found = modules.by_name_or_alias(wish)?;
        if found.is_empty() {
            found = modules.by_name_or_alias(&format!("fs-{wish}"))?;
        }
        if found.is_empty() && !config.has_builtin(wish) {
            chosen.warnings.push(format!(
                "the module {wish} was asked for, and this kernel has none of that name"
            ));
        }
        pending.extend(found.into_iter().map(asked));
    }
    pending.retain(|(name, _)| !wishes.omit.contains(name));
    // In the table's order, so that the reason given is the first one that there is.
    pending.reverse();
    while let Some((name, reason)) = pending.pop() {
        if chosen.modules.contains_key(&name) {
            continue;
        }
        let Some(loaded) = modules.load(&name)? else {
            continue;
        };
        let module = module(modules, config, modprobe, &name, &loaded.info)?;
        for needed in &module.depends {
            if !modules.contains(needed) && !config.has_builtin(needed) {
                chosen.warnings.push(format!(
                    "the module {name} needs {needed}, and this kernel has none of that name"
                ));
            }
        }
        let soft = module.soft_pre.iter().chain(&module.soft_post);
        let soft = soft.filter(|name| !wishes.omit.contains(*name));
        let needed = module.depends.iter().chain(soft);
        pending.extend(needed.map(|needed| (needed.clone(), format!("{name} needs it"))));
        chosen.reasons.insert(name.clone(), reason);
        chosen.modules.insert(name.clone(), loaded);
        chosen.index.modules.insert(name, module);
    }
    finish(&mut chosen, modprobe, wishes);
    Ok(chosen)
}

/// The modules of the table that this kernel has.
fn by_table(modules: &mut Modules<'_>, rows: &[Row]) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for row in rows {
        match row.rule {
            Rule::Names(names) => {
                let there = names.iter().filter(|name| modules.contains(name));
                found.extend(there.map(|name| ((*name).to_owned(), row.reason.to_owned())));
            }
            Rule::Folder {
                path,
                buses,
                except,
            } => {
                for name in modules.below(path) {
                    if except.contains(&name.as_str()) {
                        continue;
                    }
                    let Some(loaded) = modules.load(&name)? else {
                        continue;
                    };
                    if buses.iter().any(|bus| loaded.info.is_on(bus)) {
                        found.push((name, row.reason.to_owned()));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// How the module `name` is loaded; what is said under an alias is said by its modules' names, and what is not there is left out of
/// the soft dependencies.
fn module(
    modules: &mut Modules<'_>,
    config: &KernelConfig,
    modprobe: &Modprobe,
    name: &str,
    info: &ModInfo,
) -> Result<Module> {
    let mut soft_pre = info.soft_pre.clone();
    let mut soft_post = info.soft_post.clone();
    soft_pre.extend(modprobe.soft_pre.get(name).into_iter().flatten().cloned());
    soft_post.extend(modprobe.soft_post.get(name).into_iter().flatten().cloned());
    for implied in IMPLIED.iter().filter(|implied| implied.module == name) {
        soft_pre.extend(implied.needs.iter().map(|needed| (*needed).to_owned()));
        let named = implied
            .options
            .iter()
            .filter_map(|option| config.value(option));
        // OK: an option that says "437" means nls_cp437, one that says "ascii" means nls_ascii.
        soft_pre.extend(named.map(|value| match value.parse::<u16>() {
            Ok(page) => format!("nls_cp{page}"),
            Err(_) => format!("nls_{value}"),
        }));
    }
    let mut resolve = |names: Vec<String>| -> Result<Vec<String>> {
        let mut out: Vec<String> = Vec::new();
        for needed in names {
            for found in modules.by_name_or_alias(&needed)? {
                if found != name && !out.contains(&found) {
                    out.push(found);
                }
            }
        }
        Ok(out)
    };
    Ok(Module {
        // The path is known when the modules get their place.
        path: String::new(),
        soft_pre: resolve(soft_pre)?,
        soft_post: resolve(soft_post)?,
        depends: modules.dependencies(name, info),
        parameters: modprobe.options.get(name).cloned().unwrap_or_default(),
    })
}

/// Leaves out of the index what was not chosen, and fills its aliases.
fn finish(chosen: &mut Chosen, modprobe: &Modprobe, wishes: &Wishes) {
    let known: BTreeSet<String> = chosen.modules.keys().cloned().collect();
    for module in chosen.index.modules.values_mut() {
        for list in [
            &mut module.depends,
            &mut module.soft_pre,
            &mut module.soft_post,
        ] {
            list.retain(|name| known.contains(name));
        }
    }
    for (name, loaded) in &chosen.modules {
        if !modprobe.blacklist.contains(name) {
            let aliases = loaded.info.aliases.iter();
            chosen
                .index
                .aliases
                .extend(aliases.map(|alias| (alias.clone(), name.clone())));
        }
    }
    let always = ALWAYS.iter().map(|name| (*name).to_owned());
    for name in always.chain(wishes.force.iter().cloned()) {
        if known.contains(&name) && !chosen.index.always.contains(&name) {
            chosen.index.always.push(name);
        }
    }
}
