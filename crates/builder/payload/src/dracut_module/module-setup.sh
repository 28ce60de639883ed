#!/bin/bash
# dracut module "liveos": the root of a live system, put together by liveos-init. Made by liveos; works with dracut 055 and later.

# Only where it is asked for, as an initramfs with it is for live media.
check() {
    return 255
}

# Nothing: liveos-init waits for devices, knows file systems, and mounts, by itself.
depends() {
    return 0
}

# What live media can be, and what they can be on, whatever machine this is.
installkernel() {
    hostonly='' instmods \
        loop overlay squashfs erofs isofs iso9660 udf vfat exfat ext4 nls_cp437 nls_ascii nls_iso8859_1 nls_utf8 \
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
    # The modules dmsquash-live and livenet know the same root= and would wait for devices that never come.
    rm -f "$initdir"/usr/lib/systemd/system-generators/{,dracut-}{dmsquash,livenet}-generator \
        "$initdir"{,/var,/usr}/lib/dracut/hooks/cmdline/[0-9][0-9]-parse-{dmsquash-live,livenet,iso-scan}.sh \
        "$initdir"{,/var,/usr}/lib/dracut/hooks/pre-udev/[0-9][0-9]-dmsquash-live*-genrules.sh
}
