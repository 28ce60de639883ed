//! Changes the metadata of a finished ISO in places: where a file's bytes lie, which names a folder has, how long the volume is.
//!
//! Nothing is written here: an [`Editor`] reads the ISO, collects what its sectors become, and hands that out. Contents are the caller's,
//! who writes them to a free place first. Both name spaces are kept alike: the primary one, with Rock Ridge where there is any, and
//! Joliet's; path tables name folders only and stay as they are.
//!
//! Easily got wrong: a number is stored in both byte orders, and a record must not cross the end of a sector, so a new name may move its
//! neighbours.

mod record;
mod sectors;

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Error, ReadAt, Result, read_vec};
use tree::{Timestamp, TreePath};

use super::format::{
    FIRST_DESCRIPTOR, SECTOR, SECTOR_LEN, STANDARD_ID, both32, descriptor_type, le16, le32, put,
};
use super::reader::record::Record;
use super::reader::{susp, volume, walk};
use super::writer::Extent;
use super::writer::names::View;
use record::{Entry, Folder, Space, entry, fields, identifier, new_record, with_record};
use sectors::Sectors;

/// The longest folder that is changed, in bytes of its records: some 30 000 names. Longer ones are an error.
const MAX_FOLDER: usize = 4 << 20;
/// The most volume descriptors of a set; further ones keep their length.
const MAX_DESCRIPTORS: u64 = 64;
/// Where a volume descriptor has the volume's length in sectors. ECMA-119 8.4.8.
const VOLUME_LEN_AT: u64 = 80;
/// Where a volume descriptor has the field that is left to applications. ECMA-119 8.4.33.
const APPLICATION_USE_AT: u64 = 883;
/// The length of that field in bytes.
pub const APPLICATION_USE_LEN: usize = 512;
/// Where a directory record has its extent: sector and length, both in both byte orders. ECMA-119 9.1.3 and 9.1.4.
const EXTENT_AT: u64 = 2;

/// What a part of one sector becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// In bytes from the start of the ISO.
    pub offset: u64,
    /// The new bytes; they never cross the end of a sector of 2048 bytes.
    pub bytes: Vec<u8>,
}

/// The metadata of an ISO with changes that are not written yet.
#[derive(Debug)]
pub struct Editor {
    sectors: Sectors,
    spaces: Vec<Space>,
}

