//! Every name on the kernel command line that liveos knows, once: its type, whose it is, its default, what we do with it.
//!
//! Names match byte for byte: `-` and `_` are different (as in dracut's `getarg`, versions 055 to 111).

pub mod archiso;
pub mod kiwi;
pub mod live_boot;
pub mod reference;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// False for exactly `0`, `no` and `off`; anything else is true, also the name alone, and also `false`.
    Boolean,
    /// A string.
    Text,
    /// A whole number of seconds.
    Seconds,
    /// A whole number of mebibytes.
    Mebibytes,
    /// A size as tmpfs takes it (`50%`, `2g`), or a whole number of mebibytes.
    Size,
    /// May be there several times; values in order, and commas separate values too.
    List,
    /// A boolean or a place, by its text (see each parameter).
    BooleanOrText,
}

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The kernel's own, or every init's.
    Kernel,
    /// dracut's core.
    Dracut,
    /// dracut's modules `dmsquash-live`, `overlayfs` and their relatives.
    DmsquashLive,
    /// KIWI's live module.
    Kiwi,
    /// mkinitcpio-archiso.
    Archiso,
    /// Debian's live-boot.
    LiveBoot,
    /// liveos' own.
    Liveos,
}

/// What the runtime does with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Does what it says.
    Honoured,
    /// Understood and not done: named on the console, and the boot goes on.
    Ignored,
    /// Understood, and the boot cannot be what was asked for without it: stops.
    Refused,
    /// Has nothing to do: what it asks for is so anyway.
    Moot,
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, without `=`.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Where the name comes from.
    pub dialect: Dialect,
    /// What holds when it is not given, as text; empty where that is nothing.
    pub default: &'static str,
    /// What the runtime does with it.
    pub standing: Standing,
    /// One line of help.
    pub help: &'static str,
}

