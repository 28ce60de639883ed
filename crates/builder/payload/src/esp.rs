//! The ESP: a FAT file system with what UEFI firmware starts, which is the El Torito image for UEFI as well.
//!
//! ```text
//! EFI/BOOT/BOOTX64.EFI     shim, as the distribution signed it
//! EFI/BOOT/grubx64.efi     GRUB, as the distribution signed it: what shim starts
//! EFI/BOOT/mmx64.efi       shim's key manager, where the image has it
//! EFI/BOOT/grub.cfg, EFI/<vendor>/grub.cfg    the way to the configuration on the media
//! ```

use block::{Content, Error, MemoryTarget, ReadAt as _, Result};
use formats::fat;
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

/// The largest EFI program that is taken, in bytes; the largest GRUB has some 5 MiB. A larger one is refused.
const MAX_PROGRAM: u64 = 64 << 20;

/// The files of the ESP by their path on it, which are on the ISO at the same path: some firmware and some writers of USB sticks look there.
pub type EspFiles = Vec<(String, Content)>;

/// What the ESP is made of: contents of the image, never modified.
#[derive(Debug)]
pub struct Programs {
    /// The architecture's name in UEFI file names: `x64`, `aa64`.
    pub suffix: &'static str,
    /// What firmware starts.
    pub shim: Content,
    /// What shim starts.
    pub grub: Content,
    /// Shim's key manager.
    pub mok_manager: Option<Content>,
}

/// The ESP's files: the programs under the names by which firmware and shim know them, and `configs` (paths on the ESP).
///
/// # Errors
///
/// [`Kind::Limit`](block::Kind::Limit) where a program is larger than any real one.
pub fn files(programs: Programs, configs: Vec<(String, Vec<u8>)>) -> Result<EspFiles> {
    let Programs {
        suffix,
        shim,
        grub,
        mok_manager,
    } = programs;
    let first = format!("EFI/BOOT/BOOT{}.EFI", suffix.to_ascii_uppercase());
    let mut files = vec![(first, shim), (format!("EFI/BOOT/grub{suffix}.efi"), grub)];
    files.extend(mok_manager.map(|program| (format!("EFI/BOOT/mm{suffix}.efi"), program)));
    if let Some((path, program)) = files
        .iter()
        .find(|(_, program)| program.len() > MAX_PROGRAM)
    {
        let message = format!(
            "{} bytes, and at most {MAX_PROGRAM} are taken",
            program.len()
        );
        return Err(Error::limit(format!("the EFI program {path}"), message));
    }
    files.extend(
        configs
            .into_iter()
            .map(|(path, bytes)| (path, Content::from_bytes(bytes))),
    );
    Ok(files)
}

/// The ESP as a FAT file system that is as small as it can be. `time` is the time of all its files.
///
/// # Errors
///
/// Whatever reading the programs answers; what FAT cannot hold.
pub fn image(files: &EspFiles, time: Timestamp) -> Result<Vec<u8>> {
    let refuse = |error: tree::Error| Error::corrupt("making the ESP", "").caused_by(error);
    let metadata = |permissions| Metadata {
        mtime: time,
        ..Metadata::with_permissions(permissions)
    };
    let mut tree = Tree::new(metadata(0o755));
    for (path, content) in files {
        let path = TreePath::parse(path).map_err(refuse)?;
        if let Some(folder) = path.parent() {
            tree.make_directories(&folder, &metadata(0o755))
                .map_err(refuse)?;
        }
        let node = Node::File(content.clone());
        tree.put(&path, Inode::new(metadata(0o644), node))
            .map_err(refuse)?;
    }
    let options = fat::Options {
        label: "ESP".to_owned(),
        // Where mkfs.fat takes the clock.
        serial: u32::try_from(time.seconds).unwrap_or(u32::MAX),
        time,
        ..fat::Options::default()
    };
    let checked = fat::Checked::new(&tree, &options)?;
    let target = MemoryTarget::new();
    fat::write(&checked, &target).map_err(|error| error.while_doing("making the ESP"))?;
    Ok(target.into_bytes())
}
