//! Unit files of the image: where they are, and what their `[Install]` sections say.
//!
//! Source: systemd 252, `src/shared/install.c` (`unit_file_search`, `install_info_traverse`), `src/basic/path-lookup.c`.

use block::{Content, Error, Result};
use tree::{Node, Tree};

use super::name;
use crate::steps::place;

/// Where `systemctl enable` puts its links.
pub(super) const CONFIG: &str = "/etc/systemd/system";

/// How many symbolic links from unit to unit are followed, as systemd does.
const MAX_LINKS: usize = 64;

/// What the `[Install]` sections of a unit and its drop-ins say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Install {
    /// `Alias`.
    pub(super) aliases: Vec<String>,
    /// `WantedBy`.
    pub(super) wanted_by: Vec<String>,
    /// `RequiredBy`.
    pub(super) required_by: Vec<String>,
    /// `UpheldBy`.
    pub(super) upheld_by: Vec<String>,
    /// `Also`.
    pub(super) also: Vec<String>,
    /// `DefaultInstance`.
    pub(super) default_instance: Option<String>,
}

impl Install {
    /// Takes up what the text of a unit file or drop-in says.
    fn read(&mut self, text: &str) {
        let mut in_section = false;
        for line in logical_lines(text) {
            if line.starts_with('[') {
                in_section = line == "[Install]";
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| in_section) else {
                continue;
            };
            let value = value.trim();
            let list = match key.trim_end() {
                "Alias" => &mut self.aliases,
                "WantedBy" => &mut self.wanted_by,
                "RequiredBy" => &mut self.required_by,
                "UpheldBy" => &mut self.upheld_by,
                "Also" => &mut self.also,
                "DefaultInstance" => {
                    self.default_instance = (!value.is_empty()).then(|| value.to_owned());
                    continue;
                }
                _ => continue,
            };
            if value.is_empty() {
                list.clear();
            }
            list.extend(value.split_whitespace().map(str::to_owned));
        }
    }
}

/// The lines of a unit file: comments left out, a backslash at the end joins a line to the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => {
                begun.push_str(part);
                begun.push(' ');
            }
            None => {
                begun.push_str(line);
                lines.push(std::mem::take(&mut begun));
            }
        }
    }
    lines.push(begun);
    lines
}

/// A unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Its name, that of the instance where one was asked for.
    pub(super) name: String,
    /// The path that links to it hold.
    pub(super) path: String,
    /// What is to be installed.
    pub(super) install: Install,
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A unit file.
    Unit(Unit),
    /// A link to `/dev/null`, or an empty file.
    Masked {
        /// Where.
        path: String,
    },
    /// A link that the administrator made, to a unit of another name or outside of the folders of units.
    Alias {
        /// Where.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Nothing.
    Missing,
}

/// Whether links of the administrator's are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// All of them.
    Follow,
    /// Only those that packages bring.
    OnlyOfPackages,
}

/// The folders of units, the first one counts; `/run` is not part of an image.
///
/// Builds of systemd differ in whether they call their folder `/lib` or `/usr/lib`: the links that are there tell.
pub(super) fn folders(tree: &Tree<Content>) -> [&'static str; 5] {
    let packaged = ["/lib/systemd/system", "/usr/lib/systemd/system"];
    let uses_lib = tree.list(CONFIG).any(|(_, id)| {
        let mut ids = vec![id];
        ids.extend(tree.directory(id).into_iter().flatten().map(|(_, id)| *id));
        ids.iter().any(|id| {
            matches!(&tree.inode(*id).node, Node::Symlink(target) if target.starts_with(b"/lib/systemd/system/"))
        })
    });
    let [first, second] = if uses_lib {
        packaged
    } else {
        [packaged[1], packaged[0]]
    };
    [
        "/etc/systemd/system.control",
        CONFIG,
        "/usr/local/lib/systemd/system",
        first,
        second,
    ]
}

/// Finds the unit of a valid name, with its drop-ins.
///
/// # Errors
///
/// What reading a file answers; [`block::Kind::Corrupt`] for links that lead in a circle.
pub(super) fn find(tree: &Tree<Content>, asked: &str, links: Links) -> Result<Found> {
    let mut name = asked.to_owned();
    for _ in 0..MAX_LINKS {
        let Some((folder, file)) = search(tree, &name) else {
            return Ok(Found::Missing);
        };
        let path = format!("{folder}/{file}");
        let Some(target) = link_target(tree, &path) else {
            return read(tree, name, path);
        };
        if target == "/dev/null" {
            return Ok(Found::Masked { path });
        }
        if links == Links::OnlyOfPackages && folder.starts_with("/etc/") {
            return Ok(Found::Alias { path, target });
        }
        let base = target.rsplit('/').next().unwrap_or_default();
        if base == file || !name::is_valid(base) {
            return read(tree, name, path);
        }
        name = match name::parts(&name) {
            Some((_, instance, _)) if name::is_template(base) && !instance.is_empty() => {
                name::with_instance(base, instance)
            }
            _ => base.to_owned(),
        };
    }
    let message = "its symbolic links lead in a circle";
    Err(Error::corrupt(format!("the unit {asked}"), message))
}

