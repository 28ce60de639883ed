//! Changes of finished boot configuration: kernel parameters, and one more initramfs, in every entry of a file.
//!
//! ```text
//! parameters.rs   what is to change, and what becomes of a list of arguments
//! grub.rs  syslinux.rs  entry.rs  ipxe.rs   the same in each boot loader's own language
//! ```
//!
//! Unlike [`live`](crate::live), which makes the media's configuration of an image's, nothing here decides what an entry needs: what was
//! not asked for stays byte for byte.

mod entry;
mod grub;
mod ipxe;
mod parameters;
mod syslinux;

use block::Result;

pub use parameters::{Parameters, protected};

/// The language of a boot configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// GRUB's script.
    Grub,
    /// isolinux, syslinux, extlinux and pxelinux.
    Syslinux,
    /// A Boot Loader Specification entry.
    Entry,
    /// An iPXE script.
    Ipxe,
}

impl Dialect {
    /// The language of the file at `path` on media, by its name and folder; `None` for what is no boot configuration.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let path = path.to_ascii_lowercase();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let (_, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let of_syslinux = ["isolinux", "syslinux", "extlinux", "pxelinux"];
        match ending {
            "conf" if folder.ends_with("loader/entries") => Some(Self::Entry),
            "cfg" | "conf"
                if of_syslinux.iter().any(|program| {
                    name.starts_with(program) || folder.split('/').any(|part| part == *program)
                }) =>
            {
                Some(Self::Syslinux)
            }
            "" if folder.ends_with("pxelinux.cfg") => Some(Self::Syslinux),
            "cfg" => Some(Self::Grub),
            "ipxe" => Some(Self::Ipxe),
            _ => None,
        }
    }
}

/// What is to change in every entry.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The kernel parameters.
    pub parameters: &'a Parameters,
    /// The absolute path on the media of one more initramfs, unpacked after the others.
    pub initramfs: Option<&'a str>,
}

/// An entry that starts Linux, as it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What the menu shows, where the file says it.
    pub title: String,
    /// The kernel, as it is written.
    pub kernel: String,
    /// The initramfs files, as they are written.
    pub initramfs: Vec<String>,
    /// Its parameters, with variables as they are written.
    pub parameters: Vec<String>,
}

/// A file with its change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its entries that start Linux.
    pub lines: Vec<Line>,
    /// What could not be changed, one sentence each.
    pub warnings: Vec<String>,
}

/// Changes a boot configuration file.
///
/// # Errors
///
/// [`block::Kind::Corrupt`] and [`block::Kind::Limit`] for what cannot be read in this language.
pub fn edit(dialect: Dialect, bytes: &[u8], change: &Change<'_>) -> Result<Changed> {
    match dialect {
        Dialect::Grub => grub::edit(bytes, change),
        Dialect::Syslinux => syslinux::edit(bytes, change),
        Dialect::Entry => entry::edit(bytes, change),
        Dialect::Ipxe => ipxe::edit(bytes, change),
    }
}

/// The path of the additional initramfs as it is written beside `known`, another one: with the same device before it, and with the same
/// folder where that holds variables.
fn beside(known: &str, path: &str) -> String {
    if let Some((device, _)) = known.split_once(')').filter(|_| known.starts_with('(')) {
        return format!("{device}){path}");
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    match known.rsplit_once('/') {
        Some((folder, _)) if folder.contains('$') || folder.contains("://") => {
            format!("{folder}/{name}")
        }
        // A relative path stays one.
        Some((folder, _)) if !known.starts_with('/') => format!("{folder}/{name}"),
        None => name.to_owned(),
        Some(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests;
