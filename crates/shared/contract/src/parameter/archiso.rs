//! The parameters of mkinitcpio-archiso.

use super::Kind::Text;
use super::Standing::Honoured;
use super::{Dialect, Parameter, row};

/// `copytoram=`: copy the root file system image to RAM.
pub const COPY_TO_RAM: &str = "copytoram";

/// The dialect's parameters that no other table has.
#[rustfmt::skip]
pub const TABLE: &[Parameter] = &[
    row((COPY_TO_RAM, Text, Dialect::Archiso), "n", Honoured, "y, n or auto: copy the root file system image to RAM; auto where it fits"),
];