/// `root=`: where the live system is.
pub const ROOT: &str = "root";
/// What the kernel unpacks an initramfs into, where there is no root: the kernel's own meaning.
pub const ROOT_FS_TYPE: &str = "rootfstype";
/// `rd.live.image`: what `root=` names is a live medium, also without `live:`.
pub const LIVE_IMAGE: &str = "rd.live.image";
/// `rd.live.dir=`: the folder on the medium.
pub const LIVE_DIR: &str = "rd.live.dir";
/// `rd.live.squashimg=`: the root file system image's name in that folder.
pub const LIVE_SQUASHIMG: &str = "rd.live.squashimg";
/// `rd.live.ram`: copy the root file system image to RAM and release the medium.
pub const LIVE_RAM: &str = "rd.live.ram";
/// `rd.live.check`: verify the medium before it is used.
pub const LIVE_CHECK: &str = "rd.live.check";
/// `rd.live.debug`: dracut's name for a trace of the live set-up.
pub const LIVE_DEBUG: &str = "rd.live.debug";
/// `rd.overlay`: an overlay, and where its upper layer is.
pub const OVERLAY: &str = "rd.overlay";
/// `rd.live.overlay=`: the older name for where the upper layer is.
pub const LIVE_OVERLAY: &str = "rd.live.overlay";
/// `rd.live.overlay.overlayfs`: the older name for "use overlayfs".
pub const LIVE_OVERLAYFS: &str = "rd.live.overlay.overlayfs";
/// `rd.live.overlay.size=`: how much may be written.
pub const LIVE_OVERLAY_SIZE: &str = "rd.live.overlay.size";
/// `rd.live.overlay.thin`: device-mapper's way to a writable layer.
pub const LIVE_OVERLAY_THIN: &str = "rd.live.overlay.thin";
/// `rd.live.overlay.nouserconfirmprompt`: no question before a temporary overlay.
pub const LIVE_OVERLAY_NO_PROMPT: &str = "rd.live.overlay.nouserconfirmprompt";
/// `rd.overlay.reset` and its older name: what a persistent layer holds is dropped.
pub const OVERLAY_RESET: [&str; 2] = ["rd.overlay.reset", "rd.live.overlay.reset"];
/// `rd.live.overlay.cowfs=`: the file system of a new persistent layer.
pub const COW_FILE_SYSTEM: &str = "rd.live.overlay.cowfs";
/// `rd.overlay.readonly` and its older names: a persistent layer is only read. The third is what two scripts of dracut look for.
pub const OVERLAY_READ_ONLY: [&str; 3] = [
    "rd.overlay.readonly",
    "rd.live.overlay.readonly",
    "rd.live.overlayfs.readonly",
];
/// `rd.writable.fsimg`: a copy of the root file system image in RAM is written itself.
pub const WRITABLE_IMAGE: &str = "rd.writable.fsimg";
/// `rootovl`: an overlay, as Debian's own module for dracut named it.
pub const ROOT_OVERLAY: &str = "rootovl";
/// `rootflags=`: mount options of the root.
pub const ROOT_FLAGS: &str = "rootflags";
/// `rd.minmem=`: how much memory must be left after a copy to RAM.
pub const MINMEM: &str = "rd.minmem";
/// `rd.live.eject`: put the medium out of its drive when it is not needed any more.
pub const EJECT: &str = "rd.live.eject";
/// `iso-scan/filename=`: the file that the medium is in.
pub const ISO_SCAN: &str = "iso-scan/filename";
/// The older name of [`LIVE_IMAGE`].
pub const LEGACY_LIVE_IMAGE: &str = "liveimg";
/// The older name of [`LIVE_DIR`].
pub const LEGACY_LIVE_DIR: &str = "live_dir";
/// The older name of [`LIVE_DEBUG`].
pub const LEGACY_LIVE_DEBUG: &str = "rdlivedebug";
/// Names that dracut's live modules had up to version 103, each with today's.
pub const LEGACY_NAMES: &[(&str, &str)] = &[
    (LEGACY_LIVE_IMAGE, LIVE_IMAGE),
    (LEGACY_LIVE_DIR, LIVE_DIR),
    ("live_ram", LIVE_RAM),
    ("check", LIVE_CHECK),
    (LEGACY_LIVE_DEBUG, LIVE_DEBUG),
    ("overlay", LIVE_OVERLAY),
    ("reset_overlay", "rd.live.overlay.reset"),
    ("readonly_overlay", "rd.live.overlay.readonly"),
    ("writable_fsimg", "rd.writable.fsimg"),
];
/// `init=`: the program to start in the new root.
pub const INIT: &str = "init";
/// `rd.timeout=`: how long to wait for a device.
pub const TIMEOUT: &str = "rd.timeout";
/// `rd.retry=`: how long to try to find the root.
pub const RETRY: &str = "rd.retry";
/// `rootdelay=`: how long to try to find the root, as other initramfs programs name it.
pub const ROOT_DELAY: &str = "rootdelay";
/// `rd.shell`: a shell when the boot stops.
pub const SHELL: &str = "rd.shell";
/// `rd.break`: stop before a stage and start a shell.
pub const BREAK: &str = "rd.break";
/// `rd.emergency=`: what happens when the boot stops.
pub const EMERGENCY: &str = "rd.emergency";
/// `rd.debug`: tell everything.
pub const DEBUG: &str = "rd.debug";
/// `rd.info`: tell the steps although `quiet` is given.
pub const INFO: &str = "rd.info";
/// `quiet`: tell warnings and faults only.
pub const QUIET: &str = "quiet";
/// `rd.driver.pre=`: modules to load first.
pub const DRIVER_PRE: &str = "rd.driver.pre";
/// `rd.driver.post=`: modules to load after those that devices asked for.
pub const DRIVER_POST: &str = "rd.driver.post";
/// `rd.driver.blacklist=`: modules that no device may ask for.
pub const DRIVER_BLACKLIST: &str = "rd.driver.blacklist";
/// `modprobe.blacklist=`: the same, as everything outside an initramfs names it.
pub const MODPROBE_BLACKLIST: &str = "modprobe.blacklist";
/// `rw`: the system's root is writable.
pub const READ_WRITE: &str = "rw";
/// `ro`: the kernel starts with a read-only root.
pub const READ_ONLY: &str = "ro";
/// `ip=`: how network cards get their addresses.
pub const IP: &str = "ip";
/// `BOOTIF=`: the hardware address of the card that the firmware booted from.
pub const BOOTIF: &str = "BOOTIF";
/// `rd.bootif`: whether `BOOTIF=` counts.
pub const USE_BOOTIF: &str = "rd.bootif";
/// `nameserver=`: a name server.
pub const NAME_SERVER: &str = "nameserver";
/// `rd.peerdns`: whether DHCP's name servers count.
pub const PEER_DNS: &str = "rd.peerdns";
/// `rd.neednet`: the network comes up although the medium is a local one.
pub const NEED_NETWORK: &str = "rd.neednet";
/// `rd.net.timeout.iflink=`: how long a network card is waited for.
pub const DEVICE_LIMIT: &str = "rd.net.timeout.iflink";
/// `rd.net.timeout.carrier=`: how long a link is waited for.
pub const CARRIER_LIMIT: &str = "rd.net.timeout.carrier";
/// `rd.net.timeout.dhcp=`: how long an address is waited for.
pub const DHCP_LIMIT: &str = "rd.net.timeout.dhcp";
/// `net.ifnames`: whether udev gives network cards names of its own.
pub const UDEV_NAMES: &str = "net.ifnames";
/// `rd.noverifyssl`: servers' certificates are not verified.
pub const NO_VERIFY_SSL: &str = "rd.noverifyssl";
/// `bond=`: a device made of others.
pub const BOND: &str = "bond";
/// `bridge=`: a device made of others.
pub const BRIDGE: &str = "bridge";
/// `team=`: a device made of others.
pub const TEAM: &str = "team";
/// `vlan=`: a device on top of another.
pub const VLAN: &str = "vlan";
/// `ifname=`: another name for a device.
pub const IFNAME: &str = "ifname";
/// `rd.route=`: a route.
pub const ROUTE: &str = "rd.route";
/// `liveos.digest=`: the digest that the fetched medium must have.
pub const DIGEST: &str = "liveos.digest";
/// `liveos.verity=`: the root hash that the root file system image must have.
pub const VERITY: &str = "liveos.verity";
/// `liveos.verity.corruption=`: what happens when a block of it is not what its hash tree says.
pub const VERITY_ON_CORRUPTION: &str = "liveos.verity.corruption";
/// `roothash=`: systemd's name for the root hash that the root must have.
pub const ROOT_HASH: &str = "roothash";

