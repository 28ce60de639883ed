//! Where what the system writes stays when the machine ends.
//!
//! Two programs made two ways of it. KIWI's looks on the disk that it boots from, or beside the ISO that it boots from, and makes
//! there what is missing. dracut's takes a device by its name, and makes a partition with that label where there is none.

use crate::cmdline::{Argument, Cmdline};
use crate::failure::Failure;
use crate::parameter::{self as name, kiwi};

/// The label of the file system that KIWI's live module makes on the boot disk.
pub const LABEL: &str = "cow";
/// The label of an encrypted volume with that file system in it.
pub const ENCRYPTED_LABEL: &str = "lukscow";
/// How large the file is that is made beside an ISO, in MiB, where nothing is said: as in KIWI's live module.
pub const DEFAULT_FILE_MIB: u64 = 500;
/// The path of that file on its file system, where nothing is said: as in KIWI's live module.
pub const DEFAULT_FILE: &str = "live_system.cow";

/// What names a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// A file system's label, as [`crate::label::matches`] compares it.
    Label(String),
    /// A file system's UUID, without regard to case.
    Uuid(String),
    /// The name of a GPT partition, as [`crate::label::matches`] compares it.
    PartLabel(String),
    /// The UUID of a partition, without regard to case.
    PartUuid(String),
    /// A path under `/dev`, whole.
    Path(String),
}

/// Where the layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// On the boot disk, or in a file beside the ISO that was booted; made where it is missing.
    BootDisk {
        /// The path of the file on the ISO's file system, without slashes at its ends.
        file: String,
        /// The length of a new file, in MiB.
        file_mib: u64,
    },
    /// On a device that is named.
    Named {
        /// The device. A label that no device has is given to a partition that is made for it on the boot disk.
        device: Device,
        /// The folder or file on it, from `/` on; `None` for the usual one.
        path: Option<String>,
    },
}

/// The file system of a new layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4, which needs no program.
    #[default]
    Ext4,
    /// XFS, made by `mkfs.xfs` of the initramfs.
    Xfs,
    /// Btrfs, made by `mkfs.btrfs` of the initramfs.
    Btrfs,
}

impl FileSystem {
    /// The name that `mount(2)` and the command line have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The file system with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Ext4, Self::Xfs, Self::Btrfs];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// A persistent writable layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// Where it is.
    pub store: Store,
    /// What it is made of where it is missing.
    pub file_system: FileSystem,
    /// A new one is encrypted, with a passphrase that is asked for on the console.
    pub encrypted: bool,
    /// What it holds is dropped before it is used.
    pub reset: bool,
}

impl Persistence {
    /// What the command line says of persistence; `None` where it asks for none.
    ///
    /// # Errors
    ///
    /// None so far: whatever cannot be had, the system boots without it.
    pub(super) fn read(
        cmdline: &Cmdline,
        notices: &mut Vec<String>,
    ) -> Result<Option<Self>, Failure> {
        let Some(store) = read_store(cmdline, notices) else {
            return Ok(None);
        };
        Ok(Some(Self {
            store,
            file_system: read_file_system(cmdline, notices),
            encrypted: cmdline.boolean(&[kiwi::ENCRYPT], false),
            reset: cmdline.boolean(&name::OVERLAY_RESET, false),
        }))
    }
}

/// What makes media keep what is written on the stick that they are booted from.
#[must_use]
pub fn arguments(file_system: FileSystem, encrypted: bool) -> Vec<Argument> {
    let mut arguments = vec![Argument::bare(kiwi::PERSISTENT)];
    if file_system != FileSystem::default() {
        arguments.push(Argument::new(name::COW_FILE_SYSTEM, file_system.name()));
    }
    if encrypted {
        arguments.push(Argument::bare(kiwi::ENCRYPT));
    }
    arguments
}

/// What an initramfs must have for the persistence that a command line asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Programs of the image, by their names.
    pub programs: &'static [&'static str],
    /// Kernel modules, by their names.
    pub modules: &'static [&'static str],
}

