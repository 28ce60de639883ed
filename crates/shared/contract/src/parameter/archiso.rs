//! The parameters of mkinitcpio-archiso.

use super::Kind::{Boolean, Text};
use super::Standing::{Honoured, Ignored, Moot, Refused};
use super::{Dialect, Parameter, row};

/// `copytoram=`: copy the root file system image to RAM.
pub const COPY_TO_RAM: &str = "copytoram";
/// `archisobasedir=`: the folder on the medium.
pub const BASE_DIR: &str = "archisobasedir";
/// The value of [`BASE_DIR`] where it is not given.
pub const DEFAULT_BASE_DIR: &str = "arch";
/// `arch=`: the folder below that, which is the machine's kind.
pub const ARCH: &str = "arch";
/// `archisolabel=`: the medium's label.
pub const LABEL: &str = "archisolabel";
/// `archisodevice=`: the medium.
pub const DEVICE: &str = "archisodevice";
/// `archisosearchuuid=`: the medium's UUID, or that in the name of a file on it.
pub const SEARCH_UUID: &str = "archisosearchuuid";
/// `archisosearchfilename=`: a file that the medium has.
pub const SEARCH_FILE_NAME: &str = "archisosearchfilename";
/// `archiso_http_srv=`: the server that has what media have.
pub const HTTP_SERVER: &str = "archiso_http_srv";
/// `archiso_nfs_srv=` and `archiso_nbd_srv=`: servers of other kinds.
pub const OTHER_SERVERS: [&str; 2] = ["archiso_nfs_srv", "archiso_nbd_srv"];
/// `cow_spacesize=`: how much may be written.
pub const COW_SPACE_SIZE: &str = "cow_spacesize";
/// `cow_label=`: the file system that what is written goes to, by its label.
pub const COW_LABEL: &str = "cow_label";
/// `cow_device=`: the same by its device.
pub const COW_DEVICE: &str = "cow_device";
/// `cow_directory=`: the folder on it.
pub const COW_DIRECTORY: &str = "cow_directory";
/// `img_loop=`: the file that the medium is in.
pub const IMG_LOOP: &str = "img_loop";
/// `img_dev=`: the file system with that file.
pub const IMG_DEVICE: &str = "img_dev";
/// `img_label=`: the same by its label.
pub const IMG_LABEL: &str = "img_label";
/// What names the file system with the file.
pub const CARRIERS: [&str; 2] = [IMG_LABEL, IMG_DEVICE];
/// `img_flags=`: options to mount it with.
pub const IMG_FLAGS: &str = "img_flags";

/// Where one of these is, the command line is in this dialect.
pub const ACTIVATION: [&str; 7] = [
    LABEL,
    DEVICE,
    SEARCH_UUID,
    SEARCH_FILE_NAME,
    HTTP_SERVER,
    OTHER_SERVERS[0],
    OTHER_SERVERS[1],
];

/// The dialect's parameters that no other table has.
#[rustfmt::skip]
pub const TABLE: &[Parameter] = &[
    row((LABEL, Text, Dialect::Archiso), "", Honoured, "the medium's label"),
    row((DEVICE, Text, Dialect::Archiso), "", Honoured, "the medium: /dev/... or LABEL=, UUID=, PARTLABEL=, PARTUUID="),
    row((SEARCH_UUID, Text, Dialect::Archiso), "", Honoured, "the medium's UUID, or that in the name of its file /boot/<UUID>.uuid"),
    row((SEARCH_FILE_NAME, Text, Dialect::Archiso), "", Honoured, "a file that the medium has"),
    row((BASE_DIR, Text, Dialect::Archiso), DEFAULT_BASE_DIR, Honoured, "the folder on the medium"),
    row((ARCH, Text, Dialect::Archiso), "", Honoured, "the folder below that, which holds airootfs.sfs or airootfs.erofs: by default the machine's kind"),
    row((HTTP_SERVER, Text, Dialect::Archiso), "", Honoured, "http(s)://...: the server that has what media have"),
    row(("archiso_http_spc", Text, Dialect::Archiso), "", Moot, "memory itself is the limit of what is fetched"),
    row((OTHER_SERVERS[0], Text, Dialect::Archiso), "", Refused, "a medium on an NFS server"),
    row(("archiso_nfs_opt", Text, Dialect::Archiso), "", Ignored, "mount options of an NFS server"),
    row((OTHER_SERVERS[1], Text, Dialect::Archiso), "", Refused, "a medium on an NBD server"),
    row(("archiso_nbd_name", Text, Dialect::Archiso), "", Ignored, "the medium's name on an NBD server"),
    row((COPY_TO_RAM, Text, Dialect::Archiso), "n", Honoured, "y, n or auto: copy the root file system image to RAM; auto where it fits"),
    row(("copytoram_size", Text, Dialect::Archiso), "", Moot, "memory itself is the limit of the copy"),
    row((COW_SPACE_SIZE, Text, Dialect::Archiso), "50%", Honoured, "how much may be written (as rd.live.overlay.size)"),
    row((COW_LABEL, Text, Dialect::Archiso), "", Honoured, "the file system that what is written goes to, by its label (as rd.overlay)"),
    row((COW_DEVICE, Text, Dialect::Archiso), "", Honoured, "the file system that what is written goes to (as rd.overlay)"),
    row((COW_DIRECTORY, Text, Dialect::Archiso), "persistent_<archisolabel>/<arch>", Honoured, "the folder on it"),
    row(("cow_flags", Text, Dialect::Archiso), "", Ignored, "mount options of that file system"),
    row(("cow_persistent", Text, Dialect::Archiso), "", Ignored, "whether a snapshot outlives the machine's end"),
    row(("cow_chunksize", Text, Dialect::Archiso), "", Moot, "a snapshot has chunks of 8 sectors"),
    row(("dm_snap_prefix", Text, Dialect::Archiso), "", Moot, "devices have the names that dracut gives them"),
    row(("checksum", Text, Dialect::Archiso), "", Refused, "verify the root file system image against airootfs.sha512"),
    row(("verify", Text, Dialect::Archiso), "", Refused, "verify the GPG signature of the root file system image"),
    row(("cms_verify", Text, Dialect::Archiso), "", Refused, "verify the CMS signature of the root file system image"),
    row((IMG_LOOP, Text, Dialect::Archiso), "", Honoured, "the file that the medium is in (as iso-scan/filename)"),
    row((IMG_DEVICE, Text, Dialect::Archiso), "", Honoured, "the file system with that file: /dev/... or LABEL=, UUID=, PARTLABEL=, PARTUUID="),
    row((IMG_LABEL, Text, Dialect::Archiso), "", Honoured, "the file system with that file, by its label"),
    row((IMG_FLAGS, Text, Dialect::Archiso), "", Honoured, "options to mount it with"),
    row(("copy_resolvconf", Boolean, Dialect::Archiso), "y", Moot, "the running system always finds the name servers of the boot"),
];
