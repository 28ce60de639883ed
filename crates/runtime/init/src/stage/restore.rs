//! A system that is the initramfs itself goes to a file system of its own, with everything that an archive cannot hold.
//!
//! It does not run where the kernel unpacked it, because that place is none for a system: it has no limit or an arbitrary one, it may
//! have no extended attributes (ramfs), an SELinux policy knows it by a name of its own, and nothing can change its root there
//! (`pivot_root`), which containers need.

use std::io;

use contract::attributes::{self, Attributes};
use contract::failure::{ATTRIBUTES_DAMAGED, Failure, NO_PLACE, NOT_ALL_UNPACKED, NOT_RESTORED};
use contract::media;

use super::ram::memory;
use super::selinux::Policy;
use super::{Boot, OrStop as _};
use crate::system::{Mount, MountFlags};

/// The list of attributes: unpacked last, so that all is there where it is.
pub(crate) fn read_list(boot: &Boot<'_>) -> Result<Attributes, Failure> {
    let path = media::ATTRIBUTES;
    let bytes = match boot.system.read(path, attributes::MAX_LEN) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let cause = format!("{path}, which is unpacked last, is not there");
            return Err(Failure::new(NOT_ALL_UNPACKED, cause));
        }
        Err(error) => return Err(Failure::new(ATTRIBUTES_DAMAGED, format!("{path}: {error}"))),
    };
    let damaged = |what: String| Failure::new(ATTRIBUTES_DAMAGED, what);
    let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    Attributes::parse(&text).map_err(|error| damaged(error.to_string()))
}

/// Moves the system to [`media::FULL_OS_ROOT`] and restores it there.
pub(crate) fn run(
    boot: &mut Boot<'_>,
    list: &Attributes,
    policy: Option<&Policy>,
) -> Result<(), Failure> {
    make_place(boot, list, policy).or_stop(NO_PLACE, media::FULL_OS_ROOT)?;
    // Without what is mounted on it: what lies under those mounts is the system's.
    let source = media::FULL_OS_SOURCE;
    boot.system
        .make_dir(source)
        .and_then(|()| boot.system.bind("/", source))
        .or_stop(NO_PLACE, source)?;
    let moved = boot
        .system
        .move_tree(source, media::FULL_OS_ROOT, list)
        .or_stop(NOT_RESTORED, "moving the system")?;
    boot.system.unmount(source).or_stop(NO_PLACE, source)?;
    if moved.listed != list.len() {
        let cause = format!(
            "it has {} files, and {} of them are there",
            list.len(),
            moved.listed
        );
        return Err(Failure::new(ATTRIBUTES_DAMAGED, cause));
    }
    for (name, count) in &moved.lost {
        boot.warn(&format!(
            "{name} of {count} files is lost: this kernel, or its policy, does not take it"
        ));
    }
    boot.step(&format!(
        "restored {} MiB, and the attributes of {} files",
        moved.content_len >> 20,
        list.len()
    ));
    Ok(())
}

/// Mounts the file system. What is free when the system is there is shared evenly by its files and its programs.
fn make_place(boot: &mut Boot<'_>, list: &Attributes, policy: Option<&Policy>) -> io::Result<()> {
    boot.system.make_dir(media::FULL_OS_ROOT)?;
    let size = match (memory(boot, "MemTotal:"), memory(boot, "MemAvailable:")) {
        (Some(total), Some(available)) => {
            let used = total.saturating_sub(available).max(list.content_len);
            format!("size={}", used.saturating_add(available >> 1))
        }
        _ => "size=75%".to_owned(),
    };
    let mut data = format!("mode=755,{size}");
    let plain = data.clone();
    if let Some(context) = policy.and_then(|_| context(list)) {
        data.push_str(&format!(",fscontext={context}"));
    }
    let mount = |data| Mount {
        source: "tmpfs",
        target: media::FULL_OS_ROOT,
        kind: "tmpfs",
        flags: MountFlags::empty(),
        data,
    };
    match boot.system.mount(&mount(&data)) {
        Err(error) if data != plain => {
            boot.warn(&format!("the policy does not know {data}: {error}"));
            boot.system.mount(&mount(&plain))
        }
        other => other,
    }
}

/// What a policy calls the file systems of disks: that is what files may be made on. User, role and level are the root's.
fn context(list: &Attributes) -> Option<String> {
    let root = list.get(b"/")?.get(super::selinux::LABEL)?;
    let root = str::from_utf8(root).ok()?.trim_end_matches('\0');
    let mut parts = root.splitn(4, ':');
    let (user, role, _) = (parts.next()?, parts.next()?, parts.next()?);
    let level = parts.next().map(|level| format!(":{level}"));
    let context = format!("{user}:{role}:fs_t{}", level.unwrap_or_default());
    // A comma ends a mount option.
    (!context.contains([',', '"', ' '])).then_some(context)
}
