//! The size of the disk, its sectors and its blocks.

use super::region::Region;
use crate::field::{array, u16_le, u32_le};
use crate::partition::Guid;
use crate::{Error, ReadAt, Result, read_vec};

/// The length of the table at the start of the region, in bytes; the items come behind it.
const TABLE: u64 = 64 << 10;
const MAX_ENTRIES: u16 = 2047;
/// How long the item with the parent's names may be, in bytes. What is beyond cannot be shown, and is refused all the same.
const MAX_LOCATOR: usize = 64 << 10;
/// The largest disk, in bytes: the format's limit, 64 TiB.
const MAX_DISK_LEN: u64 = 64 << 40;

const FILE_PARAMETERS: Guid = Guid::new(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b);
const DISK_SIZE: Guid = Guid::new(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8);
const DISK_ID: Guid = Guid::new(0xbeca_12ab, 0xb2e6, 0x4523, 0x93ef_c309_e000_c746);
const LOGICAL_SECTOR: Guid = Guid::new(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f);
const PHYSICAL_SECTOR: Guid = Guid::new(0xcda3_48c7, 0x445d, 0x4471, 0x9cc9_e988_5251_c556);
const PARENT: Guid = Guid::new(0xa8d3_5f2d, 0xb30b, 0x454d, 0xabf7_d3d8_4834_ab0c);

const WHAT: &str = "the VHDX metadata";

/// What the metadata say, checked.
///
/// ```text
/// offset  size  name
///      0     8  signature: "metadata"
///     10     2  number of entries
///     32        entries of 32 bytes: GUID (16), offset from the region's start (4), length (4), flags (4; 4: required)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The length of the disk in bytes.
    pub(super) disk_len: u64,
    /// In bytes, a power of two.
    pub(super) block_size: u64,
    /// 512 or 4096 bytes.
    pub(super) sector_size: u64,
}

/// The items by their place in the region: offset and length.
#[derive(Default)]
struct Items {
    parameters: Option<(u64, u64)>,
    disk_len: Option<(u64, u64)>,
    sector: Option<(u64, u64)>,
    parent: Option<(u64, u64)>,
}

impl Metadata {
    pub(super) fn read(source: &dyn ReadAt, region: Region) -> Result<Self> {
        let items = Items::read(source, region)?;
        let corrupt = |message: String| Err(Error::corrupt(WHAT, message).at(region.offset));
        let number = |item: Option<(u64, u64)>, len: usize, name: &str| {
            let missing = || Error::corrupt(WHAT, format!("there is no {name}")).at(region.offset);
            let (offset, found) = item.ok_or_else(missing)?;
            let len = u64::try_from(len).unwrap_or(0);
            if found < len {
                let message = format!("the {name} has {found} bytes");
                return Err(Error::corrupt(WHAT, message).at(region.offset));
            }
            let at = region.offset.saturating_add(offset);
            let mut bytes = [0; 8];
            let part = usize::try_from(len)
                .ok()
                .and_then(|len| bytes.get_mut(..len));
            source.read_exact_at(part.unwrap_or_default(), at)?;
            Ok(u64::from_le_bytes(bytes))
        };
        let parameters = number(items.parameters, 8, "block size")?;
        let [block_size, flags] = [parameters & 0xffff_ffff, parameters >> 32];
        if flags & 2 != 0 {
            return Err(items.refuse_parent(source, region));
        }
        if !block_size.is_power_of_two() || !(1 << 20..=256 << 20).contains(&block_size) {
            return corrupt(format!("blocks of {block_size} bytes"));
        }
        let sector_size = number(items.sector, 4, "sector size")?;
        if !matches!(sector_size, 512 | 4096) {
            return corrupt(format!("sectors of {sector_size} bytes"));
        }
        let disk_len = number(items.disk_len, 8, "disk size")?;
        if disk_len == 0 || disk_len > MAX_DISK_LEN || !disk_len.is_multiple_of(sector_size) {
            return corrupt(format!("a disk of {disk_len} bytes"));
        }
        Ok(Self {
            disk_len,
            block_size,
            sector_size,
        })
    }
}

impl Items {
    fn read(source: &dyn ReadAt, region: Region) -> Result<Self> {
        let bytes = read_vec(source, region.offset, TABLE, 64 << 10, WHAT)?;
        let corrupt = |message: String| Err(Error::corrupt(WHAT, message).at(region.offset));
        if !bytes.starts_with(b"metadata") {
            return corrupt("there is no signature".to_owned());
        }
        let count = u16_le(&bytes, 10);
        if count > MAX_ENTRIES {
            return corrupt(format!("{count} entries, of at most {MAX_ENTRIES}"));
        }
        let mut items = Self::default();
        let entries = bytes.get(32..).unwrap_or_default().chunks_exact(32);
        for entry in entries.take(count.into()) {
            let guid = Guid::from_bytes(array(entry, 0));
            let slot = match guid {
                FILE_PARAMETERS => &mut items.parameters,
                DISK_SIZE => &mut items.disk_len,
                LOGICAL_SECTOR => &mut items.sector,
                PARENT => &mut items.parent,
                DISK_ID | PHYSICAL_SECTOR => continue,
                _ if u32_le(entry, 24) & 4 != 0 => {
                    let message = format!("the item {guid} is required and not known");
                    return Err(Error::unsupported(WHAT, message).at(region.offset));
                }
                _ => continue,
            };
            let (offset, len) = (u64::from(u32_le(entry, 16)), u64::from(u32_le(entry, 20)));
            let is_inside = offset >= TABLE && offset.saturating_add(len) <= region.len;
            if !is_inside || slot.replace((offset, len)).is_some() {
                return corrupt(format!(
                    "the item {guid} is there twice, or not in the region"
                ));
            }
        }
        Ok(items)
    }

    /// The error for a differencing image, with the name of its parent where one can be found.
    fn refuse_parent(&self, source: &dyn ReadAt, region: Region) -> Error {
        let bytes = self.parent.and_then(|(offset, len)| {
            let at = region.offset.saturating_add(offset);
            read_vec(source, at, len, MAX_LOCATOR, WHAT).ok()
        });
        let name = bytes.and_then(|bytes| parent_name(&bytes));
        let name = name.map_or_else(
            || "that is not named".to_owned(),
            |name| format!("\"{}\"", name.escape_debug()),
        );
        let message =
            format!("it is a differencing image, which needs its parent {name}; merge them first");
        Error::unsupported("opening the disk image", message)
    }
}

/// The best of the parent's names in a locator.
///
/// That has 20 bytes first (the type's GUID, 2 bytes, the number of entries), then entries of 12 bytes: offsets of key and value (4 each),
/// their lengths (2 each). Text is in UTF-16.
fn parent_name(locator: &[u8]) -> Option<String> {
    let text = |at: u32, len: u16| {
        let at = usize::try_from(at).ok()?;
        let bytes = locator.get(at..)?.get(..usize::from(len))?;
        let units = bytes.chunks_exact(2).map(|unit| u16_le(unit, 0));
        let text = char::decode_utf16(units);
        Some(
            text.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect::<String>(),
        )
    };
    let entries = locator
        .get(20..)?
        .chunks_exact(12)
        .take(u16_le(locator, 18).into());
    let names: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let key = text(u32_le(entry, 0), u16_le(entry, 8))?;
            Some((key, text(u32_le(entry, 4), u16_le(entry, 10))?))
        })
        .collect();
    ["relative_path", "absolute_win32_path", "volume_path"]
        .iter()
        .find_map(|wanted| names.iter().find(|(key, _)| key == wanted))
        .map(|(_, name)| name.clone())
}
