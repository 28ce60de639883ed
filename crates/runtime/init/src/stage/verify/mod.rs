//! The media check: reads all of the medium and compares it with what lies on it. Fails closed: a check that was asked for and cannot
//! be made stops the boot.
//!
//! * [`table`]: our own table of digests, which names the bad place.
//! * [`implanted`]: the checksums that other programs put into the volume descriptor, where there is no table.
//! * this file: which of them it is, and how the medium is read.

use contract::checksums::Checksums;
use contract::failure::{
    CHECKSUMS_DAMAGED, Failure, MEDIUM_DAMAGED, MEDIUM_UNREADABLE, NO_CHECKSUMS,
};
use contract::request::Request;

use super::find::{Medium, disk_of, node};
use super::progress::Progress;
use super::{Boot, OrStop as _, base};
use crate::probe;
use crate::system::Bytes;

mod implanted;
mod table;

const ESCAPE: u8 = 0x1b;

/// The medium as a whole, to be read from its start on.
struct Whole {
    /// The kernel's name of the device.
    name: String,
    path: String,
    device: Box<dyn Bytes>,
}

/// What is done with a piece of the medium and its place.
type Each<'a> = dyn FnMut(&mut [u8], u64) -> Result<(), Failure> + 'a;

/// How a check ended that found nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All is as it was written.
    Good,
    /// Somebody pressed Esc.
    Skipped,
}

/// Checks the medium, if the command line asks for it.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request, medium: &Medium) -> Result<(), Failure> {
    if !request.check {
        return Ok(());
    }
    if base::is_image(medium.identity.kind) {
        let path = medium.path();
        let cause = format!("{path} is a root file system image and no medium");
        return Err(Failure::new(NO_CHECKSUMS, cause));
    }
    base::mount_medium(boot, medium)?;
    let whole = Whole::open(boot, medium)?;
    if let Err(error) = boot.system.watch_keys() {
        boot.step(&format!("no keys are seen during the check: {error}"));
    }
    let ended = compare(boot, request, &whole);
    boot.system.ignore_keys();
    match ended? {
        Ended::Good => boot.system.console("the medium is what was built\n"),
        Ended::Skipped => boot.warn("the media check was skipped: nothing is known of the medium"),
    }
    Ok(())
}

/// The table of digests of the medium that is mounted; `None` where it has none.
pub(super) fn table(boot: &Boot<'_>, request: &Request) -> Result<Option<Checksums>, Failure> {
    table::read(boot, request)
}

/// The path and the bytes of the whole medium, which a table is of.
pub(super) fn whole(boot: &Boot<'_>, medium: &Medium) -> Result<(String, Box<dyn Bytes>), Failure> {
    let whole = Whole::open(boot, medium)?;
    Ok((whole.path, whole.device))
}

/// Compares the medium with the strongest that is on it.
fn compare(boot: &mut Boot<'_>, request: &Request, whole: &Whole) -> Result<Ended, Failure> {
    if let Some(table) = table::read(boot, request)? {
        return table::compare(boot, whole, &table);
    }
    match implanted::read(whole)? {
        Some(check) => implanted::compare(boot, whole, check),
        None => {
            let cause = format!(
                "{} has neither our table nor a checksum of isomd5sum or checkmedia",
                whole.path
            );
            Err(Failure::new(NO_CHECKSUMS, cause))
        }
    }
}

impl Whole {
    /// Checks cover the medium from its start: where the medium was found as a partition of a hybrid disk, that is the disk's.
    fn open(boot: &Boot<'_>, medium: &Medium) -> Result<Self, Failure> {
        let of_disk = disk_of(boot, &medium.name).filter(|disk| {
            let device = boot.system.open(&node(disk));
            let identity = device.and_then(|device| probe::probe(&*device));
            matches!(identity, Ok(Some(identity)) if identity == medium.identity)
        });
        let name = of_disk.unwrap_or_else(|| medium.name.clone());
        let path = node(&name);
        let device = boot.system.open(&path).or_stop(MEDIUM_UNREADABLE, &path)?;
        Ok(Self { name, path, device })
    }

    /// Reads the first `len` bytes in pieces of `piece` bytes, of which the last may be shorter, and shows how far it is.
    fn read(
        &self,
        boot: &mut Boot<'_>,
        (len, piece): (u64, usize),
        each: &mut Each<'_>,
    ) -> Result<Ended, Failure> {
        if self.device.len() < len {
            let cause = format!(
                "{} has {} bytes, and {len} were written",
                self.path,
                self.device.len()
            );
            return Err(Failure::new(MEDIUM_DAMAGED, cause));
        }
        boot.step(&format!("checking {}: {} MiB", self.path, len >> 20));
        boot.system
            .console("checking the medium; Esc skips the check\n");
        let whole = usize::try_from(len).unwrap_or(piece);
        let mut buffer = vec![0; piece.min(whole)];
        let mut progress = Progress::new("checking the medium", len);
        while progress.done < len {
            progress.show(boot.system);
            if was_escaped(boot) {
                boot.system.console("\n");
                return Ok(Ended::Skipped);
            }
            let rest = usize::try_from(len.saturating_sub(progress.done)).unwrap_or(piece);
            let bytes = buffer.get_mut(..rest.min(piece)).unwrap_or_default();
            let at = progress.done;
            let read = self.device.read_at(bytes, at).map_err(|error| {
                let cause = format!("{} at byte {at}: {error}", self.path);
                Failure::new(MEDIUM_UNREADABLE, cause)
            });
            if let Err(failure) = read.and_then(|()| each(bytes, at)) {
                boot.system.console("\n");
                return Err(failure);
            }
            progress.add(bytes.len());
        }
        progress.show(boot.system);
        Ok(Ended::Good)
    }
}

/// Whether somebody has pressed Esc: alone, for it begins what the arrow keys send too.
fn was_escaped(boot: &mut Boot<'_>) -> bool {
    boot.system.pressed_keys().ends_with(&[ESCAPE])
}
