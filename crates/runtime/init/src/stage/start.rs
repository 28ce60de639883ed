//! The kernel's file systems, and the command line.

use std::io;

use contract::cmdline::Cmdline;
use contract::failure::{Failure, MODULE_INDEX, NO_KERNEL_FILE_SYSTEMS};
use contract::media;
use contract::module_index::{self, ModuleIndex};

use super::OrStop as _;
use crate::system::{Kind, Mount, MountFlags, System};

/// The longest command line that is read, in bytes; the kernels of all architectures have less.
const MAX_CMDLINE: usize = 64 * 1024;

/// `/run` as systemd sizes it: a fifth of the memory. What a user writes is not there, but in the overlay's own tmpfs.
const RUN_OPTIONS: &str = "mode=755,size=20%,nr_inodes=800k";

/// The size of the small tmpfs at [`media::RUN_INITRAMFS`], which holds mount points and the shutdown program, and which is not
/// `noexec` whatever a system does to `/run` later.
const RUN_INITRAMFS_OPTIONS: &str = "mode=755,size=32m";

/// Mounts what the kernel offers. These come first, as nothing else works without them.
pub(crate) fn mount_kernel_file_systems(system: &mut dyn System) -> Result<(), Failure> {
    let private = MountFlags::NOSUID | MountFlags::NODEV;
    let table = [
        ("proc", "/proc", private | MountFlags::NOEXEC, ""),
        ("sysfs", "/sys", private | MountFlags::NOEXEC, ""),
        ("devtmpfs", "/dev", MountFlags::NOSUID, "mode=755"),
        ("tmpfs", "/run", private, RUN_OPTIONS),
    ];
    for (kind, target, flags, data) in table {
        mount(system, (kind, target, flags, data))?;
    }
    // Not every kernel has terminals of this kind, and nothing here needs one.
    let devpts = Mount {
        source: "devpts",
        target: "/dev/pts",
        kind: "devpts",
        flags: MountFlags::NOSUID | MountFlags::NOEXEC,
        data: "mode=620,gid=5",
    };
    let _ = system
        .make_dir("/dev/pts")
        .and_then(|()| system.mount(&devpts));
    Ok(())
}

/// Mounts the folder of the media's own mounts.
pub(crate) fn mount_run_initramfs(system: &mut dyn System) -> Result<(), Failure> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let row = ("tmpfs", media::RUN_INITRAMFS, flags, RUN_INITRAMFS_OPTIONS);
    mount(system, row)
}

/// Mounts a kind at a folder, with flags and options.
fn mount(
    system: &mut dyn System,
    (kind, target, flags, data): (&str, &str, MountFlags, &str),
) -> Result<(), Failure> {
    let doing = format!("mounting {target}");
    system
        .make_dir(target)
        .or_stop(NO_KERNEL_FILE_SYSTEMS, &doing)?;
    let mount = Mount {
        source: kind,
        target,
        kind,
        flags,
        data,
    };
    match system.mount(&mount) {
        // The kernel, or whoever started us, has done it.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(()),
        other => other.or_stop(NO_KERNEL_FILE_SYSTEMS, &doing),
    }
}

/// The kernel's own command line, in an initramfs whose files are the system's.
pub(crate) fn read_kernel_cmdline(system: &dyn System) -> Cmdline {
    let mut cmdline = Cmdline::default();
    if let Ok(bytes) = system.read("/proc/cmdline", MAX_CMDLINE) {
        cmdline.append(&String::from_utf8_lossy(&bytes));
    }
    cmdline
}

/// The effective command line: files of the initramfs first, so that the kernel's own wins.
pub(crate) fn read_cmdline(system: &dyn System) -> Cmdline {
    let mut cmdline = Cmdline::default();
    let mut add = |path: &str| {
        if let Ok(bytes) = system.read(path, MAX_CMDLINE) {
            cmdline.append(&String::from_utf8_lossy(&bytes));
        }
    };
    for name in system.list(media::CMDLINE_DROP_INS).unwrap_or_default() {
        if name.ends_with(".conf") {
            add(&format!("{}/{name}", media::CMDLINE_DROP_INS));
        }
    }
    add(media::CMDLINE_FILE);
    add("/proc/cmdline");
    cmdline
}

/// The module index of the initramfs; an empty one where there is none, as for a kernel with all drivers built in.
pub(crate) fn read_module_index(system: &dyn System) -> Result<ModuleIndex, Failure> {
    if !matches!(system.kind(media::MODULE_INDEX), Ok(Kind::File)) {
        return Ok(ModuleIndex::default());
    }
    let bytes = system
        .read(media::MODULE_INDEX, module_index::MAX_LEN)
        .or_stop(MODULE_INDEX, media::MODULE_INDEX)?;
    let damaged = |what: String| Failure::new(MODULE_INDEX, what);
    let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    ModuleIndex::parse(&text).map_err(|error| damaged(error.to_string()))
}
