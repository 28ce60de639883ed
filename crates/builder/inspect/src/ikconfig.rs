//! A kernel's configuration, found inside of its image (`CONFIG_IKCONFIG`).
//!
//! The kernel holds its `.config` compressed with gzip between the texts `IKCFG_ST` and `IKCFG_ED`. Around it lies, on x86, another
//! compression: the boot header says where. The image is read as a stream, so that memory does not grow with it.

use std::io::{self, BufRead, BufReader, Read};

use block::{Content, ReadAt as _, Result};

use crate::file;

const START: &[u8] = b"IKCFG_ST";
const END: &[u8] = b"IKCFG_ED";

/// How far into an unpacked kernel the configuration is searched, in bytes. Real kernels have under 100 MiB; beyond it nothing is found.
const MAX_KERNEL: u64 = 256 << 20;

/// The largest configuration, compressed or not; real ones have 70 and 300 KiB. A larger one counts as none.
const MAX_CONFIG: usize = 4 << 20;

/// How much memory unpacking xz may take, in bytes; kernels need 33 MiB. What needs more counts as damaged.
const XZ_MEMORY: u64 = 128 << 20;

/// The text of the configuration in the kernel `image`; `None` where there is none, or in a compression that is not read here.
///
/// # Errors
///
/// What reading the image answers. Damage is no error: then there is no configuration.
pub(crate) fn find(image: &Content) -> Result<Option<String>> {
    let head = file::head(image, 0x250)?;
    let (offset, len) = payload(&head).unwrap_or((0, image.len()));
    let Some(end) = offset.checked_add(len).filter(|end| *end <= image.len()) else {
        return Ok(None);
    };
    let mut failure = None;
    let found = {
        let stream = Stream {
            image,
            at: offset,
            end,
            failure: &mut failure,
        };
        search(BufReader::with_capacity(64 << 10, stream))
    };
    match failure {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// Where the compressed kernel lies in an x86 image: offset and length.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, protocol 2.08: `setup_sects` at 0x1f1 (0 means 4), `payload_offset` at 0x248 from the
/// protected-mode code on, `payload_length` at 0x24c.
fn payload(head: &[u8]) -> Option<(u64, u64)> {
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let version = u16::from_le_bytes(*head.get(0x206..)?.first_chunk()?);
    if version < 0x0208 {
        return None;
    }
    let sectors = match *head.get(0x1f1)? {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let number = |at: usize| {
        let bytes = head.get(at..)?.first_chunk()?;
        Some(u64::from(u32::from_le_bytes(*bytes)))
    };
    Some(((sectors + 1) * 512 + number(0x248)?, number(0x24c)?))
}

/// Unpacks `input` by its first bytes and searches it.
fn search(mut input: impl BufRead) -> Option<String> {
    let head = input.fill_buf().ok()?;
    let packed = if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(input).ok()?;
        gather(decoder.single_frame())
    } else if head.starts_with(b"\xfd7zXZ\0") {
        let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0).ok()?;
        gather(liblzma::bufread::XzDecoder::new_stream(input, stream))
    } else if head.starts_with(&[0x1f, 0x8b]) {
        gather(flate2::bufread::GzDecoder::new(input))
    } else {
        gather(input)
    };
    let packed = packed?;
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_CONFIG).unwrap_or(u64::MAX);
    let mut decoder = flate2::read::GzDecoder::new(packed.as_slice()).take(limit);
    decoder.read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.contains("CONFIG_").then_some(text)
}

/// The bytes between the two marks.
fn gather(kernel: impl Read) -> Option<Vec<u8>> {
    let mut kernel = kernel.take(MAX_KERNEL);
    let mut window: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    let mut inside = false;
    loop {
        let len = match kernel.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(len) => len,
        };
        window.extend_from_slice(chunk.get(..len)?);
        loop {
            let mark = if inside { END } else { START };
            let Some(at) = position(&window, mark) else {
                break;
            };
            if inside {
                window.truncate(at);
                return Some(window);
            }
            window.drain(..at + START.len());
            // The mark is also in the program that searches for it: what follows must be gzip.
            inside = window.starts_with(&[0x1f, 0x8b]) || window.len() < 2;
        }
        if !inside {
            // A mark may go on in the next chunk.
            let keep = window.len().min(START.len() - 1);
            window.drain(..window.len() - keep);
        } else if window.len() > MAX_CONFIG {
            return None;
        }
    }
}

fn position(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

/// A part of the image as a stream. What reading answers is kept, because a decoder would take it for damage.
struct Stream<'a> {
    image: &'a Content,
    at: u64,
    end: u64,
    failure: &'a mut Option<block::Error>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = rest.min(buf.len());
        let part = buf.get_mut(..len).unwrap_or_default();
        if let Err(error) = self.image.read_exact_at(part, self.at) {
            *self.failure = Some(error);
            return Err(io::Error::other("reading the image"));
        }
        self.at = self.at.saturating_add(u64::try_from(len).unwrap_or(0));
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const TEXT: &str = "CONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZSTD=y\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A kernel, unpacked: the mark once without a configuration, then with one, across the border of two chunks.
    fn kernel() -> Vec<u8> {
        let mut bytes = b"IKCFG_ST\0search".to_vec();
        bytes.resize((256 << 10) - 4, 7);
        bytes.extend(START);
        bytes.extend(gzip(TEXT.as_bytes()));
        bytes.extend(END);
        bytes.resize(600 << 10, 9);
        bytes
    }

    /// An x86 image around `payload`.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 5 * 512 + 64];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
        bytes[0x248..0x24c].copy_from_slice(&64_u32.to_le_bytes());
        let len = u32::try_from(payload.len()).unwrap();
        bytes[0x24c..0x250].copy_from_slice(&len.to_le_bytes());
        bytes.extend(payload);
        bytes.extend([0xff; 100]);
        bytes
    }

    fn search_in(bytes: Vec<u8>) -> Option<String> {
        find(&Content::from_bytes(bytes)).unwrap()
    }

    #[test]
    fn the_configuration_is_found_in_every_compression() {
        let zstd = zstd::encode_all(kernel().as_slice(), 1).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&kernel()).unwrap();
        for payload in [zstd, xz.finish().unwrap(), gzip(&kernel()), kernel()] {
            assert_eq!(search_in(image(&payload)).as_deref(), Some(TEXT));
        }
        assert_eq!(search_in(kernel()).as_deref(), Some(TEXT));
    }

    #[test]
    fn damage_is_no_configuration_and_no_panic() {
        let payload = zstd::encode_all(kernel().as_slice(), 1).unwrap();
        let whole = image(&payload);
        for len in (0..whole.len()).step_by(7) {
            search_in(whole[..len].to_vec());
        }
        for at in 0x1f0..0x250 {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            search_in(bytes);
        }
        for at in (5 * 512..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            search_in(bytes);
        }
        assert_eq!(search_in(b"IKCFG_STtext".to_vec()), None);
        assert_eq!(search_in(b"IKCFG_ST".to_vec()), None);
    }
}
