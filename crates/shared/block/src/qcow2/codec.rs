//! Compressed clusters: raw deflate or one zstd frame, with anything after it up to the end of the last sector.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress};
use zstd::zstd_safe::{DCtx, find_frame_compressed_size, get_error_name};

/// How an image's clusters are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Deflate without the zlib header.
    Deflate,
    /// One zstd frame.
    Zstd,
}

enum State {
    Deflate(Decompress),
    Zstd(DCtx<'static>),
}

/// Decompresses clusters of one image, from any number of threads; the working memory of each is used again.
pub(super) struct Codec {
    compression: Compression,
    idle: Mutex<Vec<State>>,
}

impl Codec {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            compression,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Fills `cluster` from `compressed`.
    ///
    /// # Errors
    ///
    /// The reason where the bytes are damaged or do not give a whole cluster.
    pub(super) fn decompress(&self, compressed: &[u8], cluster: &mut [u8]) -> Result<(), String> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut state = match (taken, self.compression) {
            (Some(state), _) => state,
            (None, Compression::Deflate) => State::Deflate(Decompress::new(false)),
            (None, Compression::Zstd) => State::Zstd(DCtx::create()),
        };
        let answer = match &mut state {
            State::Deflate(inflate) => decompress_deflate(inflate, compressed, cluster),
            State::Zstd(context) => decompress_zstd(context, compressed, cluster),
        };
        idle().push(state);
        answer
    }
}

fn decompress_deflate(
    inflate: &mut Decompress,
    compressed: &[u8],
    cluster: &mut [u8],
) -> Result<(), String> {
    inflate.reset(false);
    inflate
        .decompress(compressed, cluster, FlushDecompress::Finish)
        .map_err(|error| format!("deflate: {error}"))?;
    whole(usize::try_from(inflate.total_out()).ok(), cluster.len())
}

fn decompress_zstd(
    context: &mut DCtx<'static>,
    compressed: &[u8],
    cluster: &mut [u8],
) -> Result<(), String> {
    let text = |code| format!("zstd: {}", get_error_name(code));
    // In one go, without a window of a size that the frame chose.
    let frame_len = find_frame_compressed_size(compressed).map_err(text)?;
    let frame = compressed.get(..frame_len).unwrap_or(compressed);
    let len = cluster.len();
    let written = context.decompress(cluster, frame).map_err(text)?;
    whole(Some(written), len)
}

fn whole(written: Option<usize>, len: usize) -> Result<(), String> {
    if written == Some(len) {
        return Ok(());
    }
    Err(format!(
        "{} bytes, and a cluster has {len}",
        written.unwrap_or_default()
    ))
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Codec").field(&self.compression).finish()
    }
}
