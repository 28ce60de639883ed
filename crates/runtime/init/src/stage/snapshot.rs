//! A writable root without an overlay, of a root file system image that is a file system for disks: a device-mapper snapshot of the
//! image, or the image itself where it is in memory.
//!
//! The names of the devices are those of `dmsquash-live`, which installers know: `live-base` is the image, `live-rw` the root, and
//! `live-ro` the image with a store that is only read. A store that is full makes the root read-only: what was written is still there.
//!
//! Source: Linux, Documentation/admin-guide/device-mapper/snapshot.rst and linear.rst.

use contract::media;
use contract::request::Request;

use super::base::{self, Base};
use super::{Boot, overlay, ram};
use crate::system::{Access, Mount, MountFlags, Target};

const BASE: &str = "live-base";
const READ_ONLY: &str = "live-ro";
const ROOT: &str = "live-rw";

/// The sectors of a chunk, which is what is copied at once: 4 KiB, the block of most file systems.
const CHUNK: u64 = 8;
const SECTOR: u64 = 512;
/// What a page has on most machines; counts only where a size is given in pages.
const PAGE: u64 = 4096;
/// More than a tmpfs needs besides the one file in it, in bytes.
const SLACK: u64 = 1 << 20;
/// How many bytes of a store there are to one byte of its own tables: 16 bytes to each chunk.
const PER_TABLE_BYTE: u64 = 256;

/// Where what is written goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Store<'a> {
    /// A file in memory.
    Memory,
    /// A block device that outlives the machine's end; where it is only read, a file in memory on top of it.
    At { device: &'a str, read_only: bool },
}

/// What the image is as a device.
struct Image<'a> {
    device: &'a str,
    kind: &'static str,
    sectors: u64,
}

