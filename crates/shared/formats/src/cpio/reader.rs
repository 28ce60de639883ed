//! Archives to a tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result, Window};
use tree::{Device, Inode, InodeId, Metadata, Name, Node, Timestamp, Tree, TreePath, mode};

use crate::Identity;
use crate::cpio::format::{HEADER_LEN, Header, MAGIC, MAGIC_CHECKED, MAX_NAME, TRAILER, padding};
use crate::cpio::segment::{Compression, MAX_UNPACKED};
use crate::cpio::spool::Spool;

/// How many folders a path may go through. Real ones have under 30; deeper ones are refused, because each is looked up from the root
/// on.
const MAX_DEPTH: usize = 128;

/// How deep compressed archives may lie in compressed archives: an archive in an archive does not occur, and is refused.
const MAX_NESTING: u8 = 1;

/// Says whether `source` is an initramfs: a newc archive, or a compressed stream that begins with one.
///
/// # Errors
///
/// What reading answers.
pub fn probe(source: &dyn ReadAt) -> Result<Option<Identity>> {
    let begins = match Compression::of(&head(source, MAGIC.len())?) {
        Some(compression) => {
            let head: Arc<dyn ReadAt> = Arc::new(head(source, compression.first_block())?);
            compression.peek(&head, 0)
        }
        None => head(source, MAGIC.len())?,
    };
    let found = begins.starts_with(MAGIC) || begins.starts_with(MAGIC_CHECKED);
    Ok(found.then(|| Identity {
        format: "cpio",
        label: String::new(),
        uuid: String::new(),
    }))
}

/// The first `len` bytes of `source`, or all of them where there are fewer.
fn head(source: &dyn ReadAt, len: usize) -> Result<Vec<u8>> {
    let len = usize::try_from(source.len()).unwrap_or(len).min(len);
    let mut head = vec![0; len];
    source.read_exact_at(&mut head, 0)?;
    Ok(head)
}

/// Reads all archives of `source`, a later one over the earlier ones, as the kernel unpacks them.
///
/// As [`read_tree_in`], with the folder for temporary files.
///
/// # Errors
///
/// As [`read_tree_in`].
pub fn read_tree(source: Arc<dyn ReadAt>) -> Result<Tree<Content>> {
    read_tree_in(source, &std::env::temp_dir())
}

/// Reads all archives of `source`, a later one over the earlier ones, as the kernel unpacks them.
///
/// Contents of uncompressed archives stay ranges of `source`; compressed archives are unpacked into memory, and those of more than 64 MiB
/// into a file in `folder` that has no name and is gone when the tree is. Folders that no entry
/// makes are made with permissions 0755; entries that the kernel could not make, as a file in the place of a folder with something in
/// it, are left out.
///
/// # Errors
///
/// `Corrupt` with the offset (in the unpacked archive, where it is compressed) of what breaks the format; `Limit` where more than 256 GiB
/// come out of compressed archives or a path goes through more than 128 folders; `Unsupported` for lzma, bzip2, lzo, the old cpio
/// formats, and an archive that is compressed twice; `Io` where `folder` takes no file.
pub fn read_tree_in(source: Arc<dyn ReadAt>, folder: &Path) -> Result<Tree<Content>> {
    let mut reader = Reader {
        folder: folder.to_path_buf(),
        tree: Tree::new(Metadata::with_permissions(0o755)),
        folders: BTreeMap::new(),
        unpacked: 0,
    };
    reader.source(&source, 0)?;
    Ok(reader.tree)
}

struct Reader {
    /// Where long archives are unpacked to.
    folder: PathBuf,
    tree: Tree<Content>,
    /// Folders that entries were put into, so that they are not looked up from the root on each time.
    folders: BTreeMap<TreePath, InodeId>,
    /// How many bytes came out of compressed archives.
    unpacked: u64,
}

impl Reader {
    /// All archives of one source.
    fn source(&mut self, source: &Arc<dyn ReadAt>, nesting: u8) -> Result<()> {
        let mut at = 0;
        while let Some(next) = next_data(source, at)? {
            at = next;
            let len = usize::try_from(source.len().saturating_sub(at)).unwrap_or(usize::MAX);
            let mut head = vec![0; len.min(6)];
            source.read_exact_at(&mut head, at)?;
            at = match Compression::of(&head) {
                None => self.archive(source, at)?,
                Some(compression) if nesting < MAX_NESTING => {
                    let limit = MAX_UNPACKED.saturating_sub(self.unpacked);
                    let folder = self.folder.clone();
                    let mut spool = Spool::new(&folder);
                    let end = compression.unpack(source, at, &mut spool, limit)?;
                    self.unpacked = self.unpacked.saturating_add(spool.len());
                    let inner = spool.finish()?;
                    self.source(&inner, nesting.saturating_add(1))
                        .map_err(|error| {
                            let what =
                                format!("reading the {} archive at byte {at}", compression.name());
                            error.while_doing(what)
                        })?;
                    end
                }
                Some(compression) => {
                    let message = format!("it is compressed with {} again", compression.name());
                    return Err(Error::unsupported("initramfs archive", message).at(at));
                }
            };
        }
        Ok(())
    }

