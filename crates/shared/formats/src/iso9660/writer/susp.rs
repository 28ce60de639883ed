//! The system use entries of a directory record: Rock Ridge's POSIX metadata, names and links.
//!
//! What does not fit into the record goes to a continuation area. Linux reads an area only where it lies in one sector, and follows
//! at most 32 of them for a record; a path of 4095 bytes needs three.

use block::{Error, Result};
use tree::{Inode, Node};

use super::super::date;
use super::super::format::{SECTOR, both32};

/// The length of a `CE` entry. SUSP 5.1.
const CE_LEN: usize = 28;
/// The most bytes of a name or of a link's component in one entry: its length is a byte, and `SL` needs 5 + 2 besides.
const MAX_TEXT: usize = 240;
/// The longest name that Linux reads: it leaves out an `NM` entry with which a name has 254 bytes or more (`fs/isofs/rock.c`, seen in
/// 6.1). Longer ones are refused, so that none is on the media under another name.
const MAX_NAME: usize = 253;
/// The longest target of a symbolic link, as Linux has it (`PATH_MAX` with its NUL).
const MAX_TARGET: usize = 4095;

/// What a name in a directory says besides its extent.
#[derive(Clone, Copy, Debug)]
pub(in crate::iso9660) enum Role<'a> {
    /// `.` of the root, where SUSP and Rock Ridge announce themselves.
    Root,
    /// `.` or `..`.
    Dot,
    /// A name.
    Named(&'a [u8]),
}

/// What Rock Ridge counts that the tree does not hold in an inode.
#[derive(Clone, Copy, Debug)]
pub(in crate::iso9660) struct Counted {
    /// Hard links; for a folder two and one for each folder in it.
    pub(in crate::iso9660) links: u32,
    /// The serial number, the same for all names of one inode.
    pub(in crate::iso9660) serial: u32,
}

/// The entries for one directory record, none of them over 255 bytes.
pub(in crate::iso9660) fn entries<C>(
    inode: &Inode<C>,
    role: Role<'_>,
    counted: Counted,
) -> Result<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    if matches!(role, Role::Root) {
        entries.push(entry(b"SP", &[&[0xbe, 0xef, 0]]));
    }
    entries.push(entry(
        b"PX",
        &[
            &both32(inode.mode().into()),
            &both32(counted.links),
            &both32(inode.metadata.uid),
            &both32(inode.metadata.gid),
            &both32(counted.serial),
        ],
    ));
    // Bit 1: the time of the last change of the content, in the short form.
    entries.push(entry(b"TF", &[&[0x02], &date::short(inode.metadata.mtime)]));
    if let Role::Named(name) = role {
        entries.extend(name_entries(name)?);
        match &inode.node {
            Node::Symlink(target) => entries.extend(link_entries(target)?),
            Node::Character(device) | Node::Block(device) => {
                let (high, low) = device_fields(device.major, device.minor);
                entries.push(entry(b"PN", &[&both32(high), &both32(low)]));
            }
            _ => {}
        }
    }
    if matches!(role, Role::Root) {
        entries.push(extension_reference());
    }
    Ok(entries)
}

/// An entry of the signature, of version 1, with these bytes.
fn entry(signature: &[u8; 2], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = u8::try_from(body.len().saturating_add(4)).unwrap_or(u8::MAX);
    [&signature[..], &[len, 1], &body].concat()
}

/// The entry by which the root says that the others are Rock Ridge's. SUSP 5.5, RRIP 4.3.
fn extension_reference() -> Vec<u8> {
    let id = b"IEEE_1282";
    let text = b"THE IEEE 1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
    let source = b"PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA FOR THE 1282 \
                   SPECIFICATION.";
    let lengths = [id.len(), text.len(), source.len(), 1].map(|len| u8::try_from(len).unwrap_or(0));
    entry(b"ER", &[&lengths, id, text, source])
}

/// `NM` entries: all but the last say that the name goes on. RRIP 4.1.4.
fn name_entries(name: &[u8]) -> Result<Vec<Vec<u8>>> {
    if name.len() > MAX_NAME {
        let message = format!("{} bytes, and Linux reads {MAX_NAME} of it", name.len());
        return Err(Error::limit("a name on ISO 9660", message));
    }
    let count = name.len().div_ceil(MAX_TEXT);
    let parts = name.chunks(MAX_TEXT).zip(1..);
    Ok(parts
        .map(|(part, number)| entry(b"NM", &[&[u8::from(number < count)], part]))
        .collect())
}