/// Makes the root a snapshot of the image, at the folder `root`. The error is one line for people; everything is as it was then.
pub(super) fn run(
    boot: &mut Boot<'_>,
    request: &Request,
    base: &Base,
    (store, root): (Store<'_>, &str),
) -> Result<(), String> {
    let image = image(boot, base)?;
    for module in ["dm_mod", "dm_snapshot"] {
        boot.modules.load(boot.system, module);
    }
    // A file system that is mounted already is not mounted from a second device.
    let unmounted = boot.system.unmount(media::LOWER);
    unmounted.map_err(|error| format!("{}: {error}", media::LOWER))?;
    let made =
        stack(boot, request, (&image, store)).and_then(|()| mount(boot, request, image.kind, root));
    if made.is_err() {
        for name in [ROOT, READ_ONLY, BASE] {
            let _ = boot.system.unmap(name);
        }
        let _ = boot.system.unmount(media::OVERLAY_MOUNT);
        publish_lower(boot, image.device, image.kind);
        return made;
    }
    // The kernel would take a second device with the same Btrfs for the first one, moved.
    if image.kind == "btrfs" {
        let path = media::LOWER;
        boot.warn(&format!(
            "{path} stays empty: Btrfs is not mounted beside a snapshot of it"
        ));
    } else {
        publish_lower(boot, &mapped(BASE), image.kind);
    }
    Ok(())
}

/// Makes the root of the image itself, which is in memory, or is copied there first where that was asked for.
pub(super) fn direct(
    boot: &mut Boot<'_>,
    request: &Request,
    base: &Base,
    root: &str,
) -> Result<(), String> {
    let image = image(boot, base)?;
    let file = match &base.file {
        Some(file) if base.in_memory => file.clone(),
        _ if request.layer.private_copy => {
            let from = base.file.as_deref().unwrap_or(image.device);
            private_copy(boot, request, from)?
        }
        _ => {
            let why = "the image itself cannot be written, as it is on the medium";
            return Err(format!("{why} (rd.live.ram and rd.writable.fsimg copy it)"));
        }
    };
    let unmounted = boot.system.unmount(media::LOWER);
    unmounted.map_err(|error| format!("{}: {error}", media::LOWER))?;
    boot.modules.load(boot.system, "dm_mod");
    let attached = boot.system.attach_loop(&file, Access::Write);
    let made = attached
        .map_err(|error| format!("attaching {file} to a loop device: {error}"))
        .and_then(|device| linear(boot, ROOT, (&device, image.sectors), Access::Write))
        .and_then(|_| mount(boot, request, image.kind, root));
    if made.is_err() {
        let _ = boot.system.unmap(ROOT);
        publish_lower(boot, image.device, image.kind);
        return made;
    }
    // There is no root but the one that is written.
    let bound = boot.system.bind(root, media::LOWER);
    if let Err(error) = bound {
        boot.warn(&format!("{}: {error}", media::LOWER));
    }
    if request.layer.private_copy {
        // Its copy is what is used.
        let _ = boot.system.unmount(media::IMAGE_MOUNT);
    }
    Ok(())
}

fn image<'a>(boot: &Boot<'_>, base: &'a Base) -> Result<Image<'a>, String> {
    let Some(device) = base.image.as_deref() else {
        return Err("the root file system image is compressed and cannot be written".to_owned());
    };
    let opened = boot.system.open(device);
    let len = opened.map_err(|error| format!("{device}: {error}"))?.len();
    Ok(Image {
        device,
        kind: base.kind,
        sectors: len / SECTOR,
    })
}

fn private_copy(boot: &mut Boot<'_>, request: &Request, from: &str) -> Result<String, String> {
    let target = media::PRIVATE_IMAGE;
    let folder = target.rsplit_once('/').map_or("", |(folder, _)| folder);
    let made = boot.system.make_dir(folder);
    made.map_err(|error| format!("{folder}: {error}"))?;
    ram::copy_file(boot, request, from, target).map_err(|failure| failure.to_string())?;
    Ok(target.to_owned())
}

/// Makes the devices.
fn stack(
    boot: &mut Boot<'_>,
    request: &Request,
    (image, store): (&Image<'_>, Store<'_>),
) -> Result<(), String> {
    let all = (image.device, image.sectors);
    linear(boot, BASE, all, Access::Read)?;
    let (origin, store) = match store {
        Store::Memory => (image.device.to_owned(), memory_store(boot, request, image)?),
        Store::At {
            device,
            read_only: false,
        } => (image.device.to_owned(), device.to_owned()),
        Store::At { device, .. } => {
            let parameters = format!("{} {device} P {CHUNK}", image.device);
            let origin = map(
                boot,
                READ_ONLY,
                (image.sectors, "snapshot", &parameters),
                Access::Read,
            )?;
            (origin, memory_store(boot, request, image)?)
        }
    };
    // `O`: a full store is told to the kernel as such, and reads go on.
    let parameters = format!("{origin} {store} PO {CHUNK}");
    let row = (image.sectors, "snapshot", parameters.as_str());
    map(boot, ROOT, row, Access::Write).map(drop)
}

fn linear(
    boot: &mut Boot<'_>,
    name: &str,
    (device, sectors): (&str, u64),
    access: Access,
) -> Result<String, String> {
    let parameters = format!("{device} 0");
    map(boot, name, (sectors, "linear", &parameters), access)
}

fn map(
    boot: &mut Boot<'_>,
    name: &str,
    (sectors, kind, parameters): (u64, &str, &str),
    access: Access,
) -> Result<String, String> {
    let table = [Target {
        start: 0,
        sectors,
        kind,
        parameters,
    }];
    let mapped = boot.system.map(name, "", &table, access);
    mapped.map_err(|error| format!("device-mapper {name} ({kind} {parameters}): {error}"))
}

/// The device of a store in memory: a file without blocks, whose length is what may be written, on a tmpfs that has room for it. So the
/// store is full before the tmpfs is, which the kernel takes for a broken disk.
fn memory_store(
    boot: &mut Boot<'_>,
    request: &Request,
    image: &Image<'_>,
) -> Result<String, String> {
    let memory = ram::memory(boot, "MemTotal:").unwrap_or_default();
    // Not even a change of every block needs more.
    let whole = image.sectors.saturating_mul(SECTOR);
    let most = whole
        .saturating_add(whole / PER_TABLE_BYTE)
        .saturating_add(SLACK);
    let wanted = request.layer.limit(memory, PAGE).min(most);
    let len = wanted.saturating_sub(wanted % PAGE);
    let file = media::SNAPSHOT_STORE;
    let size = len.saturating_add(SLACK);
    let mount = Mount {
        source: "tmpfs",
        target: media::OVERLAY_MOUNT,
        kind: "tmpfs",
        flags: MountFlags::NOSUID | MountFlags::NODEV,
        data: &format!("mode=755,size={size}"),
    };
    let system = &mut *boot.system;
    system
        .make_dir(media::OVERLAY_MOUNT)
        .and_then(|()| system.mount(&mount))
        .and_then(|()| system.create_sparse(file, len))
        .and_then(|()| system.attach_loop(file, Access::Write))
        .map_err(|error| format!("{file}, of {len} bytes: {error}"))
}

/// Mounts the root by the name that programs know it by.
fn mount(boot: &mut Boot<'_>, request: &Request, kind: &str, root: &str) -> Result<(), String> {
    let device = mapped(ROOT);
    overlay::mount_root(boot, request, (&device, root, kind), "")
        .map_err(|error| format!("mounting {device} as {kind}: {error}"))
}

/// The image, as it is without what is written.
fn publish_lower(boot: &mut Boot<'_>, device: &str, kind: &str) {
    if let Err(failure) = base::mount_disk_image(boot, device, kind, media::LOWER) {
        boot.warn(&failure.to_string());
    }
}

fn mapped(name: &str) -> String {
    format!("/dev/mapper/{name}")
}
