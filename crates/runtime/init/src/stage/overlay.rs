//! A writable layer on top of the read-only root: the new root.
//!
//! An overlay in memory is what always works, and what every other form falls back to with a warning: a place that outlives the
//! machine's end, a snapshot, the image itself.

use std::io;

use contract::failure::{Failure, OVERLAY_MOUNT, OVERLAY_SPACE};
use contract::media;
use contract::request::{Form, Request};

use super::base::{self, Base};
use super::persistence::Place;
use super::{Boot, OrStop as _, snapshot, updates};
use crate::system::{Mount, MountFlags};

/// Makes the new root at the folder `root`.
pub(crate) fn run(
    boot: &mut Boot<'_>,
    request: &Request,
    base: &Base,
    place: Option<&Place>,
    root: &str,
) -> Result<(), Failure> {
    boot.system.make_dir(root).or_stop(OVERLAY_MOUNT, root)?;
    let made = match place {
        Some(place) => match at_place(boot, request, base, (place, root)) {
            Ok(()) => true,
            Err(trouble) => {
                boot.warn(&format!(
                    "{trouble}: what is written is in memory and gone at power-off"
                ));
                false
            }
        },
        None => false,
    };
    if !made {
        in_memory(boot, request, base, root)?;
    }
    updates::run(boot, request, root);
    publish(boot, base);
    Ok(())
}

/// The layer lies at a place that outlives the machine's end. The error is one line for people.
fn at_place(
    boot: &mut Boot<'_>,
    request: &Request,
    base: &Base,
    (place, root): (&Place, &str),
) -> Result<(), String> {
    match place {
        Place::Snapshot { device, read_only } => {
            let store = snapshot::Store::At {
                device,
                read_only: *read_only,
            };
            snapshot::run(boot, request, base, (store, root))
        }
        Place::Folders { upper, work } if request.layer.read_only => {
            let middle = media::UPPER_READ_ONLY;
            let links = [(upper, middle), (work, media::WORK_READ_ONLY)];
            for (folder, link) in links {
                let linked = boot.system.link(folder, link);
                linked.map_err(|error| format!("{link}: {error}"))?;
            }
            prepare(boot, request).map_err(|error| format!("a place in memory: {error}"))?;
            let mounted = stack(boot, request, root, Some(middle));
            // An overlay without the middle layer makes its own.
            mounted.inspect_err(|_| drop(boot.system.unmount(media::OVERLAY_MOUNT)))
        }
        Place::Folders { upper, work } => {
            for (folder, link) in [(upper, media::UPPER), (work, media::WORK)] {
                let linked = boot.system.link(folder, link);
                linked.map_err(|error| format!("{link}: {error}"))?;
            }
            stack(boot, request, root, None)
        }
    }
}

/// The layer is in memory.
fn in_memory(
    boot: &mut Boot<'_>,
    request: &Request,
    base: &Base,
    root: &str,
) -> Result<(), Failure> {
    let made = match form(request, base) {
        Form::Direct => Some(snapshot::direct(boot, request, base, root)),
        Form::Snapshot => {
            let store = snapshot::Store::Memory;
            Some(snapshot::run(boot, request, base, (store, root)))
        }
        Form::Overlay | Form::Fitting => None,
    };
    match made {
        Some(Ok(())) => return Ok(()),
        Some(Err(trouble)) => boot.warn(&format!("{trouble}: the root gets an overlay")),
        None => {}
    }
    let options = request.layer.tmpfs_options();
    prepare(boot, request).or_stop(OVERLAY_SPACE, &format!("a tmpfs with {options}"))?;
    stack(boot, request, root, None).map_err(|cause| Failure::new(OVERLAY_MOUNT, cause))
}

/// The form that is tried first, by what was asked for and what there is.
fn form(request: &Request, base: &Base) -> Form {
    match request.layer.form {
        Form::Snapshot if base.image.is_none() => Form::Overlay,
        Form::Fitting if base.image.is_none() || base.maker.has_overlays() => Form::Overlay,
        // The root without what is written could not be shown beside its snapshot.
        Form::Fitting if base.kind == "btrfs" => Form::Overlay,
        Form::Fitting if base.in_memory && base.file.is_some() => Form::Direct,
        Form::Fitting => Form::Snapshot,
        form => form,
    }
}

