//! The root file system image in memory: copied there where there is room for it, so that the medium is not needed any more.
//!
//! Where the medium has our table of digests the copy is made of what it covers, and compared on the way.

use std::io::{self, Write as _};

use contract::checksums::{Checksums, blank_out};
use contract::failure::{COPY_TO_RAM, Failure, MEDIUM_DAMAGED, NOT_ENOUGH_MEMORY};
use contract::media;
use contract::request::Request;
use contract::request::ram::{Copy, FITTING_IMAGE, FITTING_MIN_MEMORY_MIB};

use super::find::{self, Medium};
use super::progress::Progress;
use super::{Boot, OrStop as _, verify};
use crate::system::{Bytes, MountFlags};

const MIB: u64 = 1 << 20;
/// How much is copied at once, in bytes: enough for the readahead of any device.
const COPIED: usize = 4 << 20;
/// The longest `/proc/meminfo` that is read, in bytes.
const MEMINFO: usize = 64 * 1024;

/// A file or device that is copied, and the file in memory that it becomes.
pub(super) struct Image<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// Whether it is a file of the medium that is mounted.
    pub(super) is_file: bool,
}

/// Copies the images, where a copy is asked for and there is memory enough: whether it did.
///
/// # Errors
///
/// [`NOT_ENOUGH_MEMORY`] where the copy is not to be left out, [`MEDIUM_DAMAGED`] where what is copied is not what the medium's table
/// says, [`COPY_TO_RAM`] where reading or writing fails.
pub(super) fn copy(
    boot: &mut Boot<'_>,
    request: &Request,
    medium: &Medium,
    images: &[Image<'_>],
) -> Result<bool, Failure> {
    // What came over the network is in memory already.
    if !request.ram.is_asked_for() || medium.url.is_some() {
        return Ok(false);
    }
    let mut sources = Vec::new();
    let mut len: u64 = 0;
    for image in images {
        let source = boot
            .system
            .open(image.from)
            .or_stop(COPY_TO_RAM, image.from)?;
        len = len.saturating_add(source.len());
        sources.push((image, source));
    }
    if !is_to_be_copied(boot, request, medium, len)? {
        return Ok(false);
    }
    boot.step(&format!("copying {} MiB to memory", len.div_ceil(MIB)));
    make_room(boot, len).or_stop(COPY_TO_RAM, media::RUN_INITRAMFS)?;
    let mut progress = Progress::new("copying to memory", len);
    for (image, source) in sources {
        let covered = covered(boot, request, medium, image, source.len());
        let created = boot.system.create(image.to);
        let mut copy = Copying {
            to: image.to,
            file: created.or_stop(COPY_TO_RAM, image.to)?,
            progress: &mut progress,
        };
        match covered {
            Some(covered) => copy.compared(boot, &covered, source.len())?,
            None => copy.as_it_is(boot, image.from, &*source)?,
        }
    }
    progress.show(boot.system);
    Ok(true)
}

/// Copies a file or device to the file `to` in memory, whatever the command line says of copies.
///
/// # Errors
///
/// As [`copy`].
pub(super) fn copy_file(
    boot: &mut Boot<'_>,
    request: &Request,
    from: &str,
    to: &str,
) -> Result<(), Failure> {
    let source = boot.system.open(from).or_stop(COPY_TO_RAM, from)?;
    let len = source.len();
    if let Some(cause) = missing(boot, len, request.ram.min_memory_mib) {
        return Err(Failure::new(NOT_ENOUGH_MEMORY, cause));
    }
    boot.step(&format!("copying {} MiB to memory", len.div_ceil(MIB)));
    make_room(boot, len).or_stop(COPY_TO_RAM, media::RUN_INITRAMFS)?;
    let mut progress = Progress::new("copying to memory", len);
    let mut copy = Copying {
        to,
        file: boot.system.create(to).or_stop(COPY_TO_RAM, to)?,
        progress: &mut progress,
    };
    copy.as_it_is(boot, from, &*source)?;
    progress.show(boot.system);
    Ok(())
}

/// Whether there is memory enough, and where a copy is only made where it fits, whether it does.
fn is_to_be_copied(
    boot: &mut Boot<'_>,
    request: &Request,
    medium: &Medium,
    len: u64,
) -> Result<bool, Failure> {
    let is_optional = request.ram.copy == Copy::WhereItFits;
    let rest = match is_optional {
        true => request.ram.min_memory_mib.max(FITTING_MIN_MEMORY_MIB),
        false => request.ram.min_memory_mib,
    };
    let cause = if let Some(cause) = missing(boot, len, rest) {
        cause
    } else if is_optional && len > FITTING_IMAGE {
        format!("the image has {} MiB", len.div_ceil(MIB))
    } else if is_optional && medium.name.starts_with("sr") {
        "the medium is an optical one".to_owned()
    } else {
        return Ok(true);
    };
    if !is_optional {
        return Err(Failure::new(NOT_ENOUGH_MEMORY, cause));
    }
    boot.step(&format!("no copy in memory: {cause}"));
    Ok(false)
}

/// What to say where there is too little memory for `len` bytes and `rest` MiB beside them; `None` where there is enough.
fn missing(boot: &Boot<'_>, len: u64, rest: u64) -> Option<String> {
    let needed = len.saturating_add(rest.saturating_mul(MIB));
    let available = available_memory(boot).filter(|available| *available < needed)?;
    Some(format!(
        "{} MiB are free, the image has {} MiB and {rest} MiB are to be left (rd.minmem=): {} MiB are missing",
        available / MIB,
        len.div_ceil(MIB),
        needed.saturating_sub(available).div_ceil(MIB)
    ))
}

/// An image on a medium whose table covers it.
struct Covered {
    table: Checksums,
    /// The whole medium.
    path: String,
    device: Box<dyn Bytes>,
    /// Where the image lies on it, in bytes.
    at: u64,
}

/// How a file of the medium can be compared; `None` where it cannot be.
fn covered(
    boot: &mut Boot<'_>,
    request: &Request,
    medium: &Medium,
    image: &Image<'_>,
    len: u64,
) -> Option<Covered> {
    // What the kernel verifies as it is read needs no comparison before.
    if !image.is_file || request.verity.is_some() {
        return None;
    }
    let table = verify::table(boot, request).ok().flatten()?;
    let at = match boot.system.extent(image.from) {
        Ok(at) => at,
        Err(error) => {
            boot.step(&format!(
                "{}: not compared with the table: {error}",
                image.from
            ));
            return None;
        }
    };
    let (path, device) = verify::whole(boot, medium).ok()?;
    let is_covered = at.checked_add(len)? <= table.covered.min(device.len());
    is_covered.then_some(Covered {
        table,
        path,
        device,
        at,
    })
}

/// A file in memory that is written.
struct Copying<'a> {
    to: &'a str,
    file: Box<dyn io::Write>,
    progress: &'a mut Progress,
}

