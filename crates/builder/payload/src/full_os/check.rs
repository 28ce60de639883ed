//! Everything that can be wrong with a system as an initramfs, before a byte is written.

use std::collections::BTreeSet;

use block::{Content, Error, ReadAt as _, Result};
use contract::attributes::Attributes;
use contract::media;
use formats::cpio;
use inspect::{Facts, OptionState};
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

use super::Options;
use super::compression::Codec;
use crate::initramfs;

/// What every kernel needs, by its option, and what for.
const NEEDED: [(&str, &str); 3] = [
    ("BLK_DEV_INITRD", "an initramfs"),
    ("TMPFS", "a place for the system in memory"),
    ("DEVTMPFS", "device nodes"),
];

/// The mode of the root, whatever the image's is: with another one nobody but root could use the system.
const ROOT_MODE: u16 = 0o755;

/// More threads than this make nothing faster and need memory.
const MAX_THREADS: usize = 16;

const WHAT: &str = "making the system an initramfs";

/// A system that can be an initramfs.
#[derive(Debug)]
pub struct Checked {
    pub(super) microcode: Vec<u8>,
    pub(super) first: Tree<Content>,
    pub(super) system: Tree<Content>,
    pub(super) last: Tree<Content>,
    pub(super) codec: Codec,
    pub(super) threads: usize,
    pub(super) latest: Option<Timestamp>,
    pub(super) unpacked_len: u64,
    warnings: Vec<String>,
}

impl Checked {
    /// Checks `tree`, whose facts are `facts`: the system without what media have elsewhere (the caller took `/boot` and the file
    /// systems of disks away).
    ///
    /// # Errors
    ///
    /// `Unsupported` where a kernel cannot boot it, naming the option that it lacks; `Limit` for a file of 4 GiB or more and for a name
    /// or a link that the kernel would pass over, with the path; what reading microcode answers.
    pub fn new(tree: &Tree<Content>, facts: &Facts, options: &Options) -> Result<Self> {
        let mut warnings = check_kernels(facts)?;
        let codec = Codec::choose(options.compression, facts)?;
        let mut system = tree.clone();
        let root = system.root();
        system.metadata_mut(root).permissions = ROOT_MODE;
        let own_init = own_init(tree)?;
        for ours in [media::FULL_OS_DIR, media::INIT] {
            if system.remove_path(&path(ours)?) && ours == media::FULL_OS_DIR {
                warnings.push(format!(
                    "{ours} of the image is left out: the runtime has that place"
                ));
            }
        }
        let list = attributes(&system, own_init.as_ref())?;
        warnings.extend(check_attributes(&list, facts));
        let root = system.inode(system.root()).metadata.clone();
        let mut first = Archive::new(&root, options.time)?;
        first.put(media::INIT, 0o755, &options.runtime)?;
        if let Some(inode) = own_init {
            first.put_inode(media::FULL_OS_INIT, inode)?;
        }
        let mut last = Archive::new(&root, options.time)?;
        let text = Content::from_bytes(list.print().into_bytes());
        last.put(media::ATTRIBUTES, 0o600, &text)?;
        let (first, last) = (first.tree, last.tree);
        let mut unpacked_len: u64 = 0;
        for archive in [&first, &system, &last] {
            unpacked_len = unpacked_len.saturating_add(cpio::measure(archive)?.len);
        }
        Ok(Self {
            microcode: initramfs::early_microcode(tree, facts, options.time)?,
            first,
            system,
            last,
            codec,
            threads: threads(options.threads),
            latest: options.latest,
            unpacked_len,
            warnings,
        })
    }

    /// More bytes than this the initramfs never has.
    #[must_use]
    pub fn max_len(&self) -> u64 {
        // Both codecs store what cannot be compressed: zstd with 3 bytes for 128 KiB, gzip with 5 for 16 KiB, and ends of pieces.
        self.unpacked_len
            .saturating_add(self.unpacked_len / 1024)
            .saturating_add(self.microcode.len() as u64)
            .saturating_add(64 << 10)
    }

    /// The length of the archives before compression, in bytes.
    #[must_use]
    pub fn unpacked_len(&self) -> u64 {
        self.unpacked_len
    }

    /// The name of what it is compressed with.
    #[must_use]
    pub fn compressor(&self) -> &'static str {
        match self.codec {
            Codec::Zstd(_) => "zstd",
            Codec::Gzip(_) => "gzip",
        }
    }

    /// What will not be as in the image, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn threads(wish: usize) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if wish == 0 { all() } else { wish };
    threads.clamp(1, MAX_THREADS)
}

