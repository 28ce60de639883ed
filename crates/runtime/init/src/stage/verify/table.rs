//! Our own table: a digest for each chunk of the medium.

use std::io;

use contract::checksums::{self, Checksums};
use contract::media;
use contract::request::Request;

use super::{Boot, CHECKSUMS_DAMAGED, Ended, Failure, MEDIUM_DAMAGED, Whole};

/// The table of the medium that is mounted; `None` where it has none.
pub(super) fn read(boot: &Boot<'_>, request: &Request) -> Result<Option<Checksums>, Failure> {
    for folder in [request.dir.as_str(), media::DIR] {
        let path = format!("{}/{folder}/{}", media::LIVE_MOUNT, media::CHECKSUMS_NAME);
        let bytes = match boot.system.read(&path, checksums::MAX_LEN) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Failure::new(CHECKSUMS_DAMAGED, format!("{path}: {error}")));
            }
        };
        let table = Checksums::parse(&String::from_utf8_lossy(&bytes));
        return table
            .map(Some)
            .map_err(|error| Failure::new(CHECKSUMS_DAMAGED, error.to_string()));
    }
    Ok(None)
}

/// Compares the medium with it, chunk by chunk.
pub(super) fn compare(
    boot: &mut Boot<'_>,
    whole: &Whole,
    table: &Checksums,
) -> Result<Ended, Failure> {
    let chunk = usize::try_from(table.chunk).unwrap_or_default();
    let mut digests = table.chunks();
    whole.read(boot, (table.covered, chunk), &mut |bytes, at| {
        checksums::blank_out(&table.blanks, bytes, at);
        let known = digests.next().map(|(_, _, digest)| digest);
        if known == Some(blake3::hash(bytes).as_bytes()) {
            return Ok(());
        }
        let (path, len) = (&whole.path, bytes.len());
        let cause = format!("{path}: {len} bytes at byte {at} are not what was written");
        Err(Failure::new(MEDIUM_DAMAGED, cause))
    })
}
