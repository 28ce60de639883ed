//! What a caller decides about an ISO.

use block::{Content, Error, Result};
use tree::{Timestamp, TreePath};

/// The content of a file on the ISO: known now, or written by the caller straight to its place.
#[derive(Clone, Debug)]
pub enum File {
    /// Copied by [`Image::begin`](super::Image::begin).
    Content(Content),
    /// Written by the caller between [`begin`](super::Image::begin) and [`finish`](super::Image::finish).
    Late {
        /// The most that it may have, in bytes: directory records are reserved for so much.
        max_len: u64,
    },
}

/// A volume identifier that readers, `udev` and a kernel command line take as it is: 1 to 32 of `A-Z a-z 0-9 _ - .`.
///
/// ECMA-119 allows only `A-Z 0-9 _`; lower case, `-` and `.` are what distributions use and what every reader takes. A space is
/// not allowed: a kernel command line cannot hold it as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumeId(String);

impl VolumeId {
    /// The most characters: ECMA-119 8.4.8.
    pub const MAX: usize = 32;

    /// Checks `text` and makes a volume identifier of it.
    ///
    /// # Errors
    ///
    /// [`Kind::Limit`](block::Kind::Limit) where it is longer than [`MAX`](Self::MAX), [`Kind::Unsupported`](block::Kind::Unsupported)
    /// where it is empty or has a character that is not allowed.
    pub fn new(text: &str) -> Result<Self> {
        let what = || format!("the volume identifier \"{}\"", text.escape_debug());
        if text.is_empty() {
            return Err(Error::unsupported(what(), "it is empty"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
            let message = format!("{bad:?} is not allowed, only A-Z a-z 0-9 _ - .");
            return Err(Error::unsupported(what(), message));
        }
        if text.len() > Self::MAX {
            let message = format!(
                "{} characters, and ISO 9660 holds {}",
                text.len(),
                Self::MAX
            );
            return Err(Error::limit(what(), message));
        }
        Ok(Self(text.to_owned()))
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All that is decided about an ISO besides its files.
#[derive(Clone, Debug)]
pub struct Options {
    /// By what the running system finds its media.
    pub volume_id: VolumeId,
    /// The system that the ISO is for, up to 32 printable ASCII characters.
    pub system_id: String,
    /// The publisher, up to 128 printable ASCII characters.
    pub publisher: String,
    /// Who or what prepared the data, up to 128 printable ASCII characters.
    pub preparer: String,
    /// The application, up to 128 printable ASCII characters.
    pub application_id: String,
    /// All dates of the volume itself; `blkid` makes the file system's UUID of it.
    pub time: Timestamp,
    /// How a BIOS boots it.
    pub bios: Option<BiosBoot>,
    /// How UEFI boots it. With it the ISO has a GPT whose first partition is the ESP.
    pub efi: Option<EfiBoot>,
    /// The late files, in the order in which they will be written.
    pub late: Vec<TreePath>,
}

impl Options {
    /// A data ISO that nothing boots.
    #[must_use]
    pub fn new(volume_id: VolumeId, time: Timestamp) -> Self {
        Self {
            volume_id,
            system_id: "LINUX".to_owned(),
            publisher: String::new(),
            preparer: String::new(),
            application_id: String::new(),
            time,
            bios: None,
            efi: None,
            late: Vec::new(),
        }
    }
}

/// The boot image for BIOS (El Torito, no emulation) and the boot code for its disks.
#[derive(Clone, Debug)]
pub struct BiosBoot {
    /// The boot image, a file of known content in the tree; it is changed as `info` says.
    pub image: TreePath,
    /// How many 512-byte sectors the BIOS loads: 4 for GRUB and isolinux, which load the rest themselves.
    pub load_sectors: u16,
    /// What the boot image is told of its own place.
    pub info: BootInfo,
    /// With it a BIOS boots the ISO from a disk or USB stick too.
    pub mbr: Option<HybridMbr>,
}

/// What is written into a boot image, so that it finds the rest of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootInfo {
    /// Nothing.
    None,
    /// The 56 bytes from byte 8 on that isolinux reads (`xorriso -boot-info-table`).
    BootInfoTable,
    /// The same, and the 64-bit sector of the core image at byte 2548 (`xorriso --grub2-boot-info`).
    Grub2,
}

/// Boot code for the first sector.
#[derive(Clone, Debug)]
pub struct HybridMbr {
    /// The code: GRUB's `boot_hybrid.img` or syslinux' `isohdpfx.bin`; up to 512 bytes, of which 440 count.
    pub code: Vec<u8>,
    /// Whose it is, so how it is told the place of the boot image.
    pub kind: HybridKind,
}

/// Whose boot code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HybridKind {
    /// GRUB: the 64-bit sector of the core image at byte 432.
    Grub2,
    /// isolinux: the 32-bit sector of `isolinux.bin` at byte 432 and a disk signature at byte 440.
    Isolinux,
}

/// The boot image for UEFI.
#[derive(Clone, Debug)]
pub struct EfiBoot {
    /// A FAT file system, a file of known content in the tree: the El Torito EFI image and the ESP at once.
    pub image: TreePath,
}

/// Where a file lies on the ISO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// In bytes from the start of the ISO, a multiple of 2048.
    pub offset: u64,
    /// In bytes.
    pub len: u64,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The length of the ISO in bytes, a multiple of 2048.
    pub len: u64,
    /// How many files and folders had extended attributes, which ISO 9660 does not keep.
    pub without_xattrs: u64,
    /// The file that lies in the first partition, the ESP, where there is one.
    pub esp: Option<Extent>,
}
