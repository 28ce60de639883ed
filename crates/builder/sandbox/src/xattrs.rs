//! Which xattrs go into the scratch, and how they are named there.
//!
//! File capabilities, ACLs and `user.` matter to programs and can be set by root of a user namespace. Everything else
//! (`security.selinux` above all) stays with the tree: the host's security module has its own idea of it, and none for new files.

use std::io;
use std::os::fd::RawFd;

use rustix::io::Errno;

/// Whether programs in the sandbox see the xattr, and may change it.
pub(crate) fn is_carried(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name == b"security.capability"
        || name == b"system.posix_acl_access"
        || name == b"system.posix_acl_default"
}

/// A path to `name` in the open folder `folder`: no call sets the xattrs of a symbolic link by descriptor.
pub(crate) fn place(folder: RawFd, name: &[u8]) -> Vec<u8> {
    [format!("/proc/self/fd/{folder}/").as_bytes(), name].concat()
}

/// The names of the xattrs of what is at `place`; none where its file system has none.
pub(crate) fn list(place: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut names = vec![0_u8; 1 << 10];
    loop {
        match rustix::fs::llistxattr(place, &mut names) {
            Ok(len) => {
                names.truncate(len);
                break;
            }
            Err(Errno::RANGE) => {
                let len = rustix::fs::llistxattr_query(place)?;
                names.resize(len, 0);
            }
            Err(Errno::NOTSUP | Errno::PERM) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    }
    let names = names.split(|byte| *byte == 0);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

/// The value of an xattr; `None` where it is gone.
pub(crate) fn get(place: &[u8], name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    // The kernel's limit (XATTR_SIZE_MAX).
    let mut value = vec![0; 1 << 16];
    match rustix::fs::lgetxattr(place, name, &mut value) {
        Ok(len) => {
            value.truncate(len);
            Ok(Some(value))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