use Dialect::{DmsquashLive, Dracut, Kernel, Liveos};
use Kind::{Boolean, BooleanOrText, List, Mebibytes, Seconds, Size, Text};
use Standing::{Honoured, Ignored, Moot, Refused};

const fn row(
    (name, kind, dialect): (&'static str, Kind, Dialect),
    default: &'static str,
    standing: Standing,
    help: &'static str,
) -> Parameter {
    Parameter {
        name,
        kind,
        dialect,
        default,
        standing,
        help,
    }
}

/// Every parameter, by dialect: each table is in the order of what it is about.
pub const TABLES: &[&[Parameter]] = &[
    KERNEL,
    DRACUT,
    DMSQUASH_LIVE,
    LIVEOS,
    kiwi::TABLE,
    archiso::TABLE,
    live_boot::TABLE,
];

/// Every parameter.
pub fn all() -> impl Iterator<Item = &'static Parameter> {
    TABLES.iter().copied().flatten()
}

/// The kernel's own, and every init's.
#[rustfmt::skip]
const KERNEL: &[Parameter] = &[
    row((ROOT, Text, Kernel), "", Honoured, "live:LABEL=, UUID=, PARTLABEL=, PARTUUID=, CDLABEL=, live:/dev/... or live:http(s)://...: the live medium"),
    row((INIT, Text, Kernel), "/sbin/init", Honoured, "the program to start in the new root"),
    row((ROOT_DELAY, Seconds, Kernel), "", Honoured, "how long to wait for the medium, where neither of these is given"),
    row((QUIET, Boolean, Kernel), "0", Honoured, "tell warnings and faults only"),
    row((MODPROBE_BLACKLIST, List, Kernel), "", Honoured, "modules that no device may ask for"),
    row((READ_WRITE, Boolean, Kernel), "1", Moot, "the root of a live system is writable"),
    row((READ_ONLY, Boolean, Kernel), "0", Moot, "the root of a live system is writable"),
    row((ROOT_FLAGS, Text, Kernel), "", Honoured, "mount options of the root, before those of its overlay"),
    row((ROOT_FS_TYPE, Text, Kernel), "", Moot, "the file system is known by its content"),
    row((BOOTIF, Text, Kernel), "", Honoured, "the hardware address of the card that the firmware booted from: no other one is used"),
    row((UDEV_NAMES, Boolean, Kernel), "1", Honoured, "whether udev gives network cards names of its own: where it does not, a card stays up"),
    row((ROOT_HASH, Text, Kernel), "", Honoured, "the verity root hash that the root file system image must have, in hexadecimal (as liveos.verity=)"),
    row(("usrhash", Text, Kernel), "", Refused, "the verity root hash that /usr must have"),
];

