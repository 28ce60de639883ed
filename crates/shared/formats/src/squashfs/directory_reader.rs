//! The names in one folder of an image.

use block::{Error, Result};
use tree::Name;

use super::fields::{Fields, narrow};
use super::format::HEADER_ENTRIES;
use super::metadata_reader::{Cursor, MetadataReader};

/// The structure's name in errors.
const WHAT: &str = "squashfs folder";

/// One name of a listing.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: Name,
    /// The inode's place: block distance in the upper 48 bits, offset in the lower 16.
    pub(crate) reference: u64,
}

/// Reads the listing of `len` bytes at `cursor`. `names_left` is how many names may still come, and is counted down.
pub(crate) fn read_listing(
    metadata: &mut MetadataReader<'_>,
    cursor: Cursor,
    len: u32,
    names_left: &mut u64,
) -> Result<Vec<Listed>> {
    let mut listing = Listing {
        metadata,
        cursor,
        rest: narrow(u64::from(len)),
    };
    let mut names = Vec::new();
    while listing.rest > 0 {
        let (count, block) = listing.header()?;
        for _ in 0..count {
            *names_left = names_left.checked_sub(1).ok_or_else(|| {
                let message = "the image has more names than are read";
                Error::limit(WHAT, message).at(listing.cursor.block)
            })?;
            names.push(listing.entry(block)?);
        }
    }
    Ok(names)
}

/// A listing on the way.
struct Listing<'a, 'b> {
    metadata: &'a mut MetadataReader<'b>,
    cursor: Cursor,
    /// How many bytes of it are still to come.
    rest: usize,
}

impl Listing<'_, '_> {
    fn take(&mut self, len: usize) -> Result<Vec<u8>> {
        self.rest = self.rest.checked_sub(len).ok_or_else(|| {
            Error::corrupt(WHAT, "its listing ends within a name").at(self.cursor.block)
        })?;
        self.metadata.read(&mut self.cursor, len, WHAT)
    }

    /// How many names follow, and the block of their inodes.
    fn header(&mut self) -> Result<(usize, u64)> {
        let at = self.cursor.block;
        let header = self.take(12)?;
        let mut fields = Fields::new(&header, WHAT);
        let count = narrow(u64::from(fields.u32()?)).saturating_add(1);
        if count > HEADER_ENTRIES {
            let message = format!("a header for {count} names");
            return Err(Error::corrupt(WHAT, message).at(at));
        }
        Ok((count, u64::from(fields.u32()?)))
    }

    fn entry(&mut self, block: u64) -> Result<Listed> {
        let at = self.cursor.block;
        let entry = self.take(8)?;
        let mut fields = Fields::new(&entry, WHAT);
        let offset = u64::from(fields.u16()?);
        // The distance of the inode's number and its type, which the inode itself has too.
        fields.bytes(4)?;
        let len = usize::from(fields.u16()?).saturating_add(1);
        let name = self.take(len)?;
        let name = Name::new(&name);
        Ok(Listed {
            name: name.map_err(|error| Error::corrupt(WHAT, "").caused_by(error).at(at))?,
            reference: (block << 16) | offset,
        })
    }
}
