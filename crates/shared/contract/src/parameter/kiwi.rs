//! The parameters of KIWI's live module (`kiwi-live`, KIWI 9 to 11).

use super::Parameter;

/// The dialect's parameters that no other table has.
pub const TABLE: &[Parameter] = &[];
