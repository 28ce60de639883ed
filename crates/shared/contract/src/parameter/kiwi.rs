//! The parameters of KIWI's live module (`kiwi-live`, KIWI 9 to 11). Those that it shares with dracut's `dmsquash-live` are in its table:
//! `rd.live.dir=`, `rd.live.squashimg=`, `rd.live.overlay.size=`, `rd.live.overlay.cowfs=`, `rd.live.check`, `iso-scan/filename=`.

use super::Kind::{Boolean, Mebibytes, Seconds, Text};
use super::Standing::{Honoured, Ignored, Moot};
use super::{Dialect, Parameter, row};

/// `mediacheck`: verify the medium before it is used.
pub const MEDIA_CHECK: &str = "mediacheck";
/// `rd.kiwi.ramdisk`: the system runs from memory.
pub const RAM_DISK: &str = "rd.kiwi.ramdisk";
/// `rd.kiwi.debug`: a trace of the live set-up.
pub const DEBUG: &str = "rd.kiwi.debug";

/// The dialect's parameters that no other table has.
#[rustfmt::skip]
pub const TABLE: &[Parameter] = &[
    row((MEDIA_CHECK, Boolean, Dialect::Kiwi), "0", Honoured, "verify the whole medium before it is used (as rd.live.check)"),
    row((RAM_DISK, Boolean, Dialect::Kiwi), "0", Honoured, "run from memory (as rd.live.ram; no disk image is written to a RAM disk)"),
    row(("rd.live.overlay.persistent", Boolean, Dialect::Kiwi), "0", Ignored, "what is written stays: in a partition of the boot disk, or in a file beside a looped ISO"),
    row(("rd.live.cowfile.mbsize", Mebibytes, Dialect::Kiwi), "500", Ignored, "the size of a new file for what is written, beside a looped ISO"),
    row(("rd.live.cowfile.path", Text, Dialect::Kiwi), "live_system.cow", Ignored, "the path of that file"),
    row(("rd.live.encrypt", Boolean, Dialect::Kiwi), "0", Ignored, "a new partition or file for what is written is encrypted"),
    row(("rd.kiwi.live.system", Text, Dialect::Kiwi), "/dev/ram0", Moot, "what is fetched is kept as a file in memory"),
    row(("rd.kiwi.live.reset", Boolean, Dialect::Kiwi), "0", Moot, "what is fetched is fetched at each boot"),
    row(("ramdisk_size", Text, Dialect::Kiwi), "", Moot, "memory itself is the limit of what is fetched"),
    row(("rd.kiwi.live.curl_options", Text, Dialect::Kiwi), "", Ignored, "options of curl, by which nothing is fetched here"),
    row(("rd.kiwi.live.dolly_options", Text, Dialect::Kiwi), "", Ignored, "options of dolly, by which nothing is fetched here"),
    row(("rd.kiwi.live.pxe", Boolean, Dialect::Kiwi), "0", Ignored, "the network card is named lan0"),
    row(("rd.kiwi.verity_options", Text, Dialect::Kiwi), "", Ignored, "options of veritysetup"),
    row((DEBUG, Boolean, Dialect::Kiwi), "0", Honoured, "tell everything (as rd.debug)"),
    row(("rd.kiwi.dialog.timeout", Seconds, Dialect::Kiwi), "", Moot, "there are no dialogs"),
    row(("rd.kiwi.allow_plymouth", Boolean, Dialect::Kiwi), "0", Moot, "there are no dialogs"),
];
