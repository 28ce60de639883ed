//! The parameters of Debian's live-boot.

use super::Kind::Boolean;
use super::Standing::Honoured;
use super::{Dialect, Parameter, row};

/// `toram`: copy the root file system image to RAM.
pub const TO_RAM: &str = "toram";

/// The dialect's parameters that no other table has.
#[rustfmt::skip]
pub const TABLE: &[Parameter] = &[
    row((TO_RAM, Boolean, Dialect::LiveBoot), "0", Honoured, "copy the root file system image to RAM (as rd.live.ram)"),
];
