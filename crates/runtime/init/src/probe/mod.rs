//! What file system a device holds, with its label and UUID, from a few bytes: a small `blkid` for what live media are made of.
//!
//! The order counts where several would fit, as old bytes stay behind: first those whose superblock lies at the very start and which
//! wipe what was there, then ISO 9660, whose first 32 KiB may hold anything, then FAT, whose signs are weakest.

mod btrfs;
mod erofs;
mod exfat;
mod ext;
pub(crate) mod extent;
mod fat;
pub(crate) mod field;
mod iso9660;
mod ntfs;
pub(crate) mod partition;
mod squashfs;
mod xfs;

use std::io;

use crate::system::Bytes;

/// What a file system says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name that `mount(2)` takes.
    pub(crate) kind: &'static str,
    /// Its labels without padding; several where the format has several (ISO 9660 with Joliet, FAT). Empty ones are left out.
    pub(crate) labels: Vec<String>,
    /// Its UUID as `blkid` prints it; empty where there is none.
    pub(crate) uuid: String,
}

impl Identity {
    fn new(kind: &'static str, labels: impl IntoIterator<Item = String>, uuid: String) -> Self {
        let mut all: Vec<String> = Vec::new();
        for label in labels {
            let label = label.trim_end_matches([' ', '\0']).to_owned();
            if !label.is_empty() && !all.contains(&label) {
                all.push(label);
            }
        }
        Self {
            kind,
            labels: all,
            uuid,
        }
    }
}

type Probe = fn(&dyn Bytes) -> io::Result<Option<Identity>>;

/// The file system of a device; `None` where it is none that we know.
pub(crate) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let device = &Head::read(device);
    const PROBES: [Probe; 9] = [
        ext::probe,
        xfs::probe,
        btrfs::probe,
        squashfs::probe,
        erofs::probe,
        exfat::probe,
        ntfs::probe,
        iso9660::probe,
        fat::probe,
    ];
    for probe in PROBES {
        if let Some(found) = probe(device)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A device whose first bytes, where almost all superblocks lie, were read at once: a CD drive takes its time for each request.
struct Head<'a> {
    device: &'a dyn Bytes,
    bytes: Vec<u8>,
}

/// Up to the end of Btrfs' superblock, which lies farthest behind.
const HEAD: usize = 68 * 1024;

impl<'a> Head<'a> {
    fn read(device: &'a dyn Bytes) -> Self {
        let len = usize::try_from(device.len()).unwrap_or(HEAD).min(HEAD);
        let mut bytes = vec![0; len];
        // Where one sector of it cannot be read each probe still sees its own.
        if device.read_at(&mut bytes, 0).is_err() {
            bytes.clear();
        }
        Self { device, bytes }
    }
}

impl Bytes for Head<'_> {
    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let held = usize::try_from(offset).ok().and_then(|from| {
            let end = from.checked_add(buf.len())?;
            self.bytes.get(from..end)
        });
        match held {
            Some(held) => {
                buf.copy_from_slice(held);
                Ok(())
            }
            None => self.device.read_at(buf, offset),
        }
    }
}

/// `N` bytes at `offset`; `None` where the device ends before.
fn bytes<const N: usize>(device: &dyn Bytes, offset: u64) -> io::Result<Option<[u8; N]>> {
    let end = u64::try_from(N).ok().and_then(|n| offset.checked_add(n));
    if end.is_none_or(|end| end > device.len()) {
        return Ok(None);
    }
    let mut buffer = [0; N];
    device.read_at(&mut buffer, offset)?;
    Ok(Some(buffer))
}

#[cfg(test)]
mod tests;