/// Those of dracut's core.
#[rustfmt::skip]
const DRACUT: &[Parameter] = &[
    row((TIMEOUT, Seconds, Dracut), "180", Honoured, "how long to wait for the medium; 0 or less waits without end"),
    row((RETRY, Seconds, Dracut), "180", Honoured, "how long to wait for the medium, where rd.timeout= is not given"),
    row((SHELL, Boolean, Dracut), "0", Honoured, "a shell when the boot stops"),
    row((BREAK, Text, Dracut), "", Honoured, "a shell before a stage: find, verify, base, persistence, switch (the default), or dracut's names; several with commas"),
    row((EMERGENCY, Text, Dracut), "", Honoured, "reboot, poweroff or halt when the boot stops"),
    row((DEBUG, Boolean, Dracut), "0", Honoured, "tell everything"),
    row((INFO, Boolean, Dracut), "0", Honoured, "tell the steps although quiet is given"),
    row((DRIVER_PRE, List, Dracut), "", Honoured, "modules to load before any device asks"),
    row((DRIVER_POST, List, Dracut), "", Honoured, "modules to load after those that devices asked for"),
    row((DRIVER_BLACKLIST, List, Dracut), "", Honoured, "modules that no device may ask for"),
    row((IP, List, Dracut), "dhcp", Honoured, "how network cards get their addresses: dhcp, card:dhcp, or address::gateway:mask:host:card:none"),
    row((USE_BOOTIF, Boolean, Dracut), "1", Honoured, "whether BOOTIF= counts"),
    row((NAME_SERVER, List, Dracut), "", Honoured, "a name server, before those of DHCP"),
    row((PEER_DNS, Boolean, Dracut), "1", Honoured, "whether the name servers of DHCP count"),
    row((NEED_NETWORK, Boolean, Dracut), "0", Honoured, "the network comes up although the medium is a local one"),
    row((DEVICE_LIMIT, Seconds, Dracut), "60", Honoured, "how long a network card is waited for"),
    row((CARRIER_LIMIT, Seconds, Dracut), "30", Honoured, "how long a link is waited for"),
    row((DHCP_LIMIT, Seconds, Dracut), "75", Honoured, "how long an address is waited for"),
    row((NO_VERIFY_SSL, Boolean, Dracut), "0", Honoured, "servers' certificates are not verified"),
    row((BOND, List, Dracut), "", Ignored, "a network device made of others"),
    row((BRIDGE, List, Dracut), "", Ignored, "a network device made of others"),
    row((TEAM, List, Dracut), "", Ignored, "a network device made of others"),
    row((VLAN, List, Dracut), "", Ignored, "a network device on top of another"),
    row((IFNAME, List, Dracut), "", Ignored, "another name for a network device"),
    row((ROUTE, List, Dracut), "", Ignored, "a route"),
    row(("proxy", Text, Dracut), "", Ignored, "a server that fetches for this machine"),
];

