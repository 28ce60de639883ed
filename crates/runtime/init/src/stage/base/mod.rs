//! The medium and the root file system image on it become a read-only root at [`media::LOWER`].
//!
//! * [`layout`]: where on a medium the image lies, by its name and by its content.
//! * this file: opens it. A compressed image (squashfs, EROFS) holds the root itself, or one more image that does; an image that is a
//!   file system for disks is the root.

use std::io;

use contract::failure::{
    Failure, MEDIUM_MOUNT, NOT_A_ROOT, ROOT_IMAGE_MOUNT, ROOT_IMAGE_UNKNOWN, ROOT_LAYERS,
};
use contract::media;
use contract::request::Request;

use self::layout::{Image, Origin};
use super::find::Medium;
use super::{Boot, OrStop as _, ram, verity};
use crate::system::{Access, Mount, MountFlags};

mod layout;

/// The longest table of mounts that is read, in bytes.
const MOUNTS: usize = 64 * 1024;

/// The read-only root, and what it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Base {
    /// The block device of a root file system image that is a file system for disks, so that something could write it; `None` where
    /// there is no such image.
    pub(crate) image: Option<String>,
    /// What file system that is, as `mount(2)` names it; empty where there is none.
    pub(crate) kind: &'static str,
    /// The file behind that device; `None` where the device is one of the machine's.
    pub(crate) file: Option<String>,
    /// Whether that file is in memory.
    pub(crate) in_memory: bool,
    /// What made the medium, as far as that matters.
    pub(crate) maker: Maker,
}

/// What made a medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Maker {
    /// Any other program.
    #[default]
    Other,
    /// KIWI.
    Kiwi,
    /// live-build, or another program that makes media for live-boot.
    LiveBoot,
    /// archiso.
    Archiso,
}

impl Maker {
    /// Whether a root becomes writable by an overlay with it, whatever the image is.
    pub(crate) fn has_overlays(self) -> bool {
        matches!(self, Self::Kiwi | Self::LiveBoot)
    }

    /// Links at which programs of such a system look for the medium, with what they lead to.
    pub(crate) fn links(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Other | Self::Kiwi => &[],
            Self::LiveBoot => &media::LIVE_BOOT_LINKS,
            Self::Archiso => &media::ARCHISO_LINKS,
        }
    }
}

/// Whether a device that holds this is the root file system image itself, and no medium that has one.
pub(crate) fn is_image(kind: &str) -> bool {
    matches!(kind, "squashfs" | "erofs")
}

/// Whether this is a file system for disks that may be a root.
fn is_for_disks(kind: &str) -> bool {
    matches!(kind, "ext4" | "xfs" | "btrfs")
}

/// Opens the root file system image and makes its tree visible at [`media::LOWER`].
pub(crate) fn run(
    boot: &mut Boot<'_>,
    request: &Request,
    medium: &Medium,
) -> Result<Base, Failure> {
    boot.system
        .link(&medium.path(), media::LIVE_DEVICE)
        .or_stop(MEDIUM_MOUNT, media::LIVE_DEVICE)?;
    let origin = layout::find(boot, request, medium)?;
    let maker = layout::maker(boot, &origin);
    let base = match origin {
        Origin::Image(image) => open(boot, request, medium, image)?,
        Origin::Layers(images) => {
            verity::refuse(request, "a root of several images")?;
            open_layers(boot, request, medium, images)?
        }
        Origin::Medium => {
            verity::refuse(request, "the medium's own file system")?;
            tell_if_ram(boot, request, "the medium's own file system");
            bind_lower(boot, media::LIVE_MOUNT)?;
            Base::default()
        }
    };
    if let Some(image) = &base.image {
        // Installers of classical live media look for it.
        let _ = boot.system.link(image, media::LIVE_BASE_LINK);
    }
    Ok(Base { maker, ..base })
}

