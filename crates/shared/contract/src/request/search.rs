//! How the medium is found where it is no device of its own, and where on it root file system images are.

use crate::cmdline::Cmdline;
use crate::failure::{Failure, ROOT_UNKNOWN};
use crate::parameter::{self as name, archiso, live_boot};

use super::root::{self, Root};

/// Where on the medium root file system images are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One, under the name that the request has (`dir` and `image`).
    #[default]
    Named,
    /// The first of these names in the request's `dir`; its `image` is the first of them.
    FirstOf(Vec<String>),
    /// All of the request's `dir` that [`is_image_name`] knows, in the order of their names, each on top of those before it; or those that
    /// the file `list` of that folder names, one in each line, in its order.
    Stack {
        /// The name of the list, which need not be there.
        list: String,
    },
}

/// Which devices may be the medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Any.
    #[default]
    Any,
    /// Those that can be taken out.
    Removable,
    /// Those that can be taken out and are on USB.
    RemovableUsb,
}

/// A file with the medium, on a file system of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsoFile {
    /// Its path there, with a slash in front.
    pub path: String,
    /// The file system; `None` for the first that has such a file.
    pub carrier: Option<Root>,
    /// Options to mount it with besides; empty for none.
    pub flags: String,
}

/// Where else the medium may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The file that the medium is in.
    pub iso: Option<IsoFile>,
    /// Where root file system images are.
    pub layout: Layout,
    /// Which devices may be the medium.
    pub only: Only,
}

/// The ends of the names of root file system images in a folder with several.
///
/// Source: live-boot 20230131 (`is_live_path`, without its folders and `jffs2`), and EROFS.
const IMAGE_SUFFIXES: [&str; 6] = [".squashfs", ".erofs", ".ext2", ".ext3", ".ext4", ".xfs"];

/// Whether a file of this name is a root file system image, in a folder with several.
#[must_use]
pub fn is_image_name(name: &str) -> bool {
    IMAGE_SUFFIXES
        .iter()
        .any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
}

impl Search {
    /// What the command line says of files that hold the medium.
    pub(super) fn read(cmdline: &Cmdline, layout: Layout) -> Result<Self, Failure> {
        let only = match cmdline
            .value(live_boot::MEDIA)
            .or(cmdline.value(live_boot::BOOT_FROM))
        {
            Some("removable") => Only::Removable,
            Some("removable-usb") => Only::RemovableUsb,
            _ => Only::Any,
        };
        Ok(Self {
            iso: read_iso(cmdline)?,
            layout,
            only,
        })
    }
}

/// The file, in the words of any dialect: none of these names has another meaning anywhere.
fn read_iso(cmdline: &Cmdline) -> Result<Option<IsoFile>, Failure> {
    let given = |names: &[&'static str]| {
        let value = |name: &&'static str| Some((*name, cmdline.value(name)?));
        names.iter().find_map(value).filter(|(_, v)| !v.is_empty())
    };
    if let Some((_, path)) = given(&[name::ISO_SCAN, live_boot::FIND_ISO]) {
        return Ok(Some(file(path, None)));
    }
    if let Some((name, value)) = given(&live_boot::FROM_ISO) {
        let split = split_device(value);
        let unknown = || {
            let cause = format!("{name}={value}: not /dev/<device>/<path>");
            Failure::new(ROOT_UNKNOWN, cause)
        };
        let (carrier, path) = split.ok_or_else(unknown)?;
        return Ok(Some(file(path, Some(carrier))));
    }
    let Some((_, path)) = given(&[archiso::IMG_LOOP]) else {
        return Ok(None);
    };
    let carrier = match given(&archiso::CARRIERS) {
        Some((archiso::IMG_LABEL, label)) => Some(Root::Label(label.to_owned())),
        Some((name, device)) => Some(root::parse(device, name)?),
        None => None,
    };
    let mut iso = file(path, carrier);
    cmdline
        .value(archiso::IMG_FLAGS)
        .unwrap_or_default()
        .clone_into(&mut iso.flags);
    Ok(Some(iso))
}

