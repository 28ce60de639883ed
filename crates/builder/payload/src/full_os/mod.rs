//! An initramfs that is the whole system: nothing is looked for when it boots, and all of it runs from memory.
//!
//! Archives in a row, each compressed as one piece, because the kernel takes one frame (or member) for each archive:
//!
//! ```text
//! microcode           uncompressed, where the image has any
//! /init, /.liveos     liveos-init, and the system's own /init where it has one
//! /                   the system
//! /.liveos/attributes what an archive cannot hold: SELinux labels, file capabilities, ACLs
//! ```
//!
//! The list of attributes is last, so that its being there says that all is there: a kernel that runs out of memory stops unpacking and
//! starts `/init` all the same.
//!
//! * `check`: everything that can be wrong, before a byte is written;
//! * `compression`: what every kernel of the image can unpack;
//! * `gzip`: one gzip member by several threads;
//! * `size`: what is known of machines and boot loaders that a size is too much for.

mod check;
mod compression;
mod gzip;
mod size;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use block::{Content, Error, Result};
use formats::cpio;
use tree::{Timestamp, Tree};

pub use check::Checked;
pub use compression::Compression;
pub use size::memory_mib;

/// The initramfs' length is a multiple of this, in bytes.
const ALIGN: u64 = 512;

/// How the initramfs is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// `liveos-init`, a static program for the image's architecture.
    pub runtime: Content,
    /// What it is compressed with.
    pub compression: Compression,
    /// The time of what we add to the system.
    pub time: Timestamp,
    /// The newest time that a file has; later ones become this one. `None` keeps all.
    pub latest: Option<Timestamp>,
    /// How many threads compress; 0 for as many as there are processors. The bytes do not depend on it.
    pub threads: usize,
}

impl Options {
    /// The default: what every kernel can unpack, with all processors, times as they are.
    #[must_use]
    pub fn new(runtime: Content) -> Self {
        Self {
            runtime,
            compression: Compression::default(),
            time: Timestamp::default(),
            latest: None,
            threads: 0,
        }
    }
}

/// How far the writing is, in bytes before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// In all.
    pub total: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length in bytes.
    pub len: u64,
    /// The length of the archives in bytes, before compression.
    pub unpacked_len: u64,
    /// How much memory a machine needs at least to boot it, in MiB.
    pub memory_mib: u64,
    /// What is known to fail with an initramfs of this size, one sentence each.
    pub warnings: Vec<String>,
}

/// Writes the initramfs to `out`, from its start to its end. The same tree and options give the same bytes, whatever the number of threads.
///
/// Memory is what the tree's names take, and some 100 MiB for compression.
///
/// # Errors
///
/// What reading the files and writing answer.
pub fn write(
    checked: &Checked,
    out: &mut dyn Write,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Written> {
    let mut counted = Counted { out, len: 0 };
    let refused = |error| Error::io("writing the initramfs", error);
    counted.write_all(&checked.microcode).map_err(refused)?;
    let options = cpio::WriteOptions {
        latest: checked.latest,
    };
    let mut done = 0;
    for archive in checked.archives() {
        let encoder = checked.codec.encoder(&mut counted, checked.threads);
        let mut meter = Meter {
            encoder: encoder.map_err(refused)?,
            progress,
            state: Progress {
                done,
                total: checked.unpacked_len,
            },
        };
        cpio::write(archive, &options, &mut meter)?;
        done = meter.state.done;
        meter.encoder.finish().map_err(refused)?;
    }
    // An archive that somebody adds behind these is only seen by the kernel where it begins at a multiple of 4.
    let padding = counted.len.next_multiple_of(ALIGN) - counted.len;
    let zeros = vec![0; usize::try_from(padding).unwrap_or_default()];
    counted.write_all(&zeros).map_err(refused)?;
    let memory_mib = memory_mib(counted.len, checked.unpacked_len);
    counted.flush().map_err(refused)?;
    Ok(Written {
        len: counted.len,
        unpacked_len: checked.unpacked_len,
        memory_mib,
        warnings: size::warnings(counted.len, memory_mib),
    })
}

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut dyn Write,
    len: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.out.write(buf)?;
        self.len = self.len.saturating_add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Tells how far it is.
struct Meter<'a, 'b> {
    encoder: compression::Encoder<'a>,
    progress: &'b (dyn Fn(Progress) + Sync),
    state: Progress,
}

impl Write for Meter<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.encoder.write(buf)?;
        self.state.done = self.state.done.saturating_add(count as u64);
        (self.progress)(self.state);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

impl Checked {
    /// The archives in their order.
    fn archives(&self) -> [&Tree<Content>; 3] {
        [&self.first, &self.system, &self.last]
    }
}
