//! The compressors: one block in, one block out, with contexts that are made once and used for many blocks.

use block::{Error, Result};
use liblzma::stream::{Action, Check, Filters, LzmaOptions, Status, Stream};
use zstd::zstd_safe::CParameter;

use super::fields::{narrow, wide, word};
use super::format::{METADATA_LEN, compressor};

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard. Linux 4.14 and later, with `CONFIG_SQUASHFS_ZSTD`.
    Zstd {
        /// 1 (fast) to 22 (small).
        level: u8,
    },
    /// Deflate with zlib's header: every kernel with squashfs reads it.
    Gzip {
        /// 1 (fast) to 12 (small); 9 makes what zlib makes at 9, nearly.
        level: u8,
    },
    /// LZMA2 in xz's container: small, and slow both ways.
    Xz,
    /// LZ4: the fastest to read, and large.
    Lz4,
}

impl Compression {
    /// The number in the superblock.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Zstd { .. } => compressor::ZSTD,
            Self::Gzip { .. } => compressor::GZIP,
            Self::Xz => compressor::XZ,
            Self::Lz4 => compressor::LZ4,
        }
    }

    /// The name by which kernels and tools know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd { .. } => "zstd",
            Self::Gzip { .. } => "gzip",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
        }
    }

    /// The options that stand behind the superblock: LZ4 needs its version there, Zstandard's level is for people.
    pub(crate) fn options(self) -> Option<Vec<u8>> {
        match self {
            Self::Zstd { level } => Some(u32::from(level).to_le_bytes().to_vec()),
            Self::Lz4 => Some([1u32.to_le_bytes(), 0u32.to_le_bytes()].concat()),
            Self::Gzip { .. } | Self::Xz => None,
        }
    }

    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for a level that the compressor does not have.
    pub(crate) fn check(self) -> Result<()> {
        let (level, last) = match self {
            Self::Zstd { level } => (level, 22),
            Self::Gzip { level } => (level, 12),
            Self::Xz | Self::Lz4 => return Ok(()),
        };
        if (1..=last).contains(&level) {
            return Ok(());
        }
        let message = format!("{} has levels 1 to {last}, not {level}", self.name());
        Err(Error::unsupported("squashfs options", message))
    }
}

/// How much room an [`Encoder`] needs for the answer to `len` bytes: more than any of them can need.
pub(crate) fn room_for(len: usize) -> usize {
    len.saturating_add(len / 8).saturating_add(1024)
}

/// A compressor with its context.
pub(crate) enum Encoder {
    Zstd(Box<zstd::bulk::Compressor<'static>>),
    Gzip(Box<libdeflater::Compressor>),
    Xz(Filters),
    Lz4(Box<lz4_flex::block::CompressTable>),
}

fn codec_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unsupported("compressing a block", "").caused_by(error)
}

impl Encoder {
    /// A compressor for blocks of at most `block_size` bytes.
    pub(crate) fn new(compression: Compression, block_size: u32) -> Result<Self> {
        compression.check()?;
        Ok(match compression {
            Compression::Zstd { level } => {
                let mut context =
                    zstd::bulk::Compressor::new(i32::from(level)).map_err(codec_error)?;
                for parameter in [
                    // A frame says its content's length, as readers may want, and nothing else.
                    CParameter::ContentSizeFlag(true),
                    CParameter::ChecksumFlag(false),
                    CParameter::DictIdFlag(false),
                ] {
                    context.set_parameter(parameter).map_err(codec_error)?;
                }
                Self::Zstd(Box::new(context))
            }
            Compression::Gzip { level } => {
                let level = libdeflater::CompressionLvl::new(i32::from(level))
                    .map_err(|_| Error::unsupported("compressing a block", "no such level"))?;
                Self::Gzip(Box::new(libdeflater::Compressor::new(level)))
            }
            Compression::Xz => {
                let mut options = LzmaOptions::new_preset(6).map_err(codec_error)?;
                // The kernel reserves memory for a dictionary of one block.
                options.dict_size(block_size.max(word(METADATA_LEN)));
                let mut filters = Filters::new();
                filters.lzma2(&options);
                Self::Xz(filters)
            }
            Compression::Lz4 => Self::Lz4(Box::new(lz4_flex::block::CompressTable::large())),
        })
    }