/// Opens the one image, from the medium or from a copy in memory.
fn open(
    boot: &mut Boot<'_>,
    request: &Request,
    medium: &Medium,
    mut image: Image,
) -> Result<Base, Failure> {
    let target = match is_image(image.kind) {
        true => media::RAM_IMAGE,
        false => media::RAM_DISK_IMAGE,
    };
    let copied = ram::Image {
        from: &image.path,
        to: target,
        is_file: image.is_file,
    };
    let in_memory = ram::copy(boot, request, medium, &[copied])?;
    if in_memory {
        ram::release(boot, request, medium, image.is_file);
        target.clone_into(&mut image.path);
        image.is_file = true;
    }
    let device = match image.is_file {
        true => attach(boot, &image.path)?,
        false => image.path.clone(),
    };
    let device = verity::run(boot, request, &device)?;
    if is_image(image.kind) {
        boot.need_file_system(image.kind);
        mount_read_only(boot, &device, media::IMAGE_MOUNT, image.kind).or_stop(
            ROOT_IMAGE_MOUNT,
            &format!("mounting {device} as {}", image.kind),
        )?;
        return look_inside(boot, request);
    }
    mount_disk_image(boot, &device, image.kind, media::LOWER)?;
    holds_a_root(boot, media::LOWER)?;
    Ok(Base {
        image: Some(device),
        kind: image.kind,
        // What is verified is read by way of its device only.
        file: (image.is_file && request.verity.is_none()).then_some(image.path),
        in_memory,
        ..Base::default()
    })
}

/// The path of the one image that the root is made of, on a medium that is mounted for it; `None` where there is none such.
pub(super) fn image_of(boot: &mut Boot<'_>, request: &Request, medium: &Medium) -> Option<String> {
    match layout::find(boot, request, medium) {
        Ok(Origin::Image(image)) => Some(image.path),
        _ => None,
    }
}

/// The compressed image is mounted: it is the root, or holds an image that is.
fn look_inside(boot: &mut Boot<'_>, request: &Request) -> Result<Base, Failure> {
    let Some(path) = layout::nested(boot, request) else {
        holds_a_root(boot, media::IMAGE_MOUNT)?;
        bind_lower(boot, media::IMAGE_MOUNT)?;
        return Ok(Base::default());
    };
    let kind = layout::image_kind(boot, &path)?;
    if !is_for_disks(kind) {
        let cause = format!("{path} is {kind} in an image that is compressed itself");
        return Err(Failure::new(ROOT_IMAGE_UNKNOWN, cause));
    }
    let device = attach(boot, &path)?;
    mount_disk_image(boot, &device, kind, media::LOWER)?;
    holds_a_root(boot, media::LOWER)?;
    Ok(Base {
        image: Some(device),
        kind,
        file: Some(path),
        ..Base::default()
    })
}

/// Several images, of which the later ones lie on top: each is mounted, and their stack is the root.
fn open_layers(
    boot: &mut Boot<'_>,
    request: &Request,
    medium: &Medium,
    mut images: Vec<Image>,
) -> Result<Base, Failure> {
    let names = (0..images.len()).map(|number| format!("{}.{number}", media::RAM_IMAGE));
    let names: Vec<String> = names.collect();
    let all = images.iter().zip(&names);
    let all: Vec<_> = all
        .map(|(image, to)| ram::Image {
            from: &image.path,
            to,
            is_file: image.is_file,
        })
        .collect();
    if ram::copy(boot, request, medium, &all)? {
        for (image, name) in images.iter_mut().zip(names) {
            image.path = name;
        }
        ram::release(boot, request, medium, true);
    }
    let mut lower = Vec::new();
    for (number, image) in images.iter().enumerate() {
        let device = attach(boot, &image.path)?;
        let target = format!("{}/{number}", media::LAYERS);
        if is_image(image.kind) {
            boot.need_file_system(image.kind);
            mount_read_only(boot, &device, &target, image.kind).or_stop(
                ROOT_IMAGE_MOUNT,
                &format!("mounting {device} ({}) as {}", image.path, image.kind),
            )?;
        } else {
            mount_disk_image(boot, &device, image.kind, &target)?;
        }
        lower.push(target);
    }
    lower.reverse();
    boot.need_file_system("overlay");
    let data = format!("lowerdir={}", lower.join(":"));
    boot.system
        .make_dir(media::LOWER)
        .and_then(|()| {
            boot.system.mount(&Mount {
                source: "overlay",
                target: media::LOWER,
                kind: "overlay",
                flags: MountFlags::RDONLY,
                data: &data,
            })
        })
        .or_stop(ROOT_LAYERS, &data)?;
    holds_a_root(boot, media::LOWER)?;
    Ok(Base::default())
}

