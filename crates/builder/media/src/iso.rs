//! Payloads and boot files to a bootable ISO.
//!
//! ```text
//! boot configuration, kernels, initramfs, boot images      known when the ISO is begun
//! liveos/rootfs.img                                        compressed straight into its place
//! liveos/checksums                                         the media check table, of all before it
//! ```

use std::sync::Arc;

use block::{Content, DiskFile, Error, OffsetTarget, ReadAt, Result, WriteAt as _};
use contract::checksums::{Algorithm, Checksums, DIGEST_LEN};
use formats::iso9660::{BiosBoot, EfiBoot, File, Image, Options, VolumeId};
use formats::squashfs;
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

use crate::sums::{CHUNK, SummingTarget};

/// The longest media check table, in bytes: what the runtime reads.
const MAX_TABLE: u64 = contract::checksums::MAX_LEN as u64;

/// What goes on the ISO besides the root file system image.
#[derive(Debug)]
pub struct Files {
    tree: Tree<File>,
    time: Timestamp,
}

impl Files {
    /// An ISO with nothing on it; `time` is the time of all its files and folders.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        let root = Metadata {
            mtime: time,
            ..Metadata::with_permissions(0o755)
        };
        Self {
            tree: Tree::new(root),
            time,
        }
    }

    /// Puts a file at `path` (relative to the root of the media), in the place of one that was put there before.
    ///
    /// # Errors
    ///
    /// [`Kind::Corrupt`](block::Kind::Corrupt) where the path cannot be one.
    pub fn put(&mut self, path: &str, content: Content) -> Result<()> {
        self.insert(path, File::Content(content))
    }

    fn insert(&mut self, path: &str, file: File) -> Result<()> {
        let refuse = |error: tree::Error| {
            Error::corrupt(format!("putting {path} on the media"), "").caused_by(error)
        };
        let parsed = TreePath::parse(path).map_err(refuse)?;
        if let Some(parent) = parsed.parent() {
            let folder = Metadata {
                mtime: self.time,
                ..Metadata::with_permissions(0o755)
            };
            self.tree
                .make_directories(&parent, &folder)
                .map_err(refuse)?;
        }
        let metadata = Metadata {
            mtime: self.time,
            ..Metadata::with_permissions(0o644)
        };
        self.tree
            .put(&parsed, Inode::new(metadata, Node::File(file)))
            .map_err(refuse)?;
        Ok(())
    }
}

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
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Report {
    /// The length of the ISO in bytes.
    pub len: u64,
    /// The root file system image.
    pub root_image: squashfs::Written,
}

/// Writes the ISO to `target`, which is empty: `files`, then the root file system image, then the media check table.
///
/// # Errors
///
/// Whatever reading the input or writing the output answers; [`Kind::Limit`](block::Kind::Limit) for what ISO 9660 cannot hold.
pub fn write(
    description: Description,
    mut files: Files,
    root: &squashfs::Checked<'_>,
    target: &Arc<DiskFile>,
    progress: &(dyn Fn(squashfs::Progress) + Sync),
) -> Result<Report> {
    let path = |text: &str| {
        TreePath::parse(text)
            .map_err(|error| Error::corrupt("a path of the media", "").caused_by(error))
    };
    let (image_path, table_path) = (contract::media::ROOT_IMAGE, contract::media::CHECKSUMS);
    files.insert(
        image_path,
        File::Late {
            max_len: root.max_len(),
        },
    )?;
    files.insert(table_path, File::Late { max_len: MAX_TABLE })?;

    let mut options = Options::new(description.volume_id, files.time);
    options.application_id = printable(&description.title, 128);
    options.preparer = "LIVEOS".to_owned();
    options.bios = description.bios;
    options.efi = Some(EfiBoot {
        image: path(&description.efi)?,
    });
    let (image_path, table_path) = (path(image_path)?, path(table_path)?);
    options.late = vec![image_path.clone(), table_path.clone()];

    let summing = SummingTarget::new(Arc::clone(target));
    let mut image = Image::begin(&files.tree, &options, &summing)?;
    let at = image.next_offset();
    let root_image = squashfs::write(root, &OffsetTarget::new(&summing, at), progress)
        .map_err(|error| error.while_doing("writing the root file system image"))?;
    image.place(&image_path, root_image.len)?;

    let covered = image.next_offset();
    let table_at = covered;
    image.place(&table_path, table_text_len(covered))?;
    let report = image.finish()?;
    let file = target.file().try_clone();
    let file = file.map_err(|error| Error::io("reading back the media", error))?;
    let digests = summing.digests(covered, &DiskFile::from_file(file, target.path())?)?;
    target.write_all_at(table(covered, digests).print().as_bytes(), table_at)?;
    Ok(Report {
        len: report.len,
        root_image,
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