    /// Compresses `input` into `output`, which has [`room_for`] it. `None` where that makes it no shorter.
    pub(crate) fn encode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Option<usize>> {
        let len = match self {
            Self::Zstd(context) => context
                .compress_to_buffer(input, output)
                .map_err(codec_error)?,
            Self::Gzip(context) => context
                .zlib_compress(input, output)
                .map_err(|_| no_room())?,
            Self::Xz(filters) => {
                // The kernel's decoder knows CRC-32 and no other check.
                let mut stream =
                    Stream::new_stream_encoder(filters, Check::Crc32).map_err(codec_error)?;
                match stream.process(input, output, Action::Finish) {
                    Ok(Status::StreamEnd) => narrow(stream.total_out()),
                    Ok(_) => return Err(no_room()),
                    Err(error) => return Err(codec_error(error)),
                }
            }
            Self::Lz4(table) => lz4_flex::block::compress_into_with_table(input, output, table)
                .map_err(codec_error)?,
        };
        Ok((len < input.len()).then_some(len))
    }
}

fn no_room() -> Error {
    Error::limit("compressing a block", "the answer has no room")
}

/// The most memory that decoding one xz block takes, in bytes: a dictionary of 1 MiB and what liblzma needs beside it. Blocks that
/// ask for more are refused.
const XZ_MEMORY: u64 = 16 << 20;

/// A decompressor with its context.
pub(crate) enum Decoder {
    Zstd(Box<zstd::bulk::Decompressor<'static>>),
    Gzip(Box<libdeflater::Decompressor>),
    Xz,
    Lz4,
}

impl Decoder {
    /// A decompressor of the kind that the superblock's number says.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for LZMA and LZO, by name, and for numbers that mean nothing.
    pub(crate) fn new(number: u16) -> Result<Self> {
        let refuse = |name: &str| {
            let message = format!("compressed with {name}, which is not read");
            Err(Error::unsupported("squashfs superblock", message).at(20))
        };
        match number {
            compressor::ZSTD => Ok(Self::Zstd(Box::default())),
            compressor::GZIP => Ok(Self::Gzip(Box::new(libdeflater::Decompressor::new()))),
            compressor::XZ => Ok(Self::Xz),
            compressor::LZ4 => Ok(Self::Lz4),
            compressor::LZMA => refuse("lzma"),
            compressor::LZO => refuse("lzo"),
            other => refuse(&format!("compressor number {other}")),
        }
    }

    /// Decompresses `input` into `output`, which is as long as the answer may be, and answers how long it is.
    pub(crate) fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize> {
        let bad = || Error::corrupt("decompressing a block", "");
        match self {
            Self::Zstd(context) => context
                .decompress_to_buffer(input, output)
                .map_err(|error| bad().caused_by(error)),
            Self::Gzip(context) => context
                .zlib_decompress(input, output)
                .map_err(|error| bad().caused_by(error)),
            Self::Xz => {
                let mut stream = Stream::new_stream_decoder(XZ_MEMORY, 0).map_err(codec_error)?;
                match stream.process(input, output, Action::Finish) {
                    Ok(Status::StreamEnd) => Ok(narrow(stream.total_out())),
                    Ok(_) => {
                        let message = format!("over {} bytes", wide(output.len()));
                        Err(Error::corrupt("decompressing a block", message))
                    }
                    Err(error) => Err(bad().caused_by(error)),
                }
            }
            Self::Lz4 => lz4_flex::block::decompress_into(input, output)
                .map_err(|error| bad().caused_by(error)),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}
