//! An image as a source of bytes.

use std::ops::Range;
use std::sync::Arc;

use super::footer::{Footer, Form};
use super::header::Header;
use crate::mapped::{Mapped, Place, Run, next_data, read};
use crate::read::check_range;
use crate::{Error, ReadAt, Result};

/// A VHD image, opened.
#[derive(Debug)]
pub struct Image {
    source: Arc<dyn ReadAt>,
    len: u64,
    /// `None` for a fixed image.
    header: Option<Header>,
    damage: Vec<String>,
}

impl Image {
    /// Opens the image in `source`.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where the structures are damaged (of the two footers both) or the file is too short;
    /// [`Kind::Unsupported`](crate::Kind::Unsupported) for differencing images, with the parent's name;
    /// [`Kind::Limit`](crate::Kind::Limit) for disks and tables beyond what is known to be made.
    pub fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let (footer, damage) = Footer::read(&source)?;
        let header = match footer.form {
            Form::Fixed => {
                let available = source.len().saturating_sub(512);
                if footer.size > available {
                    let message = format!(
                        "a disk of {} bytes, and there are {available} before the footer",
                        footer.size
                    );
                    return Err(Error::corrupt("the VHD footer", message).at(available));
                }
                None
            }
            Form::Dynamic | Form::Differencing => Some(Header::read(&source, &footer)?),
        };
        Ok(Self {
            source,
            len: footer.size,
            header,
            damage: damage.into_iter().collect(),
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
        self.len
    }

    fn run(&self, offset: u64, limit: u64) -> Result<Run> {
        let Some(header) = &self.header else {
            let place = Place::Data { host: offset };
            return Ok(Run { place, len: limit });
        };
        // The size of a block is a power of two.
        let inside = offset & header.block_size.saturating_sub(1);
        let block = offset >> header.block_size.trailing_zeros();
        let rest = header.block_size.saturating_sub(inside);
        let first = usize::try_from(block).unwrap_or(usize::MAX);
        let entries = header.table.get(first..).unwrap_or_default();
        let entry = entries.first().copied();
        if let Some(data) = entry.and_then(|entry| header.data(entry)) {
            let host = data.saturating_add(inside);
            let place = Place::Data { host };
            return Ok(Run {
                place,
                len: rest.min(limit),
            });
        }
        let mut len = rest;
        for entry in entries.iter().skip(1) {
            if len >= limit || header.data(*entry).is_some() {
                break;
            }
            len = len.saturating_add(header.block_size);
        }
        Ok(Run {
            place: Place::Zeros,
            len: len.min(limit),
        })
    }
}

impl ReadAt for Image {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.len, offset, buf.len(), "reading the disk image")?;
        read(self, buf, offset)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        next_data(self, offset)
    }
}
