//! Which modules live media need: one table, with the reason for each row.
//!
//! The rule behind it: everything between the firmware and the root file system image on a CD, a stick, a card or a local disk, on real
//! machines and under every common hypervisor, and the keyboard for a shell. What comes after is loaded by the system itself, from its
//! own full set of modules. So there is no graphics, no Fibre Channel and no iSCSI here: media do not lie there. The network has a
//! table of its own, for media that are fetched from a server: its drivers are large.

/// What a row selects. Names are normalised (`_` for `-`); folders are below the modules folder and end in `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Modules by name, where the kernel has them.
    Names(&'static [&'static str]),
    /// All modules of a folder (and below) that a device on one of the buses asks for: those with an alias `bus:…`.
    Folder {
        /// The folder, `kernel/drivers/ata/`.
        path: &'static str,
        /// The buses, as aliases begin.
        buses: &'static [&'static str],
        /// Modules of it that are left out.
        except: &'static [&'static str],
    },
}

/// One row: what, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) rule: Rule,
    /// The reason, for people who wonder about the size of the initramfs.
    pub(crate) reason: &'static str,
}

/// The buses of storage controllers.
const CONTROLLER: &[&str] = &["pci", "acpi*", "of", "platform", "virtio", "vmbus", "xen"];

/// The table.
pub(crate) const ROWS: &[Row] = &[
    Row {
        rule: Rule::Names(&["loop", "squashfs", "erofs", "overlay"]),
        reason: "the root file system image is mounted by loop, with an overlay on top",
    },
    Row {
        rule: Rule::Names(&[
            "isofs", "udf", "vfat", "exfat", "ext4", "xfs", "btrfs", "ntfs3",
        ]),
        reason: "file systems of media",
    },
    Row {
        rule: Rule::Names(&["sd_mod", "sr_mod"]),
        reason: "disks and CD drives on every SCSI, ATA and USB controller",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/ata/",
            buses: &["pci", "acpi*", "of", "platform"],
            except: &[],
        },
        reason: "ATA and SATA controllers",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/nvme/host/",
            buses: &["pci", "of", "platform"],
            except: &[],
        },
        reason: "NVMe",
    },
    Row {
        rule: Rule::Names(&["vmd", "pci_hyperv"]),
        reason: "bridges that NVMe may lie behind: Intel VMD, Hyper-V",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/scsi/",
            buses: CONTROLLER,
            except: &[
                // Fibre Channel and iSCSI adapters, and targets: large, and no place for media.
                "be2iscsi", "bfa", "csiostor", "efct", "fnic", "lpfc", "qedf", "qedi", "qla2xxx",
                "qla4xxx", "snic",
            ],
        },
        reason: "SCSI and RAID controllers, and those of hypervisors",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/message/fusion/",
            buses: &["pci"],
            except: &["mptfc"],
        },
        reason: "older LSI controllers, which VMware and VirtualBox emulate",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/ufs/host/",
            buses: CONTROLLER,
            except: &[],
        },
        reason: "UFS storage of small machines",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/usb/host/",
            buses: &["pci", "acpi*", "of", "platform"],
            except: &["sl811_hcd", "u132_hcd"],
        },
        reason: "USB controllers",
    },
    Row {
        rule: Rule::Names(&[
            "dwc3",
            "dwc3_of_simple",
            "dwc3_pci",
            "dwc2",
            "chipidea",
            "xhci_plat_hcd",
        ]),
        reason: "USB controllers of Arm machines and tablets",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/usb/storage/",
            buses: &["usb"],
            except: &[],
        },
        reason: "USB sticks, disks, card readers and CD drives",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/mmc/host/",
            buses: CONTROLLER,
            except: &[],
        },
        reason: "SD cards and eMMC",
    },
    Row {
        rule: Rule::Names(&["mmc_block", "rtsx_pci", "rtsx_usb"]),
        reason: "SD cards and eMMC",
    },
    Row {
        rule: Rule::Names(&[
            "virtio_pci",
            "virtio_mmio",
            "virtio_blk",
            "virtio_scsi",
            "virtio_console",
        ]),
        reason: "virtual machines with virtio",
    },
    Row {
        rule: Rule::Names(&["hv_vmbus", "hv_storvsc", "hyperv_keyboard"]),
        reason: "virtual machines on Hyper-V",
    },
    Row {
        rule: Rule::Names(&["xen_blkfront", "xen_scsifront", "xen_pcifront"]),
        reason: "virtual machines on Xen",
    },
    Row {
        rule: Rule::Names(&["mtip32xx"]),
        reason: "block devices on PCI without another layer",
    },
    Row {
        rule: Rule::Names(&["nfit", "nd_pmem", "nd_e820", "virtio_pmem"]),
        reason: "persistent memory: firmware that boots an ISO over HTTP hands it on as such",
    },
    Row {
        rule: Rule::Names(&[
            "usbhid",
            "hid_generic",
            "hid_apple",
            "i8042",
            "atkbd",
            "virtio_input",
        ]),
        reason: "keyboards, for the emergency shell",
    },
    Row {
        rule: Rule::Names(&["dm_mod", "dm_verity", "dm_snapshot"]),
        reason: "the verified root file system image, and snapshots",
    },
];

