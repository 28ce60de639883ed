//! Payloads and boot files to a bootable ISO.
//!
//! ```text
//! boot configuration, kernels, initramfs, boot images      known when the ISO is begun
//! liveos/rootfs.img or boot/initrd.img                     compressed straight into its place
//! liveos/reserved                                          zeros, in which `liveos edit` puts what it changes
//! liveos/checksums                                         the media check table, of all before it
//! ```
//!
//! What other programs check the ISO by is implanted last: it covers the table, for which its place is blank.

use std::sync::Arc;

use block::{DiskFile, Error, OffsetTarget, ReadAt, Result, WriteAt};
use contract::checksums::{Algorithm, BLANKS, Checksums, DIGEST_LEN};
use formats::iso9660::{BiosBoot, EfiBoot, Image, Options, VolumeId};
use tree::TreePath;

use crate::files::Files;
use crate::implant;
use crate::late::{Late, Progress};
use crate::pending::Pending;
use crate::sums::{CHUNK, summed};
use crate::write_back::while_writing;

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
    /// By which checksums other programs can check the ISO; each but none reads all of it once more.
    pub implanted: mediacheck::Styles,
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
    for payload in late {
        files.put_late(payload.path(), payload.max_len())?;
    }
    if description.reserved > 0 {
        files.put_late(contract::media::RESERVED, description.reserved)?;
    }
    files.put_late(contract::media::CHECKSUMS, MAX_TABLE)?;
    let (reserved, implanted) = (description.reserved, description.implanted);
    let options = options(description, &files, late)?;
    let content = Written {
        files: &files,
        options,
        late,
        reserved,
    };
    while_writing(target, |disk| {
        let (parts, sums) = summed(target, disk, |out| content.write(out, progress))?;
        let digests = sums.digests(parts.covered, &target.remeasured()?)?;
        let table = table(parts.covered, digests).print();
        target.write_all_at(table.as_bytes(), parts.covered)?;
        let whole: Arc<dyn ReadAt> = Arc::new(target.remeasured()?);
        if let Some(field) = implant::field(implanted, &whole)? {
            target.write_all_at(&field, mediacheck::FIELD_AT)?;
        }
        Ok(parts.report)
    })
}

/// What ISO 9660 has to know.
fn options(description: Description, files: &Files, late: &[&dyn Late]) -> Result<Options> {
    let mut options = Options::new(description.volume_id, files.time());
    options.application_id = printable(&description.title, 128);
    options.preparer = "LIVEOS".to_owned();
    options.bios = description.bios;
    options.efi = Some(EfiBoot {
        image: path(&description.efi)?,
    });
    for payload in late {
        options.late.push(path(payload.path())?);
    }
    if description.reserved > 0 {
        options.late.push(path(contract::media::RESERVED)?);
    }
    options.late.push(path(contract::media::CHECKSUMS)?);
    Ok(options)
}

fn path(text: &str) -> Result<TreePath> {
    TreePath::parse(text)
        .map_err(|error| Error::corrupt("a path of the media", "").caused_by(error))
}

/// What is written.
struct Written<'a> {
    files: &'a Files,
    options: Options,
    late: &'a [&'a dyn Late],
    /// In bytes.
    reserved: u64,
}

/// What was written, but for the media check table.
struct Parts {
    report: Report,
    /// The length of what the table is of, and where it goes, in bytes.
    covered: u64,
}

impl Written<'_> {
    /// Writes everything but the media check table, which gets its place.
    fn write(&self, out: &dyn WriteAt, progress: &(dyn Fn(Progress) + Sync)) -> Result<Parts> {
        let mut image = Image::begin(self.files.tree(), &self.options, out)?;
        let mut placed = Vec::new();
        for payload in self.late {
            let offset = image.next_offset();
            let len = payload
                .write(&OffsetTarget::new(out, offset), progress)
                .map_err(|error| error.while_doing(format!("writing {}", payload.path())))?;
            image.place(&path(payload.path())?, len)?;
            placed.push(Placed {
                path: payload.path().to_owned(),
                offset,
                len,
            });
            if let Some(pending) = payload.pending() {
                self.fill(&image, out, &pending)?;
            }
        }
        if self.reserved > 0 {
            // Never written, so it reads as zeros and takes no room where files may have holes.
            image.place(&path(contract::media::RESERVED)?, self.reserved)?;
        }
        let covered = image.next_offset();
        image.place(&path(contract::media::CHECKSUMS)?, table_text_len(covered))?;
        let len = image.finish()?.len;
        let report = Report { len, placed };
        Ok(Parts { report, covered })
    }
}

impl Written<'_> {
    /// Writes a text that is known by now to all places that wait for it.
    fn fill(&self, image: &Image<'_>, out: &dyn WriteAt, pending: &Pending) -> Result<()> {
        for (name, content, _) in self.files.contents() {
            let places = pending.places(content);
            let Some(extent) = image.extent(&path(&name)?).filter(|_| !places.is_empty()) else {
                continue;
            };
            for place in places {
                out.write_all_at(pending.text.as_bytes(), extent.offset.saturating_add(place))?;
            }
        }
        Ok(())
    }
}

fn table(covered: u64, digests: Vec<[u8; DIGEST_LEN]>) -> Checksums {
    Checksums {
        algorithm: Algorithm::Blake3,
        chunk: CHUNK,
        covered,
        blanks: BLANKS.to_vec(),
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
