//! The xattrs of what lies in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::fd::BorrowedFd;
use rustix::io::{Errno, Result};
use tree::Xattrs;

/// The longest list of names and the longest value, in bytes (Linux, `XATTR_LIST_MAX` and `XATTR_SIZE_MAX`).
const MAX_LEN: usize = 64 << 10;

/// The names that are a root file system's own; `system.` else holds what a file system says of itself.
const TAKEN: [&[u8]; 3] = [b"security.", b"user.", b"trusted."];
/// POSIX access control lists.
const ACLS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Reads xattrs; equal sets are held once.
pub(super) struct XattrReader {
    known: BTreeSet<Xattrs>,
    list: Vec<u8>,
    value: Vec<u8>,
}

impl XattrReader {
    pub(super) fn new() -> Self {
        Self {
            known: BTreeSet::new(),
            list: vec![0; MAX_LEN],
            value: vec![0; MAX_LEN],
        }
    }

    /// The xattrs of what is open as `fd`, which is open for reading.
    pub(super) fn of_open(&mut self, fd: BorrowedFd<'_>) -> Result<Xattrs> {
        self.read(
            |list| rustix::fs::flistxattr(fd, list),
            |name, value| rustix::fs::fgetxattr(fd, name, value),
        )
    }

    /// The xattrs of `name` in the folder `fd`, whatever it is: it is not opened, and not followed. `shown` is its path, for machines
    /// without `/proc`.
    pub(super) fn of_name(
        &mut self,
        fd: BorrowedFd<'_>,
        name: &CStr,
        shown: &Path,
    ) -> Result<Xattrs> {
        let mut path = format!("/proc/self/fd/{}/", fd.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.to_bytes());
        let by_descriptor = self.of_path(path.as_slice());
        match by_descriptor {
            Err(Errno::NOENT | Errno::NOTDIR) => self.of_path(shown),
            answer => answer,
        }
    }

    fn of_path<P: rustix::path::Arg + Copy>(&mut self, path: P) -> Result<Xattrs> {
        self.read(
            |list| rustix::fs::llistxattr(path, list),
            |name, value| rustix::fs::lgetxattr(path, name, value),
        )
    }

    fn read(
        &mut self,
        list: impl FnOnce(&mut [u8]) -> Result<usize>,
        mut get: impl FnMut(&CStr, &mut [u8]) -> Result<usize>,
    ) -> Result<Xattrs> {
        let len = match list(&mut self.list) {
            Ok(len) => len,
            Err(Errno::NOTSUP) => 0,
            Err(error) => return Err(error),
        };
        let mut found = BTreeMap::new();
        let names = self.list.get(..len).unwrap_or_default();
        for name in names.split(|byte| *byte == 0).filter(|name| is_taken(name)) {
            // OK: the list was cut at every NUL.
            let Ok(c_name) = CString::new(name) else {
                continue;
            };
            match get(&c_name, &mut self.value) {
                Ok(len) => {
                    let value = self.value.get(..len).unwrap_or_default();
                    found.insert(Box::from(name), Box::from(value));
                }
                // Listed and not there: an empty access control list, or one that was just removed.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error),
            }
        }
        if found.is_empty() {
            return Ok(Xattrs::default());
        }
        let found = Xattrs::new(found);
        if let Some(known) = self.known.get(&found) {
            return Ok(Xattrs::clone(known));
        }
        self.known.insert(Xattrs::clone(&found));
        Ok(found)
    }
}

fn is_taken(name: &[u8]) -> bool {
    TAKEN.iter().any(|prefix| name.starts_with(prefix)) || ACLS.contains(&name)
}
