//! The media check: reads all of the medium and compares it with the table that lies on it. Fails closed: a check that was asked for
//! and cannot be made stops the boot.

use std::io;

use contract::checksums::{self, Checksums};
use contract::failure::{
    CHECKSUMS_DAMAGED, Failure, MEDIUM_DAMAGED, MEDIUM_UNREADABLE, NO_CHECKSUMS,
};
use contract::media;
use contract::request::Request;

use super::find::{Medium, disk_of, node};
use super::progress::Progress;
use super::{Boot, OrStop as _, base};
use crate::probe;
use crate::system::Bytes;

/// Checks the medium, if the command line asks for it.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request, medium: &Medium) -> Result<(), Failure> {
    if !request.check {
        return Ok(());
    }
    if base::is_image(medium.identity.kind) {
        let cause = format!(
            "{} is a root file system image and no medium",
            medium.path()
        );
        return Err(Failure::new(NO_CHECKSUMS, cause));
    }
    base::mount_medium(boot, medium)?;
    let path = format!(
        "{}/{}/{}",
        media::LIVE_MOUNT,
        request.dir,
        media::CHECKSUMS_NAME
    );
    let table = match boot.system.read(&path, checksums::MAX_LEN) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::new(NO_CHECKSUMS, format!("{path} is not there")));
        }
        Err(error) => return Err(Failure::new(CHECKSUMS_DAMAGED, format!("{path}: {error}"))),
    };
    let table = Checksums::parse(&String::from_utf8_lossy(&table))
        .map_err(|error| Failure::new(CHECKSUMS_DAMAGED, error.to_string()))?;
    let path = node(&whole_medium(boot, medium));
    let device = boot.system.open(&path).or_stop(MEDIUM_UNREADABLE, &path)?;
    boot.step(&format!("checking {path}: {} MiB", table.covered >> 20));
    compare(boot, &path, &*device, &table)?;
    boot.system.console("the medium is what was built\n");
    Ok(())
}

/// A table covers the medium from its start: where the medium was found as a partition of a hybrid disk, that is the disk's.
fn whole_medium(boot: &Boot<'_>, medium: &Medium) -> String {
    let of_disk = disk_of(boot, &medium.name).filter(|disk| {
        let device = boot.system.open(&node(disk));
        let identity = device.and_then(|device| probe::probe(&*device));
        matches!(identity, Ok(Some(identity)) if identity == medium.identity)
    });
    of_disk.unwrap_or_else(|| medium.name.clone())
}

fn compare(
    boot: &mut Boot<'_>,
    path: &str,
    device: &dyn Bytes,
    table: &Checksums,
) -> Result<(), Failure> {
    if device.len() < table.covered {
        let cause = format!(
            "{path} has {} bytes, and {} were written",
            device.len(),
            table.covered
        );
        return Err(Failure::new(MEDIUM_DAMAGED, cause));
    }
    let largest = usize::try_from(table.chunk.min(table.covered)).unwrap_or_default();
    let mut buffer = vec![0; largest];
    let mut progress = Progress::new("checking the medium", table.covered);
    for (offset, len, digest) in table.chunks() {
        progress.show(boot.system);
        let len = usize::try_from(len).unwrap_or(largest);
        let Some(chunk) = buffer.get_mut(..len) else {
            continue;
        };
        if let Err(error) = device.read_at(chunk, offset) {
            boot.system.console("\n");
            let cause = format!("{path} at byte {offset}: {error}");
            return Err(Failure::new(MEDIUM_UNREADABLE, cause));
        }
        checksums::blank_out(&table.blanks, chunk, offset);
        if blake3::hash(chunk).as_bytes() != digest {
            boot.system.console("\n");
            let cause = format!("{path}: {len} bytes at byte {offset} are not what was written");
            return Err(Failure::new(MEDIUM_DAMAGED, cause));
        }
        progress.add(len);
    }
    boot.system.console("\rchecking the medium: 100 %\n");
    Ok(())
}
