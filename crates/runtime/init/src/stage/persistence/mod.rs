//! A place for what the running system writes that outlives the machine's end. Where there is none the layer is in memory.
//!
//! * `disk`: what the medium lies on, and its partitions; `partition`: one with our label, found or made;
//! * `file`: a file beside the ISO that was booted; `named`: a device that the command line names;
//! * `create`: a new file system; `encrypted`: LUKS around it; `folders`: what of it becomes the layer.
//!
//! No disk is written to but the one that the medium lies on, and those that are named. What is there and cannot be used is never
//! made again. A partition is added to the table after its file system is whole, and a file gets its name then: a power cut leaves
//! nothing half made.

mod create;
mod disk;
mod encrypted;
mod file;
mod folders;
mod named;
mod partition;
#[cfg(test)]
mod tests;

use contract::request::Request;
use contract::request::persistence::{ENCRYPTED_LABEL, LABEL, Persistence, Store};

use super::Boot;
use super::find::Medium;
use disk::Carrier;

/// Where what is written stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Two folders of one file system that is mounted for writing: overlayfs' upper and work folder.
    Folders {
        /// The upper folder's path.
        upper: String,
        /// The work folder's path.
        work: String,
    },
    /// A store of device-mapper's snapshots that something was written to before.
    Snapshot {
        /// The store's block device.
        device: String,
        /// Whether it is read and not written.
        read_only: bool,
    },
}

/// What persistence works with.
struct Job<'a, 'b> {
    boot: &'a mut Boot<'b>,
    request: &'a Request,
    wish: &'a Persistence,
    medium: &'a Medium,
    /// What opens an encrypted volume, once it is known.
    passphrase: Option<Vec<u8>>,
}

/// Why there is no place, one line for people.
type Trouble = String;

/// The place that was asked for. Trouble on the way is told, and is no reason to stop.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request, medium: &Medium) -> Option<Place> {
    const INSTEAD: &str = "what is written is in memory and gone at power-off";
    let wish = request.persistence.as_ref()?;
    let mut job = Job {
        boot,
        request,
        wish,
        medium,
        passphrase: None,
    };
    match job.place() {
        Ok(Ok(place)) => {
            if let Place::Folders { upper, .. } = &place {
                job.boot.step(&format!("what is written stays, in {upper}"));
            }
            Some(place)
        }
        Ok(Err(reason)) => {
            job.boot.step(&format!("{reason}: {INSTEAD}"));
            None
        }
        Err(trouble) => {
            job.boot.warn(&format!("{trouble}: {INSTEAD}"));
            None
        }
    }
}

impl Job<'_, '_> {
    /// The place; or why there cannot be one, which is no trouble.
    fn place(&mut self) -> Result<Result<Place, String>, Trouble> {
        let wish = self.wish;
        let (file, file_mib) = match &wish.store {
            Store::Named { device, path } => {
                return self.named_place(device, path.as_deref()).map(Ok);
            }
            Store::BootDisk { file, file_mib } => (file, *file_mib),
        };
        match self.carrier()? {
            Carrier::Fixed(reason) => Ok(Err(reason)),
            Carrier::Disk(disk) => {
                let part = match self.labelled(&disk, &[LABEL, ENCRYPTED_LABEL]) {
                    Some(part) => part,
                    None => self.new_partition(&disk, LABEL)?,
                };
                self.mount_partition(&disk, &part)?;
                self.plain_folders().map(Ok)
            }
            Carrier::Beside(carrier) => {
                self.mount_file(&carrier, file, file_mib)?;
                self.plain_folders().map(Ok)
            }
        }
    }
}