    /// One archive from `at` on; answers where it ends.
    fn archive(&mut self, source: &Arc<dyn ReadAt>, mut at: u64) -> Result<u64> {
        let start = at;
        let mut links = BTreeMap::new();
        // Without a trailer an archive ends where its source does.
        while at < source.len() {
            let mut bytes = [0; HEADER_LEN];
            source
                .read_exact_at(&mut bytes, at)
                .map_err(|error| error.while_doing("cpio header"))?;
            let header = Header::parse(&bytes, at)?;
            let entry = Entry::read(source, header, start, at)?;
            if entry.name == TRAILER {
                return Ok(entry.end);
            }
            at = entry.end;
            self.entry(&entry, &mut links)?;
        }
        Ok(at)
    }

    fn entry(&mut self, entry: &Entry, links: &mut Links) -> Result<()> {
        let place =
            |error: tree::Error| Error::corrupt("cpio entry", error.to_string()).at(entry.offset);
        let path = TreePath::parse(&entry.name).map_err(place)?;
        if path.names().count() > MAX_DEPTH {
            let message = format!("the path goes through more than {MAX_DEPTH} folders");
            return Err(Error::limit("cpio entry", message).at(entry.offset));
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            *self.tree.metadata_mut(self.tree.root()) = entry.metadata();
            return Ok(());
        };
        let name = Name::new(name).map_err(place)?;
        let Some(parent) = self.folder(&parent).map_err(place)? else {
            return Ok(());
        };
        self.put(parent, name, entry, links).map_err(place)
    }

    /// The folder at `path`, made where it is missing; `None` where something that is no folder stands in the way.
    fn folder(&mut self, path: &TreePath) -> tree::Result<Option<InodeId>> {
        if let Some(id) = self.folders.get(path) {
            return Ok(Some(*id));
        }
        match self
            .tree
            .make_directories(path, &Metadata::with_permissions(0o755))
        {
            Ok(id) => {
                self.folders.insert(path.clone(), id);
                Ok(Some(id))
            }
            Err(tree::Error::TooManyInodes) => Err(tree::Error::TooManyInodes),
            Err(_) => Ok(None),
        }
    }

    fn put(
        &mut self,
        parent: InodeId,
        name: Name,
        entry: &Entry,
        links: &mut Links,
    ) -> tree::Result<()> {
        let Some(node) = entry.node() else {
            return Ok(());
        };
        let existing = self
            .tree
            .directory(parent)
            .and_then(|names| names.get(&name))
            .copied();
        if let Some(id) = existing
            && let Some(names) = self.tree.directory(id)
        {
            if matches!(node, Node::Directory(_)) {
                *self.tree.metadata_mut(id) = entry.metadata();
                return Ok(());
            }
            if !names.is_empty() {
                return Ok(());
            }
            self.folders.retain(|_, known| *known != id);
        }
        let linked = entry.link_key().and_then(|key| links.get(&key).copied());
        if let Some(id) = linked {
            if existing != Some(id) {
                self.tree.remove(parent, name.as_bytes());
                self.tree.link(parent, name, id)?;
            }
            if entry.header.filesize > 0 {
                self.tree.set_node(id, node)?;
                *self.tree.metadata_mut(id) = entry.metadata();
            }
            return Ok(());
        }
        self.tree.remove(parent, name.as_bytes());
        let id = self
            .tree
            .add(parent, name, Inode::new(entry.metadata(), node))?;
        if let Some(key) = entry.link_key() {
            links.insert(key, id);
        }
        Ok(())
    }
}

/// The files of one archive that have several names: by device, inode number and type.
type Links = BTreeMap<(u32, u32, u32, u16), InodeId>;

/// An entry with its name and the place of its content.
struct Entry {
    header: Header,
    name: Vec<u8>,
    content: Content,
    target: Box<[u8]>,
    /// Where its header is.
    offset: u64,
    /// Where the next header is.
    end: u64,
}

