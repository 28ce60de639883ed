//! Files of the image that are put into the initramfs because they were asked for; programs with the libraries that they need.
//!
//! What a program needs is what its dynamic section names, searched where the loader would search. What it opens by itself later
//! (plug-ins, its configuration, other programs) is not known to anyone, and has to be asked for.

use std::collections::{BTreeMap, BTreeSet};

use block::{Content, Error, Result};
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _};
use object::{Endianness, ObjectSection as _, elf};
use tree::{Inode, Node, Tree, TreePath};

/// The largest program or library that is looked into. Of a larger one nothing is known, and a warning says so.
const MAX_PROGRAM: usize = 256 << 20;

/// How deep `include` lines of `ld.so.conf` are followed; deeper ones are passed over.
const MAX_INCLUDES: usize = 8;

/// Where a loader searches when nothing else is said.
const DEFAULT_FOLDERS: [&str; 10] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib/riscv64-linux-gnu",
    "/usr/lib/riscv64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// What was asked for, with all that it needs.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    /// By the path in the initramfs, which is the one in the image.
    pub(crate) files: BTreeMap<TreePath, Inode<Content>>,
    /// What could not be had, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Collects the files at `paths`, following symbolic links, and the libraries of those that are programs.
///
/// # Errors
///
/// What reading the tree answers.
pub(crate) fn collect<'a>(
    tree: &Tree<Content>,
    paths: impl Iterator<Item = &'a str>,
) -> Result<Installed> {
    let mut paths = paths.peekable();
    let mut installed = Installed::default();
    if paths.peek().is_none() {
        return Ok(installed);
    }
    let configured = configured_folders(tree)?;
    let mut uses_cache = false;
    for asked in paths {
        let mut pending = vec![asked.to_owned()];
        while let Some(path) = pending.pop() {
            let Some((place, content)) = installed.add(tree, &path) else {
                continue;
            };
            let Some(needs) = Needs::read(content)? else {
                continue;
            };
            pending.extend(needs.interpreter.clone());
            for library in &needs.libraries {
                match needs.search(tree, &place, library, &configured)? {
                    Some((found, by_configuration)) => {
                        uses_cache |= by_configuration;
                        pending.push(found);
                    }
                    None => installed.warnings.push(format!(
                        "{place} needs the library {library}, which was not found in the image"
                    )),
                }
            }
        }
    }
    if uses_cache && tree.file("/etc/ld.so.cache").is_some() {
        // The loader finds the folders of ld.so.conf by this file alone.
        let _known = installed.add(tree, "/etc/ld.so.cache");
    }
    Ok(installed)
}

/// Where the image has these programs.
///
/// # Errors
///
/// `NotFound` with the package that brings the program, where it has not.
pub(crate) fn programs(tree: &Tree<Content>, names: &[&'static str]) -> Result<Vec<String>> {
    const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let find = |name: &&'static str| {
        let paths = FOLDERS.map(|folder| format!("{folder}/{name}"));
        let found = paths.into_iter().find(|path| tree.file(path).is_some());
        found.ok_or_else(|| {
            let package = match *name {
                "mkfs.xfs" => "xfsprogs",
                "mkfs.btrfs" => "btrfs-progs (btrfsprogs)",
                "cryptsetup" => "cryptsetup (cryptsetup-bin)",
                other => other,
            };
            let message = format!(
                "the image has no {name}, which persistence needs; install its package {package}"
            );
            Error::not_found("putting the initramfs together", message)
        })
    };
    names.iter().map(find).collect()
}

impl Installed {
    /// Adds the file at `path`; answers with its place and content where it is new.
    fn add<'t>(&mut self, tree: &'t Tree<Content>, path: &str) -> Option<(TreePath, &'t Content)> {
        let found = TreePath::parse(path).ok().zip(tree.resolve(path).ok());
        let Some((place, (_, id))) = found else {
            self.warnings.push(format!(
                "{path} was asked for, and the image does not have it"
            ));
            return None;
        };
        let inode = tree.inode(id);
        let Node::File(content) = &inode.node else {
            self.warnings
                .push(format!("{path} was asked for, and is no file"));
            return None;
        };
        if self.files.contains_key(&place) {
            return None;
        }
        let mut metadata = inode.metadata.clone();
        // An archive cannot hold them.
        metadata.xattrs = tree::Xattrs::default();
        let copy = Inode::new(metadata, Node::File(content.clone()));
        self.files.insert(place.clone(), copy);
        Some((place, content))
    }
}

/// Whether a program needs no library and runs where the program `like` does.
pub(crate) fn is_static(program: &Content, like: &Content) -> Result<bool> {
    let machine = Needs::read(like)?.map(|needs| needs.machine);
    let needs = Needs::read(program)?;
    Ok(needs.is_some_and(|needs| {
        Some(needs.machine) == machine && needs.interpreter.is_none() && needs.libraries.is_empty()
    }))
}

