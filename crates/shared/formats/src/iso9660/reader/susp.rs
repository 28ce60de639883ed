//! The system use entries of a record, continuations included.

use block::{Error, ReadAt, Result, read_vec};
use tree::{Device, Timestamp};

use super::super::date;
use super::super::format::{array, le32};

/// The most continuation areas of one record: as Linux (`RR_MAX_CE_ENTRIES`). More are an error.
const MAX_AREAS: usize = 32;
/// The longest continuation area. The specification has them in one sector, some programs let them run on.
const MAX_AREA: usize = 64 << 10;
/// The most bytes of continuation areas in one image. Beyond it is an error: no image in use has a tenth.
const MAX_TOTAL: u64 = 256 << 20;
/// The longest name that can be a name: Linux has 255. Longer ones are an error.
const MAX_NAME: usize = 255;
/// The longest target of a link: as Linux (`PATH_MAX`). Longer ones are an error.
const MAX_TARGET: usize = 4095;

/// What Rock Ridge says of a record.
#[derive(Clone, Debug, Default)]
pub(in crate::iso9660) struct Attributes {
    pub(in crate::iso9660) posix: Option<Posix>,
    pub(in crate::iso9660) name: Vec<u8>,
    pub(in crate::iso9660) mtime: Option<Timestamp>,
    /// A link's target.
    pub(in crate::iso9660) target: Vec<u8>,
    pub(in crate::iso9660) device: Option<Device>,
    /// The block of the folder that was moved elsewhere and belongs here (`CL`).
    pub(in crate::iso9660) child: Option<u32>,
    /// Whether it is shown elsewhere (`RE`).
    pub(in crate::iso9660) relocated: bool,
    /// Whether SUSP was announced (`SP`), and how many bytes to skip in every other record.
    pub(in crate::iso9660) announced: Option<u8>,
    /// Whether it is stored in a way that is not read: which.
    pub(in crate::iso9660) encoded: Option<&'static str>,
    /// Whether the last component of `target` goes on.
    open: bool,
}

/// The fields of `PX`. RRIP 4.1.1.
#[derive(Clone, Copy, Debug)]
pub(in crate::iso9660) struct Posix {
    pub(in crate::iso9660) mode: u32,
    pub(in crate::iso9660) links: u32,
    pub(in crate::iso9660) uid: u32,
    pub(in crate::iso9660) gid: u32,
    /// 0 where there is none (RRIP 1.09).
    pub(in crate::iso9660) serial: u32,
}

/// Reads system use entries of one image.
#[derive(Debug)]
pub(in crate::iso9660) struct Reader<'a> {
    source: &'a dyn ReadAt,
    block_len: u64,
    /// How many bytes of continuation areas may still be read.
    budget: u64,
}

impl<'a> Reader<'a> {
    pub(in crate::iso9660) fn new(source: &'a dyn ReadAt, block_len: u64) -> Self {
        Self {
            source,
            block_len,
            budget: MAX_TOTAL,
        }
    }

    /// Reads the entries of `susp`, the system use field of a record without the bytes to skip.
    pub(in crate::iso9660) fn read(&mut self, susp: &[u8]) -> Result<Attributes> {
        let mut attributes = Attributes::default();
        let mut next = scan(susp, &mut attributes)?;
        let mut areas: usize = 0;
        while let Some([block, offset, len]) = next {
            areas = areas.saturating_add(1);
            let at = u64::from(block)
                .saturating_mul(self.block_len)
                .saturating_add(offset.into());
            let what = "Rock Ridge continuation area";
            if areas > MAX_AREAS {
                let message = format!("a record has more than {MAX_AREAS}");
                return Err(Error::limit(what, message).at(at));
            }
            self.budget = self.budget.checked_sub(len.into()).ok_or_else(|| {
                Error::limit(
                    what,
                    format!("the image has more than {MAX_TOTAL} bytes of them"),
                )
                .at(at)
            })?;
            let area = read_vec(self.source, at, len.into(), MAX_AREA, what)?;
            next = scan(&area, &mut attributes).map_err(|error| error.at(at))?;
        }
        Ok(attributes)
    }
}

