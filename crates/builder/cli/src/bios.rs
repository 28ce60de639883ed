//! The boot loader for BIOS machines: its files, from the image or from this machine, and how the ISO starts it.

use std::path::Path;

use block::{Content, DiskFile, Error, ReadAt as _, Result};
use bootloader::bios::{CoreOptions, DEFAULT_MODULES, core_image, is_media_file, isolinux};
use bootloader::live::{LiveBoot, LiveConfig};
use config::BiosLoader;
use formats::iso9660::{BiosBoot, BootInfo, HybridKind, HybridMbr};
use media::files::Files;
use tree::{Tree, TreePath};

/// Where this machine keeps GRUB's files for BIOS machines (Debian, Ubuntu, Fedora, Arch, openSUSE).
const HOST_FOLDERS: [&str; 2] = ["/usr/lib/grub/i386-pc", "/usr/share/grub2/i386-pc"];

/// The largest file of a boot loader, in bytes; the largest of GRUB's modules has some 500 KiB.
const MAX_FILE: usize = 16 << 20;

/// The folder of this machine, where it has one.
fn host_folder() -> Option<&'static Path> {
    HOST_FOLDERS
        .iter()
        .map(Path::new)
        .find(|folder| folder.join("kernel.img").is_file())
}

/// Whether this machine has GRUB's files for BIOS machines.
pub(crate) fn host_has_grub() -> bool {
    host_folder().is_some()
}

/// The boot menu of the media.
#[derive(Debug)]
pub(crate) struct Menu<'a> {
    /// What the media boot.
    pub(crate) boot: &'a LiveBoot,
    /// The configuration made of that.
    pub(crate) config: &'a LiveConfig,
}

/// Puts the boot loader among the files of the media.
pub(crate) fn put(
    loader: &BiosLoader,
    tree: &Tree<Content>,
    menu: &Menu<'_>,
    files: &mut Files,
) -> Result<BiosBoot> {
    let grub_folder = menu.boot.grub_folder.trim_start_matches('/');
    match loader {
        BiosLoader::GrubOfImage(folder) => {
            let below = |name: &str| format!("{folder}/{name}");
            let names = tree
                .list(folder.as_bytes())
                .map(|(name, _)| name.to_string())
                .collect();
            let read = |name: &str| read_from_tree(tree, &below(name));
            put_grub(names, &read, grub_folder, files)
        }
        BiosLoader::GrubOfHost => {
            let folder = host_folder().ok_or_else(|| {
                Error::not_found("reading GRUB's files for BIOS machines", "they are gone")
            })?;
            let read = |name: &str| read_from_host(folder, name);
            put_grub(names_on_host(folder)?, &read, grub_folder, files)
        }
        BiosLoader::Isolinux { program, modules } => {
            put_isolinux(program, modules.as_ref(), tree, menu, files)
        }
    }
}

fn put_grub(
    mut names: Vec<String>,
    read: &dyn Fn(&str) -> Result<Option<Vec<u8>>>,
    grub_folder: &str,
    files: &mut Files,
) -> Result<BiosBoot> {
    let options = CoreOptions {
        prefix: &format!("/{grub_folder}"),
        config: None,
        modules: DEFAULT_MODULES,
    };
    let core = core_image(read, &options)?;
    names.sort();
    for name in names.iter().filter(|name| is_media_file(name)) {
        if let Some(bytes) = read(name)? {
            files.put(
                &format!("{grub_folder}/i386-pc/{name}"),
                Content::from_bytes(bytes),
            )?;
        }
    }
    let image = format!("{grub_folder}/{}", contract::media::BIOS_IMAGE_NAME);
    files.put(&image, Content::from_bytes(core.eltorito))?;
    Ok(BiosBoot {
        image: media_path(&image)?,
        load_sectors: 4,
        info: BootInfo::Grub2,
        mbr: Some(HybridMbr {
            code: core.hybrid_mbr,
            kind: HybridKind::Grub2,
        }),
    })
}

fn put_isolinux(
    program: &TreePath,
    modules: Option<&TreePath>,
    tree: &Tree<Content>,
    menu: &Menu<'_>,
    files: &mut Files,
) -> Result<BiosBoot> {
    let folders: Vec<TreePath> = program
        .parent()
        .into_iter()
        .chain(modules.cloned())
        .collect();
    let read = |name: &str| {
        let found = folders
            .iter()
            .find_map(|folder| tree.file(format!("{folder}/{name}")));
        found.map(|content| content.read_all(MAX_FILE)).transpose()
    };
    let made = isolinux(&read, menu.boot, &menu.config.entries)?;
    for (path, bytes) in made.files {
        files.put(&path, Content::from_bytes(bytes))?;
    }
    Ok(BiosBoot {
        image: media_path(&made.image)?,
        load_sectors: 4,
        info: BootInfo::BootInfoTable,
        mbr: made.hybrid_mbr.map(|code| HybridMbr {
            code,
            kind: HybridKind::Isolinux,
        }),
    })
}

fn media_path(path: &str) -> Result<TreePath> {
    TreePath::parse(path)
        .map_err(|error| Error::corrupt("a path of the media", "").caused_by(error))
}

fn read_from_tree(tree: &Tree<Content>, path: &str) -> Result<Option<Vec<u8>>> {
    tree.file(path)
        .map(|content| content.read_all(MAX_FILE))
        .transpose()
}

fn read_from_host(folder: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let file = DiskFile::open(&path)?;
    block::read_vec(
        &file,
        0,
        file.len(),
        MAX_FILE,
        "GRUB's files for BIOS machines",
    )
    .map(Some)
}

fn names_on_host(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::io("reading the folder", error).in_file(folder);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}
