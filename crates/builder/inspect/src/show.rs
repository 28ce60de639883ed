//! How paths are written as JSON: as text, escaped where they are no UTF-8.

use serde::{Serialize as _, Serializer};
use tree::TreePath;

/// One path.
pub(crate) fn path<S: Serializer>(path: &TreePath, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(path)
}

/// A path or nothing.
pub(crate) fn maybe<S: Serializer>(path: &Option<TreePath>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(ToString::to_string).serialize(to)
}

/// A list of paths.
pub(crate) fn list<S: Serializer>(paths: &[TreePath], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(ToString::to_string))
}
