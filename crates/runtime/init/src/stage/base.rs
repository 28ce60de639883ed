//! The medium and the root file system image on it become a read-only root at [`media::LOWER`].

use std::io::{self, Write as _};

use contract::failure::{
    COPY_TO_RAM, Failure, MEDIUM_MOUNT, NO_ROOT_IMAGE, NOT_A_ROOT, NOT_ENOUGH_MEMORY,
    NOT_SUPPORTED, ROOT_IMAGE_MOUNT, ROOT_IMAGE_UNKNOWN,
};
use contract::media;
use contract::request::Request;

use super::find::Medium;
use super::progress::Progress;
use super::{Boot, OrStop as _};
use crate::probe;
use crate::system::{Access, Kind, Mount, MountFlags};

const MIB: u64 = 1 << 20;
/// How much is copied at once, in bytes.
const COPIED: usize = 1 << 20;
/// The longest `/proc/meminfo` that is read, in bytes.
const MEMINFO: usize = 64 * 1024;

/// Whether a device that holds this is the root file system image itself, and no medium that has one.
pub(crate) fn is_image(kind: &str) -> bool {
    matches!(kind, "squashfs" | "erofs")
}

/// Opens the root file system image and makes its tree visible at [`media::LOWER`].
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request, medium: &Medium) -> Result<(), Failure> {
    boot.system
        .link(&medium.path(), media::LIVE_DEVICE)
        .or_stop(MEDIUM_MOUNT, media::LIVE_DEVICE)?;
    let (mut image, kind) = if is_image(medium.identity.kind) {
        (medium.path(), medium.identity.kind)
    } else {
        mount_medium(boot, medium)?;
        let path = format!("{}/{}/{}", media::LIVE_MOUNT, request.dir, request.image);
        let kind = image_kind(boot, &path)?;
        (path, kind)
    };
    let mut is_file = !is_image(medium.identity.kind);
    // What came over the network is in memory already.
    if request.ram && medium.url.is_none() {
        copy_to_ram(boot, request, &image)?;
        if is_file {
            release_medium(boot);
        }
        media::RAM_IMAGE.clone_into(&mut image);
        is_file = true;
    }
    let source = if is_file {
        boot.modules.load(boot.system, "loop");
        boot.system.attach_loop(&image, Access::Read).or_stop(
            ROOT_IMAGE_MOUNT,
            &format!("attaching {image} to a loop device"),
        )?
    } else {
        image
    };
    boot.need_file_system(kind);
    mount_read_only(boot, &source, media::IMAGE_MOUNT, kind)
        .or_stop(ROOT_IMAGE_MOUNT, &format!("mounting {source} as {kind}"))?;
    publish_lower(boot)
}

/// Mounts the medium at [`media::LIVE_MOUNT`], if it is not there already.
pub(crate) fn mount_medium(boot: &mut Boot<'_>, medium: &Medium) -> Result<(), Failure> {
    if is_mounted(boot, media::LIVE_MOUNT) {
        return Ok(());
    }
    let kind = medium.identity.kind;
    boot.need_file_system(kind);
    mount_read_only(boot, &medium.path(), media::LIVE_MOUNT, kind).or_stop(
        MEDIUM_MOUNT,
        &format!("mounting {} as {kind}", medium.path()),
    )
}

fn is_mounted(boot: &Boot<'_>, path: &str) -> bool {
    let table = boot.system.read("/proc/self/mounts", MEMINFO);
    let table = table.unwrap_or_default();
    String::from_utf8_lossy(&table)
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(path))
}

fn mount_read_only(boot: &mut Boot<'_>, source: &str, target: &str, kind: &str) -> io::Result<()> {
    boot.system.make_dir(target)?;
    boot.system.mount(&Mount {
        source,
        target,
        kind,
        flags: MountFlags::RDONLY,
        data: "",
    })
}

/// What the root file system image is, by its content and not by its name.
fn image_kind(boot: &Boot<'_>, path: &str) -> Result<&'static str, Failure> {
    let identity = match boot.system.open(path) {
        Ok(file) => probe::probe(&*file).or_stop(ROOT_IMAGE_UNKNOWN, path)?,
        Err(error) => return Err(Failure::new(NO_ROOT_IMAGE, format!("{path}: {error}"))),
    };
    match identity {
        Some(identity) if is_image(identity.kind) => Ok(identity.kind),
        Some(identity) => {
            let cause = format!(
                "{path} is {}: only squashfs and EROFS can be the root so far",
                identity.kind
            );
            Err(Failure::new(NOT_SUPPORTED, cause))
        }
        None => Err(Failure::new(ROOT_IMAGE_UNKNOWN, path)),
    }
}

/// Copies the image to memory, where there is enough of it.
fn copy_to_ram(boot: &mut Boot<'_>, request: &Request, image: &str) -> Result<(), Failure> {
    let file = boot.system.open(image).or_stop(COPY_TO_RAM, image)?;
    let len = file.len();
    let needed = len.saturating_add(request.min_memory_mib.saturating_mul(MIB));
    let available = available_memory(boot);
    if available.is_some_and(|available| available < needed) {
        let cause = format!(
            "{} MiB are free, the image has {} MiB and {} MiB are to be left (rd.minmem=)",
            available.unwrap_or_default() / MIB,
            len.div_ceil(MIB),
            request.min_memory_mib
        );
        return Err(Failure::new(NOT_ENOUGH_MEMORY, cause));
    }
    boot.step(&format!("copying {} MiB to memory", len.div_ceil(MIB)));
    make_room(boot, len).or_stop(COPY_TO_RAM, media::RUN_INITRAMFS)?;
    let mut target = boot
        .system
        .create(media::RAM_IMAGE)
        .or_stop(COPY_TO_RAM, media::RAM_IMAGE)?;
    let mut buffer = vec![0; COPIED];
    let mut progress = Progress::new("copying to memory", len);
    while progress.done < len {
        progress.show(boot.system);
        let rest = usize::try_from(len.saturating_sub(progress.done)).unwrap_or(COPIED);
        let piece = buffer.get_mut(..rest.min(COPIED)).unwrap_or_default();
        file.read_at(piece, progress.done)
            .or_stop(COPY_TO_RAM, &format!("reading {image}"))?;
        target
            .write_all(piece)
            .or_stop(COPY_TO_RAM, &format!("writing {}", media::RAM_IMAGE))?;
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
fn release_medium(boot: &mut Boot<'_>) {
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

/// The mounted image is a root if it has `usr`, or `ostree`.
fn publish_lower(boot: &mut Boot<'_>) -> Result<(), Failure> {
    let is = |boot: &Boot<'_>, name: &str, kind: Kind| {
        let path = format!("{}/{name}", media::IMAGE_MOUNT);
        boot.system.kind(&path).ok() == Some(kind)
    };
    if is(boot, "LiveOS/rootfs.img", Kind::File) {
        let cause = "the root file system image holds LiveOS/rootfs.img, a second image, which cannot be opened yet";
        return Err(Failure::new(NOT_SUPPORTED, cause));
    }
    if !is(boot, "usr", Kind::Folder) && !is(boot, "ostree", Kind::Folder) {
        let cause = "it has neither usr nor ostree at its top";
        return Err(Failure::new(NOT_A_ROOT, cause));
    }
    boot.system
        .make_dir(media::LOWER)
        .and_then(|()| boot.system.bind(media::IMAGE_MOUNT, media::LOWER))
        .or_stop(ROOT_IMAGE_MOUNT, media::LOWER)
}
