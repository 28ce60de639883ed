//! Why a boot stops: one code for each reason, with what a person can do.
//!
//! A code is an interface: it stays the same for the same reason, and is never used again for another one. The console shows the code, the
//! stage, the cause (which is text of the moment and not here) and the advice; the report in [`crate::media::REPORT`] has the same.

/// A part of the boot, in boot order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The kernel's file systems, the console, the command line.
    Start,
    /// The search for the medium.
    Find,
    /// The media check.
    Verify,
    /// The medium and the root file system image become a read-only root.
    Base,
    /// The writable layer on top.
    Overlay,
    /// The change into the new root.
    Switch,
    /// A system that is the initramfs itself: in the place of all between [`Self::Start`] and [`Self::Switch`].
    FullOs,
}

impl Stage {
    /// The word for it on the console and in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Find => "find the medium",
            Self::Verify => "verify the medium",
            Self::Base => "open the root file system image",
            Self::Overlay => "add the writable layer",
            Self::Switch => "start the system",
            Self::FullOs => "restore the system in memory",
        }
    }
}

impl Stage {
    /// The word for it in `rd.break=` and in the report's list of stages.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Find => "find",
            Self::Verify => "verify",
            Self::Base => "base",
            Self::Overlay => "overlay",
            Self::Switch => "switch",
            Self::FullOs => "full-os",
        }
    }
}

/// One reason to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `L`, the stage's two digits and two of its own: `L0201`.
    pub code: &'static str,
    /// Where it arises.
    pub stage: Stage,
    /// What happened, in a few words.
    pub title: &'static str,
    /// What to do, one line.
    pub advice: &'static str,
}

/// A boot that stops: why, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub code: Code,
    /// What was seen at the moment, one line, in lower case and without a full stop.
    pub cause: String,
}

impl Failure {
    /// A failure for the reason `code`.
    pub fn new(code: Code, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.code.code, self.code.title, self.cause)
    }
}

impl std::error::Error for Failure {}

