//! Files and folders.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use rustix::io::Errno;

use crate::system::{Bytes, Kind};

/// The longest list of attribute names, and the longest attribute: the kernel's own limits.
const XATTR_MAX: usize = 64 * 1024;

pub(super) fn read(path: &str, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = vec![0; limit.min(4096)];
    let mut len = 0;
    loop {
        let Some(free) = bytes.get_mut(len..).filter(|free| !free.is_empty()) else {
            if len >= limit {
                return Err(io::Error::other(format!("it has over {limit} bytes")));
            }
            bytes.resize(len.saturating_mul(2).min(limit), 0);
            continue;
        };
        match file.read(free) {
            Ok(0) => break,
            Ok(count) => len = len.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

pub(super) fn list(path: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

pub(super) fn kind(path: &str) -> io::Result<Kind> {
    let kind = fs::symlink_metadata(path)?.file_type();
    Ok(if kind.is_dir() {
        Kind::Folder
    } else if kind.is_file() {
        Kind::File
    } else {
        Kind::Other
    })
}

pub(super) fn link(target: &str, path: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::os::unix::fs::symlink(target, path),
    }
}

struct Opened {
    file: File,
    len: u64,
}

impl Bytes for Opened {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

pub(super) fn open(path: &str) -> io::Result<Box<dyn Bytes>> {
    let mut file = File::open(path)?;
    // A block device says its length so too, and has none in its metadata.
    let len = file.seek(SeekFrom::End(0))?;
    Ok(Box::new(Opened { file, len }))
}

pub(super) fn copy(from: &str, to: &str) -> io::Result<()> {
    let mut source = File::open(from)?;
    let metadata = source.metadata()?;
    let mode = if metadata.is_file() {
        metadata.mode() & 0o7777
    } else {
        0o600
    };
    let mut target = File::create(to)?;
    io::copy(&mut source, &mut target)?;
    target.set_permissions(Permissions::from_mode(mode))
}

pub(super) fn copy_attributes(from: &str, to: &str) -> io::Result<()> {
    // `to` may be a link to the folder: the calls below that do not follow links get its end.
    let to = fs::canonicalize(to)?;
    let metadata = fs::metadata(from)?;
    std::os::unix::fs::chown(&to, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(&to, Permissions::from_mode(metadata.mode() & 0o7777))?;
    let mut names = vec![0; XATTR_MAX];
    let len = match llistxattr(from, names.as_mut_slice()) {
        Err(Errno::NOTSUP) => return Ok(()),
        other => other?,
    };
    names.truncate(len);
    let mut value = vec![0; XATTR_MAX];
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        // What an overlay keeps for itself must not be in its upper folder from elsewhere.
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let len = lgetxattr(from, name, value.as_mut_slice())?;
        let value = value.get(..len).unwrap_or_default();
        match lsetxattr(&to, name, value, XattrFlags::empty()) {
            // A tmpfs has no user attributes before Linux 6.6.
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, impl Fn(&str) -> String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        (folder, move |name: &str| format!("{path}/{name}"))
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let (_folder, at) = scratch();
        for len in [0, 1, 4095, 4096, 4097, 10_000] {
            let bytes = vec![7; len];
            fs::write(at("f"), &bytes).unwrap();
            assert_eq!(read(&at("f"), len + 1).unwrap(), bytes);
            assert!(len == 0 || read(&at("f"), len - 1).is_err());
        }
    }

    #[test]
    fn names_are_sorted_and_kinds_do_not_follow_links() {
        let (_folder, at) = scratch();
        fs::write(at("b"), "").unwrap();
        fs::create_dir(at("a")).unwrap();
        link("b", &at("c")).unwrap();
        link("a", &at("c")).unwrap();
        assert_eq!(list(&at("")).unwrap(), ["a", "b", "c"]);
        assert_eq!(kind(&at("a")).unwrap(), Kind::Folder);
        assert_eq!(kind(&at("b")).unwrap(), Kind::File);
        assert_eq!(kind(&at("c")).unwrap(), Kind::Other);
        assert_eq!(fs::read_link(at("c")).unwrap().to_str(), Some("a"));
    }

    #[test]
    fn a_copy_has_the_bytes_and_the_mode() {
        let (_folder, at) = scratch();
        fs::write(at("a"), "hello").unwrap();
        fs::set_permissions(at("a"), Permissions::from_mode(0o751)).unwrap();
        copy(&at("a"), &at("b")).unwrap();
        assert_eq!(fs::read(at("b")).unwrap(), b"hello");
        assert_eq!(fs::metadata(at("b")).unwrap().mode() & 0o7777, 0o751);
        let opened = open(&at("b")).unwrap();
        assert_eq!(opened.len(), 5);
        assert!(opened.read_at(&mut [0; 6], 0).is_err());
    }

    #[test]
    fn a_folder_gets_the_mode_of_another_through_a_link() {
        let (_folder, at) = scratch();
        for name in ["from", "to"] {
            fs::create_dir(at(name)).unwrap();
        }
        link("to", &at("link")).unwrap();
        fs::set_permissions(at("from"), Permissions::from_mode(0o1751)).unwrap();
        copy_attributes(&at("from"), &at("link")).unwrap();
        assert_eq!(fs::metadata(at("to")).unwrap().mode() & 0o7777, 0o1751);
    }
}
