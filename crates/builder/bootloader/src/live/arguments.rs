//! Kernel arguments of live media: which of the image's stay, and ours.

use contract::cmdline::Argument;

use crate::cmdline;

/// Arguments that say where the installed system is. They mean nothing on live media, or would make the boot wait for a disk.
const MANAGED: &[&str] = &[
    // The root, and how it is mounted: the runtime decides. `rw` and `ro` say nothing of an overlay.
    "root",
    "rootflags",
    "rootfstype",
    "rootwait",
    "rootdelay",
    "ro",
    "rw",
    "boot",
    "live-media",
    "live-media-path",
    // What an earlier boot loader left.
    "BOOT_IMAGE",
    "initrd",
    // Hibernation: the state of another machine.
    "resume",
    "resume_offset",
    "resumeflags",
    "rd.resume",
    // A separate /usr, and verity of the installed root: the media have one root, with its own digest.
    "mount.usr",
    "mount.usrflags",
    "mount.usrfstype",
    "roothash",
    "usrhash",
    "systemd.verity_root_data",
    "systemd.verity_root_hash",
    "systemd.verity_usr_data",
    "systemd.verity_usr_hash",
    "dm-mod.create",
    // Encryption, LVM and RAID of the installed system, which the initramfs would wait for.
    "cryptdevice",
    "cryptroot",
    "luks.name",
    "luks.uuid",
    "luks.options",
    "luks.key",
    "rd.auto",
    "rd.luks",
    "rd.lvm",
    "rd.md",
    "rd.dm",
    // Another live program's.
    "iso-scan/filename",
    "findiso",
    "liveimg",
];

/// Beginnings of names that are managed as a whole.
const MANAGED_PREFIXES: &[&str] = &[
    "rd.live.",
    "rd.overlay",
    "rd.luks.",
    "rd.lvm.",
    "rd.md.",
    "rd.dm.",
    // Of the media that are built from: ours has its own root hash.
    "liveos.verity",
];

/// Whether an argument of this name is ours to give, so that the image's own goes.
#[must_use]
pub fn is_managed(name: &str) -> bool {
    MANAGED.contains(&name)
        || MANAGED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// What makes a kernel get the root file system from the ISO at `url`, by our runtime and by dracut's live modules alike.
#[must_use]
pub fn network_arguments(url: &str) -> Vec<String> {
    let root = Argument {
        name: contract::parameter::ROOT.to_owned(),
        value: Some(format!("live:{url}")),
    };
    let mut arguments = contract::request::media_arguments("", false);
    arguments.retain(|argument| argument.name != root.name);
    arguments.insert(0, root);
    arguments.push(Argument {
        name: "ip".to_owned(),
        value: Some("dhcp".to_owned()),
    });
    text(arguments)
}

/// What makes a kernel boot the media with this volume identifier, by our runtime and by dracut's live modules alike.
#[must_use]
pub fn live_arguments(volume_id: &str) -> Vec<String> {
    text(contract::request::media_arguments(volume_id, false))
}

/// What makes our runtime have the kernel verify the root file system image; dracut's live modules do not heed it. `root_hash` is in
/// hexadecimal.
#[must_use]
pub fn verity_argument(root_hash: &str) -> String {
    text(vec![contract::request::verity::argument(root_hash)]).concat()
}

/// What makes a kernel take an initramfs that is the whole system, however large it is.
#[must_use]
pub fn full_os_arguments() -> Vec<String> {
    text(contract::request::full_os_arguments())
}

fn text(arguments: Vec<Argument>) -> Vec<String> {
    arguments
        .into_iter()
        .map(|Argument { name, value }| match value {
            Some(value) => format!("{name}={value}"),
            None => name,
        })
        .collect()
}

/// The arguments of `line` that stay.
pub(super) fn kept(line: &str) -> Vec<String> {
    let mut arguments = cmdline::split(line);
    arguments.retain(|argument| !is_managed(cmdline::name(argument)));
    arguments
}

/// Whether a kernel with these arguments stops before the usual system: a recovery entry.
pub(super) fn is_recovery(arguments: &[String]) -> bool {
    const MODES: &[&str] = &[
        "single",
        "recovery",
        "rescue",
        "emergency",
        "1",
        "S",
        "systemd.unit=rescue.target",
        "systemd.unit=emergency.target",
        "rd.break",
    ];
    arguments
        .iter()
        .any(|argument| MODES.contains(&argument.as_str()))
}
