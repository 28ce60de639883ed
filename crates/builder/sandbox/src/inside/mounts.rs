//! What a program sees: the tree, and over it a few mounts that are made for it.
//!
//! * `/dev` has `null`, `zero`, `full`, `random`, `urandom` and `tty` of the host, pseudo-terminals and shared memory of its own;
//! * `/proc` shows the sandbox's processes only, and nothing in it changes the kernel;
//! * `/sys` is empty: what the building machine is made of must not get into an image;
//! * `/run` is empty and gone afterwards;
//! * `/tmp` is a folder of the scratch: it stays from program to program, and never gets into the tree.
//!
//! No device node of the tree works (`nodev`), set-user-ID programs do.

use std::path::{Path, PathBuf};

use block::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::spec::{Spec, SpecBind, path_of};

/// Where something is mounted, below the root.
pub(crate) const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "sys", "run"];

/// The devices of the host that programs see.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Symbolic links in `/dev`: name and target.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes all mounts but `/proc`, which process 1 makes.
pub(super) fn set_up(spec: &Spec) -> Result<()> {
    let root = path_of(&spec.root);
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(failure(Path::new("/")))?;
    bind(&root, &root)?;
    remount(&root, MountFlags::NODEV)?;
    devices(&root)?;
    temporary(&root.join("sys"), c"mode=755,size=4k")?;
    remount(
        &root.join("sys"),
        MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
    )?;
    temporary(&root.join("run"), c"mode=755")?;
    std::fs::create_dir(root.join("run/lock"))
        .map_err(|error| Error::io("making /run/lock", error))?;
    spec.binds.iter().try_for_each(|bind| show(&root, bind))
}

fn devices(root: &Path) -> Result<()> {
    let dev = root.join("dev");
    temporary(&dev, c"mode=755,size=64k")?;
    for name in DEVICES {
        let place = dev.join(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::open(&place, flags, Mode::from_raw_mode(0o666)).map_err(failure(&place))?;
        bind(&Path::new("/dev").join(name), &place)?;
    }
    for (name, target) in LINKS {
        let place = dev.join(name);
        rustix::fs::symlink(target, &place).map_err(failure(&place))?;
    }
    for name in ["pts", "shm"] {
        let place = dev.join(name);
        rustix::fs::mkdir(&place, Mode::from_raw_mode(0o755)).map_err(failure(&place))?;
    }
    let pts = dev.join("pts");
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=620";
    rustix::mount::mount("devpts", &pts, "devpts", flags, options).map_err(failure(&pts))?;
    temporary(&dev.join("shm"), c"mode=1777")
}

/// Mounts an empty file system in memory.
fn temporary(place: &Path, options: &std::ffi::CStr) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", place, "tmpfs", flags, options).map_err(failure(place))
}

/// Mounts what is at `host` at `place`, with what is mounted below it: a part of the host's mounts cannot be had without.
fn bind(host: &Path, place: &Path) -> Result<()> {
    rustix::mount::mount_bind_recursive(host, place).map_err(failure(place))
}

/// Restricts the mount at `place`. What restricts it already has to be said again.
fn remount(place: &Path, flags: MountFlags) -> Result<()> {
    let stat = rustix::fs::statvfs(place).map_err(failure(place))?;
    let held = MountFlags::from_bits_truncate(
        u32::try_from(stat.f_flag.bits()).unwrap_or_default() & LOCKED.bits(),
    );
    rustix::mount::mount_remount(place, MountFlags::BIND | held | flags, "").map_err(failure(place))
}

/// The restrictions of a mount that a user namespace cannot take away: `statvfs` and `mount` use the same bits for them.
const LOCKED: MountFlags = MountFlags::RDONLY
    .union(MountFlags::NOSUID)
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NOATIME)
    .union(MountFlags::NODIRATIME);

/// Shows something of the host's.
fn show(root: &Path, shown: &SpecBind) -> Result<()> {
    let place: PathBuf = root.join(path_of(&shown.inside));
    bind(&path_of(&shown.host), &place)?;
    let mut flags = MountFlags::NODEV | MountFlags::NOSUID;
    if shown.read_only {
        flags |= MountFlags::RDONLY;
    }
    remount(&place, flags)
}

/// What the kernel refused at `place`.
pub(super) fn failure(place: &Path) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |error| Error::io("making the sandbox's mounts", error.into()).in_file(place)
}

/// Mounts `/proc` and enters the root. The old root is out of reach then.
pub(super) fn enter(root: &Path) -> Result<()> {
    let proc = root.join("proc");
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", &proc, "proc", flags, None)
        .map_err(|error| Error::io("mounting /proc in the sandbox", error.into()).in_file(&proc))?;
    rustix::process::chdir(root).map_err(failure(root))?;
    rustix::process::pivot_root(".", ".").map_err(failure(root))?;
    rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH).map_err(failure(root))?;
    rustix::process::chdir("/").map_err(failure(root))?;
    for path in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"] {
        let path = Path::new(path);
        if path.exists() {
            bind(path, path)?;
            remount(path, MountFlags::RDONLY | flags)?;
        }
    }
    Ok(())
}