/// Holds that every kernel can start a system from its initramfs; answers with what some lack.
fn check_kernels(facts: &Facts) -> Result<Vec<String>> {
    for kernel in &facts.kernels {
        for (option, what) in NEEDED {
            if kernel.config.option(option) == OptionState::Off {
                let message = format!(
                    "the kernel {} has no {what} (CONFIG_{option} is not set)",
                    kernel.version
                );
                return Err(Error::unsupported(WHAT, message));
            }
        }
    }
    Ok(Vec::new())
}

/// What of the attributes some kernel cannot hold.
fn check_attributes(list: &Attributes, facts: &Facts) -> Vec<String> {
    let lacks = |option: &str| {
        let mut kernels = facts.kernels.iter();
        kernels.find(|kernel| kernel.config.option(option) == OptionState::Off)
    };
    let acls = list.has(b"system.posix_acl_access") || list.has(b"system.posix_acl_default");
    [
        (list.has(b"security.capability"), "TMPFS_XATTR", "file capabilities"),
        (acls, "TMPFS_POSIX_ACL", "ACLs of files"),
    ]
    .into_iter()
    .filter_map(|(has, option, what)| {
        let kernel = has.then(|| lacks(option))??;
        Some(format!(
            "the kernel {} keeps no {what} in memory (CONFIG_{option} is not set): they are lost with it",
            kernel.version
        ))
    })
    .collect()
}

/// The system's own `/init`.
fn own_init(tree: &Tree<Content>) -> Result<Option<Inode<Content>>> {
    let Some(id) = tree.lookup(&path(media::INIT)?) else {
        return Ok(None);
    };
    if tree.directory(id).is_some() {
        let message = "it is a folder, and the kernel starts the program of this name";
        return Err(Error::unsupported(WHAT, message).in_file(media::INIT));
    }
    let inode = tree.inode(id);
    Ok(Some(Inode::new(inode.metadata.clone(), inode.node.clone())))
}

/// The attributes of all files by all their names, and how many bytes the files have.
fn attributes(system: &Tree<Content>, own_init: Option<&Inode<Content>>) -> Result<Attributes> {
    let refused = |error: contract::Error| Error::limit(WHAT, error.to_string());
    let mut seen = BTreeSet::new();
    let mut content_len: u64 = 0;
    let mut list = Attributes::default();
    for entry in system.walk() {
        if let Node::File(content) = &entry.inode.node
            && seen.insert(entry.id)
        {
            content_len = content_len.saturating_add(content.len());
        }
        let xattrs = &entry.inode.metadata.xattrs;
        list.insert(entry.path.as_bytes(), xattrs)
            .map_err(refused)?;
    }
    if let Some(inode) = own_init {
        list.insert(media::INIT.as_bytes(), &inode.metadata.xattrs)
            .map_err(refused)?;
    }
    list.content_len = content_len;
    let text_len = list.print().len();
    if text_len > contract::attributes::MAX_LEN {
        let message = format!(
            "the list of its files' attributes has {text_len} bytes, and at most {} are read",
            contract::attributes::MAX_LEN
        );
        return Err(Error::limit(WHAT, message));
    }
    Ok(list)
}

/// A small archive of our own.
struct Archive {
    tree: Tree<Content>,
    time: Timestamp,
}

impl Archive {
    /// With the folder that is ours. Each archive has a root, and the last one's counts.
    fn new(root: &Metadata, time: Timestamp) -> Result<Self> {
        let mut archive = Self {
            tree: Tree::new(root.clone()),
            time,
        };
        let folder = Inode::new(archive.metadata(0o700), Node::empty_directory());
        archive.put_inode(media::FULL_OS_DIR, folder)?;
        Ok(archive)
    }

    fn metadata(&self, permissions: u16) -> Metadata {
        Metadata {
            mtime: self.time,
            ..Metadata::with_permissions(permissions)
        }
    }

    fn put(&mut self, at: &str, permissions: u16, content: &Content) -> Result<()> {
        let node = Node::File(content.clone());
        self.put_inode(at, Inode::new(self.metadata(permissions), node))
    }

    fn put_inode(&mut self, at: &str, inode: Inode<Content>) -> Result<()> {
        let put = self.tree.put(&path(at)?, inode);
        put.map(drop).map_err(|error| refuse(at, error))
    }
}

fn path(text: &str) -> Result<TreePath> {
    TreePath::parse(text).map_err(|error| refuse(text, error))
}

fn refuse(path: &str, error: tree::Error) -> Error {
    Error::corrupt(WHAT, "").in_file(path).caused_by(error)
}