/// The folder that has the unit, and under which name: that of the template where the instance has no file of its own.
fn search(tree: &Tree<Content>, name: &str) -> Option<(&'static str, String)> {
    let names = [Some(name.to_owned()), name::template(name)];
    names.into_iter().flatten().find_map(|name| {
        let has = |folder: &&str| {
            let Ok((_, id)) = tree.resolve(folder) else {
                return false;
            };
            let names = tree.directory(id);
            let found = names.and_then(|names| names.get(name.as_bytes()));
            found.is_some_and(|id| tree.directory(*id).is_none())
        };
        let folder = folders(tree).into_iter().find(has)?;
        Some((folder, name))
    })
}

/// Where the file at `path` leads, if it is a symbolic link.
fn link_target(tree: &Tree<Content>, path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let (_, folder) = tree.resolve(folder).ok()?;
    let id = tree.directory(folder)?.get(name.as_bytes())?;
    match &tree.inode(*id).node {
        Node::Symlink(target) => Some(String::from_utf8_lossy(target).into_owned()),
        _ => None,
    }
}

/// Reads the unit file at `path` and its drop-ins.
fn read(tree: &Tree<Content>, name: String, path: String) -> Result<Found> {
    let Some(text) = place::text(tree, &path)? else {
        return Ok(Found::Missing);
    };
    if text.is_empty() {
        return Ok(Found::Masked { path });
    }
    let mut install = Install::default();
    install.read(&text);
    for drop_in in drop_ins(tree, &name) {
        install.read(&place::text(tree, &drop_in)?.unwrap_or_default());
    }
    Ok(Found::Unit(Unit {
        name,
        path,
        install,
    }))
}

/// The drop-ins of a unit in the order in which they count: by name, of equal names the one of the first folder.
fn drop_ins(tree: &Tree<Content>, name: &str) -> Vec<String> {
    let mut found = std::collections::BTreeMap::new();
    let owners = [Some(name.to_owned()), name::template(name)];
    for owner in owners.into_iter().flatten() {
        for folder in folders(tree) {
            let folder = format!("{folder}/{owner}.d");
            for (file, _) in tree.list(&folder) {
                let file = text(file);
                if file.ends_with(".conf") {
                    let path = format!("{folder}/{file}");
                    found.entry(file).or_insert(path);
                }
            }
        }
    }
    found.into_values().collect()
}

/// A name as text, escapes of systemd's (`\\x2d`) as they are.
fn text(name: &tree::Name) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

/// The names of all unit files.
pub(super) fn all(tree: &Tree<Content>) -> std::collections::BTreeSet<String> {
    let names = folders(tree)
        .into_iter()
        .flat_map(|folder| tree.list(folder));
    let names = names.map(|(name, _)| text(name));
    names.filter(|name| name::is_valid(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::tree_of;

    #[test]
    fn install_sections_are_read_with_their_drop_ins() {
        let tree = tree_of(&[
            (
                "usr/lib/systemd/system/a@.service",
                "[Unit]\nWantedBy=no\n[Install]\n# WantedBy=no\nWantedBy=a.target \\\n b.target\nAlias = x@.service\nDefaultInstance=one\n[Other]\nAlso=no\n",
            ),
            (
                "etc/systemd/system/a@.service.d/1.conf",
                "[Install]\nWantedBy=\nWantedBy=c.target\n",
            ),
            (
                "usr/lib/systemd/system/a@.service.d/1.conf",
                "[Install]\nWantedBy=hidden.target\n",
            ),
            (
                "usr/lib/systemd/system/a@i.service.d/2.conf",
                "[Install]\nAlso=d.service\n",
            ),
        ]);
        let Found::Unit(unit) = find(&tree, "a@i.service", Links::Follow).unwrap() else {
            panic!("it is a unit");
        };
        assert_eq!(
            (unit.name.as_str(), unit.path.as_str()),
            ("a@i.service", "/usr/lib/systemd/system/a@.service")
        );
        assert_eq!(
            unit.install,
            Install {
                aliases: vec!["x@.service".into()],
                wanted_by: vec!["c.target".into()],
                also: vec!["d.service".into()],
                default_instance: Some("one".into()),
                ..Install::default()
            }
        );
    }

    #[test]
    fn links_lead_to_units_masks_and_circles() {
        let tree = tree_of(&[
            ("usr/lib/systemd/system/real.service", "[Install]\n"),
            ("usr/lib/systemd/system/packaged.service", "-> real.service"),
            ("usr/lib/systemd/system/empty.service", ""),
            (
                "etc/systemd/system/own.service",
                "-> /usr/lib/systemd/system/real.service",
            ),
            ("etc/systemd/system/masked.service", "-> /dev/null"),
            ("usr/lib/systemd/system/one.service", "-> two.service"),
            ("usr/lib/systemd/system/two.service", "-> one.service"),
        ]);
        let name_of = |asked, links| match find(&tree, asked, links).unwrap() {
            Found::Unit(unit) => unit.name,
            Found::Masked { .. } => "masked".to_owned(),
            Found::Alias { target, .. } => target,
            Found::Missing => "missing".to_owned(),
        };
        let only = Links::OnlyOfPackages;
        assert_eq!(name_of("packaged.service", only), "real.service");
        assert_eq!(name_of("own.service", Links::Follow), "real.service");
        assert_eq!(
            name_of("own.service", only),
            "/usr/lib/systemd/system/real.service"
        );
        assert_eq!(name_of("masked.service", only), "masked");
        assert_eq!(name_of("empty.service", only), "masked");
        assert_eq!(name_of("none.service", only), "missing");
        assert!(find(&tree, "one.service", only).is_err());
    }
}
