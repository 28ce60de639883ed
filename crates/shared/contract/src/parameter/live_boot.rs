//! The parameters of Debian's live-boot.

use super::Parameter;

/// The dialect's parameters that no other table has.
pub const TABLE: &[Parameter] = &[];