/// What an initramfs must have besides what all have, for each thing that this command line asks for.
#[must_use]
pub fn needs(cmdline: &Cmdline) -> Vec<Needs> {
    let Ok(Some(wish)) = Persistence::read(cmdline, &mut Vec::new()) else {
        return Vec::new();
    };
    let program = match wish.file_system {
        FileSystem::Ext4 => None,
        FileSystem::Xfs => Some(&["mkfs.xfs"]),
        FileSystem::Btrfs => Some(&["mkfs.btrfs"]),
    };
    let mut needs: Vec<Needs> = program
        .into_iter()
        .map(|programs| Needs {
            programs,
            modules: &[],
        })
        .collect();
    if wish.encrypted {
        needs.push(Needs {
            programs: &["cryptsetup"],
            modules: &ENCRYPTION_MODULES,
        });
    }
    needs
}

/// The kernel modules of an encrypted volume, in the order in which they are loaded.
pub const ENCRYPTION_MODULES: [&str; 9] = [
    "dm_mod",
    "dm_crypt",
    "aes_generic",
    "aesni_intel",
    "ecb",
    "xts",
    "sha256_generic",
    "algif_skcipher",
    "algif_hash",
];

/// The place that the command line names. The newer name counts before the older one, and a named device before the boot disk.
fn read_store(cmdline: &Cmdline, notices: &mut Vec<String>) -> Option<Store> {
    let mut on_boot_disk = cmdline.boolean(&[kiwi::PERSISTENT], false);
    for key in [name::OVERLAY, name::LIVE_OVERLAY] {
        match cmdline.value(key).map(place) {
            None | Some(Place::None) => {}
            Some(Place::BootDisk) => on_boot_disk = true,
            Some(Place::Named(device, path)) => return Some(Store::Named { device, path }),
            Some(Place::Unknown) => {
                let value = cmdline.value(key).unwrap_or_default();
                notices.push(format!(
                    "{key}={value}: no device (LABEL=, UUID=, PARTLABEL=, PARTUUID= or /dev/...): what is written is in memory and gone at power-off"
                ));
            }
        }
    }
    if !on_boot_disk {
        return None;
    }
    let file = cmdline.value(kiwi::COW_FILE).unwrap_or(DEFAULT_FILE);
    let file_mib = cmdline.value(kiwi::COW_FILE_SIZE).unwrap_or_default();
    let file_mib = match file_mib.parse::<u64>() {
        Ok(mib) if mib > 0 => mib,
        _ if file_mib.is_empty() => DEFAULT_FILE_MIB,
        _ => {
            notices.push(format!(
                "{}: {file_mib:?} is no number of MiB: {DEFAULT_FILE_MIB} is taken",
                kiwi::COW_FILE_SIZE
            ));
            DEFAULT_FILE_MIB
        }
    };
    let clean = file.trim_matches('/');
    let goes_up = clean.is_empty() || clean.split('/').any(|part| part == "..");
    if goes_up {
        notices.push(format!(
            "{}: {file:?} is no path of a file: {DEFAULT_FILE} is taken",
            kiwi::COW_FILE
        ));
    }
    let file = if goes_up { DEFAULT_FILE } else { clean }.to_owned();
    Some(Store::BootDisk { file, file_mib })
}

/// What a value of `rd.overlay=` or `rd.live.overlay=` names.
enum Place {
    None,
    BootDisk,
    Named(Device, Option<String>),
    Unknown,
}

/// Reads `<device>[:<path>|:auto]`. Colons may be part of the device: only what begins with a slash, or is `auto`, is a path.
fn place(value: &str) -> Place {
    match value.to_ascii_lowercase().as_str() {
        "" | "0" | "1" | "no" | "off" | "false" | "yes" | "on" | "true" | "none" => {
            return Place::None;
        }
        "auto" => return Place::BootDisk,
        _ if value.starts_with("tmpfs:") => return Place::None,
        _ => {}
    }
    let (text, path) = match value.rsplit_once(':') {
        Some((device, "auto")) => (device, None),
        Some((device, path)) if path.starts_with('/') => (device, Some(path)),
        // dracut puts the slash in front of a relative path; after these prefixes a colon is none of the device.
        Some((device, path)) if device.contains('=') && !path.is_empty() => (device, Some(path)),
        _ => (value, None),
    };
    let goes_up = path.is_some_and(|path| path.split('/').any(|part| part == ".."));
    let path = path.map(|path| format!("/{}", path.trim_matches('/')));
    match device(text) {
        Some(device) if !goes_up => Place::Named(device, path.filter(|path| path != "/")),
        _ => Place::Unknown,
    }
}

