//! What the first cluster says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::codec::Compression;
use crate::field::{u32_be, u64_be};
use crate::{Error, ReadAt, Result, read_vec};

/// The first bytes of an image, of this format and of its version 1.
pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// The size of the fields of version 2; those of version 3 follow.
const LEN_V2: u64 = 72;
/// The size of the fields that every image of version 3 has.
const LEN_V3: u64 = 104;
/// How long the name of a backing file may be, in bytes.
const MAX_NAME: u64 = 1023;
/// How much is read of the first cluster for its extensions; what QEMU writes there ends far before.
const MAX_FIRST_CLUSTER: u64 = 65_536;
/// How large the first level of the table may be, in bytes: QEMU's own limit (`QCOW_MAX_L1_SIZE`).
pub(super) const MAX_L1_LEN: usize = 32 << 20;

/// How long a disk may be, in bytes: 64 TiB. Beyond it is an error. The tables can make a small file stand for a disk of 2^61 bytes,
/// and looking for data in that takes hours.
const MAX_DISK_LEN: u64 = 1 << 46;

const WHAT: &str = "the qcow2 header";

/// What an image says of the file under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingFile {
    /// Its name, as it stands in the image; relative ones count from the image's folder. QEMU also takes URLs and JSON here.
    pub name: PathBuf,
    /// Its format (`raw`, `qcow2`), where the image says it.
    pub format: Option<String>,
}

/// The header, checked.
///
/// ```text
/// offset  size  name
///      0     4  magic
///      4     4  version
///      8     8  offset of the backing file's name
///     16     4  length of that name
///     20     4  cluster bits
///     24     8  virtual size
///     32     4  encryption
///     36     4  entries of the L1 table
///     40     8  offset of the L1 table
///     72     8  incompatible features (from here on: version 3)
///     80     8  compatible features
///     88     8  autoclear features
///     96     4  refcount order
///    100     4  header length
///    104     1  compression type
/// ```
#[derive(Debug)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) cluster_bits: u32,
    /// The length of the disk in bytes.
    pub(super) size: u64,
    pub(super) l1_offset: u64,
    /// How many entries the L1 table needs for `size`.
    pub(super) l1_entries: u64,
    /// Whether an L2 entry has 16 bytes, for 32 subclusters each.
    pub(super) has_subclusters: bool,
    pub(super) compression: Compression,
    pub(super) backing: Option<BackingFile>,
}

/// The features that change how an image is read, by bit.
mod incompatible {
    /// Reference counts may be wrong; reading does not need them.
    pub(super) const DIRTY: u64 = 1 << 0;
    pub(super) const CORRUPT: u64 = 1 << 1;
    pub(super) const EXTERNAL_DATA: u64 = 1 << 2;
    pub(super) const COMPRESSION: u64 = 1 << 3;
    pub(super) const SUBCLUSTERS: u64 = 1 << 4;
    pub(super) const KNOWN: u64 = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION | SUBCLUSTERS;
}

/// The types of header extensions that matter here.
mod extension {
    pub(super) const END: u32 = 0;
    pub(super) const BACKING_FORMAT: u32 = 0xe279_2aca;
}

impl Header {
    pub(super) fn read(source: &dyn ReadAt) -> Result<Self> {
        let start = read_vec(source, 0, source.len().min(LEN_V3 + 8), 112, WHAT)?;
        let corrupt = |message: String, at| Err(Error::corrupt(WHAT, message).at(at));
        let unsupported = |message: &str, at| Err(Error::unsupported(WHAT, message).at(at));
        if !start.starts_with(&MAGIC) || source.len() < LEN_V2 {
            return corrupt("there is no signature".to_owned(), 0);
        }
        let version = u32_be(&start, 4);
        if !matches!(version, 2 | 3) {
            let message = format!("version {version}; versions 2 and 3 are read");
            return Err(Error::unsupported(WHAT, message).at(4));
        }
        let cluster_bits = u32_be(&start, 20);
        if !(9..=21).contains(&cluster_bits) {
            return corrupt(format!("clusters of 2^{cluster_bits} bytes"), 20);
        }
        match u32_be(&start, 32) {
            0 => {}
            1 => return unsupported("the image is encrypted (AES)", 32),
            2 => return unsupported("the image is encrypted (LUKS)", 32),
            other => return corrupt(format!("encryption method {other}"), 32),
        }
        let (features, header_len) = match version {
            2 => (0, LEN_V2),
            _ => (u64_be(&start, 72), u64::from(u32_be(&start, 100))),
        };
        if version == 3 && (header_len < LEN_V3 || header_len > 1 << cluster_bits) {
            return corrupt(format!("its length is {header_len}"), 100);
        }
        check_features(features)?;
        let compression = compression(&start, features, header_len)?;
        let has_subclusters = features & incompatible::SUBCLUSTERS != 0;
        if has_subclusters && cluster_bits < 14 {
            return corrupt(
                format!("subclusters in clusters of 2^{cluster_bits} bytes"),
                20,
            );
        }
        let mut header = Self {
            version,
            cluster_bits,
            size: u64_be(&start, 24),
            l1_offset: u64_be(&start, 40),
            l1_entries: 0,
            has_subclusters,
            compression,
            backing: None,
        };
        header.size_l1(u32_be(&start, 36))?;
        header.backing = header.read_backing(source, &start, header_len)?;
        Ok(header)
    }