/// What a program's dynamic section asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    machine: u16,
    interpreter: Option<String>,
    libraries: Vec<String>,
    /// Folders to search first (`DT_RUNPATH`, or `DT_RPATH` where there is none), with `$ORIGIN` as it stands.
    folders: Vec<String>,
}

impl Needs {
    /// Reads them; `None` for what is no program of 64 bits.
    fn read(content: &Content) -> Result<Option<Self>> {
        use block::ReadAt as _;
        if content.len() < 64 || usize::try_from(content.len()).is_ok_and(|len| len > MAX_PROGRAM) {
            return Ok(None);
        }
        let mut magic = [0; 5];
        content.read_exact_at(&mut magic, 0)?;
        if magic != *b"\x7fELF\x02" {
            return Ok(None);
        }
        let bytes = content.read_all(MAX_PROGRAM)?;
        Ok(Self::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let file = ElfFile64::<Endianness>::parse(bytes).ok()?;
        let endian = file.endian();
        let header = file.elf_header();
        let mut needs = Self {
            machine: header.e_machine(endian).0,
            ..Self::default()
        };
        let interp = object::Object::section_by_name(&file, ".interp");
        if let Some(section) = interp {
            let text = section.data().ok()?.split(|byte| *byte == 0).next()?;
            needs.interpreter = Some(String::from_utf8_lossy(text).into_owned());
        }
        let sections = file.elf_section_table();
        let Some((entries, strings)) = sections.dynamic(endian, bytes).ok()? else {
            return Some(needs);
        };
        let strings = sections.strings(endian, bytes, strings).ok()?;
        let text = |entry: &elf::Dyn64<Endianness>| {
            let offset = u32::try_from(entry.d_val(endian)).ok()?;
            let text = strings.get(offset).ok()?;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        let mut rpath = Vec::new();
        for entry in entries {
            let split = |text: Option<String>| -> Vec<String> {
                text.iter()
                    .flat_map(|text| text.split(':'))
                    .map(str::to_owned)
                    .collect()
            };
            match entry.d_tag(endian) {
                elf::DT_NEEDED => needs.libraries.extend(text(entry)),
                elf::DT_RUNPATH => needs.folders.extend(split(text(entry))),
                elf::DT_RPATH => rpath.extend(split(text(entry))),
                _ => {}
            }
        }
        if needs.folders.is_empty() {
            needs.folders = rpath;
        }
        Some(needs)
    }

    /// Where `library` lies for the program at `place`, and whether only `ld.so.conf` leads there.
    ///
    /// Source: ld.so(8) of glibc 2.41, without `LD_LIBRARY_PATH` and hardware capabilities.
    fn search(
        &self,
        tree: &Tree<Content>,
        place: &TreePath,
        library: &str,
        configured: &[String],
    ) -> Result<Option<(String, bool)>> {
        if library.contains('/') {
            return Ok(self
                .fits(tree, library)?
                .then(|| (library.to_owned(), false)));
        }
        let origin = place.parent().unwrap_or_default().to_string();
        let own = self.folders.iter().map(|folder| {
            let folder = folder
                .replace("${ORIGIN}", &origin)
                .replace("$ORIGIN", &origin);
            (folder, false)
        });
        let default = DEFAULT_FOLDERS
            .iter()
            .map(|folder| ((*folder).to_owned(), false));
        let configured = configured.iter().map(|folder| (folder.clone(), true));
        for (folder, by_configuration) in own.chain(default).chain(configured) {
            let path = normal(&format!("{folder}/{library}"));
            if self.fits(tree, &path)? {
                return Ok(Some((path, by_configuration)));
            }
        }
        Ok(None)
    }

    /// Whether the file at `path` is a library for the same machine.
    fn fits(&self, tree: &Tree<Content>, path: &str) -> Result<bool> {
        use block::ReadAt as _;
        let Some(content) = tree.file(path).filter(|content| content.len() >= 64) else {
            return Ok(false);
        };
        let mut head = [0; 20];
        content.read_exact_at(&mut head, 0)?;
        let [.., a, b] = head;
        Ok(head.starts_with(b"\x7fELF\x02") && u16::from_le_bytes([a, b]) == self.machine)
    }
}

/// `path` without `.` and `..`, so that it can be a place in the initramfs.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The folders of `ld.so.conf` and of what it includes.
fn configured_folders(tree: &Tree<Content>) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    let mut seen = BTreeSet::new();
    read_configuration(tree, "/etc/ld.so.conf", &mut folders, &mut seen, 0)?;
    Ok(folders)
}

fn read_configuration(
    tree: &Tree<Content>,
    path: &str,
    folders: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
    depth: usize,
) -> Result<()> {
    if depth > MAX_INCLUDES || !seen.insert(path.to_owned()) {
        return Ok(());
    }
    let Some(content) = tree.file(path) else {
        return Ok(());
    };
    let bytes = content
        .read_all(1 << 20)
        .map_err(|error| error.in_file(path))?;
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include ") {
            let (folder, name) = pattern.trim().rsplit_once('/').unwrap_or(("/etc", pattern));
            let folder = if folder.starts_with('/') {
                folder.to_owned()
            } else {
                format!("/etc/{folder}")
            };
            let Some(suffix) = name.strip_prefix('*') else {
                continue;
            };
            for (name, _) in tree.list(&folder) {
                let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
                if name.ends_with(suffix) {
                    let path = format!("{folder}/{name}");
                    read_configuration(tree, &path, folders, seen, depth.saturating_add(1))?;
                }
            }
        } else if line.starts_with('/') {
            folders.push(line.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::Metadata;

    fn put(tree: &mut Tree<Content>, path: &str, bytes: Vec<u8>) {
        let node = Node::File(Content::from_bytes(bytes));
        let inode = Inode::new(Metadata::with_permissions(0o755), node);
        tree.put(&TreePath::parse(path).unwrap(), inode).unwrap();
    }

    #[test]
    fn plain_files_are_taken_and_what_is_missing_is_named() {
        let mut tree = Tree::new(Metadata::default());
        put(&mut tree, "/etc/a.conf", b"text".to_vec());
        let link = Node::Symlink((*b"a.conf").into());
        let path = TreePath::parse("/etc/b.conf").unwrap();
        tree.put(&path, Inode::new(Metadata::default(), link))
            .unwrap();
        let asked = ["/etc/a.conf", "/etc/b.conf", "/etc", "/gone", "/../x"];
        let found = collect(&tree, asked.into_iter()).unwrap();
        let paths: Vec<_> = found.files.keys().map(ToString::to_string).collect();
        assert_eq!(paths, ["/etc/a.conf", "/etc/b.conf"]);
        assert_eq!(found.warnings.len(), 3, "{:?}", found.warnings);
    }

    #[test]
    fn this_very_program_needs_its_loader_and_library_where_they_lie() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let needs = Needs::parse(&program).unwrap();
        assert!(
            needs.libraries.iter().any(|name| name == "libc.so.6"),
            "{needs:?}"
        );
        let interpreter = needs.interpreter.unwrap();
        let mut tree = Tree::new(Metadata::default());
        put(&mut tree, "/bin/x", program.clone());
        put(&mut tree, &interpreter, program.clone());
        // Of another machine, and after it the right one in a folder that only the configuration names.
        let mut other = program.clone();
        other[18] = 0xff;
        put(&mut tree, "/usr/lib/libc.so.6", other);
        put(&mut tree, "/opt/lib/libc.so.6", program);
        put(
            &mut tree,
            "/etc/ld.so.conf",
            b"include /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\n".to_vec(),
        );
        put(
            &mut tree,
            "/etc/ld.so.conf.d/x.conf",
            b"# c\n/opt/lib # d\n".to_vec(),
        );
        put(&mut tree, "/etc/ld.so.cache", b"cache".to_vec());
        let found = collect(&tree, ["/bin/x"].into_iter()).unwrap();
        let paths: BTreeSet<_> = found.files.keys().map(ToString::to_string).collect();
        for path in [
            "/bin/x",
            "/opt/lib/libc.so.6",
            "/etc/ld.so.cache",
            &interpreter,
        ] {
            assert!(paths.contains(path), "{path}");
        }
        assert!(!paths.contains("/usr/lib/libc.so.6"));
        assert!(
            found
                .warnings
                .iter()
                .all(|text| !text.contains("the library libc.so.6"))
        );
    }

    #[test]
    fn damaged_programs_give_an_answer() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let head = &program[..program.len().min(4096)];
        for len in (0..head.len()).step_by(61) {
            Needs::parse(&head[..len]);
        }
        for at in 0..64 {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = program.clone();
                damaged[at] = value;
                Needs::parse(&damaged);
            }
        }
    }

    #[test]
    fn programs_that_must_be_there_are_found_or_named_with_their_package() {
        let mut tree = Tree::new(Metadata::default());
        put(&mut tree, "/sbin/mkfs.xfs", b"program".to_vec());
        assert_eq!(programs(&tree, &["mkfs.xfs"]).unwrap(), ["/sbin/mkfs.xfs"]);
        let error = programs(&tree, &["mkfs.xfs", "cryptsetup"]).unwrap_err();
        assert_eq!(error.kind(), block::Kind::NotFound);
        assert!(error.to_string().contains("cryptsetup-bin"), "{error}");
    }

    #[test]
    fn folders_are_made_plain() {
        assert_eq!(normal("/usr/bin/../lib/./x//y"), "/usr/lib/x/y");
        assert_eq!(normal("/../../x"), "/x");
    }
}
