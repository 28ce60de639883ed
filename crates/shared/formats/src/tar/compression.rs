//! What an archive is compressed with, and unpacking it.

use std::io::{self, BufRead, BufReader, Read};

use block::{Error, ReadAt, Result, WriteAt};

use crate::stream::Stream;

/// How much memory an xz decoder may use, in bytes: `xz -9` needs 65 MiB. Archives that need more are refused.
const XZ_MEMORY: u64 = 256 << 20;

/// How long an unpacked archive may be, in bytes: 1 TiB. What a few bytes can be made to unpack to is limited by nothing else.
const MAX_UNPACKED: u64 = 1 << 40;

/// In what pieces an archive is unpacked, in bytes; a piece of zeros becomes a hole.
const PIECE: usize = 128 << 10;

const WHAT: &str = "unpacking the archive";

/// What an archive is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// gzip, in one or more members.
    Gzip,
    /// xz, in one or more streams.
    Xz,
    /// Zstandard, in one or more frames.
    Zstd,
    /// lz4, in one or more frames, legacy ones too.
    Lz4,
    /// bzip2; not read.
    Bzip2,
    /// Bare LZMA; not read.
    Lzma,
    /// lzip; not read.
    Lzip,
    /// lzop; not read.
    Lzop,
    /// `compress` of Unix; not read.
    Compress,
}

impl Compression {
    /// Tells it by the first bytes; `None` where they are of none of these.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        Some(match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // A frame that is passed over may come first (`pzstd`).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0x5d, 0, 0, _, _, 0 | 0xff, ..] => Self::Lzma,
            [b'L', b'Z', b'I', b'P', 1, ..] => Self::Lzip,
            [0x89, b'L', b'Z', b'O', ..] => Self::Lzop,
            [0x1f, 0x9d, ..] => Self::Compress,
            _ => return None,
        })
    }

    /// The name of the program that makes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Lzip => "lzip",
            Self::Lzop => "lzop",
            Self::Compress => "compress",
        }
    }

    /// Unpacks `source` to `target`, which has to read as zeros where nothing is written. Answers with the length of what came out.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the bytes are damaged, `Limit` where more than 1 TiB comes out, `Unsupported` for what is not read.
    pub(super) fn unpack(self, source: &dyn ReadAt, target: &dyn WriteAt) -> Result<u64> {
        let mut input = BufReader::with_capacity(PIECE, Stream::new(source, 0));
        let mut decoder = self.decoder(&mut input)?;
        let mut buf = vec![0; PIECE];
        let mut len = 0_u64;
        loop {
            let piece = fill(&mut *decoder, &mut buf).map_err(|error| self.damaged(error))?;
            if piece.is_empty() {
                return Ok(len);
            }
            if piece.iter().any(|byte| *byte != 0) {
                target.write_all_at(piece, len)?;
            }
            len = len.saturating_add(ReadAt::len(piece));
            if len > MAX_UNPACKED {
                let message = format!("more than {} GiB come out", MAX_UNPACKED >> 30);
                return Err(Error::limit(WHAT, message));
            }
        }
    }

    /// The first `len` bytes of `source`, unpacked; fewer where it ends, is damaged or is not read.
    pub(super) fn peek(self, source: &dyn ReadAt, len: usize) -> Vec<u8> {
        let mut input = BufReader::with_capacity(4 << 10, Stream::new(source, 0));
        let mut head = vec![0; len];
        let read = self.decoder(&mut input).ok().map(|mut decoder| {
            // OK: what is damaged at once is no archive.
            fill(&mut *decoder, &mut head).map_or(0, <[u8]>::len)
        });
        head.truncate(read.unwrap_or(0));
        head
    }

    fn damaged(self, error: io::Error) -> Error {
        // An error of the source below is not the archive's fault.
        if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
            return Error::io(WHAT, error);
        }
        let message = format!("the {} stream is damaged", self.name());
        Error::corrupt(WHAT, message).caused_by(error)
    }

    fn decoder<'a>(self, input: &'a mut (dyn BufRead + 'a)) -> Result<Box<dyn Read + 'a>> {
        let no_memory = |error: io::Error| Error::io(WHAT, error);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(input);
                Box::new(decoder.map_err(no_memory)?)
            }
            Self::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags);
                let stream = stream.map_err(|error| no_memory(error.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Self::Lz4 => Box::new(Lz4Frames(lz4_flex::frame::FrameDecoder::new(input))),
            Self::Bzip2 | Self::Lzma | Self::Lzip | Self::Lzop | Self::Compress => {
                let message = format!(
                    "it is compressed with {}; gzip, xz, zstd and lz4 are read",
                    self.name()
                );
                return Err(Error::unsupported(WHAT, message));
            }
        })
    }
}

/// Frames one after the other: the decoder stops after each.
struct Lz4Frames<'a>(lz4_flex::frame::FrameDecoder<&'a mut (dyn BufRead + 'a)>);

impl Read for Lz4Frames<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.0.read(buf)?;
            if len > 0 || buf.is_empty() || self.0.get_mut().fill_buf()?.is_empty() {
                return Ok(len);
            }
        }
    }
}

/// Fills `buf` as far as there is something; answers with what was filled.
fn fill<'a>(input: &mut dyn Read, buf: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut filled = 0_usize;
    loop {
        let rest = buf.get_mut(filled..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        match input.read(rest) {
            Ok(0) => break,
            Ok(len) => filled = filled.saturating_add(len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buf.get(..filled).unwrap_or_default())
}
