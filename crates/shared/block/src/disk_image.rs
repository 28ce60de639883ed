//! The one door to disk images: what format a file has, and what lies under it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::field::u32_le;
use crate::qcow2::{self, BackingFile, Image};
use crate::{DiskFile, Error, ReadAt, Result, vhd, vhdx};

/// How many images may lie on each other. Beyond it is an error; QEMU's own users stay far below.
const MAX_CHAIN: usize = 64;

/// A format of disk images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskFormat {
    /// The disk's bytes as they are.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
    /// Virtual PC's and Hyper-V's older format, fixed or dynamic.
    Vhd,
    /// Hyper-V's format.
    Vhdx,
}

impl DiskFormat {
    /// The name for people; that of `qemu-img` too, but for VHD, which is `vpc` there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
        }
    }
}

/// Where the files under an image may be. An image names them itself, and it may come from anyone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackingFiles {
    /// In the folder of the image that was asked for, or below it.
    #[default]
    InFolder,
    /// Anywhere on the machine.
    Anywhere,
    /// Nowhere: an image that needs another file is refused.
    Refused,
}

/// How a disk image is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the files under it may be.
    pub backing_files: BackingFiles,
    /// Its format; found by its content where it is not given.
    pub format: Option<DiskFormat>,
}

/// A disk image, opened.
#[derive(Clone, Debug)]
pub struct DiskImage {
    /// The disk's bytes.
    pub image: Arc<dyn ReadAt>,
    /// The format of the file that was asked for.
    pub format: DiskFormat,
    /// That file, and those under it, from the top down.
    pub files: Vec<PathBuf>,
    /// What of the files is damaged and was read from a copy, in words.
    pub damage: Vec<String>,
}

/// Opens the disk image at `path`, with all that lies under it.
///
/// Without a format in `options`, the first bytes decide, and for VHD the last ones too; what has none of the known signatures is a raw
/// disk.
///
/// # Errors
///
/// [`Kind::Unsupported`](crate::Kind::Unsupported) for other formats and for files under it that may not be read, both by name;
/// [`Kind::Corrupt`](crate::Kind::Corrupt) for damaged images and images that lie on themselves; what opening and reading answer.
pub fn open_disk_image(path: impl AsRef<Path>, options: &Options) -> Result<DiskImage> {
    let path = path.as_ref();
    let mut chain = Chain {
        rule: options.backing_files,
        folder: folder_of(path),
        seen: BTreeSet::new(),
        files: Vec::new(),
        damage: Vec::new(),
    };
    let mut top = None;
    let mut layers = Vec::new();
    let mut next = Some((path.to_path_buf(), options.format));
    let mut bottom = None;
    while let Some((path, format)) = next.take() {
        let (format, layer) = chain
            .open(&path, format)
            .map_err(|error| error.in_file(&path))?;
        top.get_or_insert(format);
        match layer {
            Layer::Bottom(disk) => bottom = Some(disk),
            Layer::Image(image) => {
                if let Some(backing) = image.backing_file() {
                    let found = chain.resolve(&path, backing);
                    next = Some(found.map_err(|error| error.in_file(&path))?);
                }
                layers.push(*image);
            }
        }
    }
    Ok(DiskImage {
        image: stack(layers, bottom)?,
        format: top.unwrap_or(DiskFormat::Raw),
        files: chain.files,
        damage: chain.damage,
    })
}

/// Puts `layers`, the top one first, over each other and over `bottom`.
fn stack(layers: Vec<Image>, bottom: Option<Arc<dyn ReadAt>>) -> Result<Arc<dyn ReadAt>> {
    let mut below: Option<Arc<Image>> = None;
    let mut raw = bottom;
    for layer in layers.into_iter().rev() {
        let layer = match (below.take(), raw.take()) {
            (Some(image), _) => layer.over_image(image),
            (None, Some(raw)) => layer.over_raw(raw),
            (None, None) => layer,
        };
        below = Some(Arc::new(layer));
    }
    match (below, raw) {
        (Some(image), _) => Ok(image),
        (None, Some(raw)) => Ok(raw),
        (None, None) => Err(Error::not_found("opening the disk image", "there is none")),
    }
}

enum Layer {
    /// A disk under which nothing can lie.
    Bottom(Arc<dyn ReadAt>),
    Image(Box<Image>),
}

/// The way down from the image that was asked for.
struct Chain {
    rule: BackingFiles,
    /// The folder of the image that was asked for.
    folder: PathBuf,
    /// The files on the way, in their canonical form.
    seen: BTreeSet<PathBuf>,
    files: Vec<PathBuf>,
    damage: Vec<String>,
}

