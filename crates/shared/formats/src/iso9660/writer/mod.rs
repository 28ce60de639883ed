//! Writes an ISO from front to back.
//!
//! ```text
//! sector 0..16       MBR, GPT                                  hybrid.rs
//! 16..               volume descriptors, boot catalog          descriptor.rs  eltorito.rs
//!                    path tables, continuation areas, folders  plan.rs  names.rs  directory.rs  susp.rs
//!                    the ESP, other files, late files
//!                    GPT backup
//! ```
//!
//! The room for all that lies before the files follows from the names alone, so files are written straight to their places, and the
//! metadata last.
mod descriptor;
pub(super) mod directory;
mod eltorito;
mod hybrid;
pub(super) mod names;
mod options;
mod plan;
pub(super) mod susp;

use std::collections::{BTreeMap, VecDeque};

use block::{Content, Error, Piece, ReadAt as _, Result, WriteAt};
use tree::{InodeId, Node, Tree, TreePath};

pub use options::{
    BiosBoot, BootInfo, EfiBoot, Extent, File, HybridKind, HybridMbr, Options, Report, VolumeId,
};

use super::format::{FIRST_DESCRIPTOR, SECTOR, SECTOR_LEN, sectors};
use directory::Record;
use names::View;
use plan::Hierarchy;
use susp::Continuations;

/// How much of a file is copied at a time.
const COPY_LEN: usize = 1 << 20;

/// An ISO that is being written.
#[derive(Debug)]
pub struct Image<'a> {
    target: &'a dyn WriteAt,
    options: Options,
    layout: Layout,
    /// Where every file lies that has its place.
    extents: BTreeMap<InodeId, Extent>,
    paths: BTreeMap<TreePath, InodeId>,
    /// The late files that are not placed yet, with their largest lengths.
    late: VecDeque<(TreePath, InodeId, u64)>,
    /// The first byte after what has its place, a multiple of the sector.
    next: u64,
    without_xattrs: u64,
}

/// Where the metadata lies, by sectors.
#[derive(Debug)]
struct Layout {
    catalog: Option<u32>,
    hierarchies: [Hierarchy; 2],
    /// The first sectors of the tables, little-endian and big-endian, of each hierarchy.
    path_tables: [[u32; 2]; 2],
    continuations: Continuations,
    continuations_at: u32,
    /// The first sector after the metadata.
    end: u32,
}

impl<'a> Image<'a> {
    /// Lays out the ISO of `tree` and writes every file whose content is known to `target`, which holds nothing yet: what is never
    /// written must read as zeros.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where the options name a file that is not in the tree,
    /// [`Kind::Unsupported`](block::Kind::Unsupported) and [`Kind::Limit`](block::Kind::Limit) where ISO 9660 cannot hold it; what
    /// reading contents and writing answers.
    pub fn begin(tree: &Tree<File>, options: &Options, target: &'a dyn WriteAt) -> Result<Self> {
        descriptor::check(options)?;
        let layout = Layout::new(tree, options)?;
        let mut image = Self {
            target,
            options: options.clone(),
            next: u64::from(layout.end).saturating_mul(SECTOR_LEN),
            layout,
            extents: BTreeMap::new(),
            paths: BTreeMap::new(),
            late: VecDeque::new(),
            without_xattrs: 0,
        };
        image.take_late(tree)?;
        if let Some(EfiBoot { image: path }) = &options.efi {
            let (id, content) = known_file(tree, path, "the EFI boot image")?;
            image.write_content(id, path, content)?;
        }
        if let Some(bios) = &options.bios {
            image.write_bios_image(tree, bios)?;
        }
        for entry in tree.walk() {
            let xattrs = !entry.inode.metadata.xattrs.is_empty();
            image.without_xattrs = image.without_xattrs.saturating_add(u64::from(xattrs));
            if let Node::File(file) = &entry.inode.node {
                if let File::Content(content) = file {
                    image.write_content(entry.id, &entry.path, content)?;
                }
                image.paths.insert(entry.path, entry.id);
            }
        }
        Ok(image)
    }

