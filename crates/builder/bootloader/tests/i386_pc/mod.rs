//! GRUB's files for BIOS machines, as this machine has them.

use std::path::Path;

use block::Result;

/// GRUB's module folder of this machine.
pub(crate) const FOLDER: &str = "/usr/lib/grub/i386-pc";

/// The files of that folder.
pub(crate) fn system_files(name: &str) -> Result<Option<Vec<u8>>> {
    Ok(std::fs::read(Path::new(FOLDER).join(name)).ok())
}
