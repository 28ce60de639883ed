//! The stages in boot order, one file each:
//!
//! ```text
//! start → find            → verify → base → persistence → overlay → switch
//!       → network → fetch ↗
//!       → selinux → restore → switch                where the initramfs is the system
//! ```
//!
//! Each takes what the stage before it answered, and answers with a value or a [`Failure`](contract::failure::Failure).

use std::io;

use contract::failure::{Code, Failure};

use crate::modules::Modules;
use crate::system::{Level, System};

pub(crate) mod base;
mod drivers;
#[cfg(feature = "network")]
pub(crate) mod fetch;
pub(crate) mod find;
#[cfg(feature = "network")]
pub(crate) mod network;
pub(crate) mod overlay;
pub(crate) mod persistence;
mod progress;
mod ram;
pub(crate) mod restore;
pub(crate) mod selinux;
mod snapshot;
pub(crate) mod start;
pub(crate) mod switch;
mod updates;
pub(crate) mod verify;
pub(crate) mod verity;

#[cfg(test)]
mod full_os_tests;
#[cfg(test)]
pub(crate) mod tests;

/// What every stage works with.
pub(crate) struct Boot<'a> {
    pub(crate) system: &'a mut dyn System,
    pub(crate) modules: Modules,
}

impl Boot<'_> {
    /// A line for the kernel's log, and for the console unless `quiet` is given.
    pub(crate) fn step(&mut self, text: &str) {
        self.system.log(Level::Step, text);
    }

    /// A line for the console also with `quiet`.
    pub(crate) fn warn(&mut self, text: &str) {
        self.system.log(Level::Warning, text);
    }

    /// Loads what is needed for file systems of this kind, unless the kernel has it.
    pub(crate) fn need_file_system(&mut self, kind: &str) {
        // What the kernel asks a program for when it mounts: there is none here to answer.
        let companions: &[&str] = match kind {
            "vfat" => &["nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8"],
            "ext4" | "btrfs" | "xfs" => &["crc32c_generic", "crc32c_intel", "libcrc32c"],
            "iso9660" => &["isofs"],
            _ => &[],
        };
        for name in companions {
            self.modules.load(self.system, name);
        }
        self.modules.load(self.system, kind);
        self.modules.load(self.system, &format!("fs-{kind}"));
    }
}

/// An operation of the system in words, as the cause of a failure.
pub(crate) trait OrStop<T> {
    /// The value, or a failure for the reason `code` whose cause is `doing` and what the system said.
    fn or_stop(self, code: Code, doing: &str) -> Result<T, Failure>;
}

impl<T> OrStop<T> for io::Result<T> {
    fn or_stop(self, code: Code, doing: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(code, format!("{doing}: {error}")))
    }
}
