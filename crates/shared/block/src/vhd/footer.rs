//! The footer: the last sector of an image.

use crate::field::{array, u32_be, u64_be};
use crate::{Error, ReadAt, Result};

/// A sector in bytes, which is also the footer's length.
pub(super) const SECTOR: u64 = 512;
const FOOTER: usize = 512;
/// The first bytes of a footer.
const MAGIC: &[u8; 8] = b"conectix";
/// The largest disk, in bytes: QEMU's limit and nearly the format's (2040 GiB).
const MAX_DISK_LEN: u64 = 2040 << 30;
/// The sectors of the largest geometry; a disk that has it is as large or larger.
const MAX_GEOMETRY: u64 = 65_535 * 16 * 255;
/// The programs (`creator application`) whose images are as large as their "current size" says. All others mean the geometry, and Virtual
/// PC shows no more of the disk than that.
///
/// Source: QEMU 7.2, `vpc_open`; `wa` (Azure) of later versions; `vbox` is not there, but VirtualBox reads its own images so.
const BY_SIZE: [&[u8]; 7] = [b"win ", b"qem2", b"d2v ", b"CTXS", b"tap", b"wa\0", b"vbox"];

const WHAT: &str = "the VHD footer";

/// What kind of image it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Fixed,
    Dynamic,
    Differencing,
}

/// The footer, checked.
///
/// ```text
/// offset  size  name
///      0     8  cookie
///      8     4  features
///     12     4  version: 1.0
///     16     8  data offset: of a dynamic image's header
///     24     4  time
///     28     4  creator application
///     32     4  its version
///     36     4  its system
///     40     8  original size
///     48     8  current size
///     56     4  geometry: cylinders (2), heads, sectors
///     60     4  disk type: 2 fixed, 3 dynamic, 4 differencing
///     64     4  checksum: ones' complement of the sum of all other bytes
///     68    16  unique identifier
///     84     1  whether there is a saved state
/// ```
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) form: Form,
    /// The length of the disk in bytes.
    pub(super) size: u64,
    /// Where the header is.
    pub(super) data_offset: u64,
}

/// Whether the first or last sector begins as a footer does.
pub(super) fn is_there(source: &dyn ReadAt) -> Result<bool> {
    Ok([Some(0), last_sector(source)]
        .into_iter()
        .flatten()
        .map(|at| sector(source, at))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .any(|found| found.is_some()))
}

/// Where the last 512 bytes begin.
fn last_sector(source: &dyn ReadAt) -> Option<u64> {
    source.len().checked_sub(SECTOR)
}

/// The footer's bytes at `at`, where there are any.
fn sector(source: &dyn ReadAt, at: u64) -> Result<Option<[u8; FOOTER]>> {
    let mut bytes = [0; FOOTER];
    if source.len().saturating_sub(at) < SECTOR {
        return Ok(None);
    }
    source.read_exact_at(&mut bytes, at)?;
    Ok(bytes.starts_with(MAGIC).then_some(bytes))
}

impl Footer {
    /// Finds the footer, or its copy where the other one is damaged. Answers with it and with what is damaged.
    pub(super) fn read(source: &dyn ReadAt) -> Result<(Self, Option<String>)> {
        let start = sector(source, 0)?.map(|bytes| Self::parse(&bytes, 0));
        let end = match last_sector(source) {
            Some(at) => sector(source, at)?.map(|bytes| Self::parse(&bytes, at)),
            None => None,
        };
        match (start, end) {
            (Some(Ok(start)), end) if start.form != Form::Fixed => Ok((start, damage(end))),
            (start, Some(Ok(end))) if end.form != Form::Fixed => {
                let what = damage(start).unwrap_or_else(|| missing("the footer's copy"));
                Ok((end, Some(what)))
            }
            // What a fixed image begins with is the disk's affair.
            (_, Some(Ok(end))) => Ok((end, None)),
            (Some(Err(error)), _) | (_, Some(Err(error))) => Err(error),
            (Some(Ok(_)), None) => {
                let message = "it is a fixed image's, and stands at the start of the file";
                Err(Error::corrupt(WHAT, message).at(0))
            }
            (None, None) => Err(Error::corrupt(WHAT, "there is none")),
        }
    }

    fn parse(bytes: &[u8; FOOTER], at: u64) -> Result<Self> {
        let corrupt = |message: String, field| {
            Err(Error::corrupt(WHAT, message).at(at.saturating_add(field)))
        };
        let (expected, found) = (u32_be(bytes, 64), checksum(bytes, 64));
        if expected != found {
            let message = format!("its checksum is {found:08x}, and it says {expected:08x}");
            return corrupt(message, 64);
        }
        let version = u32_be(bytes, 12);
        if version >> 16 != 1 {
            let message = format!("version {}.{}", version >> 16, version & 0xffff);
            return Err(Error::unsupported(WHAT, message).at(at.saturating_add(12)));
        }
        let form = match u32_be(bytes, 60) {
            2 => Form::Fixed,
            3 => Form::Dynamic,
            4 => Form::Differencing,
            other => return corrupt(format!("disk type {other}"), 60),
        };
        let size = disk_len(bytes);
        if size > MAX_DISK_LEN {
            let message = format!("a disk of {size} bytes, of at most 2040 GiB");
            return Err(Error::limit(WHAT, message).at(at.saturating_add(48)));
        }
        Ok(Self {
            form,
            size,
            data_offset: u64_be(bytes, 16),
        })
    }
}

/// The length of the disk, by the rules of the program that made the image.
fn disk_len(bytes: &[u8; FOOTER]) -> u64 {
    let creator: [u8; 4] = array(bytes, 28);
    let [cylinders @ .., heads, sectors]: [u8; 4] = array(bytes, 56);
    let geometry = u64::from(u16::from_be_bytes(cylinders))
        .saturating_mul(heads.into())
        .saturating_mul(sectors.into());
    let by_size = BY_SIZE.iter().any(|name| creator.starts_with(name));
    if by_size || geometry == MAX_GEOMETRY {
        // QEMU counts whole sectors.
        return u64_be(bytes, 48) & !SECTOR.saturating_sub(1);
    }
    geometry.saturating_mul(SECTOR)
}

/// What is wrong with a footer that was not taken.
fn damage(footer: Option<Result<Footer>>) -> Option<String> {
    match footer {
        None => Some(missing("the footer at the end")),
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(format!("{error}; its copy was taken")),
    }
}

fn missing(what: &str) -> String {
    format!("{what} is not there; the other one was taken")
}

/// The checksum of a structure that has it at `field`.
pub(super) fn checksum(bytes: &[u8], field: usize) -> u32 {
    let own = field..field.saturating_add(4);
    let others = bytes.iter().enumerate().filter(|(at, _)| !own.contains(at));
    !others.fold(0_u32, |sum, (_, byte)| sum.wrapping_add((*byte).into()))
}