impl Entry {
    /// Reads the entry whose header lies at `at`; what is aligned is aligned from `start` on, where its archive begins.
    fn read(source: &Arc<dyn ReadAt>, header: Header, start: u64, at: u64) -> Result<Self> {
        let corrupt = |message: String| Error::corrupt("cpio entry", message).at(at);
        if header.namesize == 0 || header.namesize > MAX_NAME {
            let message = format!(
                "a name of {} bytes, with at most {MAX_NAME}",
                header.namesize
            );
            return Err(corrupt(message));
        }
        let name_at = at.saturating_add(ReadAt::len([0_u8; HEADER_LEN].as_slice()));
        let mut name = vec![0; usize::try_from(header.namesize).unwrap_or(0)];
        source
            .read_exact_at(&mut name, name_at)
            .map_err(|error| error.while_doing("cpio name"))?;
        if name.pop() != Some(0) || name.contains(&0) {
            return Err(corrupt(
                "the name does not end with its only NUL".to_owned(),
            ));
        }
        let data = align(start, name_at.saturating_add(header.namesize.into()));
        let len = u64::from(header.filesize);
        let unpadded = data.saturating_add(len);
        let window = Window::new(Arc::clone(source), data, len);
        let window = window.map_err(|error| corrupt(error.to_string()))?;
        let is_link = kind(header) == mode::SYMLINK;
        if is_link && header.filesize > MAX_NAME {
            return Err(corrupt(format!("a symbolic link of {len} bytes")));
        }
        let mut target = vec![
            0;
            if is_link {
                usize::try_from(len).unwrap_or(0)
            } else {
                0
            }
        ];
        source.read_exact_at(&mut target, data)?;
        if header.checked && kind(header) == mode::FILE {
            check(&window, header.check).map_err(|error| error.at(at))?;
        }
        // OK: the padding of the last entry may be cut off.
        let end = align(start, unpadded).min(source.len());
        let content = Content::new([Piece::Range {
            source: Arc::clone(source),
            offset: data,
            len,
        }])?;
        Ok(Self {
            header,
            name,
            content,
            target: target.into(),
            offset: at,
            end,
        })
    }

    fn metadata(&self) -> Metadata {
        let permissions = self.header.mode & u32::from(mode::PERMISSIONS);
        Metadata {
            uid: self.header.uid,
            gid: self.header.gid,
            mtime: Timestamp::from_seconds(self.header.mtime.into()),
            ..Metadata::with_permissions(u16::try_from(permissions).unwrap_or(0))
        }
    }

    /// What it is; `None` for a type that is none, which the kernel passes over too.
    fn node(&self) -> Option<Node<Content>> {
        let device = Device {
            major: self.header.rdevmajor,
            minor: self.header.rdevminor,
        };
        Some(match kind(self.header) {
            mode::DIRECTORY => Node::empty_directory(),
            mode::FILE => Node::File(self.content.clone()),
            mode::SYMLINK => Node::Symlink(self.target.clone()),
            mode::CHARACTER => Node::Character(device),
            mode::BLOCK => Node::Block(device),
            mode::FIFO => Node::Fifo,
            mode::SOCKET => Node::Socket,
            _ => return None,
        })
    }

    /// What the names of one file have in common; `None` for what has one name.
    fn link_key(&self) -> Option<(u32, u32, u32, u16)> {
        let header = self.header;
        let shared = header.nlink > 1 && !matches!(kind(header), mode::DIRECTORY | mode::SYMLINK);
        shared.then_some((header.devmajor, header.devminor, header.ino, kind(header)))
    }
}

fn kind(header: Header) -> u16 {
    u16::try_from(header.mode & u32::from(mode::TYPE)).unwrap_or(0)
}

fn align(start: u64, at: u64) -> u64 {
    let padding = padding(at.saturating_sub(start));
    at.saturating_add(u64::try_from(padding).unwrap_or(0))
}

/// Holds that the bytes of `content` add up to `expected`.
fn check(content: &Window, expected: u32) -> Result<()> {
    let mut sum = 0_u32;
    let mut buf = vec![0; 64 << 10];
    let mut at = 0;
    while at < content.len() {
        let rest = usize::try_from(content.len().saturating_sub(at)).unwrap_or(usize::MAX);
        let take = rest.min(buf.len());
        let part = buf.get_mut(..take).unwrap_or_default();
        content.read_exact_at(part, at)?;
        at = at.saturating_add(ReadAt::len(&*part));
        let bytes = part.iter().map(|byte| u32::from(*byte));
        sum = bytes.fold(sum, u32::wrapping_add);
    }
    if sum == expected {
        return Ok(());
    }
    let message = format!("the content adds up to {sum:08x}, and the header says {expected:08x}");
    Err(Error::corrupt("cpio entry", message))
}

/// The first byte at or after `at` that is not zero.
fn next_data(source: &Arc<dyn ReadAt>, at: u64) -> Result<Option<u64>> {
    let mut at = at;
    let mut buf = vec![0; 4 << 10];
    while let Some(range) = source.next_data(at)? {
        at = range.start;
        let len = usize::try_from(range.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let take = len.min(buf.len());
        let part = buf.get_mut(..take).unwrap_or_default();
        source.read_exact_at(part, at)?;
        let zeros = part.iter().take_while(|byte| **byte == 0).count();
        at = at.saturating_add(u64::try_from(zeros).unwrap_or(0));
        if zeros < take {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
