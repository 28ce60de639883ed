//! Archives in a row: what the next one is compressed with, and unpacking it.
//!
//! A boot loader and the kernel take any number of archives one after the other, each compressed in its own way, with zeros between
//! them; processor microcode stands first, uncompressed.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use block::{Error, ReadAt, Result, read_vec};

use crate::stream::Stream;

use super::spool::Spool;

/// How much may come out of the archives of one source, in bytes. They go to a file, so the bound is the largest system that a machine
/// has memory for as its initramfs; more is refused.
pub(crate) const MAX_UNPACKED: u64 = 256 << 30;

/// How much is unpacked at a time.
const PIECE: usize = 256 << 10;

/// How much memory an xz decoder may use, in bytes: `xz -9` needs 65 MiB. Archives that need more are refused.
const XZ_MEMORY: u64 = 256 << 20;

/// The length to which `lz4 -l` cuts its blocks (the kernel's `LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE`).
const LZ4_BLOCK: usize = 8 << 20;

/// The magic of lz4's legacy frames, little-endian.
const LZ4_MAGIC: u32 = 0x184c_2102;

/// What an archive is compressed with, of what a Linux kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// lz4 in its legacy frames.
    Lz4,
    /// Bare LZMA.
    Lzma,
    /// bzip2.
    Bzip2,
    /// lzop.
    Lzo,
}

impl Compression {
    /// Tells it by the first bytes; `None` where they are of none of these.
    ///
    /// Source: Linux, `lib/decompress.c`.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b | 0x9e, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4),
            [0x5d, 0, 0, ..] => Some(Self::Lzma),
            [b'B', b'Z', b'h', ..] => Some(Self::Bzip2),
            [0x89, b'L', b'Z', b'O', ..] => Some(Self::Lzo),
            _ => None,
        }
    }

    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Lzma => "lzma",
            Self::Bzip2 => "bzip2",
            Self::Lzo => "lzo",
        }
    }

    /// Unpacks what begins at `offset` of `source` to `output` and answers with the offset behind it.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the bytes are damaged, `Limit` where more than `limit` bytes come out, `Unsupported` for lzma, bzip2 and lzo.
    pub(super) fn unpack(
        self,
        source: &Arc<dyn ReadAt>,
        offset: u64,
        output: &mut Spool<'_>,
        limit: u64,
    ) -> Result<u64> {
        let damaged = |error: io::Error| {
            let message = format!("the {} stream is damaged: {error}", self.name());
            Error::corrupt("unpacking an initramfs archive", message).at(offset)
        };
        if self == Self::Lz4 {
            return unpack_lz4(source, offset, output, limit);
        }
        let mut input = BufReader::with_capacity(64 << 10, Stream::new(&**source, offset));
        let mut decoder = self.decoder(&mut input, offset)?;
        let mut piece = vec![0; PIECE];
        loop {
            let len = match decoder.read(&mut piece) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(error)),
            };
            output.push(piece.get(..len).unwrap_or_default())?;
            if output.len() > limit {
                return Err(too_large(offset));
            }
        }
        drop(decoder);
        let ahead = u64::try_from(input.buffer().len()).unwrap_or(0);
        Ok(input.get_ref().position().saturating_sub(ahead))
    }

    /// How many bytes of a stream are enough to unpack its beginning: a decoder of zstd or lz4 gives nothing before a whole block is there,
    /// whose content is at most 128 KiB and 8 MiB; what does not get shorter is stored with a little more.
    pub(crate) fn first_block(self) -> usize {
        match self {
            Self::Lz4 => lz4_flex::block::get_maximum_output_size(LZ4_BLOCK).saturating_add(8),
            _ => 192 << 10,
        }
    }

    /// The first 6 bytes of what begins at `offset`, unpacked; fewer where it ends or is damaged.
    pub(crate) fn peek(self, source: &Arc<dyn ReadAt>, offset: u64) -> Vec<u8> {
        if self == Self::Lz4 {
            return lz4_peek(source, offset).unwrap_or_default();
        }
        let mut input = BufReader::with_capacity(4 << 10, Stream::new(&**source, offset));
        let mut head = Vec::new();
        if let Ok(decoder) = self.decoder(&mut input, offset) {
            // OK: what was read before an error stays in the vector, and an archive that is damaged at once is none.
            let _ = decoder.take(6).read_to_end(&mut head);
        }
        head
    }

    fn decoder<'a>(
        self,
        input: &'a mut (dyn BufRead + 'a),
        offset: u64,
    ) -> Result<Box<dyn Read + 'a>> {
        let no_memory = |error: io::Error| Error::io("starting a decoder", error);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::GzDecoder::new(input)),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(input);
                Box::new(decoder.map_err(no_memory)?.single_frame())
            }
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0);
                let stream = stream.map_err(|error| no_memory(error.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Self::Lz4 | Self::Lzma | Self::Bzip2 | Self::Lzo => {
                let message = format!("it is compressed with {}, which is not read", self.name());
                let what = "unpacking an initramfs archive";
                return Err(Error::unsupported(what, message).at(offset));
            }
        })
    }
}