impl Chain {
    fn open(&mut self, path: &Path, format: Option<DiskFormat>) -> Result<(DiskFormat, Layer)> {
        if self.files.len() >= MAX_CHAIN {
            let message = format!("more than {MAX_CHAIN} images lie on each other");
            return Err(Error::limit("opening the disk image", message));
        }
        let canonical = path
            .canonicalize()
            .map_err(|error| Error::io("opening the disk image", error))?;
        if !self.seen.insert(canonical) {
            let message = "the image lies on itself: its backing files lead in a circle";
            return Err(Error::corrupt("opening the disk image", message));
        }
        let file: Arc<dyn ReadAt> = Arc::new(DiskFile::open(path)?);
        self.files.push(path.to_path_buf());
        let format = match format {
            Some(format) => format,
            None => detect(&file)?,
        };
        let layer = match format {
            DiskFormat::Raw => Layer::Bottom(file),
            DiskFormat::Qcow2 => Layer::Image(Box::new(Image::open(file)?.named(path))),
            DiskFormat::Vhd => {
                let image = vhd::Image::open(file)?;
                self.add_damage(path, image.damage());
                Layer::Bottom(Arc::new(image))
            }
            DiskFormat::Vhdx => {
                let image = vhdx::Image::open(file)?;
                self.add_damage(path, image.damage());
                Layer::Bottom(Arc::new(image))
            }
        };
        Ok((format, layer))
    }

    fn add_damage(&mut self, path: &Path, damage: &[String]) {
        let named = damage
            .iter()
            .map(|text| format!("{}: {text}", path.display()));
        self.damage.extend(named);
    }

    /// The path and format of the file under the image at `path`.
    fn resolve(&self, path: &Path, backing: &BackingFile) -> Result<(PathBuf, Option<DiskFormat>)> {
        const WHAT: &str = "the backing file";
        let shown = backing.name.display();
        let refuse = |reason: &str| {
            let message = format!("\"{}\" {reason}", shown.to_string().escape_debug());
            Err(Error::unsupported(WHAT, message))
        };
        let format = match backing.format.as_deref() {
            None => None,
            Some("raw" | "file" | "host_device") => Some(DiskFormat::Raw),
            Some("qcow2") => Some(DiskFormat::Qcow2),
            Some("vpc") => Some(DiskFormat::Vhd),
            Some("vhdx") => Some(DiskFormat::Vhdx),
            Some(other) => {
                return refuse(&format!("has the format \"{}\"", other.escape_debug()));
            }
        };
        if self.rule == BackingFiles::Refused {
            return refuse("is needed, and images that need another file are not taken");
        }
        let bytes = backing.name.as_os_str().as_bytes();
        let bytes = bytes.strip_prefix(b"file:").unwrap_or(bytes);
        let first = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
        if first.contains(&b':') {
            return refuse("is no file name; only files are read");
        }
        let joined = folder_of(path).join(OsStr::from_bytes(bytes));
        let io = |error| Error::io(WHAT, error).in_file(&joined);
        let real = joined.canonicalize().map_err(io)?;
        let kind = real.metadata().map_err(io)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return refuse("is neither a file nor a block device");
        }
        let allowed = match self.rule {
            BackingFiles::Anywhere => true,
            _ => real.starts_with(self.folder.canonicalize().map_err(io)?),
        };
        if !allowed {
            return refuse("is outside of the image's folder, where nothing is read unasked");
        }
        Ok((joined, format))
    }
}

/// The folder that `path` is in.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Says by its first and last bytes what format a file has; a raw disk where nothing else is known.
fn detect(file: &dyn ReadAt) -> Result<DiskFormat> {
    /// Signatures at the start of files that are no raw disks, and what they are.
    const OTHERS: [(&[u8], &str); 9] = [
        (b"KDMV", "a VMDK image"),
        (b"# Disk DescriptorFile", "the description of a VMDK image"),
        (b"QED\0", "a QED image"),
        (b"\x1f\x8b", "compressed with gzip"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"BZh", "compressed with bzip2"),
        (b"PK\x03\x04", "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    ];
    /// Where VirtualBox's images have their signature, and it.
    const VDI: (usize, u32) = (64, 0xbeda_107f);
    let mut start = vec![0; usize::try_from(file.len().min(512)).unwrap_or(0)];
    file.read_exact_at(&mut start, 0)?;
    if qcow2::probe(&start) {
        return Ok(DiskFormat::Qcow2);
    }
    if vhdx::probe(&start) {
        return Ok(DiskFormat::Vhdx);
    }
    if vhd::probe(file)? {
        return Ok(DiskFormat::Vhd);
    }
    let other = OTHERS
        .iter()
        .find(|(signature, _)| start.starts_with(signature));
    let other = match other {
        Some((_, name)) => name,
        None if u32_le(&start, VDI.0) == VDI.1 => "a VDI image",
        None => return Ok(DiskFormat::Raw),
    };
    let message = format!("it is {other}; raw, qcow2, vhd and vhdx disks are read");
    Err(Error::unsupported("opening the disk image", message))
}