    /// How many bits of a guest cluster's number select the entry of an L2 table.
    pub(super) fn l2_bits(&self) -> u32 {
        let entry_bits = if self.has_subclusters { 4 } else { 3 };
        self.cluster_bits.saturating_sub(entry_bits)
    }

    /// How many bits of an offset one L2 table covers.
    pub(super) fn l2_coverage_bits(&self) -> u32 {
        self.cluster_bits.saturating_add(self.l2_bits())
    }

    pub(super) fn cluster_len(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Holds that the L1 table of `entries` entries covers the disk.
    fn size_l1(&mut self, entries: u32) -> Result<()> {
        if self.size > MAX_DISK_LEN {
            let message = format!(
                "a disk of {} bytes, at most {MAX_DISK_LEN} are read",
                self.size
            );
            return Err(Error::limit(WHAT, message).at(24));
        }
        self.l1_entries = self.size.div_ceil(1 << self.l2_coverage_bits());
        let needed = self.l1_entries;
        if needed > u64::from(entries) {
            let message = format!("an L1 table of {entries} entries, and the disk needs {needed}");
            return Err(Error::corrupt(WHAT, message).at(36));
        }
        if self.l1_offset & self.cluster_len().wrapping_sub(1) != 0 {
            return Err(Error::corrupt(WHAT, "the L1 table is not aligned").at(40));
        }
        Ok(())
    }

    /// Reads the name of the backing file, and its format from the extensions behind the header.
    fn read_backing(
        &self,
        source: &dyn ReadAt,
        start: &[u8],
        header_len: u64,
    ) -> Result<Option<BackingFile>> {
        let (offset, len) = (u64_be(start, 8), u64::from(u32_be(start, 16)));
        if offset == 0 || len == 0 {
            return Ok(None);
        }
        let end = offset.saturating_add(len);
        if len > MAX_NAME || end > self.cluster_len() {
            let message = format!("the backing file's name has {len} bytes from byte {offset} on");
            return Err(Error::corrupt(WHAT, message).at(8));
        }
        let name = read_vec(source, offset, len, 1023, "the name of the backing file")?;
        let mut backing = BackingFile {
            name: PathBuf::from(OsStr::from_bytes(&name)),
            format: None,
        };
        let limit = self.cluster_len().min(MAX_FIRST_CLUSTER).min(source.len());
        let limit = limit.min(offset.max(header_len));
        let len = limit.saturating_sub(header_len);
        let extensions = read_vec(
            source,
            header_len,
            len,
            65_536,
            "the qcow2 header extensions",
        )?;
        let mut rest = extensions.as_slice();
        while let Some((head, after)) = rest.split_at_checked(8) {
            let (kind, len) = (u32_be(head, 0), u32_be(head, 4));
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let Some(data) = after.get(..len).filter(|_| kind != extension::END) else {
                break;
            };
            if kind == extension::BACKING_FORMAT {
                backing.format = Some(String::from_utf8_lossy(data).into_owned());
            }
            let padded = len.next_multiple_of(8);
            rest = after.get(padded..).unwrap_or_default();
        }
        Ok(Some(backing))
    }
}

/// Refuses features that change the meaning of the image and are not done here.
fn check_features(features: u64) -> Result<()> {
    let refuse = |message: String| Err(Error::unsupported(WHAT, message).at(72));
    if features & incompatible::CORRUPT != 0 {
        let message = "the image is marked as corrupt; `qemu-img check -r all` may repair it";
        return Err(Error::corrupt(WHAT, message).at(72));
    }
    if features & incompatible::EXTERNAL_DATA != 0 {
        return refuse("the data are in another file (data_file)".to_owned());
    }
    match features & !incompatible::KNOWN {
        0 => Ok(()),
        unknown => refuse(format!("unknown incompatible features {unknown:#x}")),
    }
}

fn compression(start: &[u8], features: u64, header_len: u64) -> Result<Compression> {
    let kind = match start.get(104) {
        Some(kind) if header_len > LEN_V3 => *kind,
        _ => 0,
    };
    let is_flagged = features & incompatible::COMPRESSION != 0;
    match (kind, is_flagged) {
        (0, false) => Ok(Compression::Deflate),
        (1, true) => Ok(Compression::Zstd),
        (0 | 1, _) => {
            let message = format!("compression type {kind} contradicts the feature bits");
            Err(Error::corrupt(WHAT, message).at(104))
        }
        _ => Err(Error::unsupported(WHAT, format!("compression type {kind}")).at(104)),
    }
}