/// The upper and work folders, on a tmpfs of their own: its size is the limit, and programs and devices work there.
fn prepare(boot: &mut Boot<'_>, request: &Request) -> io::Result<()> {
    let data = format!("mode=755,{}", request.layer.tmpfs_options());
    let is_there = base::is_mounted(boot, media::OVERLAY_MOUNT);
    let system = &mut *boot.system;
    if is_there {
        // A store for a snapshot that could not be had is still held by its loop device.
        system.remount(media::OVERLAY_MOUNT, MountFlags::empty(), &data)?;
    } else {
        system.make_dir(media::OVERLAY_MOUNT)?;
        system.mount(&Mount {
            source: "tmpfs",
            target: media::OVERLAY_MOUNT,
            kind: "tmpfs",
            flags: MountFlags::empty(),
            data: &data,
        })?;
    }
    for (link, name) in [(media::UPPER, "overlayfs"), (media::WORK, "ovlwork")] {
        let folder = format!("{}/{name}", media::OVERLAY_MOUNT);
        system.make_dir(&folder)?;
        system.link(&folder, link)?;
    }
    Ok(())
}

/// Mounts the overlay of the published folders at `root`, with a layer in the `middle` or without.
fn stack(
    boot: &mut Boot<'_>,
    request: &Request,
    root: &str,
    middle: Option<&str>,
) -> Result<(), String> {
    // A layer that was written to before has its own.
    if boot
        .system
        .list(media::UPPER)
        .unwrap_or_default()
        .is_empty()
    {
        // The new root's own mode, owner and security label are the upper folder's.
        let from = middle.unwrap_or(media::LOWER);
        if let Err(error) = boot.system.copy_attributes(from, media::UPPER) {
            boot.warn(&format!("the root folder is not all that it was: {error}"));
        }
    }
    boot.need_file_system("overlay");
    let middle = middle.map(|path| format!("{path}:"));
    let data = format!(
        "lowerdir={}{},upperdir={},workdir={}",
        middle.unwrap_or_default(),
        media::LOWER,
        media::UPPER,
        media::WORK
    );
    mount_root(
        boot,
        request,
        (media::OVERLAY_SOURCE, root, "overlay"),
        &data,
    )
    .map_err(|error| format!("{data}: {error}"))
}

/// Mounts the new root with what `rootflags=` says. Where that is for another file system than this one, it is mounted without.
pub(super) fn mount_root(
    boot: &mut Boot<'_>,
    request: &Request,
    (source, target, kind): (&str, &str, &str),
    data: &str,
) -> io::Result<()> {
    let (flags, options) = split_flags(&request.layer.root_flags);
    let all = [options.as_str(), data];
    let all: Vec<&str> = all.into_iter().filter(|part| !part.is_empty()).collect();
    let all = all.join(",");
    let mut mount = Mount {
        source,
        target,
        kind,
        flags,
        data: &all,
    };
    match boot.system.mount(&mount) {
        Err(error) if !options.is_empty() => {
            mount.data = data;
            boot.system.mount(&mount)?;
            boot.warn(&format!(
                "rootflags={options}: the root is mounted without: {error}"
            ));
            Ok(())
        }
        other => other,
    }
}

/// Mount options as users write them: what is a flag to the kernel, and what is left for the file system.
fn split_flags(text: &str) -> (MountFlags, String) {
    let mut flags = MountFlags::empty();
    let mut rest = Vec::new();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => flags |= MountFlags::RDONLY,
            "rw" => flags.remove(MountFlags::RDONLY),
            "nosuid" => flags |= MountFlags::NOSUID,
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
            "sync" => flags |= MountFlags::SYNCHRONOUS,
            "dirsync" => flags |= MountFlags::DIRSYNC,
            "noatime" => flags |= MountFlags::NOATIME,
            "nodiratime" => flags |= MountFlags::NODIRATIME,
            "relatime" => flags |= MountFlags::RELATIME,
            "strictatime" => flags |= MountFlags::STRICTATIME,
            "defaults" | "suid" | "dev" | "exec" | "async" | "atime" | "diratime" => {}
            other => rest.push(other),
        }
    }
    (flags, rest.join(","))
}

/// Links under the names that programs of other live systems look for. A system without them is still a system.
fn publish(boot: &mut Boot<'_>, base: &Base) {
    let kiwi = media::KIWI_LINKS.iter();
    for (link, target) in kiwi.chain(base.maker.links()) {
        if boot.system.kind(target).is_err() {
            continue;
        }
        let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
        let _ = boot
            .system
            .make_dir(folder)
            .and_then(|()| boot.system.link(target, link));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags_or_the_file_systems_own() {
        for (text, flags, rest) in [
            ("", MountFlags::empty(), ""),
            ("ro", MountFlags::RDONLY, ""),
            ("ro,rw", MountFlags::empty(), ""),
            ("defaults,noatime,,", MountFlags::NOATIME, ""),
            (
                "nodev,nosuid,metacopy=on,xino=off",
                MountFlags::NODEV.union(MountFlags::NOSUID),
                "metacopy=on,xino=off",
            ),
            ("subvol=root", MountFlags::empty(), "subvol=root"),
        ] {
            assert_eq!(split_flags(text), (flags, rest.to_owned()), "{text}");
        }
    }
}
