//! The root file system image in memory: copied there where there is room for it, so that the medium is not needed any more.

use std::io::{self, Write as _};

use contract::failure::{COPY_TO_RAM, Failure, NOT_ENOUGH_MEMORY};
use contract::media;
use contract::request::Request;

use super::progress::Progress;
use super::{Boot, OrStop as _};
use crate::system::MountFlags;

const MIB: u64 = 1 << 20;
/// How much is copied at once, in bytes.
const COPIED: usize = 1 << 20;
/// The longest `/proc/meminfo` that is read, in bytes.
const MEMINFO: usize = 64 * 1024;

/// Copies the image to the file `target` in memory, where there is enough of it.
pub(super) fn copy(
    boot: &mut Boot<'_>,
    request: &Request,
    image: &str,
    target: &str,
) -> Result<(), Failure> {
    let file = boot.system.open(image).or_stop(COPY_TO_RAM, image)?;
    let len = file.len();
    let needed = len.saturating_add(request.ram.min_memory_mib.saturating_mul(MIB));
    let available = available_memory(boot);
    if available.is_some_and(|available| available < needed) {
        let cause = format!(
            "{} MiB are free, the image has {} MiB and {} MiB are to be left (rd.minmem=)",
            available.unwrap_or_default() / MIB,
            len.div_ceil(MIB),
            request.ram.min_memory_mib
        );
        return Err(Failure::new(NOT_ENOUGH_MEMORY, cause));
    }
    boot.step(&format!("copying {} MiB to memory", len.div_ceil(MIB)));
    make_room(boot, len).or_stop(COPY_TO_RAM, media::RUN_INITRAMFS)?;
    let created = boot.system.create(target);
    let mut copy = created.or_stop(COPY_TO_RAM, target)?;
    let mut buffer = vec![0; COPIED];
    let mut progress = Progress::new("copying to memory", len);
    while progress.done < len {
        progress.show(boot.system);
        let rest = usize::try_from(len.saturating_sub(progress.done)).unwrap_or(COPIED);
        let piece = buffer.get_mut(..rest.min(COPIED)).unwrap_or_default();
        file.read_at(piece, progress.done)
            .or_stop(COPY_TO_RAM, &format!("reading {image}"))?;
        copy.write_all(piece)
            .or_stop(COPY_TO_RAM, &format!("writing {target}"))?;
        progress.add(piece.len());
    }
    progress.show(boot.system);
    Ok(())
}

/// Makes room for a file of `len` bytes in [`media::RUN_INITRAMFS`], whose tmpfs is small otherwise. Only memory itself is a limit then.
pub(super) fn make_room(boot: &mut Boot<'_>, len: u64) -> io::Result<()> {
    let data = format!("mode=755,size={}", len.saturating_add(32 * MIB));
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    boot.system.remount(media::RUN_INITRAMFS, flags, &data)
}

/// The medium is not needed any more. Where it stays in use nothing is lost but that it cannot be taken out.
pub(super) fn release_medium(boot: &mut Boot<'_>) {
    if let Err(error) = boot.system.unmount(media::LIVE_MOUNT) {
        boot.warn(&format!("the medium stays in use: {error}"));
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
