//! What the archives are compressed with.

use std::io::{self, Write};

use block::{Error, Result};
use inspect::{Facts, Kernel};

use super::gzip::ParallelGzip;
use crate::initramfs::Compression as Unpacked;

/// The levels that are taken: beyond zstd's 19th its window has 128 MiB, which a machine needs besides the files.
const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=19;
const GZIP_LEVELS: std::ops::RangeInclusive<u32> = 1..=9;

/// What the initramfs is compressed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// zstd-3 where every kernel can unpack it, else gzip-6.
    #[default]
    Auto,
    /// Zstandard.
    Zstd {
        /// 1 to 19.
        level: i32,
    },
    /// gzip.
    Gzip {
        /// 1 to 9.
        level: u32,
    },
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Zstd(i32),
    Gzip(u32),
}

impl Codec {
    const DEFAULT_ZSTD: Self = Self::Zstd(3);
    const DEFAULT_GZIP: Self = Self::Gzip(6);

    /// What was asked for, if all kernels can unpack it: they have this one initramfs in common.
    ///
    /// # Errors
    ///
    /// `Unsupported` with the kernel and the option that it lacks; `Limit` for a level that there is not.
    pub(super) fn choose(wish: Compression, facts: &Facts) -> Result<Self> {
        let codec = match wish {
            Compression::Zstd { level } if ZSTD_LEVELS.contains(&level) => Self::Zstd(level),
            Compression::Gzip { level } if GZIP_LEVELS.contains(&level) => Self::Gzip(level),
            Compression::Zstd { .. } => return Err(no_level("zstd", "1 to 19")),
            Compression::Gzip { .. } => return Err(no_level("gzip", "1 to 9")),
            Compression::Auto => {
                let zstd = Self::DEFAULT_ZSTD;
                if zstd.first_that_cannot(facts).is_none() {
                    return Ok(zstd);
                }
                Self::DEFAULT_GZIP
            }
        };
        let Some(kernel) = codec.first_that_cannot(facts) else {
            return Ok(codec);
        };
        let (name, option, other) = match codec {
            Self::Zstd(_) => ("zstd", "CONFIG_RD_ZSTD", "gzip"),
            Self::Gzip(_) => ("gzip", "CONFIG_RD_GZIP", "zstd"),
        };
        let message = format!(
            "the kernel {} unpacks no {name} ({option} is not set): use {other}, or initramfsType bootstrap",
            kernel.version
        );
        Err(Error::unsupported(
            "choosing the initramfs' compression",
            message,
        ))
    }

    fn first_that_cannot(self, facts: &Facts) -> Option<&Kernel> {
        let unpacked = match self {
            Self::Zstd(level) => Unpacked::Zstd { level },
            Self::Gzip(_) => Unpacked::Gzip,
        };
        facts.kernels.iter().find(|k| !unpacked.is_known_to(k))
    }

    /// Begins a frame, or member.
    pub(super) fn encoder<'a>(
        self,
        out: &'a mut dyn Write,
        threads: usize,
    ) -> io::Result<Encoder<'a>> {
        match self {
            Self::Zstd(level) => {
                let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
                // With one worker or more the jobs are cut by the level alone; without any they would not be.
                encoder.multithread(u32::try_from(threads.max(1)).unwrap_or(1))?;
                encoder.include_checksum(true)?;
                Ok(Encoder::Zstd(encoder))
            }
            Self::Gzip(level) => Ok(Encoder::Gzip(ParallelGzip::new(out, level, threads)?)),
        }
    }
}

fn no_level(name: &str, levels: &str) -> Error {
    let message = format!("{name} has the levels {levels} here");
    Error::limit("choosing the initramfs' compression", message)
}

/// A frame that is being written.
pub(super) enum Encoder<'a> {
    Zstd(zstd::stream::write::Encoder<'static, &'a mut dyn Write>),
    Gzip(ParallelGzip<'a>),
}

impl Encoder<'_> {
    /// Ends the frame.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.finish().map(drop),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl Write for Encoder<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(buf),
            Self::Gzip(encoder) => encoder.write(buf),
        }
    }

    /// Does nothing: a flush would cut a job, and bytes must not depend on who calls.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