/// Those of dracut's `dmsquash-live` and its relatives.
#[rustfmt::skip]
const DMSQUASH_LIVE: &[Parameter] = &[
    row((LIVE_IMAGE, Boolean, DmsquashLive), "0", Honoured, "what root= names is a live medium, also without live:"),
    row((LIVE_DIR, Text, DmsquashLive), "LiveOS", Honoured, "the folder on the medium that holds the root file system image"),
    row((LIVE_SQUASHIMG, Text, DmsquashLive), "squashfs.img", Honoured, "the root file system image's name in that folder"),
    row((LIVE_RAM, Boolean, DmsquashLive), "0", Honoured, "copy the root file system image to RAM and release the medium"),
    row((LIVE_CHECK, Boolean, DmsquashLive), "0", Honoured, "verify the whole medium before it is used"),
    row((LIVE_DEBUG, Boolean, DmsquashLive), "0", Honoured, "tell everything (as rd.debug)"),
    row((LIVE_OVERLAY_SIZE, Size, DmsquashLive), "50%", Honoured, "how much may be written: mebibytes, or a size as tmpfs takes it"),
    row((OVERLAY, BooleanOrText, DmsquashLive), "", Honoured, "overlayfs makes the root writable; tmpfs:size=,nr_blocks=,nr_inodes= say how much; none writes the image itself where it can be written"),
    row((LIVE_OVERLAY, BooleanOrText, DmsquashLive), "", Honoured, "auto, or LABEL=, UUID=, PARTLABEL=, PARTUUID= or /dev/... with :path: where what is written stays"),
    row((LIVE_OVERLAYFS, Boolean, DmsquashLive), "", Honoured, "overlayfs makes the root writable, and with 0 a snapshot where the image is a file system for disks"),
    row((ROOT_OVERLAY, Boolean, DmsquashLive), "", Honoured, "as rd.overlay, in Debian's dracut 059"),
    row((LIVE_OVERLAY_THIN, Boolean, DmsquashLive), "0", Honoured, "a snapshot makes the root writable, where the image is a file system for disks"),
    row((LIVE_OVERLAY_NO_PROMPT, Boolean, DmsquashLive), "1", Moot, "nothing is ever asked"),
    row((COW_FILE_SYSTEM, Text, DmsquashLive), "ext4", Honoured, "the file system of a new persistent layer: ext4, xfs or btrfs"),
    row((OVERLAY_RESET[0], Boolean, DmsquashLive), "0", Honoured, "empty the persistent layer"),
    row((OVERLAY_RESET[1], Boolean, DmsquashLive), "0", Honoured, "empty the persistent layer"),
    row((OVERLAY_READ_ONLY[0], Boolean, DmsquashLive), "0", Honoured, "do not write to the persistent layer"),
    row((OVERLAY_READ_ONLY[1], Boolean, DmsquashLive), "0", Honoured, "do not write to the persistent layer"),
    row((OVERLAY_READ_ONLY[2], Boolean, DmsquashLive), "0", Honoured, "do not write to the persistent layer"),
    row(("rd.overlay.crypt", Text, DmsquashLive), "", Refused, "an encrypted overlay"),
    row((WRITABLE_IMAGE, Boolean, DmsquashLive), "0", Honoured, "the root file system image is copied to RAM and the copy is written, where it is a file system for disks"),
    row((ISO_SCAN, Text, DmsquashLive), "", Honoured, "the medium is in this file, on any file system that has it"),
    row((MINMEM, Mebibytes, DmsquashLive), "256", Honoured, "how much memory must be left after a copy to RAM"),
    row((LEGACY_LIVE_IMAGE, Boolean, DmsquashLive), "0", Honoured, "the older name of rd.live.image"),
    row((LEGACY_LIVE_DIR, Text, DmsquashLive), "", Honoured, "the older name of rd.live.dir"),
    row(("live_ram", Boolean, DmsquashLive), "0", Honoured, "the older name of rd.live.ram"),
    row(("check", Boolean, DmsquashLive), "0", Honoured, "the older name of rd.live.check"),
    row((LEGACY_LIVE_DEBUG, Boolean, DmsquashLive), "0", Honoured, "the older name of rd.live.debug"),
    row(("overlay", BooleanOrText, DmsquashLive), "", Honoured, "the older name of rd.live.overlay"),
    row(("reset_overlay", Boolean, DmsquashLive), "0", Honoured, "the older name of rd.live.overlay.reset"),
    row(("readonly_overlay", Boolean, DmsquashLive), "0", Honoured, "the older name of rd.live.overlay.readonly"),
    row(("writable_fsimg", Boolean, DmsquashLive), "0", Honoured, "the older name of rd.writable.fsimg"),
    row(("live.updates", Text, DmsquashLive), "", Refused, "files from the network on top of the root"),
];