fn too_large(offset: u64) -> Error {
    let message = format!("more than {} GiB come out", MAX_UNPACKED >> 30);
    Error::limit("unpacking an initramfs archive", message).at(offset)
}

/// Legacy frames: the magic, then blocks of a length (32 bits) and that many bytes; the end of the source, a length of 0, or bytes that
/// cannot be a length end them.
///
/// Source: LZ4 frame format 1.6.4, "Legacy frame"; Linux, `lib/decompress_unlz4.c`.
fn unpack_lz4(
    source: &Arc<dyn ReadAt>,
    offset: u64,
    output: &mut Spool<'_>,
    limit: u64,
) -> Result<u64> {
    let mut at = offset.saturating_add(4);
    while let Some((block, next)) = lz4_block(source, at)? {
        if !block.is_empty() {
            output.push(&lz4_unpack_block(&block, at)?)?;
        }
        if output.len() > limit {
            return Err(too_large(offset));
        }
        at = next;
    }
    Ok(at)
}

/// The compressed block at `at`, and where the next one is; an empty one for the magic of another frame; `None` at the end.
fn lz4_block(source: &Arc<dyn ReadAt>, at: u64) -> Result<Option<(Vec<u8>, u64)>> {
    const WHAT: &str = "lz4 block";
    if source.len().saturating_sub(at) < 4 {
        return Ok(None);
    }
    let mut len = [0; 4];
    source.read_exact_at(&mut len, at)?;
    let data = at.saturating_add(4);
    match u32::from_le_bytes(len) {
        0 => Ok(None),
        LZ4_MAGIC => Ok(Some((Vec::new(), data))),
        len => {
            let limit = lz4_flex::block::get_maximum_output_size(LZ4_BLOCK);
            let block = read_vec(&**source, data, len.into(), limit, WHAT);
            let block = block.map_err(|error| Error::corrupt(WHAT, error.to_string()).at(at))?;
            Ok(Some((block, data.saturating_add(len.into()))))
        }
    }
}

fn lz4_unpack_block(block: &[u8], at: u64) -> Result<Vec<u8>> {
    let unpacked = lz4_flex::block::decompress(block, LZ4_BLOCK);
    unpacked.map_err(|error| Error::corrupt("lz4 block", error.to_string()).at(at))
}

fn lz4_peek(source: &Arc<dyn ReadAt>, offset: u64) -> Option<Vec<u8>> {
    let at = offset.checked_add(4)?;
    let (block, _) = lz4_block(source, at).ok()??;
    let mut unpacked = lz4_unpack_block(&block, at).ok()?;
    unpacked.truncate(6);
    Some(unpacked)
}
