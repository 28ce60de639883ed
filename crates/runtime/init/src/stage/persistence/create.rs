//! A new file system, encrypted or not.

use contract::request::persistence::{ENCRYPTED_LABEL, FileSystem};
use formats::ext4;

use super::disk::doing;
use super::partition::chain;
use super::{Job, Trouble};
use crate::system::Kind;

/// Where a program may be in an initramfs.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
const MIB: u64 = 1 << 20;
/// What the header of an encrypted volume takes.
const LUKS_HEADER: u64 = 16 * MIB;

impl Job<'_, '_> {
    /// How much a new layer needs at least, in bytes: what its file system's own program asks for.
    pub(super) fn least_len(&self) -> u64 {
        let own = match self.wish.file_system {
            FileSystem::Ext4 => ext4::MIN_LEN,
            FileSystem::Btrfs => 128 * MIB,
            FileSystem::Xfs => 304 * MIB,
        };
        let header = if self.wish.encrypted { LUKS_HEADER } else { 0 };
        own.saturating_add(header)
    }

    /// Makes a file system of the wished kind on a device, inside an encrypted volume where that was asked for.
    pub(super) fn create(&mut self, device: &str, label: &str) -> Result<(), Trouble> {
        if !self.wish.encrypted {
            return self.create_file_system(device, label);
        }
        self.encrypt(device, ENCRYPTED_LABEL)?;
        let opened = self.unlock(device)?;
        let made = self.create_file_system(&opened, label);
        let locked = self.lock();
        made?;
        locked
    }

    fn create_file_system(&mut self, device: &str, label: &str) -> Result<(), Trouble> {
        match self.wish.file_system {
            FileSystem::Ext4 => self.create_ext4(device, label),
            FileSystem::Xfs => self.tool("mkfs.xfs", &["-q", "-f", "-L", label, device], b""),
            FileSystem::Btrfs => self.tool("mkfs.btrfs", &["-q", "-f", "-L", label, device], b""),
        }
    }

    fn create_ext4(&mut self, device: &str, label: &str) -> Result<(), Trouble> {
        let system = &mut *self.boot.system;
        let mut uuid = system.random().map_err(doing("no random bytes"))?;
        // A random one, as RFC 9562 marks it (version 4).
        if let Some(byte) = uuid.get_mut(6) {
            *byte = (*byte & 0x0f) | 0x40;
        }
        if let Some(byte) = uuid.get_mut(8) {
            *byte = (*byte & 0x3f) | 0x80;
        }
        let target = system.open_to_write(device).map_err(doing(device))?;
        let wish = ext4::Wish {
            len: target.len(),
            label: label.to_owned(),
            uuid,
            time: system.date(),
        };
        let made = ext4::create(&*target, &wish);
        made.map_err(|error| format!("{device}: {}", chain(&error)))?;
        target.sync().map_err(doing(device))
    }

    /// Runs a program that must be in the initramfs and must succeed.
    pub(super) fn tool(
        &mut self,
        name: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<(), Trouble> {
        let paths = FOLDERS.map(|folder| format!("{folder}/{name}"));
        let path = paths.iter().find(|path| self.is_there(path, Kind::File));
        let path = path.ok_or_else(|| format!("{name} is not in the initramfs"))?;
        let done = self.boot.system.run(path, arguments, input);
        let done = done.map_err(doing(path))?;
        if done.succeeded {
            return Ok(());
        }
        let said = done.output.lines().last().unwrap_or("it said nothing");
        Err(format!("{name} did not succeed: {said}"))
    }
}