    /// Where the next late file begins, in bytes: a multiple of 2048.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// Says that the late file at `path`, the next in the options' order, was written at [`next_offset`](Self::next_offset) and has
    /// `len` bytes.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where it is not the next late file, [`Kind::Limit`](block::Kind::Limit) where it is
    /// longer than was declared or the ISO gets too long.
    pub fn place(&mut self, path: &TreePath, len: u64) -> Result<Extent> {
        let what = || format!("placing the late file {path}");
        let Some((_, id, max_len)) = self.late.front().filter(|(next, ..)| next == path) else {
            return Err(Error::not_found(what(), "it is not the next late file"));
        };
        if len > *max_len {
            let message = format!("it has {len} bytes, and {max_len} were declared");
            return Err(Error::limit(what(), message));
        }
        let id = *id;
        let extent = self
            .allot(id, len)
            .map_err(|error| error.while_doing(what()))?;
        self.late.pop_front();
        Ok(extent)
    }

    /// Where the file at `path` lies; `None` where there is no such file or it is a late one without its place.
    #[must_use]
    pub fn extent(&self, path: &TreePath) -> Option<Extent> {
        self.extents.get(self.paths.get(path)?).copied()
    }

    /// Writes the metadata and the partition tables. Nothing is synced: that is for whoever owns the target.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where a late file has no place yet, [`Kind::Limit`](block::Kind::Limit) where the ISO
    /// gets too long; what writing answers.
    pub fn finish(self) -> Result<Report> {
        if let Some((path, ..)) = self.late.front() {
            let what = format!("finishing the ISO without the late file {path}");
            return Err(Error::not_found(what, "it has no place yet"));
        }
        let (bios, esp) = self.boot_extents();
        let boot = bios.and_then(|(bios, extent)| Some((bios.mbr.as_ref()?, extent)));
        let len = hybrid::Layout::whole_len(self.next, boot.map(|(mbr, _)| mbr), esp);
        let volume_sectors = u32::try_from(sectors(len))
            .map_err(|_| Error::limit("finishing the ISO", "it has over 2^32 sectors"))?;
        // The last byte too, so that the file is as long as the volume says.
        self.target.write_all_at(&[0], len.saturating_sub(1))?;
        let mut seed = blake3::Hasher::new();
        self.write_hierarchies(&mut seed)?;
        self.write_descriptors(volume_sectors, &mut seed)?;
        let tables = hybrid::Layout {
            boot,
            esp,
            len,
            seed: seed.finalize(),
        };
        tables.write(self.target)?;
        Ok(Report {
            len,
            without_xattrs: self.without_xattrs,
            esp,
        })
    }

    /// Takes the late files from the options, which must name each of the tree's once.
    fn take_late(&mut self, tree: &Tree<File>) -> Result<()> {
        let mut named = BTreeMap::new();
        for path in &self.options.late {
            let id = tree.lookup(path);
            match id.map(|id| (id, &tree.inode(id).node)) {
                Some((id, Node::File(File::Late { max_len })))
                    if named.insert(id, ()).is_none() =>
                {
                    self.late.push_back((path.clone(), id, *max_len));
                }
                _ => {
                    let what = format!("the late file {path}");
                    return Err(Error::not_found(
                        what,
                        "the tree has no late file of its own there",
                    ));
                }
            }
        }
        let unnamed = |id: &InodeId, node: &Node<File>| {
            matches!(node, Node::File(File::Late { .. })) && !named.contains_key(id)
        };
        match tree
            .walk()
            .find(|entry| unnamed(&entry.id, &entry.inode.node))
        {
            Some(entry) => {
                let what = format!("the late file {}", entry.path);
                Err(Error::not_found(
                    what,
                    "the options do not say when it is written",
                ))
            }
            None => Ok(()),
        }
    }

    /// Gives the file `id` of `len` bytes the next place.
    fn allot(&mut self, id: InodeId, len: u64) -> Result<Extent> {
        let extent = Extent {
            offset: self.next,
            len,
        };
        let end = sectors(len)
            .checked_mul(SECTOR_LEN)
            .and_then(|len| self.next.checked_add(len))
            .filter(|end| u32::try_from(end / SECTOR_LEN).is_ok());
        self.next =
            end.ok_or_else(|| Error::limit("laying out a file", "the ISO has over 2^32 sectors"))?;
        self.extents.insert(id, extent);
        Ok(extent)
    }

