//! The sets of xattrs of an image, each read once.

use std::collections::BTreeMap;

use block::{Error, ReadAt as _, Result};
use tree::Xattrs;

use super::fields::{Fields, narrow, wide};
use super::format::{NO_TABLE, XATTR_ELSEWHERE, XATTR_PREFIXES};
use super::image::Image;
use super::metadata_reader::{Cursor, MetadataReader};

/// The structure's name in errors.
const WHAT: &str = "squashfs xattrs";
/// The most bytes of names and values of all sets together; an image of more is refused.
const MAX_TOTAL: usize = 64 << 20;
/// The longest value, in bytes (Linux: `XATTR_SIZE_MAX`); a longer one is refused.
const MAX_VALUE: usize = 65_536;

/// A name and its value.
type Pair = (Box<[u8]>, Box<[u8]>);

/// The xattr table of an image.
#[derive(Debug, Default)]
pub(crate) struct XattrReader {
    /// Where keys and values begin, where the list of the table's blocks is, and how many sets there are.
    table: Option<(u64, u64, u32)>,
    known: BTreeMap<(u64, u32), Xattrs>,
    total: usize,
}

impl XattrReader {
    pub(crate) fn open(image: &Image) -> Result<Self> {
        let at = image.superblock.xattr_table;
        if at == NO_TABLE {
            return Ok(Self::default());
        }
        if at.saturating_add(16) > image.superblock.used {
            return Err(Error::corrupt(WHAT, "the table is past the end").at(at));
        }
        let mut header = [0; 16];
        image.source.read_exact_at(&mut header, at)?;
        let mut fields = Fields::new(&header, WHAT);
        let (start, count) = (fields.u64()?, fields.u32()?);
        Ok(Self {
            table: Some((start, at.saturating_add(16), count)),
            ..Self::default()
        })
    }

    /// The set of `index`.
    pub(crate) fn set(&mut self, reader: &mut MetadataReader<'_>, index: u32) -> Result<Xattrs> {
        let (start, list) = match self.table {
            Some((start, list, count)) if index < count => (start, list),
            _ => {
                let message = format!("an inode has set {index}, and there is none such");
                return Err(Error::corrupt(WHAT, message));
            }
        };
        let record = reader.record(list, u64::from(index), 16, WHAT)?;
        let mut fields = Fields::new(&record, WHAT);
        let (reference, count) = (fields.u64()?, fields.u32()?);
        if let Some(set) = self.known.get(&(reference, count)) {
            return Ok(set.clone());
        }
        let mut cursor = Cursor::new(start, list, reference);
        let mut set = BTreeMap::new();
        for _ in 0..count {
            let (name, value) = self.pair(reader, start, &mut cursor)?;
            set.insert(name, value);
        }
        let set = Xattrs::new(set);
        self.known.insert((reference, count), set.clone());
        Ok(set)
    }

    fn pair(
        &mut self,
        reader: &mut MetadataReader<'_>,
        start: u64,
        cursor: &mut Cursor,
    ) -> Result<Pair> {
        let at = cursor.block;
        let header = reader.read(cursor, 4, WHAT)?;
        let mut fields = Fields::new(&header, WHAT);
        let (kind, len) = (fields.u16()?, fields.u16()?);
        let prefix = XATTR_PREFIXES
            .get(usize::from(kind & !XATTR_ELSEWHERE))
            .ok_or_else(|| Error::corrupt(WHAT, format!("prefix number {kind}")).at(at))?;
        let mut name = prefix.to_vec();
        name.extend(reader.read(cursor, usize::from(len), WHAT)?);
        let value = if kind & XATTR_ELSEWHERE == 0 {
            self.value(reader, cursor)?
        } else {
            let bytes = self.value(reader, cursor)?;
            let reference = Fields::new(&bytes, WHAT).u64()?;
            let mut elsewhere = Cursor::new(start, cursor.end, reference);
            self.value(reader, &mut elsewhere)?
        };
        self.total = self
            .total
            .saturating_add(name.len())
            .saturating_add(value.len());
        if self.total > MAX_TOTAL {
            let message = format!("the sets have more than {MAX_TOTAL} bytes");
            return Err(Error::limit(WHAT, message).at(at));
        }
        Ok((name.into(), value.into()))
    }

    fn value(&mut self, reader: &mut MetadataReader<'_>, cursor: &mut Cursor) -> Result<Vec<u8>> {
        let at = cursor.block;
        let bytes = reader.read(cursor, 4, WHAT)?;
        let len = narrow(u64::from(Fields::new(&bytes, WHAT).u32()?));
        if len > MAX_VALUE {
            let message = format!("a value of {} bytes", wide(len));
            return Err(Error::corrupt(WHAT, message).at(at));
        }
        reader.read(cursor, len, WHAT)
    }
}
