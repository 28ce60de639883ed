//! The modules folder of a kernel: which modules there are, and what each says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Content, Error, Result};
use contract::module_index::normalise;
use tree::{Node, Tree, TreePath};

use super::codec;
use super::modinfo::ModInfo;

/// The largest of `modules.dep` and `modules.alias`: the largest real ones have 2 MiB. Larger ones are an error with their path.
const MAX_LIST: usize = 32 << 20;

/// How many bytes of modules are held in memory, in all. A distribution's modules that are looked at here have 70 MiB, and with
/// debugging symbols ten times that; more is refused.
const MAX_HELD: usize = 1 << 30;

/// The modules folder.
pub(crate) struct Modules<'a> {
    tree: &'a Tree<Content>,
    /// The real path of the folder.
    folder: TreePath,
    /// Normalised names, with paths relative to the folder.
    paths: BTreeMap<String, String>,
    /// Every path that was seen, relative to the folder, with its module: a module in `updates` hides one in `kernel`, and belongs
    /// where that one belongs.
    places: BTreeMap<String, String>,
    /// What `modules.dep` says, by normalised names; nothing where there is no such file.
    dependencies: BTreeMap<String, Vec<String>>,
    /// Names that are no patterns, as `fs-ext4` and `crypto-crc32c`, with the modules that offer them, normalised.
    named_aliases: Option<BTreeMap<String, Vec<String>>>,
    loaded: BTreeMap<String, Loaded>,
    /// How many bytes of modules may still be held.
    left: usize,
}

/// A module that was read.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// Its path relative to the modules folder, without the suffix of a compression.
    pub(crate) path: String,
    /// The module, unpacked; a signature at its end is kept.
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) info: Arc<ModInfo>,
}

impl<'a> Modules<'a> {
    /// Lists the modules below `folder`.
    pub(crate) fn open(tree: &'a Tree<Content>, folder: &TreePath) -> Result<Self> {
        let mut modules = Self {
            tree,
            folder: folder.clone(),
            paths: BTreeMap::new(),
            places: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            named_aliases: None,
            loaded: BTreeMap::new(),
            left: MAX_HELD,
        };
        modules.walk();
        modules.read_dependencies()?;
        modules.read_aliases()?;
        Ok(modules)
    }

    /// No modules at all, for a kernel without.
    pub(crate) fn none(tree: &'a Tree<Content>) -> Self {
        Self {
            tree,
            folder: TreePath::root(),
            paths: BTreeMap::new(),
            places: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            named_aliases: Some(BTreeMap::new()),
            loaded: BTreeMap::new(),
            left: MAX_HELD,
        }
    }

    fn walk(&mut self) {
        let Some(id) = self.tree.lookup(&self.folder) else {
            return;
        };
        for entry in self.tree.walk_from(TreePath::root(), id) {
            let path = entry.path.to_string();
            let path = path.trim_start_matches('/');
            let is_file = matches!(entry.inode.node, Node::File(_) | Node::Symlink(_));
            if !is_file || !codec::plain_name(path).ends_with(".ko") {
                continue;
            }
            self.places.insert(path.to_owned(), normalise(path));
            // As depmod's default order: what an administrator put into updates comes before the kernel's own.
            let rank = |path: &str| match path.split('/').next() {
                Some("updates") => 0,
                Some("extra") => 1,
                Some("kernel") => 2,
                _ => 3,
            };
            let known = self
                .paths
                .entry(normalise(path))
                .or_insert_with(|| path.to_owned());
            if rank(path) < rank(known) {
                path.clone_into(known);
            }
        }
    }

    /// Reads `modules.dep`: `path: path…`, all that a module needs, the nearest first. Its choice among modules of one name counts.
    fn read_dependencies(&mut self) -> Result<()> {
        let Some(text) = self.text("modules.dep")? else {
            return Ok(());
        };
        for line in text.lines() {
            let Some((path, needs)) = line.split_once(':') else {
                continue;
            };
            let name = normalise(path);
            if self.content(path).is_some() {
                self.paths.insert(name.clone(), path.to_owned());
            }
            let needs = needs.split_whitespace().map(normalise).rev().collect();
            self.dependencies.insert(name, needs);
        }
        Ok(())
    }