fn tell_if_ram(boot: &mut Boot<'_>, request: &Request, what: &str) {
    if request.ram.is_asked_for() {
        boot.warn(&format!(
            "{what} is not copied to memory: the medium stays in use"
        ));
    }
}

fn attach(boot: &mut Boot<'_>, file: &str) -> Result<String, Failure> {
    boot.modules.load(boot.system, "loop");
    boot.system.attach_loop(file, Access::Read).or_stop(
        ROOT_IMAGE_MOUNT,
        &format!("attaching {file} to a loop device"),
    )
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

/// Unmounts the medium again, where it is mounted: it is not the one.
pub(super) fn unmount_medium(boot: &mut Boot<'_>) {
    if is_mounted(boot, media::LIVE_MOUNT)
        && let Err(error) = boot.system.unmount(media::LIVE_MOUNT)
    {
        boot.warn(&format!("{} stays mounted: {error}", media::LIVE_MOUNT));
    }
}

/// Whether something is mounted at this folder.
pub(super) fn is_mounted(boot: &Boot<'_>, path: &str) -> bool {
    let table = boot.system.read("/proc/self/mounts", MOUNTS);
    let table = table.unwrap_or_default();
    String::from_utf8_lossy(&table)
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(path))
}

fn mount_read_only(boot: &mut Boot<'_>, source: &str, target: &str, kind: &str) -> io::Result<()> {
    mount_with(boot, (source, target, kind), "")
}

fn mount_with(
    boot: &mut Boot<'_>,
    (source, target, kind): (&str, &str, &str),
    data: &str,
) -> io::Result<()> {
    boot.system.make_dir(target)?;
    boot.system.mount(&Mount {
        source,
        target,
        kind,
        flags: MountFlags::RDONLY,
        data,
    })
}

/// Mounts a file system for disks without writing to it: one that was not unmounted as it should have been is taken as it lies there,
/// as its journal cannot be played back.
pub(super) fn mount_disk_image(
    boot: &mut Boot<'_>,
    device: &str,
    kind: &str,
    target: &str,
) -> Result<(), Failure> {
    // XFS refuses a file system that it knows already, and a snapshot has the same identifier as what it is of.
    let (usual, without_journal) = match kind {
        "xfs" => ("nouuid", "nouuid,norecovery"),
        "btrfs" => ("", "rescue=nologreplay"),
        _ => ("", "noload"),
    };
    boot.need_file_system(kind);
    let Err(error) = mount_with(boot, (device, target, kind), usual) else {
        return Ok(());
    };
    mount_with(boot, (device, target, kind), without_journal).or_stop(
        ROOT_IMAGE_MOUNT,
        &format!("mounting {device} as {kind}: {error}, and with {without_journal}"),
    )?;
    boot.warn(&format!(
        "{device} ({kind}) was not unmounted when it was made, and is taken as it is: {error}"
    ));
    Ok(())
}

/// A root has `usr`, or `ostree`, or at least the folder that every system mounts something at.
fn holds_a_root(boot: &Boot<'_>, top: &str) -> Result<(), Failure> {
    if layout::is_root(boot, top) {
        return Ok(());
    }
    let cause = "it has none of usr, ostree and proc at its top";
    Err(Failure::new(NOT_A_ROOT, cause))
}

fn bind_lower(boot: &mut Boot<'_>, from: &str) -> Result<(), Failure> {
    boot.system
        .make_dir(media::LOWER)
        .and_then(|()| boot.system.bind(from, media::LOWER))
        .or_stop(ROOT_IMAGE_MOUNT, media::LOWER)
}