macro_rules! codes {
    ($($name:ident = $code:literal, $stage:ident, $title:literal, $advice:literal;)*) => {
        $(#[doc = concat!("`", $code, "`: ", $title, ".")]
        pub const $name: Code = Code { code: $code, stage: Stage::$stage, title: $title, advice: $advice };)*
        /// Every code, in order.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    NO_KERNEL_FILE_SYSTEMS = "L0001", Start, "a file system of the kernel cannot be mounted",
        "use a kernel with proc, sysfs, devtmpfs and tmpfs";
    INTERNAL = "L0002", Start, "liveos-init itself is at fault",
        "report this with the lines above";
    NO_LIVE_ROOT = "L0101", Start, "the command line names no live medium",
        "add root=live:LABEL=<volume identifier> to the kernel command line";
    ROOT_UNKNOWN = "L0102", Start, "root=live: in a form that is not understood",
        "use live:LABEL=, UUID=, PARTLABEL=, PARTUUID=, CDLABEL=, live:/dev/<device>, live:/<file of the initramfs>.iso or live:http://<host>/<path>";
    NOT_SUPPORTED = "L0103", Start, "the command line asks for something that cannot be done yet",
        "take the parameter away, or use an initramfs made by dracut";
    MODULE_INDEX = "L0104", Start, "the list of kernel modules in the initramfs is damaged",
        "build the media again";
    NETWORK_UNKNOWN = "L0105", Start, "the command line says something of the network that is not understood",
        "use ip=dhcp, ip=<card>:dhcp or ip=<address>::<gateway>:<mask>::<card>:none";
    DIGEST_UNKNOWN = "L0106", Start, "liveos.digest= is not understood",
        "use liveos.digest=sha256:<64 hexadecimal digits>";
    MEDIUM_NOT_FOUND = "L0201", Find, "the medium did not appear",
        "check that the medium is plugged in and that root= names its label; rd.timeout= sets how long to wait";
    MEDIUM_MOUNT = "L0202", Find, "the medium cannot be mounted",
        "try another drive or port, or write the medium again";
    ISO_FILE_NOT_FOUND = "L0203", Find, "no file system has the file with the medium",
        "check the path in iso-scan/filename= (findiso=, img_loop=), and that the initramfs has the file system's module; rd.timeout= sets how long to wait";
    ISO_FILE = "L0204", Find, "the file with the medium cannot be used",
        "copy the ISO file again, and check that it is a whole one";
    INITRAMFS_FILE = "L0205", Find, "the medium is not in the initramfs",
        "check the path in root=live: against what the initramfs holds";
    NO_NETWORK_CARD = "L0210", Find, "no network card appeared",
        "check ip= and BOOTIF=, and that the initramfs was built for the network and has the card's driver";
    NO_LINK = "L0211", Find, "no network card has a link",
        "check the cables and the switch; rd.net.timeout.carrier= sets how long to wait";
    NO_ADDRESS = "L0212", Find, "no DHCP server answered",
        "check the DHCP server, or give a fixed address with ip=; rd.net.timeout.dhcp= sets how long to wait";
    NETWORK_REFUSED = "L0213", Find, "the kernel refuses the network configuration",
        "check the addresses in ip=";
    SERVER_UNREACHABLE = "L0214", Find, "the server cannot be reached",
        "check the URL in root=, the gateway, the name server and the server itself";
    FETCH_REFUSED = "L0215", Find, "the server does not give the medium",
        "check the URL in root=, and that the server may read the file";
    FETCH_BROKEN = "L0216", Find, "the download did not come to its end",
        "check the network and the server, and start again";
    FETCH_MEMORY = "L0217", Find, "not enough memory for the medium",
        "use a machine with more memory, or a smaller medium";
    FETCH_DIGEST = "L0218", Find, "the medium from the network is not what was asked for",
        "check the file on the server against liveos.digest=; do not use it";
    FETCH_UNKNOWN = "L0219", Find, "what was fetched is no live medium",
        "check that the URL in root= names an ISO, a squashfs or an EROFS image";
    FETCH_CERTIFICATE = "L0220", Find, "the server's certificate is not accepted",
        "check the machine's clock and the server's certificate, and that the image has its authority's certificate";
    NO_CHECKSUMS = "L0301", Verify, "a media check was asked for, and there is nothing on the medium to check it by",
        "boot without rd.live.check, or use media with our table or a checksum of isomd5sum or checkmedia";
    CHECKSUMS_DAMAGED = "L0302", Verify, "the media check's table is damaged",
        "write the medium again";
    MEDIUM_DAMAGED = "L0303", Verify, "the medium is not what was built",
        "write the medium again, or use another one; do not use this one";
    MEDIUM_UNREADABLE = "L0304", Verify, "the medium cannot be read",
        "try another drive or port, or write the medium again";
    VERITY_UNKNOWN = "L0320", Verify, "liveos.verity= or roothash= is not understood",
        "use liveos.verity=sha256:<64 hexadecimal digits>, and liveos.verity.corruption=error, restart or panic";
    VERITY_NO_TREE = "L0321", Verify, "the root file system image has no hash tree",
        "write the medium again; build the media with verity, or take liveos.verity= away";
    VERITY_TREE_UNKNOWN = "L0322", Verify, "the hash tree of the root file system image is damaged, or of another kind",
        "write the medium again, or build the media again";
    VERITY_MISMATCH = "L0323", Verify, "the root file system image is not the one that was asked for",
        "use the medium that this boot configuration belongs to; do not use this one";
    VERITY_REFUSED = "L0324", Verify, "the kernel does not verify the root file system image",
        "use a kernel with dm-verity and SHA-256, and check that the initramfs has their modules";
    VERITY_DAMAGED = "L0325", Verify, "the root file system image is damaged",
        "write the medium again, or use another one; liveos check names what is damaged";
    NO_ROOT_IMAGE = "L0401", Base, "there is no root file system image on the medium",
        "check rd.live.dir= and rd.live.squashimg= against what is on the medium";
    ROOT_IMAGE_UNKNOWN = "L0402", Base, "the root file system image is nothing that is known",
        "build the media again: squashfs, EROFS, ext4, XFS and Btrfs can be a root";
    ROOT_IMAGE_MOUNT = "L0403", Base, "the root file system image cannot be mounted",
        "check that the kernel has this file system and its compression; write the medium again if it does";
    NOT_A_ROOT = "L0404", Base, "the root file system image holds no operating system",
        "build the media again";
    NOT_ENOUGH_MEMORY = "L0405", Base, "not enough memory for a copy of the root file system image",
        "boot without rd.live.ram (or toram, copytoram), with a smaller rd.minmem=, or on a machine with more memory";
    COPY_TO_RAM = "L0406", Base, "the root file system image cannot be copied to memory",
        "boot without rd.live.ram, or write the medium again";
    ROOT_LAYERS = "L0407", Base, "the root file system images cannot be stacked",
        "check the list of images on the medium, and that the kernel has overlayfs";
    OVERLAY_SPACE = "L0501", Overlay, "there is no place for the writable layer",
        "check rd.live.overlay.size=";
    OVERLAY_MOUNT = "L0502", Overlay, "the overlay cannot be mounted",
        "use a kernel with overlayfs";
    NO_INIT = "L0601", Switch, "the new root has no init program",
        "check init= on the kernel command line";
    SWITCH_ROOT = "L0602", Switch, "the change into the new root was refused",
        "report this with the lines above";
    INIT_DOES_NOT_START = "L0603", Switch, "the init program does not start",
        "check that it is a program for this machine";
    NOT_ALL_UNPACKED = "L0801", FullOs, "the system in the initramfs is not all there",
        "give the machine more memory, or add rootfstype=ramfs to the kernel command line; the kernel's log says why it stopped unpacking";
    ATTRIBUTES_DAMAGED = "L0802", FullOs, "the list of labels and capabilities is damaged",
        "build the media again, or load them again";
    POLICY = "L0803", FullOs, "the SELinux policy cannot be loaded",
        "boot with enforcing=0 or selinux=0, and check the policy in the image";
    NO_PLACE = "L0804", FullOs, "there is no place in memory for the system",
        "give the machine more memory";
    NOT_RESTORED = "L0805", FullOs, "a file of the system cannot be restored",
        "give the machine more memory, or use a kernel whose tmpfs has extended attributes (CONFIG_TMPFS_XATTR)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_none_is_there_twice() {
        assert!(ALL.is_sorted_by(|a, b| a.code < b.code));
        assert!(ALL.is_sorted_by_key(|code| code.stage));
    }

    #[test]
    fn texts_are_single_lines_without_a_full_stop() {
        for code in ALL {
            assert!(code.code.len() == 5 && code.code.starts_with('L'));
            for text in [code.title, code.advice, code.stage.name()] {
                assert!(!text.contains('\n') && !text.ends_with('.') && !text.is_empty());
            }
        }
    }
}
