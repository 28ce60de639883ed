//! Where things lie: on the media, in the initramfs, and in the running system.
//!
//! Paths on the media are relative to its root and have no leading slash; paths in the initramfs and in the running system are
//! absolute.

/// The volume identifier of media where the recipe says nothing. Programs of other projects look for this one by default.
pub const DEFAULT_VOLUME_ID: &str = "CDROM";

/// The folder on the media that holds what the runtime needs. Given to the runtime as `rd.live.dir=`, whose default in other
/// programs is [`CLASSIC_DIR`].
pub const DIR: &str = "liveos";
/// The folder where dracut's live modules look when `rd.live.dir=` is not given.
pub const CLASSIC_DIR: &str = "LiveOS";
/// The root file system image's name in [`DIR`]. Given to the runtime as `rd.live.squashimg=`.
pub const ROOT_IMAGE_NAME: &str = "rootfs.img";
/// The name where dracut's live modules look when `rd.live.squashimg=` is not given.
pub const CLASSIC_IMAGE_NAME: &str = "squashfs.img";
/// The folder of root file system images on media of live-boot.
pub const LIVE_BOOT_DIR: &str = "live";
/// The list of images in [`LIVE_BOOT_DIR`], the lowest first, where there is one.
pub const LIVE_BOOT_LIST_NAME: &str = "filesystem.module";
/// The folder on media of archiso that has a folder for each architecture.
pub const ARCHISO_DIR: &str = "arch";
/// What the root file system image is named there.
pub const ARCHISO_IMAGE_NAMES: [&str; 2] = ["airootfs.sfs", "airootfs.erofs"];
/// The image that a compressed image of archiso may hold.
pub const ARCHISO_NESTED_NAME: &str = "airootfs.img";
/// A file that media of KIWI have, and no others.
pub const KIWI_MARK: &str = "boot/mbrid";
/// The root file system image on the media.
pub const ROOT_IMAGE: &str = "liveos/rootfs.img";
/// The media check's table on the media (see [`crate::checksums`]).
pub const CHECKSUMS: &str = "liveos/checksums";
/// The area on the media that is kept free for changes in place: zeros, until something is changed.
pub const RESERVED: &str = "liveos/reserved";
/// The length of the reserved area where nobody says otherwise, in bytes: a boot menu with hundreds of kernels has 300 KiB, and a change
/// needs room for the old one and the new one at once; scripts, keys and configuration for the initramfs have less, a driver about 1 MiB.
pub const RESERVED_LEN: u64 = 4 << 20;
/// The media check's table in the folder that `rd.live.dir=` names.
pub const CHECKSUMS_NAME: &str = "checksums";

/// Where Image Customizer, and we with it, keep what a later build of the media has to know.
pub const SAVED_CONFIGS: &str = "azl-image-customizer/saved-configs.yaml";
/// The longest file of saved settings that is read, in bytes: a thousand times what is ever written. A longer one is an error.
pub const MAX_SAVED_CONFIGS: usize = 1 << 20;

/// The folder of kernels and initramfs on the media.
pub const BOOT_DIR: &str = "boot";
/// The GRUB folder on the media for images that use `/boot/grub2`.
pub const GRUB2_DIR: &str = "boot/grub2";
/// The GRUB folder on the media for images that use `/boot/grub`.
pub const GRUB_DIR: &str = "boot/grub";
/// GRUB's configuration in either GRUB folder.
pub const GRUB_CONFIG_NAME: &str = "grub.cfg";
/// The El Torito image for UEFI in either GRUB folder: a FAT file system that is the ESP too.
pub const EFI_IMAGE_NAME: &str = "efiboot.img";
/// The El Torito image for BIOS in either GRUB folder.
pub const BIOS_IMAGE_NAME: &str = "i386-pc/eltorito.img";
/// The removable-media folder, on the ISO and in the ESP.
pub const EFI_BOOT_DIR: &str = "EFI/BOOT";
/// The first EFI program that x86-64 firmware starts from removable media.
pub const EFI_BOOT_X64: &str = "EFI/BOOT/BOOTX64.EFI";
/// What shim starts.
pub const EFI_GRUB_X64: &str = "EFI/BOOT/grubx64.efi";

/// A further archive in [`BOOT_DIR`] beside the initramfs: what was added to it on finished media.
pub const INITRAMFS_ADDITIONS_NAME: &str = "liveos-additions.img";

/// A kernel's path on the media.
#[must_use]
pub fn kernel(version: &str) -> String {
    format!("{BOOT_DIR}/vmlinuz-{version}")
}

