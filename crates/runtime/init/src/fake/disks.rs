//! Disks of the fake machine: bytes in memory, which are read again as they were written.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use block::{ReadAt, WriteAt};

use super::Fake;
use crate::disks::{Disk, Disks};
use crate::system::{Bytes, System as _};

/// Bytes that several hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl ReadAt for Shared {
    fn len(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> block::Result<()> {
        self.0.lock().unwrap().read_exact_at(buf, offset)
    }
}

impl WriteAt for Shared {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> block::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let mut bytes = self.0.lock().unwrap();
        let end = from + buf.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[from..end].copy_from_slice(buf);
        Ok(())
    }
}

impl Bytes for Shared {
    fn len(&self) -> u64 {
        ReadAt::len(self)
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buf, offset).map_err(io::Error::other)
    }
}

impl Disk for Shared {
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Fake {
    /// Everything at a path, also what was written to it since.
    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        match self.disks.get(path) {
            Some(disk) => disk.bytes(),
            None => self.files.get(path).cloned().unwrap_or_default(),
        }
    }

    /// What was written to a loop device is in the device that it is a part of.
    pub(super) fn put_back(&mut self, device: &str) {
        if let Some((file, offset)) = self.parts.get(device).cloned() {
            let bytes = self.content(device);
            self.disk(&file).write_all_at(&bytes, offset).unwrap();
        }
    }

    fn disk(&mut self, path: &str) -> Shared {
        let bytes = self.files.get(path).cloned().unwrap_or_default();
        let new = || Shared(Arc::new(Mutex::new(bytes)));
        self.disks
            .entry(path.to_owned())
            .or_insert_with(new)
            .clone()
    }
}

impl Disks for Fake {
    fn open_to_write(&mut self, path: &str) -> io::Result<Box<dyn Disk>> {
        self.act(format!("open-rw {path}"))?;
        self.kind(path)?;
        Ok(Box::new(self.disk(path)))
    }
    fn attach_part(&mut self, file: &str, offset: u64, len: u64) -> io::Result<String> {
        self.act(format!("part {file} {offset} {len}"))?;
        let device = format!("/dev/loop{}", 7 + self.parts.len());
        let from = usize::try_from(offset).unwrap();
        let to = from + usize::try_from(len).unwrap();
        let bytes = self.content(file)[from..to].to_vec();
        self.files.insert(device.clone(), bytes);
        self.disks.remove(&device);
        self.parts.insert(device.clone(), (file.to_owned(), offset));
        Ok(device)
    }
    fn add_partition(&mut self, disk: &str, number: u32, range: (u64, u64)) -> io::Result<()> {
        self.act(format!("partition {disk} {number} {} {}", range.0, range.1))?;
        let bytes = self.content(disk);
        let from = usize::try_from(range.0).unwrap();
        let to = from + usize::try_from(range.1).unwrap();
        self.partition(
            disk.trim_start_matches("/dev/"),
            number,
            range.0,
            &bytes[from..to],
        );
        Ok(())
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.act(format!("rename {from} {to}"))?;
        let below = format!("{from}/");
        let moved = |path: &str| {
            let rest = path.strip_prefix(&below);
            rest.map(|rest| format!("{to}/{rest}"))
                .or_else(|| (path == from).then(|| to.to_owned()))
        };
        for (path, bytes) in std::mem::take(&mut self.files) {
            self.files.insert(moved(&path).unwrap_or(path), bytes);
        }
        for path in std::mem::take(&mut self.folders) {
            self.folders.insert(moved(&path).unwrap_or(path));
        }
        Ok(())
    }
    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.act(format!("remove {path}"))?;
        let below = format!("{path}/");
        let stays = |other: &String| other != path && !other.starts_with(&below);
        self.files.retain(|other, _| stays(other));
        self.folders.retain(stays);
        Ok(())
    }
    fn free_space(&self, path: &str) -> io::Result<u64> {
        Ok(self.free.get(path).copied().unwrap_or(u64::MAX))
    }
    fn sync(&mut self) {}
    fn random(&mut self) -> io::Result<[u8; 16]> {
        Ok([0x42; 16])
    }
    fn date(&self) -> u32 {
        1_700_000_000
    }
    fn prompt(&mut self, question: &str, _: Duration) -> io::Result<Option<Vec<u8>>> {
        self.act(format!("ask {}", question.trim()))?;
        Ok(self.typed.pop_front())
    }
}

impl Fake {
    /// A partition of a disk, as the kernel shows it.
    pub(crate) fn partition(
        &mut self,
        disk: &str,
        number: u32,
        start: u64,
        bytes: &[u8],
    ) -> &mut Self {
        let name = match disk.ends_with(|c: char| c.is_ascii_digit()) {
            true => format!("{disk}p{number}"),
            false => format!("{disk}{number}"),
        };
        for folder in [
            format!("/sys/class/block/{disk}/{name}"),
            format!("/sys/class/block/{name}"),
        ] {
            self.file(&format!("{folder}/partition"), format!("{number}\n"));
            self.file(&format!("{folder}/start"), format!("{}\n", start / 512));
            self.file(
                &format!("{folder}/size"),
                format!("{}\n", bytes.len() / 512),
            );
        }
        self.file(&format!("/dev/{name}"), bytes)
    }
}
