//! The checksums by which other programs check media: isomd5sum's and checkmedia's, in the volume descriptor.
//!
//! They cover bytes that are only known at the end, in an order that nothing is written in, so all of the medium is read once more:
//! by one thread for each style.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use block::partition::{Guid, PartitionType, Scheme, Table};
use block::{Error, ReadAt, Result, read_vec};
use mediacheck::{
    Algorithm, Check, DESCRIPTOR_AT, DESCRIPTOR_LEN, FIELD_AT, FIELD_LEN, Implanted, Making,
    Mismatch, Passed, Style, Styles,
};

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

/// A checksum of the media, compared with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose checksum it is.
    pub style: Style,
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// What came of it; a mismatch has the bytes among which at least one is not what was written.
    pub outcome: std::result::Result<Passed, Mismatch>,
}

/// Compares the media with every checksum that is implanted, all of them at the same time; none where there is none.
///
/// `progress` is told how many bytes were read of how many, for all checksums together.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where what is implanted cannot be a checksum of these media, as where they are cut off; what
/// reading answers.
pub fn verify(iso: &dyn ReadAt, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Vec<Verified>> {
    let what = "the checksums in the volume descriptor";
    if iso.len() < DESCRIPTOR_AT + DESCRIPTOR_LEN as u64 {
        return Ok(Vec::new());
    }
    let mut descriptor = [0; DESCRIPTOR_LEN];
    iso.read_exact_at(&mut descriptor, DESCRIPTOR_AT)?;
    let corrupt = |error| Error::corrupt(what, "").at(FIELD_AT).caused_by(error);
    let Some(implanted) = Implanted::read(&descriptor).map_err(corrupt)? else {
        return Ok(Vec::new());
    };
    let checks = Check::all(&implanted);
    let all = checks.iter().map(Check::len).sum();
    if let Some(check) = checks.iter().find(|check| check.len() > iso.len()) {
        let message = format!("{} bytes, and {} were written", iso.len(), check.len());
        return Err(Error::corrupt("the length of the media", message));
    }
    let done = AtomicU64::new(0);
    let read = |len: u64| progress(done.fetch_add(len, Ordering::Relaxed) + len, all);
    thread::scope(|scope| {
        let run = |check: Check| scope.spawn(|| verified(check, iso, &read));
        let readers: Vec<_> = checks.into_iter().map(run).collect();
        let gave_up = |_| Err(Error::corrupt("reading the media", "a thread gave up"));
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(gave_up))
            .collect()
    })
}

fn verified(mut check: Check, iso: &dyn ReadAt, read: &dyn Fn(u64)) -> Result<Verified> {
    let (style, algorithm, end) = (check.style(), check.algorithm(), check.len());
    let mut wrong = None;
    pieces(iso, end, &mut |piece| {
        read(ReadAt::len(piece));
        wrong = check.update(piece).err();
        wrong.is_none()
    })?;
    let outcome = match wrong {
        Some(mismatch) => Err(mismatch),
        None => check.finish(),
    };
    Ok(Verified {
        style,
        algorithm,
        outcome,
    })
}

/// Reads the ISO for all of them at the same time.
fn made(mut making: Vec<Making>, iso: &dyn ReadAt) -> Result<Option<Implanted>> {
    thread::scope(|scope| {
        let readers: Vec<_> = making
            .iter_mut()
            .map(|one| {
                scope.spawn(|| {
                    pieces(iso, one.len(), &mut |piece| {
                        one.update(piece);
                        true
                    })
                })
            })
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

/// Hands on the first `end` bytes in pieces, for as long as the answer is yes.
fn pieces(iso: &dyn ReadAt, end: u64, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let piece = buffer.get_mut(..len).unwrap_or_default();
        iso.read_exact_at(piece, at)?;
        if !each(piece) {
            return Ok(());
        }
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
