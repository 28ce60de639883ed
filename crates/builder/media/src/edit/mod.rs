//! Changes of finished media: kernel parameters, files, what the initramfs holds. The root file system image stays where and what it is.
//!
//! ```text
//! wish      what was asked for             journal   what was asked for so far, and what the changed bytes were before
//! plan      which files become what        room      where new bytes go
//! iso       an ISO, in place               folder    a folder for network boot
//! target    the file that is changed, and copies of it      digests   the media check table, made right again
//! saved     what a build left for the next one, to fit
//! ```
//!
//! A change is always one of the *original* media: the journal has the list of all changes, and each run works them out anew. So a
//! change that is made twice is there once, and [`Wish::reset`] gives the original back, byte for byte.
//!
//! **Invariant:** media whose change was interrupted boot, with the old or the new files, and the next change finishes or replaces it.

mod digests;
pub mod folder;
pub mod iso;
mod journal;
mod plan;
mod room;
mod saved;
pub mod target;
mod wish;

use bootloader::edit::{Line, Parameters};

pub use wish::{Addition, Wish};

/// The longest boot configuration file that is changed, in bytes: the longest `grub.cfg` that is read. Longer ones are no boot
/// configuration.
const MAX_CONFIG: usize = bootloader::grub::SCRIPT_LIMIT;
/// The name of the archive that is unpacked over the initramfs; it lies beside the initramfs of the first boot entry.
const ADDITIONS_NAME: &str = contract::media::INITRAMFS_ADDITIONS_NAME;

/// The media after a change.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The entries that start Linux, each with the path of its file.
    pub entries: Vec<(String, Line)>,
    /// All changes that are in force: those of kernel parameters.
    pub parameters: Parameters,
    /// Files that were added or replaced.
    pub files: Vec<String>,
    /// What was added to the initramfs.
    pub initramfs: Vec<String>,
    /// Where something was left as it was, one sentence each.
    pub warnings: Vec<String>,
    /// How many bytes of new content the media hold, and how many there is room for without the media getting longer.
    pub room: (u64, u64),
}
