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

/// `rd.live.overlay.persistent`: what is written stays, on the boot disk or beside the ISO.
pub const PERSISTENT: &str = "rd.live.overlay.persistent";
/// `rd.live.cowfile.mbsize=`: how large a file beside the ISO becomes.
pub const COW_FILE_SIZE: &str = "rd.live.cowfile.mbsize";
/// `rd.live.cowfile.path=`: where that file is.
pub const COW_FILE: &str = "rd.live.cowfile.path";
/// `rd.live.encrypt`: what stays is encrypted.
pub const ENCRYPT: &str = "rd.live.encrypt";

/// The dialect's parameters that no other table has.
#[rustfmt::skip]
pub const TABLE: &[Parameter] = &[
    row((MEDIA_CHECK, Boolean, Dialect::Kiwi), "0", Honoured, "verify the whole medium before it is used (as rd.live.check)"),
    row((PERSISTENT, Boolean, Dialect::Kiwi), "0", Honoured, "what is written stays: in a partition of the boot disk labelled cow, made where it is missing, or in a file beside the ISO that was booted"),
    row((COW_FILE_SIZE, Mebibytes, Dialect::Kiwi), "500", Honoured, "how large a new file beside the ISO becomes"),
    row((COW_FILE, Text, Dialect::Kiwi), "live_system.cow", Honoured, "where that file is on the ISO's file system"),
    row((ENCRYPT, Boolean, Dialect::Kiwi), "0", Honoured, "a new partition or file is encrypted (LUKS2); the passphrase is asked for on the console"),
    row((RAM_DISK, Boolean, Dialect::Kiwi), "0", Honoured, "run from memory (as rd.live.ram; no disk image is written to a RAM disk)"),
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
