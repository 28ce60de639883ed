#!/bin/bash
# dracut module "liveos": the root of a live system, put together by liveos-init. Made by liveos; works with dracut 055 and later.

# Only where it is asked for, as an initramfs with it is for live media.
check() {
    return 255
}

# liveos-init waits for devices, knows file systems, and mounts, by itself. Since dracut 108 what loads drivers while it waits is a module
# of its own, which older versions do not know by name.
depends() {
    local folder
    for folder in "${dracutbasedir:-/usr/lib/dracut}"/modules.d/[0-9][0-9]initqueue; do
        [[ -d $folder ]] && echo initqueue
    done
    return 0
}

# What live media can be, and what they can be on, whatever machine this is. A kernel without one of them has it built in, or has it not.
installkernel() {
    hostonly='' instmods \
        loop overlay squashfs erofs isofs iso9660 udf ext4 xfs btrfs vfat exfat ntfs3 \
        nls_cp437 nls_ascii nls_iso8859_1 nls_utf8 crc32c_generic crc32c_intel libcrc32c \
        dm_mod dm_snapshot dm_verity dm_crypt sha256_generic sha256_ssse3 sha256_arm64 sha2_ce sha512_generic aes_generic aesni_intel xts essiv \
        sr_mod sd_mod cdrom usb_storage uas xhci_pci ehci_pci ohci_pci uhci_hcd \
        ahci ata_piix nvme mmc_block sdhci_pci sdhci_acpi \
        virtio_pci virtio_blk virtio_scsi hv_storvsc vmw_pvscsi mptspi mptsas xen_blkfront
}

install() {
    inst_simple "$moddir/liveos-init" /usr/lib/liveos/liveos-init
    chmod 0755 "$initdir/usr/lib/liveos/liveos-init"
    inst_hook cmdline 20 "$moddir/liveos-claim.sh"
    # Before the module overlayfs, which would take an empty folder for the root.
    inst_hook pre-mount 00 "$moddir/liveos-mount.sh"
    # What makes the place where changes stay, as far as the system has it.
    inst_multiple -o mkfs.ext4 mkfs.xfs mkfs.btrfs cryptsetup
    # Other modules' generators know the same root= and would wait for devices that never come. What is there first stays.
    local generators=$initdir${systemdutildir:-/usr/lib/systemd}/system-generators name
    mkdir -p "$generators"
    for name in dracut-dmsquash-generator dracut-livenet-generator dracut-kiwi-generator; do
        ln -sf /dev/null "$generators/$name"
    done
}