    /// Copies a file to the next place, unless another name of it was copied before.
    fn write_content(&mut self, id: InodeId, path: &TreePath, content: &Content) -> Result<()> {
        if self.extents.contains_key(&id) {
            return Ok(());
        }
        let extent = self.allot(id, content.len())?;
        check_sources(content)
            .and_then(|()| copy(content, self.target, extent.offset))
            .map_err(|error| error.while_doing(format!("writing {path} to the ISO")))
    }

    fn write_bios_image(&mut self, tree: &Tree<File>, bios: &BiosBoot) -> Result<()> {
        let (id, content) = known_file(tree, &bios.image, "the BIOS boot image")?;
        if bios.info == BootInfo::None {
            return self.write_content(id, &bios.image, content);
        }
        if self.extents.contains_key(&id) {
            let message = "it is the EFI boot image too, and cannot be patched";
            return Err(Error::unsupported("the BIOS boot image", message));
        }
        let mut bytes = content.read_all(eltorito::MAX_BIOS_IMAGE)?;
        let extent = self.allot(id, content.len())?;
        eltorito::patch(&mut bytes, bios.info, extent)?;
        self.target.write_all_at(&bytes, extent.offset)
    }

    fn boot_extents(&self) -> (Option<(&BiosBoot, Extent)>, Option<Extent>) {
        let bios = self.options.bios.as_ref();
        let efi = self.options.efi.as_ref();
        (
            bios.and_then(|bios| Some((bios, self.extent(&bios.image)?))),
            efi.and_then(|efi| self.extent(&efi.image)),
        )
    }

    /// Writes folders, continuation areas and path tables, and takes them into `seed`.
    fn write_hierarchies(&self, seed: &mut blake3::Hasher) -> Result<()> {
        let layout = &self.layout;
        for (hierarchy, [little, big]) in layout.hierarchies.iter().zip(&layout.path_tables) {
            for (number, folder) in hierarchy.folders.iter().enumerate() {
                let extent_of = |id| self.extents.get(&id).copied();
                let bytes = directory::encode(hierarchy, number, extent_of);
                seed.update(&bytes);
                self.write_sector(folder.lba, &bytes)?;
            }
            self.write_sector(*little, &hierarchy.path_table(false))?;
            self.write_sector(*big, &hierarchy.path_table(true))?;
        }
        seed.update(layout.continuations.bytes());
        self.write_sector(layout.continuations_at, layout.continuations.bytes())
    }

    /// Writes the volume descriptors and the boot catalog, and takes them into `seed`.
    fn write_descriptors(&self, volume_sectors: u32, seed: &mut blake3::Hasher) -> Result<()> {
        let [primary, joliet] = &self.layout.hierarchies;
        let [primary_tables, joliet_tables] = self.layout.path_tables;
        let volume = |hierarchy: &Hierarchy, path_tables| {
            let root = hierarchy.folders.first();
            let record = Record {
                identifier: &[0],
                lba: root.map_or(0, |root| root.lba),
                len: root.map_or(0, plan::Folder::len),
                flags: super::format::flag::DIRECTORY,
                date: root.map_or([0; 7], |root| root.date),
                susp: &[],
            };
            let facts = descriptor::Facts {
                volume_sectors,
                path_table_len: u32::try_from(hierarchy.path_table_len()).unwrap_or(u32::MAX),
                path_tables,
                root: record.encode(),
            };
            descriptor::volume(hierarchy.view, &self.options, &facts)
        };
        let mut set = volume(primary, primary_tables);
        if let Some(catalog) = self.layout.catalog {
            set.extend(descriptor::boot_record(catalog));
            let (bios, esp) = self.boot_extents();
            self.write_sector(catalog, &eltorito::catalog(bios, esp))?;
        }
        set.extend(volume(joliet, joliet_tables));
        set.extend(descriptor::terminator());
        seed.update(&set);
        self.target
            .write_all_at(&set, FIRST_DESCRIPTOR.saturating_mul(SECTOR_LEN))
    }

