//! The parameters of Debian's live-boot.

use super::Kind::{Boolean, List, Seconds, Size, Text};
use super::Standing::{Honoured, Ignored, Moot, Refused};
use super::{Dialect, Parameter, row};

/// `toram`: copy the root file system image to RAM.
pub const TO_RAM: &str = "toram";
/// `boot=live`: the command line is in this dialect.
pub const BOOT: &str = "boot";
/// `live-media=`: the medium, or which kinds of devices may be it.
pub const MEDIA: &str = "live-media";
/// `bootfrom=`: the same.
pub const BOOT_FROM: &str = "bootfrom";
/// `live-media-path=`: the folder on the medium.
pub const MEDIA_PATH: &str = "live-media-path";
/// The value of [`MEDIA_PATH`] where it is not given.
pub const DEFAULT_MEDIA_PATH: &str = "live";
/// `live-media-timeout=`: how long to wait for the medium.
pub const MEDIA_TIMEOUT: &str = "live-media-timeout";
/// `module=`: the list of root file system images, without `.module`.
pub const MODULE: &str = "module";
/// The value of [`MODULE`] where it is not given.
pub const DEFAULT_MODULE: &str = "filesystem";
/// `fetch=`: the medium or image on a server.
pub const FETCH: &str = "fetch";
/// `httpfs=`: the same, read where it lies.
pub const HTTP_FS: &str = "httpfs";
/// `findiso=`: the file that the medium is in.
pub const FIND_ISO: &str = "findiso";
/// `fromiso=` and `isofrom=`: the same, with its device in front.
pub const FROM_ISO: [&str; 2] = ["fromiso", "isofrom"];
/// `overlay-size=`: how much may be written.
pub const OVERLAY_SIZE: &str = "overlay-size";

