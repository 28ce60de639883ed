//! The change of the root.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statfs};
use rustix::io::Errno;
use rustix::mount::mount_move;
use rustix::process::{chdir, chroot};

/// What `statfs` says of an initramfs (`include/uapi/linux/magic.h`): both live in memory.
const RAMFS: i64 = 0x8584_58f6;
const TMPFS: i64 = 0x0102_1994;

/// Whether a program is there, links followed as they will be when `root` is the root.
pub(super) fn has_program(root: &str, path: &str) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat(CWD, root, flags | OFlags::DIRECTORY, Mode::empty())
        .and_then(|root| openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT));
    match found {
        Ok(file) => fstat(file).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && stat.st_mode & 0o111 != 0
        }),
        // Before Linux 5.6: what a link leads to shows when it is started.
        Err(Errno::NOSYS) => fs::symlink_metadata(format!("{root}/{path}")).is_ok(),
        Err(_) => false,
    }
}

/// Makes the mount `root` the root of this process and of all that follow, and frees what the one before held.
pub(super) fn change(root: &str) -> io::Result<()> {
    chdir(root)?;
    free("/");
    mount_move(".", "/")?;
    chroot(".")?;
    Ok(chdir("/")?)
}

/// Deletes every file of an initramfs, and nothing that is on another file system. What stays costs memory and nothing else.
fn free(root: &str) {
    let in_memory = statfs(root).is_ok_and(|s| [RAMFS, TMPFS].contains(&s.f_type));
    let Some(device) = fs::metadata(root)
        .ok()
        .map(|m| m.dev())
        .filter(|_| in_memory)
    else {
        return;
    };
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.dev() != device => {}
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(_) => {
                    let _ = fs::remove_file(Path::new(&path));
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has_program;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn links_are_followed_inside_the_new_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("usr/lib/systemd")).unwrap();
        std::fs::create_dir(root.join("sbin")).unwrap();
        let program = root.join("usr/lib/systemd/systemd");
        std::fs::write(&program, "").unwrap();
        symlink("/usr/lib/systemd/systemd", root.join("sbin/init")).unwrap();
        symlink("/nowhere", root.join("sbin/broken")).unwrap();
        let root = root.to_str().unwrap();
        assert!(!has_program(root, "/sbin/init"), "nobody may execute it");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(has_program(root, "/sbin/init"));
        assert!(has_program(root, "/../../sbin/init"));
        assert!(!has_program(root, "/sbin/broken"));
        assert!(!has_program(root, "/sbin"));
        assert!(
            !has_program(root, "/bin/sh"),
            "the one of this machine does not count"
        );
    }
}
