//! The folder with GRUB's files for BIOS machines, as something that can be asked for a file by name.

use block::{Error, Result};

/// The largest file that is read from a module folder. The largest of GRUB 2.12 (a font-rendering or crypto module, unstripped) has
/// under 1 MiB; a larger one is refused.
pub(super) const FILE_LIMIT: usize = 4 << 20;

/// A folder of GRUB's files for BIOS machines (`i386-pc`), asked by file name: `kernel.img`, `normal.mod`.
///
/// The answer is `None` where the folder has no such file. The name never holds a `/`.
pub type Files<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>>;

/// Whether a file of GRUB's module folder has to be at `<prefix>/i386-pc/` on the media.
///
/// These are the modules and the lists that say which module has which command, file system, terminal and so on. Images that only
/// serve to make core images are left out.
#[must_use]
pub fn is_media_file(name: &str) -> bool {
    name.ends_with(".mod") || name.ends_with(".lst")
}

/// The file `name`, or an error that says which package has it.
pub(super) fn required(files: Files<'_>, name: &str) -> Result<Vec<u8>> {
    let missing = || {
        Error::not_found(
            "putting GRUB's BIOS core image together",
            format!(
                "{name} is not in the i386-pc folder; it comes with the package grub-pc-bin (Debian, Ubuntu) or grub2-pc-modules (Fedora, openSUSE: grub2-i386-pc)"
            ),
        )
    };
    let bytes = files(name)?.ok_or_else(missing)?;
    if bytes.len() > FILE_LIMIT {
        let message = format!("{} bytes, and at most {FILE_LIMIT} are read", bytes.len());
        return Err(Error::limit(format!("GRUB's {name}"), message));
    }
    Ok(bytes)
}

/// The file `name`, which has exactly `len` bytes: boot sectors.
pub(super) fn required_sized(files: Files<'_>, name: &str, len: usize) -> Result<Vec<u8>> {
    let bytes = required(files, name)?;
    if bytes.len() != len {
        let message = format!("{} bytes where it has {len}", bytes.len());
        return Err(Error::corrupt(format!("GRUB's {name}"), message));
    }
    Ok(bytes)
}
