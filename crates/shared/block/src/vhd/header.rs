//! The header of a dynamic image, and its table.

use super::footer::{Footer, Form, SECTOR, checksum};
use crate::field::{array, u32_be, u64_be};
use crate::{Error, ReadAt, Result, read_vec};

const MAGIC: &[u8; 8] = b"cxsparse";
const HEADER: usize = 1024;
/// How long the table may be, in bytes: 64 MiB, for blocks of 128 KiB on the largest disk; programs make blocks of 512 KiB or 2 MiB.
/// Beyond it is an error.
const MAX_TABLE: usize = 64 << 20;
/// The largest block, in bytes; programs make blocks of 512 KiB or 2 MiB.
const MAX_BLOCK: u32 = 1 << 30;
/// The entry of a block that is not in the file.
const UNUSED: u32 = u32::MAX;

const WHAT: &str = "the VHD header";

/// The header and the table, checked.
///
/// ```text
/// offset  size  name
///      0     8  cookie
///      8     8  data offset: unused
///     16     8  table offset
///     24     4  version: 1.0
///     28     4  max table entries
///     32     4  block size
///     36     4  checksum
///     40    16  the parent's unique identifier
///     56     4  the parent's time
///     64   512  the parent's name, in UTF-16 (big-endian)
///    576   192  where else the parent may be: 8 entries
/// ```
#[derive(Debug)]
pub(super) struct Header {
    /// In bytes, a power of two.
    pub(super) block_size: u64,
    /// The length of the bitmap before each block, in bytes.
    pub(super) bitmap_len: u64,
    /// The sector at which each block's bitmap begins; all ones where there is no block.
    pub(super) table: Vec<u32>,
}

impl Header {
    pub(super) fn read(source: &dyn ReadAt, footer: &Footer) -> Result<Self> {
        let at = footer.data_offset;
        let bytes = read_vec(source, at, 1024, HEADER, WHAT)?;
        let corrupt = |message: String, field| {
            Err(Error::corrupt(WHAT, message).at(at.saturating_add(field)))
        };
        if !bytes.starts_with(MAGIC) {
            return corrupt("there is no cookie".to_owned(), 0);
        }
        let (expected, found) = (u32_be(&bytes, 36), checksum(&bytes, 36));
        if expected != found {
            let message = format!("its checksum is {found:08x}, and it says {expected:08x}");
            return corrupt(message, 36);
        }
        let version = u32_be(&bytes, 24);
        if version >> 16 != 1 {
            let message = format!("version {}.{}", version >> 16, version & 0xffff);
            return Err(Error::unsupported(WHAT, message).at(at.saturating_add(24)));
        }
        if footer.form == Form::Differencing {
            let name = parent_name(&bytes);
            let message = format!(
                "it is a differencing image, which needs its parent \"{}\"; merge them first",
                name.escape_debug()
            );
            return Err(Error::unsupported("opening the disk image", message));
        }
        let block_size = u32_be(&bytes, 32);
        if !block_size.is_power_of_two() || !(512..=MAX_BLOCK).contains(&block_size) {
            return corrupt(format!("blocks of {block_size} bytes"), 32);
        }
        let block_size = u64::from(block_size);
        let entries = u64::from(u32_be(&bytes, 28));
        let needed = footer.size.div_ceil(block_size);
        if entries < needed {
            let message = format!("{entries} entries in the table, and the disk needs {needed}");
            return corrupt(message, 28);
        }
        let table = read_table(source, u64_be(&bytes, 16), needed)?;
        let header = Self {
            block_size,
            // One bit for each sector, in whole sectors.
            bitmap_len: block_size.div_ceil(512 * 8).next_multiple_of(512),
            table,
        };
        header.check(source, u64_be(&bytes, 16))?;
        Ok(header)
    }

    /// Where the data of the block of a table entry begin; `None` where there are none.
    pub(super) fn data(&self, entry: u32) -> Option<u64> {
        (entry != UNUSED).then(|| {
            u64::from(entry)
                .saturating_mul(SECTOR)
                .saturating_add(self.bitmap_len)
        })
    }

    /// Holds that every block is in the file.
    fn check(&self, source: &dyn ReadAt, table: u64) -> Result<()> {
        for (index, entry) in (0_u64..).zip(&self.table) {
            let end = self
                .data(*entry)
                .map(|data| data.saturating_add(self.block_size));
            if end.is_some_and(|end| end > source.len()) {
                let message = format!(
                    "block {index} ends at byte {}, and the file at byte {}",
                    end.unwrap_or(0),
                    source.len()
                );
                let at = table.saturating_add(index.saturating_mul(4));
                return Err(Error::corrupt("the VHD table", message).at(at));
            }
        }
        Ok(())
    }
}

fn read_table(source: &dyn ReadAt, at: u64, entries: u64) -> Result<Vec<u32>> {
    let len = entries.saturating_mul(4);
    let bytes = read_vec(source, at, len, MAX_TABLE, "the VHD table")?;
    Ok(bytes
        .chunks_exact(4)
        .map(|entry| u32_be(entry, 0))
        .collect())
}

/// The parent's name; what is no UTF-16 becomes U+FFFD.
fn parent_name(header: &[u8]) -> String {
    let units = header.get(64..576).unwrap_or_default().chunks_exact(2);
    let units = units
        .map(|unit| u16::from_be_bytes(array(unit, 0)))
        .take_while(|unit| *unit != 0);
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