/// The path on the media of a kernel's initramfs.
#[must_use]
pub fn initramfs(version: &str) -> String {
    format!("{BOOT_DIR}/initramfs-{version}.img")
}

/// The program that the kernel starts in the initramfs: `liveos-init`.
pub const INIT: &str = "/init";
/// The module index in the initramfs (see [`crate::module_index`]).
pub const MODULE_INDEX: &str = "/lib/liveos/modules.index";
/// The folder of kernel modules in the initramfs.
pub const MODULES_DIR: &str = "/lib/modules";
/// The folder of firmware in the initramfs, where the kernel looks for it.
pub const FIRMWARE_DIR: &str = "/lib/firmware";
/// What says in the initramfs that this is one.
pub const INITRD_RELEASE: &str = "/etc/initrd-release";
/// Files of the initramfs whose lines come before the kernel's command line, in the order of their names.
pub const CMDLINE_DROP_INS: &str = "/etc/cmdline.d";
/// A file of the initramfs whose lines come after [`CMDLINE_DROP_INS`] and before the kernel's command line.
pub const CMDLINE_FILE: &str = "/etc/cmdline";
/// The folder of a full-os initramfs that is the runtime's own: the system has nothing there, and it is gone when the system runs.
pub const FULL_OS_DIR: &str = "/.liveos";
/// The system's own `/init`, where it has one: in a full-os initramfs that name is the runtime's.
pub const FULL_OS_INIT: &str = "/.liveos/init";
/// The list of extended attributes in a full-os initramfs (see [`crate::attributes`]). It is unpacked last: where it is missing,
/// the rest is not all there.
pub const ATTRIBUTES: &str = "/.liveos/attributes";
/// Where the runtime takes the system of a full-os initramfs.
pub const FULL_OS_ROOT: &str = "/.liveos/root";
/// Where the runtime sees a full-os initramfs without what is mounted on it.
pub const FULL_OS_SOURCE: &str = "/.liveos/source";
/// The initramfs on the media that is the whole system, for all kernels.
pub const FULL_OS_INITRAMFS: &str = "boot/initrd.img";
/// In a folder for network boot: an ISO of the boot loader, kernels and initramfs alone, for firmware that boots over HTTP. It makes a RAM
/// disk of it, from which GRUB loads without a network of its own.
pub const HTTP_BOOT_ISO: &str = "http-boot.iso";
/// The volume identifier of [`HTTP_BOOT_ISO`], which is none of media that a machine may have beside it.
pub const HTTP_BOOT_VOLUME_ID: &str = "LIVEOS-HTTP";
/// The certificates of authorities in the initramfs (PEM), for servers that are asked by `https`.
pub const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The C library's list of name servers in the initramfs.
pub const INITRAMFS_RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where the runtime assembles the new root.
pub const NEW_ROOT: &str = "/sysroot";

