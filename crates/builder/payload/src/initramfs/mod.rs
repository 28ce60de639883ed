//! The native initramfs: `liveos-init`, the kernel modules that live media need, and what belongs to them.
//!
//! It is made from the tree alone: no program of the image runs. The parts, in the order in which they work:
//!
//! * `requirements`: whether the kernel can boot media at all;
//! * `modules`, `modinfo`, `modprobe`: what modules there are, what each says of itself, what the image wishes;
//! * `selection` (a table, with reasons) and `closure`: which modules are taken, and how they are loaded;
//! * `firmware`: firmware and microcode;
//! * `install`: files and programs of the image that were asked for, with their libraries;
//! * `shell`: a shell for who wants to look around in it;
//! * `compression`: what the archive is compressed with.

mod closure;
mod codec;
mod compression;
mod firmware;
mod install;
mod modinfo;
mod modprobe;
mod modules;
mod requirements;
mod selection;
mod shell;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use block::{Content, Error, ReadAt as _, Result};
use contract::media;
use contract::module_index::normalise;
use formats::cpio;
use inspect::{Facts, Kernel};
use tree::{Device, Inode, Metadata, Node, Timestamp, Tree, TreePath};

use closure::{Chosen, Wishes};
use modprobe::Modprobe;
use modules::Modules;
use shell::Shell;

pub use compression::Compression;
pub use requirements::{RootImage, SquashfsCompressor};

/// How many bytes the files of an initramfs may have in all. It is put together in memory, and a machine unpacks it into memory; more
/// is refused.
const MAX_FILES: u64 = 1 << 30;

