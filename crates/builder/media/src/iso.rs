//! Payloads and boot files to a bootable ISO.
//!
//! ```text
//! boot configuration, kernels, initramfs, boot images      known when the ISO is begun
//! liveos/rootfs.img or boot/initrd.img                     compressed straight into its place
//! liveos/reserved                                          zeros, in which `liveos edit` puts what it changes
//! liveos/checksums                                         the media check table, of all before it
//! ```

use std::sync::Arc;

use block::{DiskFile, Error, OffsetTarget, ReadAt, Result, WriteAt as _};
use contract::checksums::{Algorithm, Checksums, DIGEST_LEN};
use formats::iso9660::{BiosBoot, EfiBoot, Image, Options, VolumeId};
use tree::TreePath;

use crate::files::Files;
use crate::late::{Late, Progress};
use crate::sums::{CHUNK, SummingTarget};

/// The longest media check table, in bytes: what the runtime reads.
const MAX_TABLE: u64 = contract::checksums::MAX_LEN as u64;

/// How the ISO boots and what it is called.
#[derive(Debug)]
pub struct Description {
    /// By what the running system finds its media.
    pub volume_id: VolumeId,
    /// What the media hold, for people (the application identifier).
    pub title: String,
    /// The boot image for BIOS, already among the files.
    pub bios: Option<BiosBoot>,
    /// The boot image for UEFI (the ESP), already among the files.
    pub efi: String,
    /// How many bytes are kept free for later changes in place; 0 for none. [`contract::media::RESERVED_LEN`] where nobody says otherwise.
    pub reserved: u64,
}

/// A late payload on the ISO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its path, relative to the root of the media.
    pub path: String,
    /// Where it begins on the ISO, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Report {
    /// The length of the ISO in bytes.
    pub len: u64,
    /// The late payloads, in the order in which they were given.
    pub placed: Vec<Placed>,
}

/// Writes the ISO to `target`, which is empty: `files`, then the late payloads, the reserved area, and the media check table.
///
/// # Errors
///
/// Whatever reading the input or writing the output answers; [`Kind::Limit`](block::Kind::Limit) for what ISO 9660 cannot hold.
pub fn write(
    description: Description,
    mut files: Files,
    late: &[&dyn Late],
    target: &Arc<DiskFile>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report> {
    let path = |text: &str| {
        TreePath::parse(text)
            .map_err(|error| Error::corrupt("a path of the media", "").caused_by(error))
    };
    for payload in late {
        files.put_late(payload.path(), payload.max_len())?;
    }
    if description.reserved > 0 {
        files.put_late(contract::media::RESERVED, description.reserved)?;
    }
    files.put_late(contract::media::CHECKSUMS, MAX_TABLE)?;

    let mut options = Options::new(description.volume_id, files.time());
    options.application_id = printable(&description.title, 128);
    options.preparer = "LIVEOS".to_owned();
    options.bios = description.bios;
    options.efi = Some(EfiBoot {
        image: path(&description.efi)?,
    });
    let table_path = path(contract::media::CHECKSUMS)?;
    for payload in late {
        options.late.push(path(payload.path())?);
    }
    if description.reserved > 0 {
        options.late.push(path(contract::media::RESERVED)?);
    }
    options.late.push(table_path.clone());

    let summing = SummingTarget::new(Arc::clone(target));
    let mut image = Image::begin(files.tree(), &options, &summing)?;
    let mut placed = Vec::new();
    for payload in late {
        let offset = image.next_offset();
        let len = payload
            .write(&OffsetTarget::new(&summing, offset), progress)
            .map_err(|error| error.while_doing(format!("writing {}", payload.path())))?;
        image.place(&path(payload.path())?, len)?;
        placed.push(Placed {
            path: payload.path().to_owned(),
            offset,
            len,
        });
    }

    if description.reserved > 0 {
        // Never written, so it reads as zeros and takes no room where files may have holes.
        image.place(&path(contract::media::RESERVED)?, description.reserved)?;
    }

    let covered = image.next_offset();
    let table_at = covered;
    image.place(&table_path, table_text_len(covered))?;
    let report = image.finish()?;
    let digests = summing.digests(covered, &target.remeasured()?)?;
    target.write_all_at(table(covered, digests).print().as_bytes(), table_at)?;
    Ok(Report {
        len: report.len,
        placed,
    })
}

fn table(covered: u64, digests: Vec<[u8; DIGEST_LEN]>) -> Checksums {
    Checksums {
        algorithm: Algorithm::Blake3,
        chunk: CHUNK,
        covered,
        digests,
    }
}

/// The length of the table of `covered` bytes, before there are digests.
fn table_text_len(covered: u64) -> u64 {
    let count = usize::try_from(covered.div_ceil(CHUNK)).unwrap_or(usize::MAX);
    ReadAt::len(
        table(covered, vec![[0; DIGEST_LEN]; count])
            .print()
            .as_bytes(),
    )
}

/// `text` in the characters that a volume descriptor takes, cut to `max` of them.
fn printable(text: &str, max: usize) -> String {
    text.chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '_'
            }
        })
        .take(max)
        .collect()
}
