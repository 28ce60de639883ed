//! A folder for network boot, changed in place.

use std::path::Path;

use block::{Error, Result};

use super::{Report, Wish};

/// Changes the media in the folder `path`.
///
/// # Errors
///
/// [`Kind::Unsupported`](block::Kind::Unsupported).
pub fn edit(path: &Path, _wish: &Wish) -> Result<Report> {
    Err(Error::unsupported("changing a folder", "not yet").in_file(path))
}
