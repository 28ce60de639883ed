//! The parameters of KIWI's live module (`kiwi-live`, KIWI 9 to 11).

use super::Kind::Boolean;
use super::Standing::Honoured;
use super::{Dialect, Parameter, row};

/// `mediacheck`: verify the medium before it is used.
pub const MEDIA_CHECK: &str = "mediacheck";
/// `rd.kiwi.ramdisk`: the system runs from memory.
pub const RAM_DISK: &str = "rd.kiwi.ramdisk";

/// The dialect's parameters that no other table has.
#[rustfmt::skip]
pub const TABLE: &[Parameter] = &[
    row((MEDIA_CHECK, Boolean, Dialect::Kiwi), "0", Honoured, "verify the whole medium before it is used (as rd.live.check)"),
    row((RAM_DISK, Boolean, Dialect::Kiwi), "0", Honoured, "run from memory (as rd.live.ram; no disk image is written to a RAM disk)"),
];
