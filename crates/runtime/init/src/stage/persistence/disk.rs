//! What the medium lies on.

use std::io;

use contract::media;

use super::super::find::{disk_of, node};
use super::{Job, Trouble};
use crate::probe::{self, Identity};
use crate::system::Kind;

const BLOCK: &str = "/sys/class/block";
/// The longest attribute that is read, in bytes: sysfs has at most a page.
const ATTRIBUTE: usize = 4096;
/// The longest table of mounts that is read, in bytes.
const MOUNTS: usize = 256 * 1024;

/// What the medium lies on.
#[derive(Debug)]
pub(super) enum Carrier {
    /// A disk, which may have room for a partition.
    Disk(Disk),
    /// It is an ISO file on this file system.
    Beside(Beside),
    /// Nothing can be written there, which is as it should be.
    Fixed(String),
}

/// The disk that the medium lies on.
#[derive(Debug)]
pub(super) struct Disk {
    /// The kernel's name.
    pub(super) name: String,
    /// The size of its sectors in bytes.
    pub(super) sector_size: u64,
    /// Whether it is in use as a whole: the kernel mounts no partition of it then.
    pub(super) held: bool,
}

/// A mounted file system with the ISO that was booted.
#[derive(Debug)]
pub(super) struct Beside {
    /// Where it is mounted.
    pub(super) path: String,
    /// Its kind, as the kernel names it.
    pub(super) kind: String,
}

/// A partition of the disk.
#[derive(Debug)]
pub(super) struct Part {
    /// The kernel's name.
    pub(super) name: String,
    /// Where it begins, in bytes from the start of the disk.
    pub(super) start: u64,
    /// Its length in bytes.
    pub(super) len: u64,
}

/// A line of the table of mounts.
#[derive(Debug)]
pub(super) struct Mounted {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) kind: String,
}

impl Job<'_, '_> {
    /// What the medium lies on.
    pub(super) fn carrier(&self) -> Result<Carrier, Trouble> {
        let name = self.medium.name.as_str();
        if self.medium.url.is_some() {
            return Err("the medium came over the network".to_owned());
        }
        if let Some(carrier) = &self.medium.carrier {
            let mounted = self.mounts().into_iter();
            return match mounted.rev().find(|it| it.target == media::ISO_SCAN) {
                Some(it) => Ok(Carrier::Beside(Beside {
                    path: it.target,
                    kind: it.kind,
                })),
                None => Err(format!("{} is not in use any more", node(&carrier.name))),
            };
        }
        if name.starts_with("sr") {
            let reason = format!("{} is a disc, which is not written to", node(name));
            return Ok(Carrier::Fixed(reason));
        }
        if name.starts_with("loop") {
            return Err(format!("nothing is known of what {} lies on", node(name)));
        }
        let is_partition = self.boot.system.kind(&format!("{BLOCK}/{name}/partition"));
        let disk = if is_partition.is_ok() {
            disk_of(self.boot, name)
                .ok_or_else(|| format!("no disk has the partition {}", node(name)))?
        } else {
            name.to_owned()
        };
        if self.number(&format!("{BLOCK}/{disk}/ro")) == Some(1) {
            return Ok(Carrier::Fixed(format!("{} is read-only", node(&disk))));
        }
        let path = node(&disk);
        let held = self.mounts().iter().any(|it| it.source == path);
        let sector_size = self.number(&format!("{BLOCK}/{disk}/queue/logical_block_size"));
        Ok(Carrier::Disk(Disk {
            sector_size: sector_size.unwrap_or(512),
            name: disk,
            held,
        }))
    }

    /// The partitions of a disk that the kernel knows, by their names.
    pub(super) fn parts(&self, disk: &str) -> Vec<Part> {
        let folder = format!("{BLOCK}/{disk}");
        let names = self.boot.system.list(&folder).unwrap_or_default();
        let part = |name: String| {
            self.number(&format!("{folder}/{name}/partition"))?;
            // The kernel counts in sectors of 512 bytes here, whatever the disk's are.
            let [start, len] = ["start", "size"].map(|what| {
                let sectors = self.number(&format!("{folder}/{name}/{what}"))?;
                sectors.checked_mul(512)
            });
            Some(Part {
                name,
                start: start?,
                len: len?,
            })
        };
        names.into_iter().filter_map(part).collect()
    }

    /// What is mounted, in order.
    pub(super) fn mounts(&self) -> Vec<Mounted> {
        let table = self.boot.system.read("/proc/self/mounts", MOUNTS);
        let table = table.unwrap_or_default();
        let text = String::from_utf8_lossy(&table);
        let mounted = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Some(Mounted {
                source: words.next()?,
                target: words.next()?,
                kind: words.next()?,
            })
        };
        text.lines().filter_map(mounted).collect()
    }

    /// The file system of a device; `None` where it is none that is known, or cannot be read.
    pub(super) fn identity(&self, device: &str) -> Option<Identity> {
        let opened = self.boot.system.open(device);
        opened.and_then(|it| probe::probe(&*it)).ok().flatten()
    }

    fn number(&self, path: &str) -> Option<u64> {
        let bytes = self.boot.system.read(path, ATTRIBUTE).ok()?;
        str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }

    /// Whether something is there.
    pub(super) fn is_there(&self, path: &str, kind: Kind) -> bool {
        self.boot.system.kind(path).ok() == Some(kind)
    }
}

/// A line for people: what was done, and what came of it.
pub(super) fn doing(what: &str) -> impl FnOnce(io::Error) -> Trouble {
    move |error| format!("{what}: {error}")
}
