//! A place for what the running system writes that outlives the machine's end. Where there is none the layer is in memory.

use contract::request::Request;

use super::Boot;
use super::find::Medium;

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

/// The place that was asked for. Trouble on the way is told, and is no reason to stop.
pub(crate) fn run(_: &mut Boot<'_>, request: &Request, _: &Medium) -> Option<Place> {
    request.persistence.as_ref()?;
    None
}
