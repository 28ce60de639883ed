//! Raw LZMA as the decoder in GRUB's core image reads it.

use block::{Error, Result};
use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

/// The dictionary: 64 KiB, as `grub-mkimage` chooses it.
const DICTIONARY: u32 = 1 << 16;

/// `plain` as raw LZMA with lc=3, lp=0, pb=2, which are compiled into GRUB's decoder.
///
/// There is no header. An end marker follows, which the decoder never reads: it stops at the uncompressed length.
pub(super) fn compress(plain: &[u8]) -> Result<Vec<u8>> {
    let broken = |error: liblzma::stream::Error| {
        Error::unsupported("compressing GRUB's core image", "the LZMA encoder refuses")
            .caused_by(error)
    };
    let mut options = LzmaOptions::new_preset(6).map_err(broken)?;
    options
        .dict_size(DICTIONARY)
        .literal_context_bits(3)
        .literal_position_bits(0)
        .position_bits(2);
    let mut filters = Filters::new();
    filters.lzma1(&options);
    let mut stream = Stream::new_raw_encoder(&filters).map_err(broken)?;
    let mut packed = Vec::with_capacity(plain.len() / 2 + 4096);
    loop {
        let done = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let rest = plain.get(done..).unwrap_or_default();
        if stream
            .process_vec(rest, &mut packed, Action::Finish)
            .map_err(broken)?
            == Status::StreamEnd
        {
            return Ok(packed);
        }
        packed.reserve(packed.len() + 4096);
    }
}