/// The folder in the running system that survives until power-off and holds the media's mounts.
pub const RUN_INITRAMFS: &str = "/run/initramfs";
/// A symbolic link to the device (or file) that is the live medium.
pub const LIVE_DEVICE: &str = "/run/initramfs/livedev";
/// Where the file system is mounted that has the medium in a file.
pub const ISO_SCAN: &str = "/run/initramfs/isoscan";
/// A symbolic link to that file system's device.
pub const ISO_SCAN_DEVICE: &str = "/run/initramfs/isoscandev";
/// Where the live medium is mounted.
pub const LIVE_MOUNT: &str = "/run/initramfs/live";
/// Files on the live medium that are put over the new root, as `dmsquash-live` does it.
pub const UPDATES: &str = "/run/initramfs/live/updates";
/// Where the root file system image is mounted.
pub const IMAGE_MOUNT: &str = "/run/initramfs/squashfs";
/// The medium that was fetched from a server, in RAM: an ISO or a root file system image.
pub const FETCHED: &str = "/run/initramfs/fetched.img";
/// The name servers that the network of the boot has, as `resolv.conf`.
pub const RESOLV_CONF: &str = "/run/liveos/resolv.conf";
/// What is known of the network card `name`, as klibc's `ipconfig` writes it.
#[must_use]
pub fn network_card(name: &str) -> String {
    format!("/run/net-{name}.conf")
}
/// The copy of the root file system image in RAM.
pub const RAM_IMAGE: &str = "/run/initramfs/squashed.img";
/// The copy of a root file system image in RAM that is a file system for disks.
pub const RAM_DISK_IMAGE: &str = "/run/initramfs/rootfs.img";
/// A copy of a root file system image in RAM that the system writes.
pub const PRIVATE_IMAGE: &str = "/run/initramfs/fsimg/rootfs.img";
/// A link to the device of a root file system image that is a file system for disks.
pub const LIVE_BASE_LINK: &str = "/dev/live-base";
/// Where the images of a root that is stacked from several are mounted.
pub const LAYERS: &str = "/run/initramfs/layers";
/// The tmpfs whose size is the writable layer's.
pub const OVERLAY_MOUNT: &str = "/run/initramfs/overlay";
/// The file system that holds a layer which outlives the machine's end.
pub const OVERLAY_STORE: &str = "/run/initramfs/overlayfs";
/// Where programs that know KIWI's live module find the same.
pub const KIWI_OVERLAY_STORE: &str = "/run/overlay/overlayfs";
/// What unlocks an encrypted layer, in the initramfs, where nobody is to be asked.
pub const PASSPHRASE: &str = "/etc/liveos/passphrase";
/// The writable layer's upper folder (a symbolic link to it).
pub const UPPER: &str = "/run/overlayfs";
/// The writable layer's work folder (a symbolic link to it).
pub const WORK: &str = "/run/ovlwork";
/// A persistent writable layer's folders where it is only read (symbolic links to them): what is written goes to [`UPPER`].
pub const UPPER_READ_ONLY: &str = "/run/overlayfs-r";
/// The work folder that belongs to [`UPPER_READ_ONLY`].
pub const WORK_READ_ONLY: &str = "/run/ovlwork-r";
/// What is written to a snapshot of the root file system image, in RAM.
pub const SNAPSHOT_STORE: &str = "/run/initramfs/overlay/store";
/// The root file system without the writable layer.
pub const LOWER: &str = "/run/rootfsbase";
/// The mount source's name of the overlay, by which programs recognise a live system.
pub const OVERLAY_SOURCE: &str = "LiveOS_rootfs";
/// Where programs that know KIWI's live module find what it mounts: links, and what they lead to.
pub const KIWI_LINKS: [(&str, &str); 4] = [
    ("/run/overlay/isodev", LIVE_DEVICE),
    ("/run/overlay/live", LIVE_MOUNT),
    ("/run/overlay/squashfs_container", IMAGE_MOUNT),
    ("/run/overlay/rootfsbase", LOWER),
];
/// Where programs that know live-boot find what it mounts, on media in its layout.
pub const LIVE_BOOT_LINKS: [(&str, &str); 2] = [
    ("/run/live/medium", LIVE_MOUNT),
    ("/run/live/rootfs", LOWER),
];
/// Where programs that know archiso find what it mounts, on media in its layout.
pub const ARCHISO_LINKS: [(&str, &str); 2] = [
    ("/run/archiso/bootmnt", LIVE_MOUNT),
    ("/run/archiso/airootfs", LOWER),
];
/// The program that systemd starts last: it releases the media and powers off.
pub const SHUTDOWN: &str = "/run/initramfs/shutdown";
/// What the runtime did, or why it stopped, as JSON.
pub const REPORT: &str = "/run/liveos/report.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_paths_agree_with_their_parts() {
        assert_eq!(ROOT_IMAGE, format!("{DIR}/{ROOT_IMAGE_NAME}"));
        assert_eq!(CHECKSUMS, format!("{DIR}/{CHECKSUMS_NAME}"));
        assert!(RESERVED.starts_with(DIR));
        for path in [
            LIVE_MOUNT,
            LIVE_DEVICE,
            IMAGE_MOUNT,
            RAM_IMAGE,
            FETCHED,
            OVERLAY_MOUNT,
            SHUTDOWN,
        ] {
            assert!(path.starts_with(RUN_INITRAMFS));
        }
        for path in [FULL_OS_INIT, ATTRIBUTES, FULL_OS_ROOT, FULL_OS_SOURCE] {
            assert!(path.starts_with(&format!("{FULL_OS_DIR}/")));
        }
        for path in [EFI_BOOT_X64, EFI_GRUB_X64] {
            assert!(path.starts_with(EFI_BOOT_DIR));
        }
    }

    #[test]
    fn kernels_are_named_by_their_version() {
        assert_eq!(kernel("6.1"), "boot/vmlinuz-6.1");
        assert_eq!(initramfs("6.1"), "boot/initramfs-6.1.img");
    }
}