    fn write_sector(&self, lba: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.target
            .write_all_at(bytes, u64::from(lba).saturating_mul(SECTOR_LEN))
    }
}

impl Layout {
    fn new(tree: &Tree<File>, options: &Options) -> Result<Self> {
        let mut primary = Hierarchy::new(tree, View::Primary)?;
        let mut joliet = Hierarchy::new(tree, View::Joliet)?;
        let mut room = Room(u32::try_from(FIRST_DESCRIPTOR).unwrap_or(0));
        let boots = options.bios.is_some() || options.efi.is_some();
        room.take(SECTOR.saturating_mul(if boots { 4 } else { 3 }))?;
        let catalog = if boots {
            Some(room.take(SECTOR)?)
        } else {
            None
        };
        let mut tables = |hierarchy: &Hierarchy| -> Result<[u32; 2]> {
            let len = hierarchy.path_table_len();
            Ok([room.take(len)?, room.take(len)?])
        };
        let path_tables = [tables(&primary)?, tables(&joliet)?];
        let continuations_at = room.0;
        let mut continuations = Continuations::new(continuations_at);
        primary.add_rock_ridge(tree, &mut continuations)?;
        room.take(continuations.bytes().len())?;
        let next = primary.place(room.0)?;
        let end = joliet.place(next)?;
        Ok(Self {
            catalog,
            hierarchies: [primary, joliet],
            path_tables,
            continuations,
            continuations_at,
            end,
        })
    }
}

/// The next free sector of the metadata.
struct Room(u32);

impl Room {
    /// Takes whole sectors for `len` bytes and answers with the first.
    fn take(&mut self, len: usize) -> Result<u32> {
        let first = self.0;
        self.0 = u32::try_from(len.div_ceil(SECTOR))
            .ok()
            .and_then(|count| first.checked_add(count))
            .ok_or_else(|| Error::limit("laying out the ISO", "over 2^32 sectors of metadata"))?;
        Ok(first)
    }
}

/// The file at `path`, whose content is known.
fn known_file<'t>(
    tree: &'t Tree<File>,
    path: &TreePath,
    what: &str,
) -> Result<(InodeId, &'t Content)> {
    let what = || format!("{what} {path}");
    let id = tree
        .lookup(path)
        .ok_or_else(|| Error::not_found(what(), "there is no such file on the ISO"))?;
    match &tree.inode(id).node {
        Node::File(File::Content(content)) => Ok((id, content)),
        Node::File(File::Late { .. }) => Err(Error::unsupported(
            what(),
            "it is written late, and a boot image cannot be",
        )),
        _ => Err(Error::unsupported(what(), "it is no regular file")),
    }
}

/// Holds that every range lies in its source: looking for data alone would take what is missing for zeros.
fn check_sources(content: &Content) -> Result<()> {
    for piece in content.pieces() {
        if let Piece::Range {
            source,
            offset,
            len,
        } = piece
            && offset
                .checked_add(*len)
                .is_none_or(|end| end > source.len())
        {
            let message = format!("{len} bytes from here, and the source has {}", source.len());
            return Err(Error::corrupt("a file's content", message).at(*offset));
        }
    }
    Ok(())
}

/// Copies what is not zeros of `content` to `offset` of `target`.
fn copy(content: &Content, target: &dyn WriteAt, offset: u64) -> Result<()> {
    let mut buf = vec![0; COPY_LEN.min(usize::try_from(content.len()).unwrap_or(COPY_LEN))];
    let mut at = 0;
    while let Some(range) = content.next_data(at)? {
        at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end.saturating_sub(at)).unwrap_or(COPY_LEN);
            let part = buf.get_mut(..len.min(COPY_LEN)).unwrap_or_default();
            content.read_exact_at(part, at)?;
            target.write_all_at(part, offset.saturating_add(at))?;
            at = at.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
    }
    Ok(())
}
