//! `iso` and `pxe`: what is on the media and how it boots.

use contract::request::persistence::FileSystem;
use mediacheck::Styles;

use crate::file::fields::{Fields, Marked, Section};
use crate::file::form::{Key, key};
use crate::file::rule;
use crate::file::section::files::ADDITIONAL_FILE;
use crate::file::shape::{Choice, Flag, Text};
use crate::settings::{AdditionalFile, InitramfsType, KdumpBootFiles, PersistenceSettings};

pub(super) const ISO: Section<MediaValues> = Section("Iso", iso);
pub(super) const PXE: Section<MediaValues> = Section("Pxe", pxe);
pub(super) const KERNEL_COMMAND_LINE: Section<Vec<String>> =
    Section("KernelCommandLine", command_line);

/// `iso` or `pxe`, as one file has it.
#[derive(Debug, Default)]
pub(in crate::file) struct MediaValues {
    pub(in crate::file) extra_command_line: Vec<String>,
    pub(in crate::file) additional_files: Vec<AdditionalFile>,
    pub(in crate::file) initramfs_type: Option<InitramfsType>,
    pub(in crate::file) kdump_boot_files: Option<KdumpBootFiles>,
    pub(in crate::file) bootstrap_base_url: Option<Marked<String>>,
    pub(in crate::file) bootstrap_file_url: Option<Marked<String>>,
    pub(in crate::file) volume_id: Option<String>,
    pub(in crate::file) implanted: Option<Styles>,
    pub(in crate::file) persistence: Option<PersistenceSettings>,
}

const INITRAMFS_TYPES: Choice<InitramfsType> = Choice(&[
    (
        "bootstrap",
        InitramfsType::Bootstrap,
        "a small initramfs finds the root file system image",
    ),
    (
        "full-os",
        InitramfsType::FullOs,
        "the whole system is in the initramfs",
    ),
]);

const KDUMP_BOOT_FILES: Choice<KdumpBootFiles> = Choice(&[
    ("none", KdumpBootFiles::None, "on the media"),
    (
        "keep",
        KdumpBootFiles::Keep,
        "in the root file system's `/boot`",
    ),
]);

const MEDIA_CHECKS: Choice<Styles> = Choice(&[
    (
        "off",
        Styles::None,
        "none, and the ISO is not read once more",
    ),
    (
        "isomd5sum",
        Styles::Isomd5sum,
        "an MD5 with fragment sums, as `implantisomd5` writes and `checkisomd5` reads it",
    ),
    (
        "tagmedia",
        Styles::Tagmedia,
        "SHA-256 of the ISO and of its last partition, as `tagmedia` writes and `checkmedia` reads it",
    ),
    (
        "both",
        Styles::Both,
        "the two beside each other, the MD5 without fragment sums",
    ),
]);

const FILE_SYSTEMS: Choice<FileSystem> = Choice(&[
    ("ext4", FileSystem::Ext4, "needs no program"),
    ("xfs", FileSystem::Xfs, "made by `mkfs.xfs` of the image"),
    (
        "btrfs",
        FileSystem::Btrfs,
        "made by `mkfs.btrfs` of the image",
    ),
]);

pub(super) const PERSISTENCE: Section<PersistenceSettings> = Section("Persistence", persistence);

fn persistence(fields: &mut Fields<'_>) -> PersistenceSettings {
    let file_system = key("fileSystem", "The file system of the partition.")
        .default("`ext4`")
        .ours();
    let encrypted = key(
        "encrypted",
        "Whether the partition is encrypted (LUKS2, by `cryptsetup` of the image): the first boot asks for a passphrase, and each boot after it for the same, on the console. A passphrase in the initramfs at `/etc/liveos/passphrase` is used instead.",
    )
    .default("`false`")
    .ours();
    PersistenceSettings {
        file_system: fields.get(file_system, &FILE_SYSTEMS).unwrap_or_default(),
        encrypted: fields.get(encrypted, &Flag).unwrap_or_default(),
    }
}

/// The keys that both sections have.
fn both(fields: &mut Fields<'_>, initramfs_type: Key) -> MediaValues {
    let command_line = key(
        "kernelCommandLine",
        "Kernel parameters of the media, not of the image.",
    );
    let files = key(
        "additionalFiles",
        "Files of the media, not of the root file system; they win over files of ours. Under a bootstrap ISO they appear in `/run/initramfs/live`.",
    );
    let kdump = key(
        "kdumpBootFiles",
        "Where the initramfs and the kernel of kdump go.",
    )
    .default("`none`");
    MediaValues {
        extra_command_line: fields
            .get(command_line, &KERNEL_COMMAND_LINE)
            .unwrap_or_default(),
        additional_files: fields.list(files, ADDITIONAL_FILE),
        initramfs_type: fields.get(initramfs_type, &INITRAMFS_TYPES),
        kdump_boot_files: fields.get(kdump, &KDUMP_BOOT_FILES),
        ..MediaValues::default()
    }
}

fn iso(fields: &mut Fields<'_>) -> MediaValues {
    let initramfs_type = key("initramfsType", "What kind of initramfs boots the ISO.")
        .default("the type of the live media that are built from, else `bootstrap`");
    let mut values = both(fields, initramfs_type);
    let volume_id = key(
        "volumeId",
        "The volume identifier, which the boot configuration looks for: give media that may meet in one machine different ones.",
    )
    .default("`CDROM`")
    .ours();
    let checks = key(
        "mediaCheck",
        "By which checksums other programs can check the ISO, beside the media check of our own, which all media have.",
    )
    .default("`off`; `isomd5sum` where dracut's own live modules boot the ISO, whose `rd.live.check` reads nothing else")
    .ours();
    let persistence = key(
        "persistence",
        "What the live system writes stays on the stick that it is booted from: in a partition that the first boot makes behind the media, or in a file beside an ISO that is booted as a file. Where nothing can be written, and on a CD, the system keeps what it writes in memory. `{}` takes all defaults.",
    )
    .default("none: what is written is gone at power-off")
    .ours();
    values.persistence = fields.get(persistence, &PERSISTENCE);
    values.implanted = fields.get(checks, &MEDIA_CHECKS);
    values.volume_id = fields.get(volume_id, &Text::of("a volume identifier", volume));
    values
}

fn volume(text: &str) -> rule::Checked {
    match formats::iso9660::VolumeId::new(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("is no volume identifier: {error}")),
    }
}

fn pxe(fields: &mut Fields<'_>) -> MediaValues {
    let initramfs_type = key(
        "initramfsType",
        "What kind of initramfs boots from the network.",
    )
    .default("the type of the live media that are built from, else `full-os`");
    let mut values = both(fields, initramfs_type);
    let base = key(
        "bootstrapBaseUrl",
        "The folder that a bootstrap initramfs gets `image.iso` from: `ftp`, `http`, `https`, `nfs` or `tftp`. Not beside `bootstrapFileUrl` or `initramfsType: full-os`, in whichever files of the chain they stand.",
    );
    let file = key(
        "bootstrapFileUrl",
        "The file that a bootstrap initramfs gets; its last part is the name of the ISO among the output. As `bootstrapBaseUrl` otherwise.",
    );
    values.bootstrap_base_url = fields.marked(base, &Text::of("an address", rule::url));
    values.bootstrap_file_url = fields.marked(file, &Text::of("an address", rule::file_url));
    values
}

fn command_line(fields: &mut Fields<'_>) -> Vec<String> {
    let extra = key(
        "extraCommandLine",
        "Parameters, one in each item, without quotes of a shell or of GRUB.",
    );
    fields.list(extra, Text::of("a kernel parameter", rule::line))
}