/// Those of liveos itself.
#[rustfmt::skip]
const LIVEOS: &[Parameter] = &[
    row((EJECT, Boolean, Liveos), "0", Honoured, "put the disc out of its drive: after a copy to RAM, else when the machine ends"),
    row((DIGEST, Text, Liveos), "", Honoured, "sha256:...: the digest that the medium from the network must have"),
    row((VERITY, Text, Liveos), "", Honoured, "sha256:...: the verity root hash that the root file system image must have; each block is checked as it is read"),
    row((VERITY_ON_CORRUPTION, Text, Liveos), "error", Honoured, "error, restart or panic where a block of the root file system image is damaged"),
];

/// The parameter of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Parameter> {
    all().find(|parameter| parameter.name == name)
}

/// Whether the builder sets this name on media, or takes it away: an image's own value must not stay beside the media's.
///
/// That is every name of `dmsquash-live` and its relatives, and what says where an installed system's root is.
#[must_use]
pub fn is_managed(name: &str) -> bool {
    const ROOT_OF_AN_INSTALLED_SYSTEM: &[&str] = &[
        ROOT,
        "rootflags",
        "rootfstype",
        "resume",
        "resume_offset",
        "roothash",
        "usrhash",
        "ostree",
        "rd.luks.uuid",
        "rd.luks.name",
        "rd.lvm.lv",
        "rd.lvm.vg",
        "rd.md.uuid",
        "BOOT_IMAGE",
        "initrd",
    ];
    ROOT_OF_AN_INSTALLED_SYSTEM.contains(&name)
        || name.starts_with("rd.live.")
        || name == OVERLAY
        || name.starts_with("rd.overlay.")
        || name.starts_with("liveos.")
        || find(name).is_some_and(|p| p.dialect == DmsquashLive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once_with_a_line_of_help() {
        for parameter in all() {
            assert_eq!(find(parameter.name), Some(parameter));
            let same = all().filter(|p| p.name == parameter.name);
            assert_eq!(same.count(), 1, "{}", parameter.name);
            assert!(!parameter.help.is_empty() && !parameter.help.contains('\n'));
            assert!(!parameter.name.contains(['=', ' ', '"']));
        }
        assert_eq!(find("rd.live-image"), None);
    }

    #[test]
    fn the_builder_replaces_where_the_root_is_and_keeps_the_rest() {
        for name in [
            "root",
            "rd.live.image",
            "rd.live.azldownloader",
            "rd.overlay",
            "resume",
            "iso-scan/filename",
        ] {
            assert!(is_managed(name), "{name}");
        }
        for name in [
            "console",
            "quiet",
            "ro",
            "rd.shell",
            "selinux",
            "systemd.unit",
        ] {
            assert!(!is_managed(name), "{name}");
        }
    }

    #[test]
    fn the_defaults_of_the_live_layout_are_the_classical_ones() {
        assert_eq!(find(LIVE_DIR).unwrap().default, crate::media::CLASSIC_DIR);
        assert_eq!(
            find(LIVE_SQUASHIMG).unwrap().default,
            crate::media::CLASSIC_IMAGE_NAME
        );
    }
}
