//! What names the live medium: `root=` in the forms of `dmsquash-live`.

use crate::cmdline::Cmdline;
use crate::failure::{Failure, NOT_SUPPORTED, ROOT_UNKNOWN};
use crate::label;
use crate::parameter as name;

/// What names the live medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The label of a file system, or a volume identifier, as [`label::matches`] compares it.
    Label(String),
    /// The UUID of a file system as `blkid` prints it, without regard to case.
    Uuid(String),
    /// The name of a GPT partition, as [`label::matches`] compares it.
    PartLabel(String),
    /// The UUID of a partition as `blkid` prints it, without regard to case.
    PartUuid(String),
    /// A block device's name under `/dev`: `sda1`.
    Device(String),
    /// A link's name under `/dev/disk/by-id`: `usb-SanDisk_Ultra_123-0:0-part1`.
    Id(String),
    /// A file of the initramfs, with its path: an ISO, or a root file system image.
    File(String),
    /// A file on a server: `http://…` or `https://…`, printable ASCII with something for a host.
    Url(String),
    /// The first medium with this UUID, or that holds one of these files; paths are relative to its root.
    WithFile {
        /// As in [`Self::Uuid`].
        uuid: Option<String>,
        /// The files.
        files: Vec<String>,
    },
    /// The first medium that has a root file system image in this folder, as [`search::is_image_name`](super::search::is_image_name) knows
    /// them.
    WithImageIn(String),
}

impl Root {
    /// The form in words, as part of a sentence: `the label "CDROM"`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Label(l) => format!("the label \"{l}\""),
            Self::Uuid(u) => format!("the UUID \"{u}\""),
            Self::PartLabel(l) => format!("the partition name \"{l}\""),
            Self::PartUuid(u) => format!("the partition UUID \"{u}\""),
            Self::Device(d) => format!("the name /dev/{d} and a known file system"),
            Self::Id(id) => format!("the name /dev/disk/by-id/{id}"),
            Self::File(path) => format!("what the file {path} of the initramfs has"),
            Self::Url(u) => format!("what {u} has"),
            Self::WithFile { uuid, files } => {
                let files = files.join(" or ");
                match uuid {
                    Some(uuid) => format!("the UUID \"{uuid}\" or a file {files}"),
                    None => format!("a file {files}"),
                }
            }
            Self::WithImageIn(folder) => {
                format!("a root file system image in its folder {folder}")
            }
        }
    }
}

/// How links below `/dev/disk/by-id` begin that can be told without udev.
const KNOWN_IDS: [&str; 5] = ["usb-", "virtio-", "nvme-", "mmc-", "wwn-"];

/// Whether `root=` names a live medium.
pub(super) fn is_live(cmdline: &Cmdline) -> bool {
    form(cmdline).is_some()
}

/// The value of `root=` without what only says that it is live.
fn form(cmdline: &Cmdline) -> Option<&str> {
    let value = cmdline.value(name::ROOT)?;
    let prefixed = value
        .strip_prefix("live:")
        .or_else(|| value.strip_prefix("livenet:"));
    let is_live = value.starts_with("http://")
        || value.starts_with("https://")
        || cmdline.boolean(&[name::LIVE_IMAGE, name::LEGACY_LIVE_IMAGE], false);
    prefixed.or_else(|| is_live.then_some(value))
}

/// Reads `root=`, which [`is_live`].
pub(super) fn read(cmdline: &Cmdline) -> Result<Root, Failure> {
    let form = form(cmdline).unwrap_or_default();
    parse(form, name::ROOT)
}

/// Reads what names a medium; `parameter` is where it was found.
pub(super) fn parse(form: &str, parameter: &str) -> Result<Root, Failure> {
    let is_url = |text: &str| text.contains("://") || text.starts_with("nfs:");
    let not_yet = |what: &str| Failure::new(NOT_SUPPORTED, format!("{parameter}={form}: {what}"));
    let unknown = |what: &str| Failure::new(ROOT_UNKNOWN, format!("{parameter}={form}{what}"));
    if let Some(("http" | "https", rest)) = form.split_once("://") {
        let has_host = !rest.starts_with(['/', '?', '#']) && !rest.is_empty();
        return match has_host && form.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Root::Url(form.to_owned())),
            false => Err(unknown(
                ": a URL has a host, and no spaces or letters beyond ASCII",
            )),
        };
    }
    if is_url(form) {
        return Err(not_yet("only http and https are fetched so far"));
    }
    if form.starts_with("AOEINTERFACE=") {
        return Err(not_yet("a medium on ATA over Ethernet"));
    }
    if let Some(path) = form.strip_prefix("/dev/") {
        return device(path)
            .ok_or_else(|| unknown(": only udev knows this link; say LABEL= or UUID="));
    }
    let lower = form.to_ascii_lowercase();
    if form.starts_with('/') && (lower.ends_with(".iso") || lower.ends_with(".img")) {
        return Ok(Root::File(form.to_owned()));
    }
    let (kind, named) = form.split_once('=').ok_or_else(|| unknown(""))?;
    if named.is_empty() {
        return Err(unknown(": nothing after the ="));
    }
    let named = named.to_owned();
    match kind {
        "LABEL" | "CDLABEL" => Ok(Root::Label(named)),
        "UUID" => Ok(Root::Uuid(named)),
        "PARTLABEL" => Ok(Root::PartLabel(named)),
        "PARTUUID" => Ok(Root::PartUuid(named)),
        _ => Err(unknown("")),
    }
}

/// A path below `/dev/`: udev's links become what they are made from. `None` for those that only udev knows.
pub(super) fn device(path: &str) -> Option<Root> {
    let Some(link) = path.strip_prefix("disk/") else {
        return (!path.is_empty()).then(|| Root::Device(path.to_owned()));
    };
    let (kind, named) = link.split_once('/')?;
    let named = label::unescape(named);
    if named.is_empty() {
        return None;
    }
    match kind {
        "by-label" => Some(Root::Label(named)),
        "by-uuid" => Some(Root::Uuid(named)),
        "by-partlabel" => Some(Root::PartLabel(named)),
        "by-partuuid" => Some(Root::PartUuid(named)),
        "by-id" if KNOWN_IDS.iter().any(|id| named.starts_with(id)) => Some(Root::Id(named)),
        _ => None,
    }
}