/// The table for the network: every Ethernet card that firmware can boot from, or that a hypervisor has.
pub(crate) const NETWORK_ROWS: &[Row] = &[
    Row {
        rule: Rule::Names(&["af_packet"]),
        reason: "packets of a card that has no address yet: DHCP",
    },
    Row {
        rule: Rule::Names(&[
            "virtio_net",
            "vmxnet3",
            "xen_netfront",
            "hv_netvsc",
            "pci_hyperv",
        ]),
        reason: "network cards of hypervisors",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/net/ethernet/",
            buses: CONTROLLER,
            except: &[
                // Switches, and cards that are whole computers: nothing boots from them, and they ask for much firmware.
                "liquidio",
                "liquidio_vf",
                "mlxsw_pci",
                "mlxsw_spectrum",
                "prestera_pci",
                "octeon_ep",
            ],
        },
        reason: "Ethernet cards",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/net/usb/",
            buses: &["usb"],
            except: &[
                // Modems and telephones.
                "cdc_mbim",
                "cdc_phonet",
                "hso",
                "huawei_cdc_ncm",
                "ipheth",
                "kalmia",
                "lg_vl600",
                "qmi_wwan",
                "sierra_net",
            ],
        },
        reason: "Ethernet cards on USB",
    },
    Row {
        rule: Rule::Folder {
            path: "kernel/drivers/net/phy/",
            buses: &["mdio"],
            except: &[],
        },
        reason: "chips between an Ethernet card and its cable",
    },
    Row {
        rule: Rule::Names(&["fixed_phy", "mdio_bcm_unimac", "acpi_mdio", "of_mdio"]),
        reason: "the bus of these chips",
    },
];

/// Modules that the kernel asks for by a name of its own when it is too late to load them for it, as the initramfs has no
/// `modprobe`.
pub(crate) const IMPLIED: &[Implied] = &[
    Implied {
        module: "vfat",
        needs: &["nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8"],
        options: &["FAT_DEFAULT_CODEPAGE", "FAT_DEFAULT_IOCHARSET"],
    },
    // The kernel has SHA-256 in plain instructions, in a module of some; those for the processor's own are many times as fast.
    Implied {
        module: "dm_verity",
        needs: &["sha256_generic", "sha256_ssse3", "sha256_arm64", "sha2_ce"],
        options: &[],
    },
    Implied {
        module: "ntfs3",
        needs: &["nls_utf8"],
        options: &[],
    },
];

/// One row of [`IMPLIED`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Implied {
    pub(crate) module: &'static str,
    /// What it asks for by default.
    pub(crate) needs: &'static [&'static str],
    /// Options of the kernel that name a code page or character set besides.
    pub(crate) options: &'static [&'static str],
}

/// Modules that no device asks for by an alias, so that they are loaded at start where they are modules at all: the driver of the
/// PC's keyboard controller makes its own device, and the keyboards behind it are asked for by alias then.
pub(crate) const ALWAYS: &[&str] = &["i8042"];
