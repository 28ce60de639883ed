//! Where on a medium the root file system image lies: where the command line says, or where the tools that make live media put it.

use std::io;

use contract::failure::{Failure, NO_ROOT_IMAGE, ROOT_IMAGE_UNKNOWN, ROOT_LAYERS};
use contract::media;
use contract::request::Request;
use contract::request::search::{Layout, is_image_name};

use super::super::find::Medium;
use super::super::{Boot, OrStop as _};
use super::{Maker, is_for_disks, is_image, mount_medium};
use crate::probe;
use crate::system::Kind;

/// The most images that one root is stacked from; more do not fit into the options of a mount.
const MAX_LAYERS: usize = 64;
/// The longest list of images that is read, in bytes.
const MAX_LIST: usize = 64 * 1024;

/// What the root is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// One image.
    Image(Image),
    /// Several images, each on top of the one before.
    Layers(Vec<Image>),
    /// The medium's own file system, mounted at [`media::LIVE_MOUNT`].
    Medium,
}

/// A root file system image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// A file, or a block device.
    pub(super) path: String,
    pub(super) is_file: bool,
    /// What it is, as `mount(2)` names it.
    pub(super) kind: &'static str,
}

/// Finds what the root is made of; the medium is mounted then, unless it is the image itself.
pub(super) fn find(
    boot: &mut Boot<'_>,
    request: &Request,
    medium: &Medium,
) -> Result<Origin, Failure> {
    if is_image(medium.identity.kind) {
        return Ok(Origin::Image(Image {
            path: medium.path(),
            is_file: false,
            kind: medium.identity.kind,
        }));
    }
    mount_medium(boot, medium)?;
    if let Layout::Stack { list } = &request.search.layout
        && let Some(origin) = stack(boot, &request.dir, list)?
    {
        return Ok(origin);
    }
    let mut missing = Vec::new();
    for name in candidates(request) {
        let path = format!("{}/{name}", media::LIVE_MOUNT);
        match boot.system.open(&path) {
            Ok(_) => {
                let kind = image_kind(boot, &path)?;
                return Ok(Origin::Image(file(path, kind)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(name),
            Err(error) => return Err(Failure::new(NO_ROOT_IMAGE, format!("{path}: {error}"))),
        }
    }
    if !request.says_layout
        && let Some(origin) = stack(boot, media::LIVE_BOOT_DIR, media::LIVE_BOOT_LIST_NAME)?
    {
        return Ok(origin);
    }
    if is_root(boot, media::LIVE_MOUNT) {
        return Ok(Origin::Medium);
    }
    let cause = format!("{} has none of {}", medium.path(), missing.join(", "));
    Err(Failure::new(NO_ROOT_IMAGE, cause))
}

fn file(path: String, kind: &'static str) -> Image {
    Image {
        path,
        is_file: true,
        kind,
    }
}

/// The paths on the medium where the image may be, in the order in which they count.
fn candidates(request: &Request) -> Vec<String> {
    let mut paths = match &request.search.layout {
        Layout::FirstOf(names) => names
            .iter()
            .map(|name| format!("{}/{name}", request.dir))
            .collect(),
        Layout::Named | Layout::Stack { .. } => vec![format!("{}/{}", request.dir, request.image)],
    };
    // A file system for disks that is not compressed has this name in classical media; where another one was named it is no substitute.
    if request.image == media::CLASSIC_IMAGE_NAME {
        paths.push(format!("{}/{}", request.dir, media::ROOT_IMAGE_NAME));
    }
    if !request.says_layout {
        paths.push(media::ROOT_IMAGE.to_owned());
        for name in media::ARCHISO_IMAGE_NAMES {
            let arch = std::env::consts::ARCH;
            paths.push(format!("{}/{arch}/{name}", media::ARCHISO_DIR));
        }
    }
    paths
}

/// What the root file system image is, by its content and not by its name.
pub(super) fn image_kind(boot: &Boot<'_>, path: &str) -> Result<&'static str, Failure> {
    let file = boot.system.open(path).or_stop(NO_ROOT_IMAGE, path)?;
    let identity = probe::probe(&*file).or_stop(ROOT_IMAGE_UNKNOWN, path)?;
    match identity.map(|identity| identity.kind) {
        Some(kind) if is_image(kind) || is_for_disks(kind) => Ok(kind),
        Some(kind) => {
            let cause = format!("{path} is {kind}, which no root is made of");
            Err(Failure::new(ROOT_IMAGE_UNKNOWN, cause))
        }
        None => Err(Failure::new(ROOT_IMAGE_UNKNOWN, path)),
    }
}

/// The image in the compressed image that is mounted at [`media::IMAGE_MOUNT`], where it has one: under the name of `dmsquash-live`, in
/// the folder that the command line names (KIWI), or under archiso's name.
pub(super) fn nested(boot: &Boot<'_>, request: &Request) -> Option<String> {
    let names = [
        format!("{}/{}", media::CLASSIC_DIR, media::ROOT_IMAGE_NAME),
        format!("{}/{}", request.dir, media::ROOT_IMAGE_NAME),
        media::ARCHISO_NESTED_NAME.to_owned(),
    ];
    let mut paths = names.map(|name| format!("{}/{name}", media::IMAGE_MOUNT));
    paths
        .iter_mut()
        .find(|path| boot.system.kind(path).ok() == Some(Kind::File))
        .map(std::mem::take)
}

/// Whether this folder is the top of an operating system.
pub(super) fn is_root(boot: &Boot<'_>, top: &str) -> bool {
    let is_folder = |name: &&str| {
        let path = format!("{top}/{name}");
        boot.system.kind(&path).ok() == Some(Kind::Folder)
    };
    ["usr", "ostree", "proc"].iter().any(is_folder)
}

/// What made the medium, by what is on it.
pub(super) fn maker(boot: &Boot<'_>, origin: &Origin) -> Maker {
    let mark = format!("{}/{}", media::LIVE_MOUNT, media::KIWI_MARK);
    if boot.system.kind(&mark).ok() == Some(Kind::File) {
        return Maker::Kiwi;
    }
    let first = match origin {
        Origin::Image(image) => Some(image),
        Origin::Layers(images) => images.first(),
        Origin::Medium => None,
    };
    let path = first.and_then(|image| {
        image
            .path
            .strip_prefix(media::LIVE_MOUNT)?
            .strip_prefix('/')
    });
    match path.and_then(|path| path.split_once('/')) {
        Some((media::LIVE_BOOT_DIR, _)) => Maker::LiveBoot,
        Some((_, name)) if media::ARCHISO_IMAGE_NAMES.iter().any(|n| name.ends_with(n)) => {
            Maker::Archiso
        }
        _ => Maker::Other,
    }
}

/// The images of the folder `dir`: those that its list names, or else all by their names.
fn stack(boot: &mut Boot<'_>, dir: &str, list: &str) -> Result<Option<Origin>, Failure> {
    let folder = format!("{}/{dir}", media::LIVE_MOUNT);
    let list = format!("{folder}/{list}");
    let names = match boot.system.read(&list, MAX_LIST) {
        Ok(text) => String::from_utf8_lossy(&text)
            .lines()
            .map(|line| line.trim().to_owned())
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            boot.system.list(&folder).unwrap_or_default()
        }
        Err(error) => return Err(Failure::new(ROOT_LAYERS, format!("{list}: {error}"))),
    };
    let mut images = Vec::new();
    for name in names.iter().filter(|name| is_image_name(name)) {
        if name.contains('/') {
            let cause = format!("{list} names {name}, which is in another folder");
            return Err(Failure::new(ROOT_LAYERS, cause));
        }
        let path = format!("{folder}/{name}");
        let kind = image_kind(boot, &path)?;
        images.push(file(path, kind));
    }
    if images.len() > MAX_LAYERS {
        let cause = format!("{folder} has {} images, {MAX_LAYERS} at most", images.len());
        return Err(Failure::new(ROOT_LAYERS, cause));
    }
    Ok(match images.pop() {
        None => None,
        Some(only) if images.is_empty() => Some(Origin::Image(only)),
        Some(last) => {
            images.push(last);
            Some(Origin::Layers(images))
        }
    })
}
