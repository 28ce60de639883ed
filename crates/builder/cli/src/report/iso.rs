//! What is on an ISO: how it boots, its boot entries, and where its root file system is.

use std::sync::Arc;

use block::{Content, ReadAt, Result};
use bootloader::grub::{Script, Visit};
use formats::iso9660::{self, BootEntry, Platform};
use serde::Serialize;
use source::{Media, RootOnMedia};
use tree::Tree;

/// The longest `grub.cfg` that is shown, in bytes.
const MAX_CONFIG: usize = 1 << 20;

/// An ISO.
#[derive(Debug, Serialize)]
pub(crate) struct IsoReport {
    /// The volume identifier.
    pub(crate) volume_id: String,
    /// The El Torito boot images, one line each.
    pub(crate) boot_images: Vec<String>,
    /// What the boot menu starts.
    pub(crate) entries: Vec<EntryReport>,
    /// The kernels on it.
    pub(crate) kernels: Vec<KernelReport>,
    /// The root file system image; `null` where the ISO holds no live system.
    pub(crate) root_image: Option<RootImageReport>,
    /// Whether a later build finds what this one was asked for.
    pub(crate) saved_settings: bool,
    /// Whether there is a media check table.
    pub(crate) media_check: bool,
}

/// An entry of the boot menu.
#[derive(Debug, Serialize)]
pub(crate) struct EntryReport {
    /// What the menu shows.
    pub(crate) title: String,
    /// The kernel's path and command line.
    pub(crate) linux: String,
    /// The paths of the initramfs.
    pub(crate) initrd: String,
}

/// A kernel.
#[derive(Debug, Serialize)]
pub(crate) struct KernelReport {
    /// Its path on the ISO.
    pub(crate) path: String,
    /// Its version.
    pub(crate) version: String,
}

/// The root file system image.
#[derive(Debug, Serialize)]
pub(crate) struct RootImageReport {
    /// Its path on the ISO.
    pub(crate) path: String,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// Its format: `squashfs`, `ext4`, or `cpio` where it is the initramfs.
    pub(crate) format: &'static str,
    /// The path in it of the file system image that holds the root; `null` where it holds it itself.
    pub(crate) nested: Option<String>,
}

/// Looks at the ISO of a live medium.
///
/// # Errors
///
/// Whatever reading answers.
pub(crate) fn of_media(media: &Media) -> Result<IsoReport> {
    let mut report = of_tree(&media.disk.image, &media.tree)?;
    report.kernels = media
        .kernels
        .iter()
        .map(|kernel| KernelReport {
            path: kernel.path.to_string(),
            version: kernel.version.clone(),
        })
        .collect();
    let (format, nested) = match &media.root {
        RootOnMedia::Squashfs { nested, .. } => ("squashfs", nested.as_ref()),
        RootOnMedia::FileSystem { format, .. } => (*format, None),
        RootOnMedia::FullOs { .. } => ("cpio", None),
    };
    let path = media.root.path();
    report.root_image = Some(RootImageReport {
        path: path.to_string(),
        len: media.tree.file(path.as_bytes()).map_or(0, ReadAt::len),
        format,
        nested: nested.map(ToString::to_string),
    });
    report.saved_settings = media.saved.is_some();
    Ok(report)
}

/// Looks at an ISO that holds no live system.
///
/// # Errors
///
/// Whatever reading answers.
pub(crate) fn of_image(image: &Arc<dyn ReadAt>) -> Result<IsoReport> {
    of_tree(image, &iso9660::read_tree(Arc::clone(image))?)
}

fn of_tree(image: &Arc<dyn ReadAt>, tree: &Tree<Content>) -> Result<IsoReport> {
    let volume_id = iso9660::probe(&**image)?
        .map(|identity| identity.label)
        .unwrap_or_default();
    Ok(IsoReport {
        volume_id,
        boot_images: iso9660::boot_catalog(&**image)?
            .iter()
            .map(boot_image)
            .collect(),
        entries: entries(tree),
        kernels: Vec::new(),
        root_image: None,
        saved_settings: false,
        media_check: tree.file(contract::media::CHECKSUMS).is_some(),
    })
}

/// A boot image on one line.
fn boot_image(entry: &BootEntry) -> String {
    let platform = match entry.platform {
        Platform::X86 => "BIOS".to_owned(),
        Platform::Efi => "UEFI".to_owned(),
        other => format!("{other:?}"),
    };
    let emulation = if entry.emulation == 0 {
        "no emulation"
    } else {
        "emulation"
    };
    let bootable = if entry.bootable { "" } else { ", not bootable" };
    format!(
        "{platform}, {emulation}, at byte {}, {} sectors{bootable}",
        entry.offset, entry.load_sectors
    )
}

/// The entries of the boot menu; none where there is no configuration that can be read.
fn entries(tree: &Tree<Content>) -> Vec<EntryReport> {
    let folders = [contract::media::GRUB2_DIR, contract::media::GRUB_DIR];
    let config = folders
        .iter()
        .find_map(|folder| tree.file(format!("{folder}/{}", contract::media::GRUB_CONFIG_NAME)));
    let script = config
        .and_then(|content| content.read_all(MAX_CONFIG).ok())
        .and_then(|bytes| Script::parse(bytes).ok());
    let Some(script) = script else {
        return Vec::new();
    };
    let mut entries: Vec<EntryReport> = Vec::new();
    for visit in script.commands() {
        note(&script, &visit, &mut entries);
    }
    entries
}

/// Takes note of a `linux` or `initrd` command in a menu entry.
fn note(script: &Script, visit: &Visit<'_>, entries: &mut Vec<EntryReport>) {
    let Some(entry) = visit
        .within
        .last()
        .filter(|entry| entry.name() == Some("menuentry"))
    else {
        return;
    };
    let (Some(first), Some(last)) = (
        visit.command.arguments().first(),
        visit.command.arguments().last(),
    ) else {
        return;
    };
    let arguments = script.text(&(first.span.start..last.span.end)).into_owned();
    match visit.command.name() {
        Some("linux" | "linux16" | "linuxefi") => entries.push(EntryReport {
            title: entry
                .arguments()
                .first()
                .map(|title| title.expand(&|_| None))
                .unwrap_or_default(),
            linux: arguments,
            initrd: String::new(),
        }),
        Some("initrd" | "initrd16" | "initrdefi") => {
            if let Some(entry) = entries.last_mut() {
                entry.initrd = arguments;
            }
        }
        _ => {}
    }
}
