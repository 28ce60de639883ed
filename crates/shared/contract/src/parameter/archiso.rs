//! The parameters of mkinitcpio-archiso.

use super::Parameter;

/// The dialect's parameters that no other table has.
pub const TABLE: &[Parameter] = &[];
