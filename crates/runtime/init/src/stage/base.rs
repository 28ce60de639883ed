//! The medium and the root file system image on it become a read-only root at [`media::LOWER`].

use std::io;

use contract::failure::{
    Failure, MEDIUM_MOUNT, NO_ROOT_IMAGE, NOT_A_ROOT, NOT_SUPPORTED, ROOT_IMAGE_MOUNT,
    ROOT_IMAGE_UNKNOWN,
};
use contract::media;
use contract::request::Request;

use super::find::Medium;
use super::{Boot, OrStop as _, ram};
use crate::probe;
use crate::system::{Access, Kind, Mount, MountFlags};

/// The longest table of mounts that is read, in bytes.
const MOUNTS: usize = 64 * 1024;

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
    if request.ram.is_asked_for() && medium.url.is_none() {
        ram::copy(boot, request, &image)?;
        if is_file {
            ram::release_medium(boot);
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
    let table = boot.system.read("/proc/self/mounts", MOUNTS);
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
