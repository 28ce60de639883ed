//! How the root file system image is compressed, chosen against what the image's kernels can read.

use block::{Error, Result};
use formats::squashfs::Compression;
use inspect::{Facts, OptionState};

/// The level of zstd where none is asked for: see docs/adr/0004-compression-level.md for the table that it was chosen by.
pub const DEFAULT_ZSTD_LEVEL: u8 = 3;

/// What `--smallest` means.
pub const SMALLEST: Compression = Compression::Zstd { level: 19 };

/// The algorithm's name and the kernel option, without `CONFIG_`, that lets squashfs read it.
fn name_and_option(compression: Compression) -> (&'static str, &'static str) {
    match compression {
        Compression::Zstd { .. } => ("zstd", "SQUASHFS_ZSTD"),
        Compression::Gzip { .. } => ("gzip", "SQUASHFS_ZLIB"),
        Compression::Xz => ("xz", "SQUASHFS_XZ"),
        Compression::Lz4 => ("lz4", "SQUASHFS_LZ4"),
    }
}

/// How the root file system image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootImage {
    /// The algorithm and its level.
    pub compression: Compression,
    /// The size of a block in bytes: a power of two, 4 KiB to 1 MiB.
    pub block_size: u32,
}

/// The classical block size: larger ones save a little and make every random read of the running system dearer.
const BLOCK_SIZE: u32 = 128 * 1024;

impl Default for RootImage {
    /// What is made where nothing speaks against it.
    fn default() -> Self {
        Self {
            compression: Compression::Zstd {
                level: DEFAULT_ZSTD_LEVEL,
            },
            block_size: BLOCK_SIZE,
        }
    }
}

/// What was asked for, or the best that every kernel can read: zstd, and gzip for kernels without it.
///
/// # Errors
///
/// [`Kind::Unsupported`](block::Kind::Unsupported) where a kernel cannot mount the image: the kernel and the option are named.
pub(crate) fn choose(asked: Option<Compression>, facts: &Facts) -> Result<RootImage> {
    let candidates = match asked {
        Some(compression) => vec![compression],
        None => vec![
            Compression::Zstd {
                level: DEFAULT_ZSTD_LEVEL,
            },
            Compression::Gzip { level: 6 },
            Compression::Xz,
            Compression::Lz4,
        ],
    };
    let mut refusal = None;
    for compression in candidates {
        match unfit(compression, facts) {
            None => {
                return Ok(RootImage {
                    compression,
                    block_size: BLOCK_SIZE,
                });
            }
            Some(message) => refusal = refusal.or(Some(message)),
        }
    }
    let message = refusal.unwrap_or_default();
    Err(Error::unsupported(
        "choosing the root file system image",
        message,
    ))
}

/// Why some kernel cannot mount a squashfs of this compression; `None` where all can, or nothing is known against it.
fn unfit(compression: Compression, facts: &Facts) -> Option<String> {
    let (name, option) = name_and_option(compression);
    let options = ["SQUASHFS", option];
    facts.kernels.iter().find_map(|kernel| {
        let missing = options
            .into_iter()
            .find(|option| kernel.config.option(option) == OptionState::Off)?;
        Some(format!(
            "the kernel {} cannot mount squashfs with {}: its configuration ({}) lacks CONFIG_{missing}",
            kernel.version,
            name,
            kernel.config.origin()
        ))
    })
}
