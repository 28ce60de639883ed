//! Where what the system writes stays when the machine ends.

use crate::cmdline::Cmdline;
use crate::failure::Failure;

/// A persistent writable layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistence {}

impl Persistence {
    /// What the command line says of persistence; `None` where it asks for none.
    pub(super) fn read(_: &Cmdline, _: &mut Vec<String>) -> Result<Option<Self>, Failure> {
        Ok(None)
    }
}
