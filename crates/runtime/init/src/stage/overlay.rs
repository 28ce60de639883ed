//! A writable layer in memory on top of the read-only root: the new root.

use std::io;

use contract::failure::{Failure, OVERLAY_MOUNT, OVERLAY_SPACE};
use contract::media;
use contract::request::Request;

use super::persistence::Place;
use super::{Boot, OrStop as _};
use crate::system::{Mount, MountFlags};

/// Mounts the overlay at the folder `root`.
pub(crate) fn run(
    boot: &mut Boot<'_>,
    request: &Request,
    place: Option<&Place>,
    root: &str,
) -> Result<(), Failure> {
    if let Some(place) = place {
        boot.warn(&format!("{place:?} is not used yet"));
    }
    prepare(boot, &request.layer.size).or_stop(
        OVERLAY_SPACE,
        &format!("a tmpfs of the size {}", request.layer.size),
    )?;
    // The new root's own mode, owner and security label are the upper folder's.
    if let Err(error) = boot.system.copy_attributes(media::LOWER, media::UPPER) {
        boot.warn(&format!("the root folder is not all that it was: {error}"));
    }
    boot.need_file_system("overlay");
    let data = format!(
        "lowerdir={},upperdir={},workdir={}",
        media::LOWER,
        media::UPPER,
        media::WORK
    );
    boot.system
        .make_dir(root)
        .and_then(|()| {
            boot.system.mount(&Mount {
                source: media::OVERLAY_SOURCE,
                target: root,
                kind: "overlay",
                flags: MountFlags::empty(),
                data: &data,
            })
        })
        .or_stop(OVERLAY_MOUNT, &data)
}

/// The upper and work folders, on a tmpfs of their own: its size is the limit, and programs and devices work there.
fn prepare(boot: &mut Boot<'_>, size: &str) -> io::Result<()> {
    let system = &mut *boot.system;
    system.make_dir(media::OVERLAY_MOUNT)?;
    system.mount(&Mount {
        source: "tmpfs",
        target: media::OVERLAY_MOUNT,
        kind: "tmpfs",
        flags: MountFlags::empty(),
        data: &format!("mode=755,size={size}"),
    })?;
    for (link, name) in [(media::UPPER, "overlayfs"), (media::WORK, "ovlwork")] {
        let folder = format!("{}/{name}", media::OVERLAY_MOUNT);
        system.make_dir(&folder)?;
        system.link(&folder, link)?;
    }
    Ok(())
}