/// The dialect's parameters that no other table has.
#[rustfmt::skip]
pub const TABLE: &[Parameter] = &[
    row((BOOT, Text, Dialect::LiveBoot), "", Honoured, "live: the command line is in the words of live-boot"),
    row((MEDIA, Text, Dialect::LiveBoot), "", Honoured, "the medium: /dev/..., LABEL=, UUID=, or any that is removable or removable-usb"),
    row((BOOT_FROM, Text, Dialect::LiveBoot), "", Honoured, "the older name of live-media"),
    row((MEDIA_PATH, Text, Dialect::LiveBoot), DEFAULT_MEDIA_PATH, Honoured, "the folder on the medium that holds root file system images"),
    row(("live-media-offset", Text, Dialect::LiveBoot), "", Refused, "the medium begins somewhere on its device"),
    row((MEDIA_TIMEOUT, Seconds, Dialect::LiveBoot), "", Honoured, "how long to wait for the medium (as rd.timeout)"),
    row((MODULE, Text, Dialect::LiveBoot), DEFAULT_MODULE, Honoured, "the list of root file system images in that folder, without .module"),
    row((FETCH, Text, Dialect::LiveBoot), "", Honoured, "http(s)://...: the medium or its image on a server"),
    row((HTTP_FS, Text, Dialect::LiveBoot), "", Honoured, "as fetch: it is copied to memory"),
    row(("ftpfs", Text, Dialect::LiveBoot), "", Refused, "a medium on an FTP server"),
    row(("netboot", Text, Dialect::LiveBoot), "", Refused, "a medium on an NFS or CIFS server"),
    row(("nfsopts", Text, Dialect::LiveBoot), "", Ignored, "mount options of an NFS server"),
    row(("nfsoverlay", Text, Dialect::LiveBoot), "", Refused, "what is written goes to an NFS server"),
    row(("iscsi", Text, Dialect::LiveBoot), "", Refused, "a medium on an iSCSI server"),
    row((FIND_ISO, Text, Dialect::LiveBoot), "", Honoured, "the file that the medium is in (as iso-scan/filename)"),
    row((FROM_ISO[0], Text, Dialect::LiveBoot), "", Honoured, "/dev/<device>/<path>: the file that the medium is in"),
    row((FROM_ISO[1], Text, Dialect::LiveBoot), "", Honoured, "/dev/<device>/<path>: the file that the medium is in"),
    row((TO_RAM, Boolean, Dialect::LiveBoot), "0", Honoured, "copy the root file system image to RAM (as rd.live.ram)"),
    row(("todisk", Text, Dialect::LiveBoot), "", Refused, "copy the medium over a disk"),
    row(("persistence", Boolean, Dialect::LiveBoot), "0", Ignored, "folders of a volume with persistence.conf; rd.overlay= keeps what is written"),
    row(("nopersistence", Boolean, Dialect::LiveBoot), "", Moot, "no persistence is the default"),
    row(("persistence-label", Text, Dialect::LiveBoot), "persistence", Ignored, "the label of that volume"),
    row(("persistence-media", Text, Dialect::LiveBoot), "", Ignored, "where that volume may be"),
    row(("persistence-method", Text, Dialect::LiveBoot), "overlay", Ignored, "how that volume is used"),
    row(("persistence-path", Text, Dialect::LiveBoot), "", Ignored, "where on it things are"),
    row(("persistence-storage", Text, Dialect::LiveBoot), "filesystem,file", Ignored, "what that volume may be"),
    row(("persistence-encryption", Text, Dialect::LiveBoot), "none", Ignored, "whether that volume may be encrypted"),
    row(("persistence-read-only", Boolean, Dialect::LiveBoot), "0", Ignored, "that volume is not written"),
    row((OVERLAY_SIZE, Size, Dialect::LiveBoot), "50%", Honoured, "how much may be written (as rd.live.overlay.size)"),
    row(("ramdisk-size", Size, Dialect::LiveBoot), "", Moot, "memory itself is the limit of a copy"),
    row(("union", Text, Dialect::LiveBoot), "overlay", Moot, "overlayfs is what is always used"),
    row(("plainroot", Boolean, Dialect::LiveBoot), "0", Ignored, "no writable layer"),
    row(("exposedroot", Boolean, Dialect::LiveBoot), "0", Ignored, "the medium is the root"),
    row(("skipunion", Boolean, Dialect::LiveBoot), "0", Ignored, "no writable layer"),
    row(("showmounts", Boolean, Dialect::LiveBoot), "0", Moot, "the layers are mounted below /run in any case"),
    row(("swap", Boolean, Dialect::LiveBoot), "0", Ignored, "use swap space on disks"),
    row(("ignore_uuid", Boolean, Dialect::LiveBoot), "0", Moot, "the medium's UUID is not compared with the initramfs'"),
    row(("verify-checksums", Boolean, Dialect::LiveBoot), "0", Refused, "verify the files of the medium against a list on it, and reboot"),
    row(("dm-verity-root-hash", Text, Dialect::LiveBoot), "", Refused, "verity root hashes of the root file system images"),
    row(("dm-verity-oncorruption", Text, Dialect::LiveBoot), "", Ignored, "what happens where verity finds damage"),
    row(("dm-verity-enforce-roothash-signature", Boolean, Dialect::LiveBoot), "0", Refused, "the signature of a verity root hash"),
    row(("ethdevice", List, Dialect::LiveBoot), "", Ignored, "the network card"),
    row(("ethdevice-timeout", Seconds, Dialect::LiveBoot), "15", Ignored, "how long a link is waited for"),
    row(("dns", List, Dialect::LiveBoot), "", Ignored, "name servers"),
    row(("nodhcp", Boolean, Dialect::LiveBoot), "0", Ignored, "no DHCP"),
    row(("skipconfig", Boolean, Dialect::LiveBoot), "0", Moot, "no file of the system is changed"),
    row(("nofstab", Boolean, Dialect::LiveBoot), "0", Moot, "no file of the system is changed"),
    row(("nonetworking", Boolean, Dialect::LiveBoot), "0", Moot, "no file of the system is changed"),
    row(("nofastboot", Boolean, Dialect::LiveBoot), "0", Moot, "no file system of a disk is checked"),
    row(("quickusbmodules", Boolean, Dialect::LiveBoot), "0", Moot, "no driver is waited for"),
];