fn device(text: &str) -> Option<Device> {
    if let Some(path) = text.strip_prefix("/dev/") {
        let link = path.strip_prefix("disk/by-").and_then(|link| {
            let (kind, named) = link.split_once('/')?;
            tagged(kind, crate::label::unescape(named))
        });
        let whole = || (!path.is_empty()).then(|| Device::Path(text.to_owned()));
        return link.or_else(whole);
    }
    let (kind, named) = text.split_once('=')?;
    let is_upper = kind.bytes().all(|byte| byte.is_ascii_uppercase());
    tagged(&kind.to_ascii_lowercase(), named.to_owned()).filter(|_| is_upper)
}

fn tagged(kind: &str, named: String) -> Option<Device> {
    if named.is_empty() {
        return None;
    }
    Some(match kind {
        "label" => Device::Label(named),
        "uuid" => Device::Uuid(named),
        "partlabel" => Device::PartLabel(named),
        "partuuid" => Device::PartUuid(named),
        _ => return None,
    })
}

fn read_file_system(cmdline: &Cmdline, notices: &mut Vec<String>) -> FileSystem {
    let Some(value) = cmdline.value(name::COW_FILE_SYSTEM) else {
        return FileSystem::default();
    };
    FileSystem::from_name(value).unwrap_or_else(|| {
        notices.push(format!(
            "{}={value}: ext4, xfs and btrfs are known: ext4 is taken",
            name::COW_FILE_SYSTEM
        ));
        FileSystem::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Persistence>, Vec<String>) {
        let mut notices = Vec::new();
        let read = Persistence::read(&Cmdline::parse(text), &mut notices);
        (read.unwrap(), notices)
    }

    fn store(text: &str) -> Option<Store> {
        read(text).0.map(|persistence| persistence.store)
    }

    fn named(device: Device, path: Option<&str>) -> Option<Store> {
        let path = path.map(str::to_owned);
        Some(Store::Named { device, path })
    }

    fn beside(file: &str, file_mib: u64) -> Option<Store> {
        let file = file.to_owned();
        Some(Store::BootDisk { file, file_mib })
    }

    #[test]
    fn every_form_of_a_named_place_is_understood() {
        let label = |l: &str| Device::Label(l.into());
        let path = |p: &str| Device::Path(p.into());
        for (value, expected) in [
            ("LABEL=x", named(label("x"), None)),
            ("LABEL=x:auto", named(label("x"), None)),
            ("LABEL=x:/a/b", named(label("x"), Some("/a/b"))),
            ("LABEL=x:a/b/", named(label("x"), Some("/a/b"))),
            ("LABEL=x:/", named(label("x"), None)),
            ("LABEL=x:", named(label("x:"), None)),
            ("UUID=AB-CD", named(Device::Uuid("AB-CD".into()), None)),
            ("PARTLABEL=p", named(Device::PartLabel("p".into()), None)),
            (
                "PARTUUID=1-02",
                named(Device::PartUuid("1-02".into()), None),
            ),
            ("/dev/sdb1", named(path("/dev/sdb1"), None)),
            ("/dev/sdb1:/x", named(path("/dev/sdb1"), Some("/x"))),
            (
                "/dev/disk/by-path/pci-0000:00:1f.2-ata-1:/x",
                named(path("/dev/disk/by-path/pci-0000:00:1f.2-ata-1"), Some("/x")),
            ),
            (
                "/dev/disk/by-path/pci-0000:00:1f.2-ata-1",
                named(path("/dev/disk/by-path/pci-0000:00:1f.2-ata-1"), None),
            ),
            ("/dev/disk/by-label/a\\x20b", named(label("a b"), None)),
        ] {
            for key in ["rd.overlay", "rd.live.overlay"] {
                let (read, notices) = read(&format!("{key}={value}"));
                assert_eq!(read.map(|p| p.store), expected, "{value}");
                assert!(notices.is_empty(), "{notices:?}");
            }
        }
    }

    #[test]
    fn words_are_never_devices() {
        for value in [
            "",
            "0",
            "1",
            "no",
            "off",
            "yes",
            "on",
            "true",
            "none",
            "NONE",
            "tmpfs:size=1g",
        ] {
            for key in ["rd.overlay", "rd.live.overlay"] {
                assert_eq!(read(&format!("{key}={value}")), (None, vec![]), "{value}");
            }
        }
        assert_eq!(read("rd.overlay"), (None, vec![]));
        for value in [
            "sda1",
            "LABEL=",
            "LABLE=x",
            "/dev/",
            "a:/b",
            "LABEL=x:/../y",
        ] {
            let (read, notices) = read(&format!("rd.live.overlay={value}"));
            assert!(read.is_none() && notices.len() == 1, "{value}: {notices:?}");
            assert!(notices[0].contains("gone at power-off"));
        }
    }

    #[test]
    fn the_boot_disk_is_asked_for_in_kiwis_words_and_by_auto() {
        let usual = beside("live_system.cow", 500);
        assert_eq!(store("rd.live.overlay.persistent"), usual);
        assert_eq!(store("rd.live.overlay.persistent=1"), usual);
        assert_eq!(store("rd.live.overlay=auto"), usual);
        assert_eq!(store("rd.overlay=auto"), usual);
        assert_eq!(store("rd.live.overlay.persistent=0"), None);
        let all = "rd.live.overlay.persistent rd.live.cowfile.mbsize=40 rd.live.cowfile.path=/a/b";
        assert_eq!(store(all), beside("a/b", 40));
        assert_eq!(store("rd.live.cowfile.mbsize=40"), None);
        // A device that is named counts before the boot disk, the newer name before the older one.
        assert_eq!(
            store("rd.live.overlay.persistent rd.live.overlay=LABEL=a rd.overlay=LABEL=b"),
            named(Device::Label("b".into()), None)
        );
        assert_eq!(
            store("rd.overlay=1 rd.live.overlay=LABEL=a"),
            named(Device::Label("a".into()), None)
        );
    }

    #[test]
    fn what_media_say_is_read_and_asks_for_its_programs() {
        for (kind, encrypted, programs) in [
            (FileSystem::Ext4, false, &[][..]),
            (FileSystem::Xfs, false, &["mkfs.xfs"]),
            (FileSystem::Btrfs, true, &["mkfs.btrfs", "cryptsetup"]),
        ] {
            let text = crate::cmdline::print(&arguments(kind, encrypted)).unwrap();
            let persistence = read(&text).0.unwrap();
            assert_eq!(persistence.file_system, kind);
            assert_eq!(persistence.encrypted, encrypted);
            assert_eq!(persistence.store, beside("live_system.cow", 500).unwrap());
            let needs = needs(&Cmdline::parse(&text));
            let all: Vec<_> = needs.iter().flat_map(|it| it.programs).copied().collect();
            assert_eq!(all, programs);
        }
        assert!(needs(&Cmdline::parse("rd.live.encrypt rd.live.overlay.cowfs=xfs")).is_empty());
    }

    #[test]
    fn what_cannot_be_is_told_and_the_usual_is_taken() {
        for parameter in [
            "rd.live.cowfile.mbsize=0",
            "rd.live.cowfile.mbsize=1g",
            "rd.live.cowfile.path=../x",
            "rd.live.cowfile.path=/",
            "rd.live.overlay.cowfs=ext3",
        ] {
            let (read, notices) = read(&format!("rd.live.overlay.persistent {parameter}"));
            let read = read.unwrap();
            assert_eq!(Some(read.store), beside("live_system.cow", 500));
            assert_eq!(read.file_system, FileSystem::Ext4);
            assert_eq!(notices.len(), 1, "{parameter}");
        }
    }

    #[test]
    fn the_rest_is_read_with_its_older_names() {
        let plain = read("rd.live.overlay.persistent").0.unwrap();
        assert!(!plain.encrypted && !plain.reset);
        assert_eq!(plain.file_system, FileSystem::Ext4);
        for kind in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs] {
            let text = format!(
                "rd.live.overlay.persistent rd.live.overlay.cowfs={}",
                kind.name()
            );
            assert_eq!(read(&text).0.unwrap().file_system, kind);
        }
        for reset in ["rd.overlay.reset", "rd.live.overlay.reset=1"] {
            assert!(read(&format!("rd.overlay=auto {reset}")).0.unwrap().reset);
        }
        assert!(read("rd.overlay=auto rd.live.encrypt").0.unwrap().encrypted);
    }
}