    /// Reads those lines `alias NAME MODULE` of `modules.alias` whose name is no device's.
    fn read_aliases(&mut self) -> Result<()> {
        let Some(text) = self.text("modules.alias")? else {
            return Ok(());
        };
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(alias), Some(module)) =
                (words.next(), words.next(), words.next())
                && !alias.contains(':')
            {
                found
                    .entry(normalise(alias))
                    .or_default()
                    .push(normalise(module));
            }
        }
        self.named_aliases = Some(found);
        Ok(())
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(content) = self.content(name) else {
            return Ok(None);
        };
        let place = |error: Error| error.in_file(format!("{}/{name}", self.folder));
        let bytes = content.read_all(MAX_LIST).map_err(place)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn content(&self, path: &str) -> Option<&'a Content> {
        self.tree.file(format!("{}/{path}", self.folder))
    }

    /// Whether there is a module called `name`, normalised.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.paths.contains_key(name)
    }

    /// The names of the modules that lie in `folder` or below, `kernel/drivers/ata/`, or would but for another in their place.
    pub(crate) fn below(&self, folder: &str) -> Vec<String> {
        let inside = self.places.range(folder.to_owned()..);
        let inside = inside.take_while(|(path, _)| path.starts_with(folder));
        inside.map(|(_, name)| name.clone()).collect()
    }

    /// Reads the module `name`; `None` where there is none or what is there is no module.
    pub(crate) fn load(&mut self, name: &str) -> Result<Option<Loaded>> {
        if let Some(loaded) = self.loaded.get(name) {
            return Ok(Some(loaded.clone()));
        }
        let Some(path) = self.paths.get(name).cloned() else {
            return Ok(None);
        };
        let Some(content) = self.content(&path) else {
            return Ok(None);
        };
        let full = format!("{}/{path}", self.folder);
        let bytes = codec::unpack(content, &full)?;
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
            let message = format!("with it the modules have more than {} MiB", MAX_HELD >> 20);
            Error::limit("reading the kernel's modules", message).in_file(&full)
        })?;
        let Some(info) = ModInfo::read(&bytes) else {
            return Err(Error::corrupt("kernel module", "it has no .modinfo").in_file(full));
        };
        let loaded = Loaded {
            path: codec::plain_name(&path).to_owned(),
            bytes: bytes.into(),
            info: Arc::new(info),
        };
        self.loaded.insert(name.to_owned(), loaded.clone());
        Ok(Some(loaded))
    }

    /// What must be loaded before the module `name`, in this order.
    pub(crate) fn dependencies(&self, name: &str, info: &ModInfo) -> Vec<String> {
        match self.dependencies.get(name) {
            Some(names) => names.clone(),
            None => info.depends.iter().map(|name| normalise(name)).collect(),
        }
    }

    /// The modules that `name` means: itself, or those that offer it as an alias. Nothing where it is built in or unknown.
    pub(crate) fn by_name_or_alias(&mut self, name: &str) -> Result<Vec<String>> {
        let name = normalise(name);
        if self.contains(&name) {
            return Ok(vec![name]);
        }
        if self.named_aliases.is_none() {
            self.named_aliases = Some(self.scan_aliases()?);
        }
        let found = self
            .named_aliases
            .as_ref()
            .and_then(|aliases| aliases.get(&name));
        let mut found = found.cloned().unwrap_or_default();
        found.retain(|name| self.contains(name));
        Ok(found)
    }

    /// The aliases of the modules that others ask for by alias, for a folder that `depmod` was not run on: algorithms and
    /// libraries.
    fn scan_aliases(&mut self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let offers = |path: &str| {
            path.starts_with("kernel/crypto/")
                || path.starts_with("kernel/lib/")
                || (path.starts_with("kernel/arch/") && path.contains("/crypto/"))
                || (path.starts_with("kernel/arch/") && path.contains("/lib/"))
        };
        let names: Vec<String> = self
            .paths
            .iter()
            .filter(|(_, path)| offers(path))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let Some(loaded) = self.load(&name)? else {
                continue;
            };
            for alias in loaded
                .info
                .aliases
                .iter()
                .filter(|alias| !alias.contains(':'))
            {
                found
                    .entry(normalise(alias))
                    .or_default()
                    .push(name.clone());
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata};

    #[test]
    fn modules_that_do_not_fit_into_memory_are_refused() {
        let mut tree = Tree::new(Metadata::default());
        let file = Node::File(Content::from_bytes(*b"\x7fELF, as far as it goes"));
        let path = TreePath::parse("/modules/kernel/a.ko").unwrap();
        tree.put(&path, Inode::new(Metadata::default(), file))
            .unwrap();
        let folder = TreePath::parse("/modules").unwrap();
        let mut modules = Modules::open(&tree, &folder).unwrap();
        assert_eq!(modules.load("a").unwrap_err().kind(), block::Kind::Corrupt);
        modules.left = 10;
        assert_eq!(modules.load("a").unwrap_err().kind(), block::Kind::Limit);
        assert!(modules.load("b").unwrap().is_none());
    }
}
