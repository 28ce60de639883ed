//! What is on an ISO: how it boots, its boot entries, and the system in its root file system image.

use std::sync::Arc;

use block::{Content, ReadAt, Result};
use bootloader::grub::{Script, Visit};
use formats::iso9660::{self, BootEntry, Platform};
use formats::squashfs;
use inspect::Facts;
use serde::Serialize;
use tree::Tree;

/// The longest `grub.cfg` that is shown, in bytes.
const MAX_CONFIG: usize = 1 << 20;

/// Where the root file system image is looked for: ours, dracut's, and the one of other tools.
const ROOT_IMAGES: [&str; 2] = [contract::media::ROOT_IMAGE, "LiveOS/squashfs.img"];

/// An ISO.
#[derive(Debug, Serialize)]
pub(crate) struct IsoReport {
    /// The volume identifier.
    pub(crate) volume_id: String,
    /// The El Torito boot images, one line each.
    pub(crate) boot_images: Vec<String>,
    /// What the boot menu starts.
    pub(crate) entries: Vec<EntryReport>,
    /// The root file system image.
    pub(crate) root_image: Option<RootImageReport>,
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

/// The root file system image.
#[derive(Debug, Serialize)]
pub(crate) struct RootImageReport {
    /// Its path on the ISO.
    pub(crate) path: String,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// Its format.
    pub(crate) format: &'static str,
}

/// Looks at the ISO `image`.
///
/// # Errors
///
/// Whatever reading answers.
pub(crate) fn inspect(image: &Arc<dyn ReadAt>) -> Result<(IsoReport, Option<Facts>)> {
    let tree = iso9660::read_tree(Arc::clone(image))?;
    let volume_id = iso9660::probe(&**image)?
        .map(|identity| identity.label)
        .unwrap_or_default();
    let boot_images = iso9660::boot_catalog(&**image)?
        .iter()
        .map(boot_image)
        .collect();
    let mut report = IsoReport {
        volume_id,
        boot_images,
        entries: entries(&tree),
        root_image: None,
        media_check: tree.file(contract::media::CHECKSUMS).is_some(),
    };
    let found = ROOT_IMAGES
        .iter()
        .find_map(|path| Some((*path, tree.file(path)?)));
    let Some((path, content)) = found else {
        return Ok((report, None));
    };
    let bytes: Arc<dyn ReadAt> = Arc::new(content.clone());
    let format = source::volume::identify(&*bytes)?.map_or("unknown", |identity| identity.format);
    report.root_image = Some(RootImageReport {
        path: path.to_owned(),
        len: content.len(),
        format,
    });
    let system = match format {
        "squashfs" => Some(inspect::facts(&squashfs::read_tree(bytes)?)?),
        _ => None,
    };
    Ok((report, system))
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