/// Goes through the entries of one area; answers with the place of the next (`CE`).
fn scan(mut area: &[u8], attributes: &mut Attributes) -> Result<Option<[u32; 3]>> {
    let mut next = None;
    // What is too short for an entry, or begins with zeros, pads the area.
    while let Some([a, b, len, _version]) = area.first_chunk::<4>().copied() {
        if a == 0 || len < 4 {
            break;
        }
        let Some((entry, rest)) = area.split_at_checked(len.into()) else {
            break;
        };
        let body = entry.get(4..).unwrap_or_default();
        match &[a, b] {
            b"CE" => next = number(body, 0).zip(number(body, 8)).zip(number(body, 16)),
            b"ST" => break,
            signature => attributes.take(signature, body)?,
        }
        area = rest;
    }
    Ok(next.map(|((block, offset), len)| [block, offset, len]))
}

/// A number in both byte orders, of which the first counts.
fn number(body: &[u8], at: usize) -> Option<u32> {
    le32(body, at)
}

impl Attributes {
    /// Takes what one entry says.
    fn take(&mut self, signature: &[u8; 2], body: &[u8]) -> Result<()> {
        match signature {
            b"SP" if body.starts_with(&[0xbe, 0xef]) => self.announced = body.get(2).copied(),
            b"PX" => self.posix = self.posix.or_else(|| posix(body)),
            b"TF" => self.mtime = self.mtime.or_else(|| modified(body)),
            b"NM" => return self.take_name(body),
            b"SL" => return self.take_link(body),
            b"PN" => self.device = number(body, 0).zip(number(body, 8)).map(device),
            b"CL" => self.child = number(body, 0),
            b"RE" => self.relocated = true,
            b"ZF" => self.encoded = Some("zisofs compression"),
            b"SF" => self.encoded = Some("a Rock Ridge sparse file"),
            _ => {}
        }
        Ok(())
    }

    /// `NM`. RRIP 4.1.4: flags, then a part of the name, unless the flags say `.` or `..`.
    fn take_name(&mut self, body: &[u8]) -> Result<()> {
        let Some((flags, text)) = body.split_first() else {
            return Ok(());
        };
        if flags & 0x06 == 0 {
            self.name.extend_from_slice(text);
        }
        if self.name.len() > MAX_NAME {
            let message = format!("it is longer than {MAX_NAME} bytes");
            return Err(Error::limit("a Rock Ridge name", message));
        }
        Ok(())
    }

    /// `SL`. RRIP 4.1.3: flags, then components, each of flags, a length and text.
    fn take_link(&mut self, body: &[u8]) -> Result<()> {
        let mut rest = body.get(1..).unwrap_or_default();
        while let [flags, len, tail @ ..] = rest {
            let Some((text, after)) = tail.split_at_checked((*len).into()) else {
                return Err(Error::corrupt(
                    "a Rock Ridge link",
                    "a component is cut off",
                ));
            };
            let text = match flags & 0x0e {
                0x02 => b".".as_slice(),
                0x04 => b"..",
                0x08 => b"/",
                _ => text,
            };
            if !self.open && !self.target.is_empty() && self.target != b"/" {
                self.target.push(b'/');
            }
            self.target.extend_from_slice(text);
            self.open = flags & 1 != 0;
            if self.target.len() > MAX_TARGET {
                let message = format!("it is longer than {MAX_TARGET} bytes");
                return Err(Error::limit("a Rock Ridge link", message));
            }
            rest = after;
        }
        Ok(())
    }
}

fn posix(body: &[u8]) -> Option<Posix> {
    Some(Posix {
        mode: number(body, 0)?,
        links: number(body, 8)?,
        uid: number(body, 16)?,
        gid: number(body, 24)?,
        serial: number(body, 32).unwrap_or(0),
    })
}

/// The time of modification of `TF`, RRIP 4.1.6: flags say which times follow, in order; bit 7 that they are long.
fn modified(body: &[u8]) -> Option<Timestamp> {
    let (flags, times) = body.split_first()?;
    if flags & 0x02 == 0 {
        return None;
    }
    // The time of creation stands before it.
    let index = usize::from(flags & 0x01);
    if flags & 0x80 == 0 {
        array(times, index.saturating_mul(7)).map(date::read_short)
    } else {
        array(times, index.saturating_mul(17)).and_then(date::read_long)
    }
}

/// The two numbers of `PN`. Where the first is 0, the second is a whole device number as glibc's `makedev` makes it.
fn device((high, low): (u32, u32)) -> Device {
    if high == 0 && low > 0xff {
        Device {
            major: (low >> 8) & 0xfff,
            minor: (low & 0xff) | ((low >> 12) & 0xf_ff00),
        }
    } else {
        Device {
            major: high,
            minor: low,
        }
    }
}