/// `SL` entries: a link's target by components, each of which may go on in the next. RRIP 4.1.3.
///
/// An empty component stands for a doubled or last slash; Linux and libisofs put the slash back.
fn link_entries(target: &[u8]) -> Result<Vec<Vec<u8>>> {
    if target.len() > MAX_TARGET {
        let message = format!(
            "{} bytes, and at most {MAX_TARGET} are written",
            target.len()
        );
        return Err(Error::limit("the target of a symbolic link", message));
    }
    let mut components: Vec<Vec<u8>> = Vec::new();
    let rest = target.strip_prefix(b"/");
    if rest.is_some() {
        components.push(vec![8, 0]);
    }
    let rest = rest.unwrap_or(target);
    if rest.is_empty() && !components.is_empty() {
        return Ok(vec![entry(b"SL", &[&[0, 8, 0]])]);
    }
    for part in rest.split(|byte| *byte == b'/') {
        match part {
            b"." => components.push(vec![2, 0]),
            b".." => components.push(vec![4, 0]),
            b"" => components.push(vec![0, 0]),
            _ => {
                let count = part.len().div_ceil(MAX_TEXT);
                for (piece, number) in part.chunks(MAX_TEXT).zip(1..) {
                    let len = u8::try_from(piece.len()).unwrap_or(u8::MAX);
                    components.push([&[u8::from(number < count), len][..], piece].concat());
                }
            }
        }
    }
    let mut bodies: Vec<Vec<u8>> = vec![Vec::new()];
    for component in components {
        match bodies.last_mut() {
            Some(body)
                if body.len().saturating_add(component.len()) <= MAX_TEXT.saturating_add(2) =>
            {
                body.extend(component);
            }
            _ => bodies.push(component),
        }
    }
    let count = bodies.len();
    let numbered = bodies.iter().zip(1..);
    Ok(numbered
        .map(|(body, number)| entry(b"SL", &[&[u8::from(number < count)], body]))
        .collect())
}

/// The two fields of `PN`. RRIP 4.1.2 leaves the split to the system; Linux takes the first as major and the second as minor number,
/// but where the first is 0 and the second over 255, it takes `major << 8 | minor` from the second, which is also how xorriso and
/// mkisofs write what `stat` gave them. So the second form is used wherever all of them agree on it.
fn device_fields(major: u32, minor: u32) -> (u32, u32) {
    if minor < 256 && major < 4096 {
        (0, (major << 8) | minor)
    } else {
        (major, minor)
    }
}

/// The sectors of continuation areas, filled from `first_lba` on.
#[derive(Debug)]
pub(in crate::iso9660) struct Continuations {
    first_lba: u32,
    bytes: Vec<u8>,
}

impl Continuations {
    pub(in crate::iso9660) fn new(first_lba: u32) -> Self {
        Self {
            first_lba,
            bytes: Vec::new(),
        }
    }

    /// All areas, not padded to a sector.
    pub(in crate::iso9660) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Splits `entries` at `room` bytes: what stands in the record, with a `CE` entry to the rest where there is one.
    pub(in crate::iso9660) fn pack(&mut self, entries: &[Vec<u8>], room: usize) -> Result<Vec<u8>> {
        let total: usize = entries.iter().map(Vec::len).sum();
        if total <= room {
            return Ok(entries.concat());
        }
        let fitting = fitting(entries, room.saturating_sub(CE_LEN));
        let (inside, mut rest) = entries.split_at(fitting);
        let mut areas: Vec<&[Vec<u8>]> = Vec::new();
        while !rest.is_empty() {
            // Every entry is under 256 bytes, so that at least one fits.
            let (area, after) =
                rest.split_at(self::fitting(rest, SECTOR.saturating_sub(CE_LEN)).max(1));
            areas.push(area);
            rest = after;
        }
        // From the last to the first, so that each knows where the next one is.
        let mut next: Option<Vec<u8>> = None;
        for area in areas.into_iter().rev() {
            let mut bytes = area.concat();
            bytes.extend(next.into_iter().flatten());
            next = Some(self.add(&bytes)?);
        }
        let mut packed = inside.concat();
        packed.extend(next.into_iter().flatten());
        Ok(packed)
    }

    /// Places one area and answers with the `CE` entry that leads there. SUSP 5.1.
    fn add(&mut self, area: &[u8]) -> Result<Vec<u8>> {
        let used = self.bytes.len() % SECTOR;
        if used.saturating_add(area.len()) > SECTOR {
            let padded = self.bytes.len().next_multiple_of(SECTOR);
            self.bytes.resize(padded, 0);
        }
        let sector = u32::try_from(self.bytes.len() / SECTOR)
            .ok()
            .and_then(|sector| sector.checked_add(self.first_lba))
            .ok_or_else(|| Error::limit("laying out continuation areas", "over 2^32 sectors"))?;
        let offset = u32::try_from(self.bytes.len() % SECTOR).unwrap_or(0);
        let len = u32::try_from(area.len()).unwrap_or(0);
        self.bytes.extend_from_slice(area);
        Ok(entry(
            b"CE",
            &[&both32(sector), &both32(offset), &both32(len)],
        ))
    }
}

/// How many of `entries` fit into `room` bytes.
fn fitting(entries: &[Vec<u8>], room: usize) -> usize {
    let mut used: usize = 0;
    entries
        .iter()
        .take_while(|entry| {
            used = used.saturating_add(entry.len());
            used <= room
        })
        .count()
}
