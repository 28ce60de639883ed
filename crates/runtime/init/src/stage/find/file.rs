//! A medium that is a file: on another file system, whose device is the carrier, or in the initramfs.

use std::io;

use contract::failure::{Failure, INITRAMFS_FILE, ISO_FILE};
use contract::media;
use contract::request::Request;
use contract::request::persistence::Store;
use contract::request::search::IsoFile;

use super::{Carrier, Medium, node};
use crate::probe::{self, Identity};
use crate::stage::{Boot, OrStop as _, base};
use crate::system::{Access, Kind, Mount, MountFlags};

/// What a look at a file system came to.
pub(super) enum Look {
    /// The file is there.
    Found(Medium),
    /// It is not, or is another medium: in words.
    Other(String),
    /// The file system cannot be mounted, which may change: in words.
    Later(String),
}

/// Mounts the file system on `name` and looks for the file. `is_wanted` says whether what is in the file is the medium.
pub(super) fn look(
    boot: &mut Boot<'_>,
    request: &Request,
    (name, identity): (&str, &Identity),
    iso: &IsoFile,
    is_wanted: impl Fn(&Identity) -> bool,
) -> Result<Look, Failure> {
    let kind = identity.kind;
    boot.need_file_system(kind);
    if let Err(error) = mount(boot, request, (name, kind), iso) {
        return Ok(Look::Later(format!(
            "{kind} that cannot be mounted: {error}"
        )));
    }
    let path = format!("{}{}", media::ISO_SCAN, iso.path);
    if boot.system.kind(&path).ok() != Some(Kind::File) {
        leave(boot);
        return Ok(Look::Other(format!("{kind} without a file {}", iso.path)));
    }
    let inside = boot
        .system
        .open(&path)
        .and_then(|file| probe::probe(&*file));
    let inside = match inside {
        Ok(Some(inside)) if is_wanted(&inside) => inside,
        Ok(inside) => {
            leave(boot);
            let what = inside.map_or_else(
                || "nothing that is known".to_owned(),
                |inside| super::in_words(&inside),
            );
            return Ok(Look::Other(format!("{kind} whose {} has {what}", iso.path)));
        }
        Err(error) => {
            leave(boot);
            return Ok(Look::Other(format!(
                "{kind} whose {} cannot be read: {error}",
                iso.path
            )));
        }
    };
    let carrier = Carrier {
        name: name.to_owned(),
        kind,
        path: iso.path.clone(),
    };
    let device = node(name);
    if let Err(error) = boot.system.link(&device, media::ISO_SCAN_DEVICE) {
        boot.warn(&format!("{}: {error}", media::ISO_SCAN_DEVICE));
    }
    attach(boot, &path, inside, Some(carrier)).map(Look::Found)
}

/// The medium that is the file `path` of the initramfs.
pub(super) fn of_initramfs(boot: &mut Boot<'_>, path: &str) -> Result<Medium, Failure> {
    let file = boot.system.open(path).or_stop(INITRAMFS_FILE, path)?;
    let identity = probe::probe(&*file).or_stop(ISO_FILE, path)?;
    let unknown = || Failure::new(ISO_FILE, format!("{path} holds nothing that is known"));
    attach(boot, path, identity.ok_or_else(unknown)?, None)
}

fn attach(
    boot: &mut Boot<'_>,
    path: &str,
    identity: Identity,
    carrier: Option<Carrier>,
) -> Result<Medium, Failure> {
    boot.modules.load(boot.system, "loop");
    let device = boot
        .system
        .attach_loop(path, Access::Read)
        .or_stop(ISO_FILE, &format!("attaching {path} to a loop device"))?;
    Ok(Medium {
        name: device.strip_prefix("/dev/").unwrap_or(&device).to_owned(),
        identity,
        url: None,
        carrier,
    })
}

/// Nothing is written: a journal is not replayed, unless what the system writes is to go to that file system anyway.
fn mount(
    boot: &mut Boot<'_>,
    request: &Request,
    (name, kind): (&str, &str),
    iso: &IsoFile,
) -> io::Result<()> {
    boot.system.make_dir(media::ISO_SCAN)?;
    // By kind: the options of newer kernels first.
    let ways: &[(&str, &str)] = match kind {
        _ if writes_there(request) => &[("", "")],
        "ext4" => &[("", "noload")],
        "xfs" => &[("", "norecovery")],
        "btrfs" => &[("", "rescue=nologreplay"), ("", "nologreplay")],
        "ntfs3" => &[("", ""), ("ntfs", "")],
        _ => &[("", "")],
    };
    let mut result = Ok(());
    for (other, options) in ways {
        let data = match (*options, iso.flags.as_str()) {
            (options, "") => options.to_owned(),
            ("", flags) => flags.to_owned(),
            (options, flags) => format!("{options},{flags}"),
        };
        result = boot.system.mount(&Mount {
            source: &node(name),
            target: media::ISO_SCAN,
            kind: if other.is_empty() { kind } else { other },
            flags: MountFlags::RDONLY,
            data: &data,
        });
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Whether what the system writes goes to a file beside the one with the medium.
fn writes_there(request: &Request) -> bool {
    let store = request.persistence.as_ref().map(|wish| &wish.store);
    matches!(store, Some(Store::BootDisk { .. }))
}

fn leave(boot: &mut Boot<'_>) {
    if let Err(error) = boot.system.unmount(media::ISO_SCAN) {
        boot.warn(&format!("{} stays mounted: {error}", media::ISO_SCAN));
    }
}

/// Whether a file system of this kind may have files that are looked for.
pub(super) fn may_hold_files(identity: &Identity) -> bool {
    !base::is_image(identity.kind)
}

/// The medium in a file is in use no more: its carrier can be taken out. To be called when the medium is mounted no more.
pub(crate) fn release(boot: &mut Boot<'_>, medium: &Medium) {
    if medium.carrier.is_none() {
        return;
    }
    let released = boot
        .system
        .detach_loop(&medium.path())
        .and_then(|()| boot.system.unmount(media::ISO_SCAN));
    if let Err(error) = released {
        boot.warn(&format!(
            "the file system with the medium stays in use: {error}"
        ));
    }
}
