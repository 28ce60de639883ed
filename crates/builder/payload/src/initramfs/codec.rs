//! Unpacking single files, as they lie in a system: modules, firmware, microcode.

use std::io::Read;

use block::{Content, Error, Result};

/// The largest module or firmware file, unpacked. Real ones have under 100 MiB with debugging symbols; larger ones are refused.
const MAX_FILE: usize = 256 << 20;

/// How a file is compressed, by the end of its name.
const SUFFIXES: [&str; 3] = [".xz", ".zst", ".gz"];

/// The name without the suffix of a compression.
pub(crate) fn plain_name(name: &str) -> &str {
    SUFFIXES
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

/// The names under which a file may lie: plain, and with each suffix.
pub(crate) fn names(path: String) -> impl Iterator<Item = String> {
    let compressed = SUFFIXES.map(|suffix| format!("{path}{suffix}"));
    std::iter::once(path).chain(compressed)
}

/// The bytes of the file `path`, unpacked as its name says.
///
/// # Errors
///
/// `Corrupt` where they are damaged, `Limit` where there are more than 256 MiB; both with the path.
pub(crate) fn unpack(content: &Content, path: &str) -> Result<Vec<u8>> {
    let bytes = content
        .read_all(MAX_FILE)
        .map_err(|error| error.in_file(path))?;
    let input = bytes.as_slice();
    let mut decoder: Box<dyn Read + '_> = if path.ends_with(".xz") {
        Box::new(liblzma::read::XzDecoder::new_multi_decoder(input))
    } else if path.ends_with(".zst") {
        let decoder = zstd::stream::read::Decoder::with_buffer(input);
        Box::new(decoder.map_err(|error| Error::io("starting a decoder", error))?)
    } else if path.ends_with(".gz") {
        Box::new(flate2::read::MultiGzDecoder::new(input))
    } else {
        return Ok(bytes);
    };
    let mut output = Vec::new();
    let limit = u64::try_from(MAX_FILE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = decoder.by_ref().take(limit).read_to_end(&mut output);
    read.map_err(|error| Error::corrupt("unpacking a file", error.to_string()).in_file(path))?;
    if output.len() > MAX_FILE {
        let message = format!("more than {} MiB come out", MAX_FILE >> 20);
        return Err(Error::limit("unpacking a file", message).in_file(path));
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn files_are_unpacked_by_their_name() {
        let text = b"some bytes, some bytes, some bytes";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        gzip.write_all(text).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(text).unwrap();
        for (name, bytes) in [
            ("a.ko", text.to_vec()),
            ("a.ko.zst", zstd::encode_all(&text[..], 1).unwrap()),
            ("a.ko.gz", gzip.finish().unwrap()),
            ("a.ko.xz", xz.finish().unwrap()),
        ] {
            assert_eq!(plain_name(name), "a.ko");
            let content = Content::from_bytes(bytes.as_slice());
            assert_eq!(unpack(&content, name).unwrap(), text, "{name}");
            if name != "a.ko" {
                let cut = Content::from_bytes(&bytes[..bytes.len() / 2]);
                let error = unpack(&cut, name).unwrap_err();
                assert_eq!(error.kind(), block::Kind::Corrupt, "{name}");
            }
        }
    }
}