impl Copying<'_> {
    /// Reads the chunks that the image is in, and compares each.
    fn compared(&mut self, boot: &mut Boot<'_>, from: &Covered, len: u64) -> Result<(), Failure> {
        let end = from.at.saturating_add(len);
        let mut buffer = Vec::new();
        for (offset, chunk, digest) in from.table.chunks() {
            let chunk_end = offset.saturating_add(chunk);
            if chunk_end <= from.at || offset >= end {
                continue;
            }
            self.progress.show(boot.system);
            buffer.resize(usize::try_from(chunk).unwrap_or_default(), 0);
            from.device
                .read_at(&mut buffer, offset)
                .or_stop(COPY_TO_RAM, &format!("{} at byte {offset}", from.path))?;
            blank_out(&from.table.blanks, &mut buffer, offset);
            if blake3::hash(&buffer).as_bytes() != digest {
                boot.system.console("\n");
                let path = &from.path;
                let cause =
                    format!("{path}: {chunk} bytes at byte {offset} are not what was written");
                return Err(Failure::new(MEDIUM_DAMAGED, cause));
            }
            let inside = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            let own = buffer.get(inside(from.at.max(offset))..inside(end.min(chunk_end)));
            self.write(own.unwrap_or_default())?;
        }
        Ok(())
    }

    /// Reads the image from its start to its end.
    fn as_it_is(
        &mut self,
        boot: &mut Boot<'_>,
        from: &str,
        source: &dyn Bytes,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; COPIED];
        let mut at: u64 = 0;
        while at < source.len() {
            self.progress.show(boot.system);
            let rest = usize::try_from(source.len().saturating_sub(at)).unwrap_or(COPIED);
            let piece = buffer.get_mut(..rest.min(COPIED)).unwrap_or_default();
            source
                .read_at(piece, at)
                .or_stop(COPY_TO_RAM, &format!("reading {from}"))?;
            self.write(piece)?;
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(bytes)
            .or_stop(COPY_TO_RAM, &format!("writing {}", self.to))?;
        self.progress.add(bytes.len());
        Ok(())
    }
}

/// Makes room for a file of `len` bytes in [`media::RUN_INITRAMFS`], whose tmpfs is small otherwise. Only memory itself is a limit then.
pub(super) fn make_room(boot: &mut Boot<'_>, len: u64) -> io::Result<()> {
    // What was copied before needs its room too.
    let copies = [media::RAM_IMAGE, media::RAM_DISK_IMAGE];
    let there = copies.map(|path| boot.system.open(path).map_or(0, |copy| copy.len()));
    let len = there.into_iter().fold(len, u64::saturating_add);
    let data = format!("mode=755,size={}", len.saturating_add(32 * MIB));
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    boot.system.remount(media::RUN_INITRAMFS, flags, &data)
}

/// The medium is not needed any more. Where it stays in use nothing is lost but that it cannot be taken out.
pub(super) fn release(boot: &mut Boot<'_>, request: &Request, medium: &Medium, is_mounted: bool) {
    if is_mounted && let Err(error) = boot.system.unmount(media::LIVE_MOUNT) {
        boot.warn(&format!("the medium stays in use: {error}"));
        return;
    }
    find::file::release(boot, medium);
    boot.step(&format!("{} is not needed any more", medium.path()));
    if request.ram.eject
        && medium.carrier.is_none()
        && let Err(error) = boot.system.eject(&medium.path())
    {
        boot.warn(&format!("{} was not ejected: {error}", medium.path()));
    }
}

/// Memory that is free, in bytes; `None` where the kernel does not say.
pub(super) fn available_memory(boot: &Boot<'_>) -> Option<u64> {
    memory(boot, "MemAvailable:")
}

/// A line of the kernel's table of memory (`MemAvailable:`), in bytes; `None` where it does not say.
pub(super) fn memory(boot: &Boot<'_>, name: &str) -> Option<u64> {
    let table = boot.system.read("/proc/meminfo", MEMINFO).ok()?;
    let table = String::from_utf8(table).ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
