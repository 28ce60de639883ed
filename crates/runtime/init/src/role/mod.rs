//! What this program is, by how it was started.

pub(crate) mod full_os;
pub(crate) mod hook;
pub(crate) mod pid1;
pub(crate) mod shutdown;