fn file(path: &str, carrier: Option<Root>) -> IsoFile {
    IsoFile {
        path: format!("/{}", path.trim_start_matches('/')),
        carrier,
        flags: String::new(),
    }
}

/// `/dev/sda1/folder/x.iso`, `/dev/disk/by-uuid/U/x.iso`: a device, and a path on it.
fn split_device(value: &str) -> Option<(Root, &str)> {
    let rest = value.strip_prefix("/dev/")?;
    let slashes_within = match rest.split('/').next()? {
        "disk" => 2,
        "mapper" => 1,
        _ => 0,
    };
    let (at, _) = rest.match_indices('/').nth(slashes_within)?;
    let (device, path) = rest.split_at_checked(at)?;
    let is_file = !path.trim_matches('/').is_empty();
    is_file.then_some(())?;
    Some((root::device(device)?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> Option<(String, Option<Root>, String)> {
        let search = Search::read(&Cmdline::parse(text), Layout::Named).unwrap();
        search.iso.map(|iso| (iso.path, iso.carrier, iso.flags))
    }

    #[test]
    fn a_file_with_the_medium_is_named_in_the_words_of_four_programs() {
        let any = |path: &str| Some((path.to_owned(), None, String::new()));
        for (text, expected) in [
            ("quiet", None),
            ("iso-scan/filename=", None),
            ("iso-scan/filename=/a/b.iso", any("/a/b.iso")),
            ("iso-scan/filename=b.iso", any("/b.iso")),
            ("findiso=/b.iso", any("/b.iso")),
            ("img_loop=b.iso", any("/b.iso")),
        ] {
            assert_eq!(iso(text), expected, "{text}");
        }
        for (text, path, carrier, flags) in [
            (
                "fromiso=/dev/sda1/a/b.iso",
                "/a/b.iso",
                Root::Device("sda1".into()),
                "",
            ),
            (
                "isofrom=/dev/mapper/v-g/b.iso",
                "/b.iso",
                Root::Device("mapper/v-g".into()),
                "",
            ),
            (
                "fromiso=/dev/disk/by-uuid/AB-12/b.iso",
                "/b.iso",
                Root::Uuid("AB-12".into()),
                "",
            ),
            (
                "img_loop=/b.iso img_dev=UUID=1 img_flags=subvol=x",
                "/b.iso",
                Root::Uuid("1".into()),
                "subvol=x",
            ),
            (
                "img_loop=/b.iso img_label=DATA",
                "/b.iso",
                Root::Label("DATA".into()),
                "",
            ),
            (
                "img_loop=/b.iso img_dev=/dev/disk/by-label/D",
                "/b.iso",
                Root::Label("D".into()),
                "",
            ),
        ] {
            let expected = Some((path.to_owned(), Some(carrier), flags.to_owned()));
            assert_eq!(iso(text), expected, "{text}");
        }
    }

    #[test]
    fn a_file_on_no_device_is_refused() {
        for text in [
            "fromiso=/b.iso",
            "fromiso=/dev/sda1",
            "fromiso=/dev/sda1/",
            "fromiso=/dev//b.iso",
            "fromiso=/dev/disk/by-path/x/b.iso",
            "img_loop=/b.iso img_dev=nonsense",
        ] {
            let failure = Search::read(&Cmdline::parse(text), Layout::Named).unwrap_err();
            assert_eq!(failure.code, ROOT_UNKNOWN, "{text}");
        }
    }

    #[test]
    fn images_are_known_by_the_ends_of_their_names() {
        for name in ["filesystem.squashfs", "a.ext4", "b.erofs"] {
            assert!(is_image_name(name), "{name}");
        }
        for name in [
            "filesystem.size",
            ".squashfs",
            "squashfs",
            "vmlinuz",
            "x.squashfs.gz",
        ] {
            assert!(!is_image_name(name), "{name}");
        }
    }
}
