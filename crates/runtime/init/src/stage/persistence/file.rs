//! A file beside the ISO that was booted.

use super::disk::{Beside, doing};
use super::{Job, Trouble};
use crate::system::{Access, Kind, MountFlags};

const MIB: u64 = 1 << 20;
/// The longest file on FAT, in whole MiB.
const FAT_MAX: u64 = (4 << 30) - MIB;

impl Job<'_, '_> {
    /// Mounts the file system in the file at `name` of the ISO's file system; makes it where there is no such file.
    pub(super) fn mount_file(
        &mut self,
        carrier: &Beside,
        name: &str,
        mib: u64,
    ) -> Result<(), Trouble> {
        let path = format!("{}/{name}", carrier.path);
        let exists = self.boot.system.kind(&path).is_ok();
        if exists && !self.is_there(&path, Kind::File) {
            return Err(format!("{path} is no file"));
        }
        let access = match self.request.layer.read_only {
            true => Access::Read,
            false => Access::Write,
        };
        if access == Access::Write {
            let flags = MountFlags::empty();
            let written = self.boot.system.remount(&carrier.path, flags, "");
            written.map_err(doing(&format!(
                "the {} file system of the ISO cannot be written",
                carrier.kind
            )))?;
        } else if !exists {
            return Err(format!("there is no {path}"));
        }
        if !exists {
            self.new_file(carrier, &path, mib)?;
        }
        let device = self.boot.system.attach_loop(&path, access);
        let device = device.map_err(doing(&path))?;
        self.mount_store(&device)
            .map_err(|trouble| format!("{path}: {trouble}"))
    }

    /// Makes the file under another name first: what has the name is whole.
    fn new_file(&mut self, carrier: &Beside, path: &str, mib: u64) -> Result<(), Trouble> {
        let is_fat = matches!(carrier.kind.as_str(), "vfat" | "msdos");
        let wished = mib.saturating_mul(MIB).max(self.least_len());
        let len = if is_fat { wished.min(FAT_MAX) } else { wished };
        let free = self.boot.system.free_space(&carrier.path);
        let free = free.map_err(doing(&carrier.path))?;
        // Where files have no holes all of it is written at once.
        if free < if is_fat { len } else { self.least_len() } {
            return Err(format!(
                "{} has {} MiB free, and the file has {}",
                carrier.path,
                free / MIB,
                len / MIB
            ));
        }
        let new = format!("{path}.new");
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.boot.system.make_dir(folder).map_err(doing(folder))?;
        }
        self.boot
            .step(&format!("making {path} with {} MiB", len / MIB));
        let created = self.boot.system.create_sparse(&new, len);
        let made = created.map_err(doing(&new)).and_then(|()| {
            let device = self.boot.system.attach_loop(&new, Access::Write);
            let device = device.map_err(doing(&new))?;
            let made = self.create(&device, contract::request::persistence::LABEL);
            let detached = self.boot.system.detach_loop(&device);
            made?;
            detached.map_err(doing(&device))
        });
        if made.is_err() {
            // It takes room, and is of no use.
            let _ = self.boot.system.remove(&new);
        }
        made?;
        self.boot.system.sync();
        self.boot.system.rename(&new, path).map_err(doing(path))?;
        self.boot.system.sync();
        Ok(())
    }
}
