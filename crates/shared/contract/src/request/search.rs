//! How the medium is found where it is no device of its own: a file on another file system.

use crate::cmdline::Cmdline;
use crate::failure::Failure;

/// Where else the medium may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {}

impl Search {
    /// What the command line says of files that hold the medium.
    pub(super) fn read(_: &Cmdline, _: &mut Vec<String>) -> Result<Self, Failure> {
        Ok(Self {})
    }
}
