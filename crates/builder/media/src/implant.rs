//! The checksums by which other programs check media: isomd5sum's and checkmedia's, in the volume descriptor.
//!
//! They cover bytes that are only known at the end, in an order that nothing is written in, so all of the medium is read once more:
//! by one thread for each style.

use std::sync::Arc;
use std::thread;

use block::partition::{Guid, PartitionType, Scheme, Table};
use block::{Error, ReadAt, Result, read_vec};
use mediacheck::{DESCRIPTOR_AT, DESCRIPTOR_LEN, FIELD_AT, FIELD_LEN, Implanted, Making, Styles};

use crate::edit::target::Target;

/// How much is read at a time, in bytes.
const PIECE: usize = 1 << 20;
/// A sector of a disk in bytes.
const SECTOR: u64 = 512;
/// The type byte of an ESP in an MBR.
const MBR_ESP: u8 = 0xef;

/// The field for a finished ISO; `None` where no style is asked for.
///
/// # Errors
///
/// What reading answers; [`Kind::Unsupported`](block::Kind::Unsupported) where the ISO is shorter than isomd5sum can check.
pub fn field(styles: Styles, iso: &Arc<dyn ReadAt>) -> Result<Option<[u8; FIELD_LEN]>> {
    let partition = match styles {
        Styles::Tagmedia | Styles::Both => last_partition(iso)?,
        Styles::None | Styles::Isomd5sum => None,
    };
    let made = made(Making::new(styles, iso.len(), partition), &**iso)?;
    made.map(|implanted| implanted.print().map_err(unsupported))
        .transpose()
}

/// Makes the checksums of an ISO that was changed fit again: whether it has none that do not fit now.
///
/// All else in the field stays. Checksums that are signed, or cannot be read, stay what they were.
///
/// # Errors
///
/// What reading and writing answers.
pub fn renew(target: &dyn Target) -> Result<bool> {
    let iso = target.reader()?;
    let what = "the volume descriptor";
    let len = DESCRIPTOR_LEN as u64;
    let bytes = read_vec(&*iso, DESCRIPTOR_AT, len, DESCRIPTOR_LEN, what)?;
    let mut descriptor = [0; DESCRIPTOR_LEN];
    descriptor.copy_from_slice(&bytes);
    let before = match Implanted::read(&descriptor) {
        Ok(Some(before)) => before,
        Ok(None) => return Ok(true),
        Err(_) => return Ok(false),
    };
    let Some(after) = made(Making::again(&before), &*iso)? else {
        return Ok(true);
    };
    let mut field = [0; FIELD_LEN];
    let at = usize::try_from(FIELD_AT - DESCRIPTOR_AT).unwrap_or(0);
    field.copy_from_slice(&descriptor[at..at + FIELD_LEN]);
    if !after.replace(&before, &mut field) {
        return Ok(false);
    }
    if descriptor[at..at + FIELD_LEN] != field {
        target.write_all_at(&field, FIELD_AT)?;
    }
    Ok(true)
}

/// Reads the ISO for all of them at the same time.
fn made(mut making: Vec<Making>, iso: &dyn ReadAt) -> Result<Option<Implanted>> {
    thread::scope(|scope| {
        let readers: Vec<_> = making
            .iter_mut()
            .map(|one| scope.spawn(|| read_through(one, iso)))
            .collect();
        readers.into_iter().try_for_each(|reader| {
            let gave_up = |_| Err(Error::corrupt("reading back the media", "a thread gave up"));
            reader.join().unwrap_or_else(gave_up)
        })
    })?;
    Making::finish(making).map_err(unsupported)
}

fn unsupported(error: mediacheck::Error) -> Error {
    Error::unsupported("implanting checksums", "").caused_by(error)
}

fn read_through(making: &mut Making, iso: &dyn ReadAt) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let (mut at, end) = (0, making.len());
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let piece = buffer.get_mut(..len).unwrap_or_default();
        iso.read_exact_at(piece, at)?;
        making.update(piece);
        at += ReadAt::len(&*piece);
    }
    Ok(())
}

/// The partition that checkmedia checks by itself, as its first sector and how many: the last one that is no ESP.
fn last_partition(iso: &Arc<dyn ReadAt>) -> Result<Option<(u64, u64)>> {
    let Some(table) = Table::read(&**iso)? else {
        return Ok(None);
    };
    let is_esp = |kind: &PartitionType| match kind {
        PartitionType::Gpt(guid) => *guid == Guid::ESP,
        PartitionType::Mbr(byte) => *byte == MBR_ESP,
    };
    // In an MBR, one that begins with the medium is the medium.
    let is_whole =
        table.scheme == Scheme::Mbr && table.partitions.iter().any(|part| part.start == 0);
    let last = table
        .partitions
        .iter()
        .filter(|part| !is_whole && !is_esp(&part.kind) && part.start > 0)
        .max_by_key(|part| part.start.saturating_add(part.len));
    Ok(last
        .map(|part| (part.start / SECTOR, part.len / SECTOR))
        .filter(|(_, sectors)| *sectors > 0))
}