impl Editor {
    /// Reads the volume descriptors of `source`.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where it is no ISO 9660, [`Kind::Corrupt`](block::Kind::Corrupt) where a descriptor is
    /// damaged; what reading answers.
    pub fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let volumes = volume::read(&*source)?
            .ok_or_else(|| Error::not_found("reading ISO 9660", "there is no volume descriptor"))?;
        let primary = volumes.primary;
        let mut susp = susp::Reader::new(&*source, primary.block_len);
        let root = walk::root_attributes(&*source, &primary, &mut susp)?;
        let rock_ridge = root.posix.and(root.announced).map(usize::from);
        let mut spaces = vec![Space {
            view: View::Primary,
            rock_ridge,
            volume: primary,
        }];
        spaces.extend(volumes.joliet.map(|volume| Space {
            view: View::Joliet,
            rock_ridge: None,
            volume,
        }));
        let sectors = Sectors {
            source,
            changed: BTreeMap::new(),
        };
        Ok(Self { sectors, spaces })
    }

    /// Where the bytes of the file at `path` lie.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where there is no such file, [`Kind::Unsupported`](block::Kind::Unsupported) where its
    /// bytes lie in several places; what reading answers.
    pub fn extent(&self, path: &TreePath) -> Result<Extent> {
        let space = self.main();
        let entry = self.file(space, path)?;
        Ok(Extent {
            offset: u64::from(entry.block).saturating_mul(space.volume.block_len),
            len: entry.len.into(),
        })
    }

    /// Puts the bytes of the file at `path` at `extent`, in every name space.
    ///
    /// Other names of the same file keep the old bytes. A Joliet name that the file's own name was not kept in is found by the place of
    /// its bytes.
    ///
    /// # Errors
    ///
    /// As [`extent`](Self::extent); [`Kind::Limit`](block::Kind::Limit) where `extent` is beyond 32-bit sectors or lengths.
    pub fn point(&mut self, path: &TreePath, extent: Extent) -> Result<()> {
        let main = self.main();
        let old = self.file(main, path)?;
        let mut records = Vec::new();
        for space in &self.spaces {
            let found = if std::ptr::eq(space, main) {
                Some(self.file(space, path)?)
            } else {
                self.same_file(space, path, (old.block, old.len))?
            };
            if let Some(entry) = found {
                if let Some(why) = entry.fixed {
                    return Err(Error::unsupported(format!("changing {path}"), why));
                }
                records.push((entry.at, fields(extent, space.volume.block_len)?));
            }
        }
        for (at, fields) in records {
            self.sectors.write(at.saturating_add(EXTENT_AT), &fields)?;
        }
        Ok(())
    }

    /// Adds a file whose bytes lie at `extent`, owned by root and readable by everybody, in every name space.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](block::Kind::NotFound) where its folder is not there, [`Kind::Unsupported`](block::Kind::Unsupported) where the
    /// name is taken, [`Kind::Limit`](block::Kind::Limit) where the folder's sectors have no room for another name; what reading answers.
    pub fn insert(&mut self, path: &TreePath, extent: Extent, time: Timestamp) -> Result<()> {
        let adding = || format!("adding {path}");
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::unsupported(adding(), "it is the root folder"));
        };
        let mut rewritten = Vec::new();
        for space in &self.spaces {
            let Some(folder) = self.folder(space, &parent)? else {
                if !std::ptr::eq(space, self.main()) {
                    continue;
                }
                let message = format!("there is no folder {parent}; new folders are not made");
                return Err(Error::not_found(adding(), message));
            };
            let entries = self.list(space, folder)?;
            if entries
                .iter()
                .any(|entry| entry.name == name && entry.identifier.len() > 1)
            {
                return Err(Error::unsupported(adding(), "the name is taken"));
            }
            let identifier =
                identifier(space, name, &entries).map_err(|error| error.while_doing(adding()))?;
            let record = new_record(space, (name, &identifier), extent, time)
                .map_err(|error| error.while_doing(adding()))?;
            let bytes = with_record(&entries, record, folder)
                .map_err(|error| error.while_doing(adding()))?;
            let at = u64::from(folder.0).saturating_mul(space.volume.block_len);
            rewritten.push((at, bytes));
        }
        for (at, bytes) in rewritten {
            self.sectors.write(at, &bytes)?;
        }
        Ok(())
    }

    /// Says in all volume descriptors that the volume is `len` bytes long, in whole sectors.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](block::Kind::Limit) for over 2^32 blocks; what reading answers.
    pub fn set_volume_len(&mut self, len: u64) -> Result<()> {
        for number in 0..MAX_DESCRIPTORS {
            let at = FIRST_DESCRIPTOR
                .saturating_add(number)
                .saturating_mul(SECTOR_LEN);
            if at.saturating_add(SECTOR_LEN) > self.sectors.len() {
                break;
            }
            let sector = self.sectors.read(at, SECTOR)?;
            if sector.get(1..6) != Some(STANDARD_ID) {
                break;
            }
            match sector.first().copied() {
                Some(descriptor_type::PRIMARY | descriptor_type::SUPPLEMENTARY) => {
                    let block_len = le16(&sector, 128)
                        .filter(|len| *len > 0)
                        .map_or(SECTOR_LEN, u64::from);
                    let blocks = u32::try_from(len.div_ceil(block_len)).map_err(|_| {
                        Error::limit("making the ISO longer", "it has over 2^32 blocks")
                    })?;
                    self.sectors
                        .write(at.saturating_add(VOLUME_LEN_AT), &both32(blocks))?;
                }
                Some(descriptor_type::TERMINATOR) => break,
                _ => {}
            }
        }
        Ok(())
    }

    /// The length of the volume in bytes, as the primary descriptor says it.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub fn volume_len(&self) -> Result<u64> {
        let space = self.main();
        let at = descriptor_at().saturating_add(VOLUME_LEN_AT);
        let blocks = le32(&self.sectors.read(at, 4)?, 0).unwrap_or(0);
        Ok(u64::from(blocks).saturating_mul(space.volume.block_len))
    }

    /// The field of the first volume descriptor that is left to applications, [`APPLICATION_USE_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub fn application_use(&self) -> Result<Vec<u8>> {
        let at = descriptor_at().saturating_add(APPLICATION_USE_AT);
        self.sectors.read(at, APPLICATION_USE_LEN)
    }

    /// Writes `bytes` into that field from its byte `at` on; what reaches past its end is left out.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub fn set_application_use(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let mut field = self.application_use()?;
        put(field.get_mut(at..).unwrap_or_default(), 0, bytes);
        let at = descriptor_at().saturating_add(APPLICATION_USE_AT);
        self.sectors.write(at, &field)
    }

    /// What changes, each sector once and in the order of their places; a patch is as short as it can be.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub fn patches(&self) -> Result<Vec<Patch>> {
        let mut patches = Vec::new();
        for (number, new) in &self.sectors.changed {
            let at = number.saturating_mul(SECTOR_LEN);
            let old = self.sectors.old(*number)?;
            let differs = |(old, new): (&u8, &u8)| old != new;
            let first = old.iter().zip(new).position(differs);
            let last = old.iter().zip(new).rposition(differs);
            if let Some(bytes) = first
                .zip(last)
                .and_then(|(first, last)| new.get(first..=last))
            {
                patches.push(Patch {
                    offset: at.saturating_add(u64::try_from(first.unwrap_or(0)).unwrap_or(0)),
                    bytes: bytes.to_vec(),
                });
            }
        }
        Ok(patches)
    }

    /// The name space that systems show, and whose names paths are of: Rock Ridge, else Joliet, else the primary one, as
    /// [`read_tree`](super::read_tree) has it.
    #[expect(clippy::indexing_slicing, reason = "`open` makes at least one")]
    fn main(&self) -> &Space {
        let named = |space: &&Space| space.rock_ridge.is_some() || space.view == View::Joliet;
        self.spaces.iter().find(named).unwrap_or(&self.spaces[0])
    }

    /// The one record of the file at `path`.
    fn file(&self, space: &Space, path: &TreePath) -> Result<Entry> {
        let missing = || Error::not_found(format!("the file {path}"), "it is not on the media");
        let parent = path.parent().ok_or_else(missing)?;
        let name = path.file_name().ok_or_else(missing)?;
        let folder = self.folder(space, &parent)?.ok_or_else(missing)?;
        let mut found = self
            .list(space, folder)?
            .into_iter()
            .filter(|entry| entry.name == name && !entry.is_folder);
        let entry = found.next().ok_or_else(missing)?;
        match found.next() {
            Some(_) => {
                let message = "its bytes lie in several places, as those of files over 4 GiB";
                Err(Error::unsupported(format!("the file {path}"), message))
            }
            None => Ok(entry),
        }
    }

    /// The record of the file at `path` in another name space: by its name, else by the place of its bytes in the same folder.
    fn same_file(&self, space: &Space, path: &TreePath, place: Folder) -> Result<Option<Entry>> {
        let Some(folder) = path
            .parent()
            .and_then(|parent| self.folder(space, &parent).transpose())
        else {
            return Ok(None);
        };
        let entries = self.list(space, folder?)?;
        let by_name = |entry: &Entry| Some(entry.name.as_slice()) == path.file_name();
        let by_place = |entry: &Entry| (entry.block, entry.len) == place && entry.len > 0;
        let mut files: Vec<Entry> = entries.into_iter().filter(|e| !e.is_folder).collect();
        let found = files
            .iter()
            .position(by_name)
            .or_else(|| files.iter().position(by_place));
        Ok(found.map(|at| files.swap_remove(at)))
    }

    /// The folder at `path`; `None` where there is none.
    fn folder(&self, space: &Space, path: &TreePath) -> Result<Option<Folder>> {
        let mut folder = space.volume.root;
        for name in path.names() {
            let entries = self.list(space, folder)?;
            let found = entries.into_iter().find(|entry| entry.name == name);
            match found {
                Some(entry) if entry.is_moved => {
                    let message = "it lies in a folder that was moved for its depth";
                    return Err(Error::unsupported(format!("the folder {path}"), message));
                }
                Some(entry) if entry.is_folder => folder = (entry.block, entry.len),
                _ => return Ok(None),
            }
        }
        Ok(Some(folder))
    }

    /// The records of a folder in their order, those of itself and its parent too.
    fn list(&self, space: &Space, (block, len): Folder) -> Result<Vec<Entry>> {
        let start = u64::from(block).saturating_mul(space.volume.block_len);
        let bytes = read_vec(
            &self.sectors,
            start,
            len.into(),
            MAX_FOLDER,
            "ISO 9660 folder",
        )?;
        let mut susp = susp::Reader::new(&self.sectors, space.volume.block_len);
        let mut entries = Vec::new();
        let mut at = start;
        for sector in bytes.chunks(SECTOR) {
            let mut rest = sector;
            let mut inside = at;
            while let Some(record) = Record::parse(rest).map_err(|error| error.at(inside))? {
                let (this, after) = rest
                    .split_at_checked(usize::from(rest.first().copied().unwrap_or(0)))
                    .unwrap_or_default();
                let entry = entry(space, &mut susp, (inside, this), &record);
                entries.push(entry.map_err(|error| error.at(inside))?);
                inside = inside.saturating_add(ReadAt::len(this));
                rest = after;
            }
            at = at.saturating_add(SECTOR_LEN);
        }
        Ok(entries)
    }
}

/// Where the primary volume descriptor lies: the first of the set. ECMA-119 6.7.1 allows others before it; no program writes them.
fn descriptor_at() -> u64 {
    FIRST_DESCRIPTOR.saturating_mul(SECTOR_LEN)
}