/// Where distributions have the certificates of all authorities in one file: Debian and its relatives, Fedora and its relatives, Azure
/// Linux, SUSE, Alpine.
const CERTIFICATES: [&str; 5] = [
    media::CERTIFICATES,
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What goes into an initramfs besides what the tree says.
#[derive(Clone, Debug)]
pub struct Options {
    /// `liveos-init`, a static program for the image's architecture.
    pub runtime: Content,
    /// What the media's root file system image is: the kernel must be able to mount it.
    pub root_image: RootImage,
    /// Whether the kernel is to verify it as it is read.
    pub verity: bool,
    /// What the archive should be compressed with; where the kernel cannot unpack it, xz or gzip is taken.
    pub compression: Compression,
    /// The time of every file.
    pub time: Timestamp,
    /// Whether the medium may come over the network: takes the drivers of network cards, which are large, and the image's
    /// certificates of authorities, for `https`.
    pub network: bool,
    /// Modules to take besides the table's, by name or alias.
    pub add_modules: Vec<String>,
    /// Modules to leave out, unless another needs them.
    pub omit_modules: Vec<String>,
    /// Files of the image to take along, by their paths; programs with the libraries that they need.
    pub install: Vec<String>,
    /// A shell for `rd.shell` and `rd.break`: asked for or not, and busybox of the builder's machine, where that has one.
    pub shell: Option<HostShell>,
    /// Programs of the image, by their names, without which what was asked for cannot be.
    pub programs: Vec<&'static str>,
    /// Files to put in, in the place of those that are there.
    pub extra: Vec<(TreePath, Inode<Content>)>,
}

/// What the builder's machine has for the shell of an initramfs.
#[derive(Clone, Debug, Default)]
pub struct HostShell {
    /// Its busybox; used where the image has none, and this one needs no library and is for the image's architecture.
    pub busybox: Option<Content>,
}

impl Options {
    /// The default for media with a squashfs compressed with zstd: no wishes, times of 1970.
    #[must_use]
    pub fn new(runtime: Content) -> Self {
        Self {
            runtime,
            root_image: RootImage::Squashfs(SquashfsCompressor::Zstd),
            verity: false,
            compression: Compression::default(),
            time: Timestamp::default(),
            network: false,
            add_modules: Vec::new(),
            omit_modules: Vec::new(),
            install: Vec::new(),
            programs: Vec::new(),
            shell: None,
            extra: Vec::new(),
        }
    }
}

/// An initramfs.
#[derive(Clone, Debug)]
pub struct Initramfs {
    /// The file: microcode uncompressed first, where there is any, then the compressed archive.
    pub bytes: Vec<u8>,
    /// How many of the bytes are microcode with its archive.
    pub microcode_len: u64,
    /// The length of the archive before compression.
    pub unpacked_len: u64,
    /// What it was compressed with.
    pub compression: Compression,
    /// The normalised names of its modules.
    pub modules: Vec<String>,
    /// Why each module is in it, by its name, for people.
    pub reasons: BTreeMap<String, String>,
    /// Modules that may ask for firmware of which the image has none: their devices may not work while booting, and not in the
    /// running system either.
    pub missing_firmware: Vec<String>,
    /// What the image asked for and does not get, one sentence each.
    pub warnings: Vec<String>,
}

/// Makes the initramfs of `kernel` from `tree`, whose facts are `facts`. The same input gives the same bytes.
///
/// # Errors
///
/// `Unsupported` where the kernel cannot boot live media, naming the options that it lacks; `Corrupt` or `Limit` with the path of a
/// module or configuration file that cannot be used; what reading the tree answers.
pub fn build(
    tree: &Tree<Content>,
    facts: &Facts,
    kernel: &Kernel,
    options: &Options,
) -> Result<Initramfs> {
    let mut modules = match &kernel.modules {
        Some(folder) => Modules::open(tree, folder)?,
        None => Modules::none(tree),
    };
    requirements::check(kernel, &mut modules, options.root_image)?;
    if options.verity {
        requirements::check_verity(kernel, &modules, &options.omit_modules)?;
    }
    let compression = options.compression.for_kernel(kernel)?;
    let modprobe = Modprobe::find(tree)?;
    let mut wishes = Wishes::of_dracut(facts);
    wishes.network = options.network;
    wishes
        .add
        .extend(options.add_modules.iter().map(|name| normalise(name)));
    wishes
        .omit
        .extend(options.omit_modules.iter().map(|name| normalise(name)));
    let mut chosen = closure::choose(&mut modules, &kernel.config, &modprobe, &wishes)?;
    let firmware = firmware::find(tree, &kernel.version, &chosen);
    let reasons = std::mem::take(&mut chosen.reasons);
    let mut warnings = std::mem::take(&mut chosen.warnings);
    if options.network {
        warnings.extend(missing_cards(&chosen, kernel));
    }
    warnings.extend(modprobe.warnings);
    warnings.extend(dracut_warnings(facts));

    let mut root = Root::new(options.time);
    let programs = install::programs(tree, &options.programs)?;
    let shell = match &options.shell {
        Some(host) => Some(Shell::find(tree, host.busybox.as_ref(), &options.runtime)?),
        None => None,
    };
    let of_shell: Vec<&str> = shell.iter().flat_map(Shell::files).collect();
    let asked = (facts.dracut.words("install_items"))
        .chain(options.install.iter().map(String::as_str))
        .chain(programs.iter().map(String::as_str))
        .chain(of_shell.iter().copied());
    let optional = facts.dracut.words("install_optional_items");
    let asked = asked.chain(optional.filter(|path| tree.file(path).is_some()));
    let installed = install::collect(tree, asked)?;
    warnings.extend(installed.warnings);
    for (path, mut inode) in installed.files {
        inode.metadata.mtime = options.time;
        root.put(&path, inode)?;
    }
    root.put_basics(facts, options)?;
    if let Some(shell) = shell {
        warnings.extend(shell.warning());
        root.put_shell(&shell)?;
    }
    root.put_modules(&kernel.version, chosen)?;
    for (path, content) in firmware.files {
        root.put_file(&path, 0o644, content)?;
    }
    if options.network
        && let Some(content) = CERTIFICATES.iter().find_map(|path| tree.file(path))
    {
        root.put_file(media::CERTIFICATES, 0o644, content.clone())?;
    }
    for (path, inode) in &options.extra {
        root.put(path, inode.clone())?;
    }

    let mut bytes = early_microcode(tree, facts, options.time)?;
    let microcode_len = length(&bytes);
    root.check_size()?;
    let mut archive = Vec::new();
    let cpio_options = cpio::WriteOptions::default();
    let unpacked_len = cpio::write(&root.tree, &cpio_options, &mut archive)?.len;
    bytes.extend(compression.compress(&archive)?);
    Ok(Initramfs {
        bytes,
        microcode_len,
        unpacked_len,
        compression,
        modules: root.modules,
        reasons,
        missing_firmware: firmware.missing,
        warnings,
    })
}

/// A warning where there is no driver of a network card.
fn missing_cards(chosen: &Chosen, kernel: &Kernel) -> Option<String> {
    let mut modules = chosen.index.modules.values();
    let has_card = modules.any(|module| module.path.contains("/drivers/net/"));
    (!has_card).then(|| {
        format!(
            "the medium comes over the network, and the kernel {} has no module of a network card: install the package with its drivers",
            kernel.version
        )
    })
}

/// The archive with the processor's microcode; empty where the image has none, or its dracut configuration wants none.
pub(crate) fn early_microcode(
    tree: &Tree<Content>,
    facts: &Facts,
    time: Timestamp,
) -> Result<Vec<u8>> {
    if facts.dracut.words("early_microcode").last() == Some("no") {
        return Ok(Vec::new());
    }
    let found = firmware::microcode(tree)?;
    let mut bytes = Vec::new();
    if !found.is_empty() {
        let mut root = Root::new(time);
        for (path, code) in found {
            root.put_file(path, 0o644, Content::from_bytes(code))?;
        }
        cpio::write(&root.tree, &cpio::WriteOptions::default(), &mut bytes)?;
    }
    Ok(bytes)
}

/// What the image's dracut configuration asks for that only dracut can do.
fn dracut_warnings(facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in [
        "add_dracutmodules",
        "dracutmodules",
        "force_add_dracutmodules",
        "fscks",
    ] {
        let words: Vec<&str> = facts.dracut.words(name).collect();
        if !words.is_empty() {
            warnings.push(format!(
                "the dracut configuration sets {name} to \"{}\", which this initramfs does not have",
                words.join(" ")
            ));
        }
    }
    warnings
}

/// The tree of the initramfs while it grows.
struct Root {
    tree: Tree<Content>,
    time: Timestamp,
    modules: Vec<String>,
}

impl Root {
    fn new(time: Timestamp) -> Self {
        let mut root = Self {
            tree: Tree::new(Metadata::default()),
            time,
            modules: Vec::new(),
        };
        let id = root.tree.root();
        *root.tree.metadata_mut(id) = root.metadata(0o755);
        root
    }

    fn metadata(&self, permissions: u16) -> Metadata {
        Metadata {
            mtime: self.time,
            ..Metadata::with_permissions(permissions)
        }
    }

    fn put(&mut self, path: &TreePath, inode: Inode<Content>) -> Result<()> {
        let place = |error: tree::Error| {
            let message = format!("{path}: {error}");
            Error::corrupt("putting the initramfs together", message)
        };
        if let Some(parent) = path.parent() {
            let metadata = self.metadata(0o755);
            self.tree
                .make_directories(&parent, &metadata)
                .map_err(place)?;
        }
        self.tree.put(path, inode).map_err(place)?;
        Ok(())
    }

    fn put_node(&mut self, path: &str, permissions: u16, node: Node<Content>) -> Result<()> {
        let parsed = TreePath::parse(path)
            .map_err(|error| Error::corrupt("putting the initramfs together", error.to_string()))?;
        self.put(&parsed, Inode::new(self.metadata(permissions), node))
    }

    fn put_file(&mut self, path: &str, permissions: u16, content: Content) -> Result<()> {
        self.put_node(path, permissions, Node::File(content))
    }

    /// Holds that the files fit into memory.
    fn check_size(&self) -> Result<()> {
        let sizes = self.tree.walk().map(|entry| match &entry.inode.node {
            Node::File(content) => content.len(),
            _ => 0,
        });
        let total = sizes.fold(0, u64::saturating_add);
        if total <= MAX_FILES {
            return Ok(());
        }
        let message = format!("its files have {total} bytes, and at most {MAX_FILES} are taken");
        Err(Error::limit("putting the initramfs together", message))
    }

    /// Everything that every initramfs has: the program, the folders that it mounts on, a console, and what says what it is.
    fn put_basics(&mut self, facts: &Facts, options: &Options) -> Result<()> {
        for folder in ["/dev", "/proc", "/run", "/sys", media::NEW_ROOT] {
            self.put_node(folder, 0o755, Node::empty_directory())?;
        }
        // The kernel opens the console for process 1 before anything is mounted.
        for (path, permissions, minor, major) in
            [("/dev/console", 0o600, 1, 5), ("/dev/null", 0o666, 3, 1)]
        {
            let device = Device { major, minor };
            self.put_node(path, permissions, Node::Character(device))?;
        }
        let release = format!(
            "NAME=\"liveos\"\nID=liveos\nPRETTY_NAME=\"liveos initramfs of {}\"\n",
            facts.name().replace(['"', '\\', '$', '`', '\n'], "")
        );
        self.put_file(
            media::INITRD_RELEASE,
            0o644,
            Content::from_bytes(release.into_bytes()),
        )?;
        if let Some(text) = facts
            .dracut
            .settings
            .get("kernel_cmdline")
            .filter(|text| !text.trim().is_empty())
        {
            let path = format!("{}/01-dracut.conf", media::CMDLINE_DROP_INS);
            let text = format!("{}\n", text.trim());
            self.put_file(&path, 0o644, Content::from_bytes(text.into_bytes()))?;
        }
        self.put_file(media::INIT, 0o755, options.runtime.clone())
    }

    /// The shell's names, where it is busybox.
    fn put_shell(&mut self, shell: &Shell) -> Result<()> {
        if let Some((path, content)) = shell.program() {
            self.put_file(path, 0o755, content)?;
        }
        for (path, target) in shell.links() {
            self.put_node(&path, 0o777, Node::Symlink(target.as_bytes().into()))?;
        }
        Ok(())
    }

    /// The modules, and the index by which they are loaded.
    fn put_modules(&mut self, version: &str, chosen: Chosen) -> Result<()> {
        let Chosen {
            modules, mut index, ..
        } = chosen;
        let mut contents = BTreeMap::new();
        for (name, loaded) in modules {
            let path = format!("{}/{version}/{}", media::MODULES_DIR, loaded.path);
            if let Some(module) = index.modules.get_mut(&name) {
                module.path.clone_from(&path);
            }
            contents.insert(path, loaded.bytes);
            self.modules.push(name);
        }
        for (path, bytes) in contents {
            self.put_file(&path, 0o644, Content::from_bytes(bytes))?;
        }
        let text = index.print().into_bytes();
        self.put_file(media::MODULE_INDEX, 0o644, Content::from_bytes(text))
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
