//! An image as a source of bytes.

use std::ops::Range;
use std::sync::Arc;

use super::header::Header;
use super::log;
use super::metadata::Metadata;
use super::region::Regions;
use super::table::Table;
use crate::mapped::{Mapped, Run, next_data, read};
use crate::read::check_range;
use crate::{Error, ReadAt, Result, read_vec};

/// A VHDX image, opened.
#[derive(Debug)]
pub struct Image {
    /// The file, with its log laid over it.
    source: Arc<dyn ReadAt>,
    table: Table,
    damage: Vec<String>,
}

impl Image {
    /// Opens the image in `source`. What its log holds is read as if it had been replayed.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where the structures are damaged (of those that are there twice, both) or the file is
    /// too short; [`Kind::Unsupported`](crate::Kind::Unsupported) for differencing images, with the parent's name, and for what is
    /// required and not known.
    pub fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let start = read_vec(&source, 0, 8, 8, "the VHDX file identifier")?;
        if !super::probe(&start) {
            let error = Error::corrupt("the VHDX file identifier", "there is no signature");
            return Err(error.at(0));
        }
        let (header, damaged_header) = Header::read(&source)?;
        let source = match &header.log {
            Some(place) => log::replay(source, place)?,
            None => source,
        };
        let (regions, damaged_regions) = Regions::read(&source)?;
        let metadata = Metadata::read(&source, regions.metadata)?;
        Ok(Self {
            table: Table::new(metadata, regions.bat)?,
            source,
            damage: damaged_header.into_iter().chain(damaged_regions).collect(),
        })
    }

    /// What is damaged and was read from its copy, in words.
    #[must_use]
    pub fn damage(&self) -> &[String] {
        &self.damage
    }
}

impl Mapped for Image {
    fn file(&self) -> &dyn ReadAt {
        &*self.source
    }

    fn disk_len(&self) -> u64 {
        self.table.disk_len()
    }

    fn run(&self, offset: u64, limit: u64) -> Result<Run> {
        self.table.run(&*self.source, offset, limit)
    }
}

impl ReadAt for Image {
    fn len(&self) -> u64 {
        self.table.disk_len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(
            ReadAt::len(self),
            offset,
            buf.len(),
            "reading the disk image",
        )?;
        read(self, buf, offset)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        next_data(self, offset)
    }
}
