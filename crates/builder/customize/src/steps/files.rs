//! `os.additionalDirs` and `os.additionalFiles`: files of the builder's machine, put into the image.
//!
//! Their bytes are read when the root file system image is written, not here. All of them are root's, and a destination that leads
//! over symbolic links leads to a place of the image, never of the machine.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use block::{Content, Error, Result};
use config::settings::{AdditionalDirectory, AdditionalFile, FileSource};
use tree::{Inode, Node, Timestamp, Tree};

use super::host_file;
use super::place;

/// How deep a folder of the machine may be; deeper ones are refused.
const MAX_DEPTH: usize = 200;

/// Puts files into the image, in the place of what is there.
///
/// Permissions that are not given are those of the source, and 0644 for inline content.
///
/// # Errors
///
/// [`block::Kind::Unsupported`] where the destination is a folder or leads through a file, and for a source that is no regular file;
/// what opening the source answers.
pub fn add_files(
    tree: &mut Tree<Content>,
    files: &[AdditionalFile],
    time: Timestamp,
) -> Result<()> {
    for file in files {
        add_file(tree, file, time).map_err(|error| {
            error.while_doing(format!("os.additionalFiles: {}", file.destination))
        })?;
    }
    Ok(())
}

fn add_file(tree: &mut Tree<Content>, file: &AdditionalFile, time: Timestamp) -> Result<()> {
    let (content, permissions) = content_of(file)?;
    put_file(
        tree,
        file.destination.as_bytes(),
        content,
        permissions,
        time,
    )
}

/// The content and permissions of a file that the configuration adds to whatever: inline text has 0644 where nothing else is asked for, a
/// file of the builder's machine its own. It is read when its bytes are needed.
///
/// # Errors
///
/// As [`host_file::content`].
pub fn content_of(file: &AdditionalFile) -> Result<(Content, u16)> {
    let (content, own) = match &file.source {
        FileSource::Content(text) => (Content::from_bytes(text.as_bytes()), 0o644),
        FileSource::Path(path) => host_file::content(path)?,
    };
    Ok((content, file.permissions.unwrap_or(own)))
}

/// Puts a file where `destination` leads. What is there goes; a folder is refused.
fn put_file(
    tree: &mut Tree<Content>,
    destination: &[u8],
    content: Content,
    permissions: u16,
    time: Timestamp,
) -> Result<()> {
    let place = place::locate(tree, destination, time)?;
    if let Some(found) = place.found {
        if tree.directory(found).is_some() {
            let message = "a folder is there: name the file in `destination`";
            return Err(Error::unsupported(place.path.to_string(), message));
        }
        tree.remove(place.parent, place.name.as_bytes());
    }
    let inode = Inode::new(place::metadata(permissions, time), Node::File(content));
    place::add(tree, place.parent, place.name, inode)?;
    Ok(())
}

/// Copies folders into the image, over what is there.
///
/// Folders that are made get `newDirPermissions`, those that were there `mergedDirPermissions` or stay as they are, files get
/// `childFilePermissions`. Symbolic links are copied as such, and so replace what is there.
///
/// # Errors
///
/// As [`add_files`]; [`block::Kind::Unsupported`] for devices, sockets and pipes; [`block::Kind::Limit`] over 200 folders deep.
pub fn add_directories(
    tree: &mut Tree<Content>,
    directories: &[AdditionalDirectory],
    time: Timestamp,
) -> Result<()> {
    for directory in directories {
        add_directory(tree, directory, time).map_err(|error| {
            error.while_doing(format!("os.additionalDirs: {}", directory.destination))
        })?;
    }
    Ok(())
}

fn add_directory(
    tree: &mut Tree<Content>,
    directory: &AdditionalDirectory,
    time: Timestamp,
) -> Result<()> {
    let top = directory.destination.as_bytes().to_vec();
    let mut pending: Vec<(PathBuf, Vec<u8>, usize)> = vec![(directory.source.clone(), top, 0)];
    while let Some((source, destination, depth)) = pending.pop() {
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} folders deep");
            return Err(Error::limit("reading the folder", message).in_file(&source));
        }
        let metadata = place::metadata(directory.new_directory_permissions, time);
        let (folder, is_new) = place::folder(tree, &destination, &metadata)?;
        if let (false, Some(permissions)) = (is_new, directory.merged_directory_permissions) {
            tree.metadata_mut(folder).permissions = permissions;
        }
        for path in entries(&source)? {
            let name = path.file_name().unwrap_or_default().as_bytes();
            let below = [&destination, b"/".as_slice(), name].concat();
            let failed = |error| Error::io("reading the file's metadata", error).in_file(&path);
            let kind = path.symlink_metadata().map_err(failed)?.file_type();
            if kind.is_dir() {
                pending.push((path, below, depth + 1));
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path)
                    .map_err(|error| Error::io("reading the link", error).in_file(&path))?;
                put_link(tree, folder, name, target.as_os_str().as_bytes(), time)?;
            } else {
                let (content, _) = host_file::content(&path)?;
                let permissions = directory.child_file_permissions;
                put_file(tree, &below, content, permissions, time)?;
            }
        }
    }
    Ok(())
}

/// The files below a folder of the machine, in byte order; symbolic links are none.
///
/// # Errors
///
/// As [`add_directories`].
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = pending.pop() {
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} folders deep");
            return Err(Error::limit("reading the folder", message).in_file(&folder));
        }
        for path in entries(&folder)? {
            let failed = |error| Error::io("reading the file's metadata", error).in_file(&path);
            let kind = path.symlink_metadata().map_err(failed)?.file_type();
            if kind.is_dir() {
                pending.push((path, depth + 1));
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is in a folder of the machine, in byte order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("reading the folder", error).in_file(folder);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        found.push(entry.map_err(failed)?.path());
    }
    found.sort();
    Ok(found)
}

fn put_link(
    tree: &mut Tree<Content>,
    folder: tree::InodeId,
    name: &[u8],
    target: &[u8],
    time: Timestamp,
) -> Result<()> {
    let refused = |message: String| Error::unsupported("copying a symbolic link", message);
    let name = tree::Name::new(name).map_err(|error| refused(error.to_string()))?;
    let there = tree.directory(folder).and_then(|names| names.get(&name));
    if there.is_some_and(|id| tree.directory(*id).is_some()) {
        return Err(refused(format!("a folder {name} is there")));
    }
    tree.remove(folder, name.as_bytes());
    let inode = Inode::new(place::metadata(0o777, time), Node::Symlink(target.into()));
    place::add(tree, folder, name, inode)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};
    use std::os::unix::fs::PermissionsExt as _;

    fn file(source: FileSource, destination: &str, permissions: Option<u16>) -> AdditionalFile {
        AdditionalFile {
            source,
            destination: destination.to_owned(),
            permissions,
        }
    }

    fn permissions_of(tree: &Tree<Content>, path: &str) -> u16 {
        let (_, id) = tree.resolve(path).unwrap();
        tree.inode(id).metadata.permissions
    }

    #[test]
    fn files_come_with_their_own_permissions_or_the_given_ones() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o750)).unwrap();
        let mut tree = tree_of(&[
            ("etc/old", "old"),
            ("sbin", "-> usr/sbin"),
            ("usr/sbin/", ""),
        ]);
        let (_, old) = tree.resolve("etc/old").unwrap();
        tree.metadata_mut(old).uid = 5;
        add_files(
            &mut tree,
            &[
                file(FileSource::Path(program.clone()), "/sbin/program", None),
                file(FileSource::Path(program), "a/b/c", Some(0o4)),
                file(FileSource::Content("new".into()), "/etc/old", None),
            ],
            TIME,
        )
        .unwrap();
        assert_eq!(text_of(&tree, "usr/sbin/program"), "#!/bin/sh\n");
        assert_eq!(permissions_of(&tree, "usr/sbin/program"), 0o750);
        assert_eq!(permissions_of(&tree, "a/b/c"), 0o4);
        assert_eq!(permissions_of(&tree, "a/b"), 0o755);
        assert_eq!(text_of(&tree, "etc/old"), "new");
        let (_, id) = tree.resolve("etc/old").unwrap();
        assert_eq!(tree.inode(id).metadata, place::metadata(0o644, TIME));
    }

    #[test]
    fn what_is_no_file_is_refused_with_the_destination() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_path_buf();
        for (source, destination) in [
            (FileSource::Content(String::new()), "/etc"),
            (FileSource::Content(String::new()), "/etc/a/b"),
            (FileSource::Content(String::new()), "/"),
            (FileSource::Path(path.clone()), "/x"),
            (FileSource::Path(path.join("missing")), "/x"),
            (FileSource::Path("/dev/null".into()), "/x"),
        ] {
            let mut tree = tree_of(&[("etc/a", "")]);
            let error = add_files(&mut tree, &[file(source, destination, None)], TIME).unwrap_err();
            let text = format!("os.additionalFiles: {destination}");
            assert!(error.to_string().contains(&text), "{error}");
        }
    }

    #[test]
    fn a_folder_is_laid_over_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path();
        std::fs::create_dir_all(from.join("etc/new")).unwrap();
        std::fs::write(from.join("etc/new/a"), "a").unwrap();
        std::fs::write(from.join("etc/b"), "b").unwrap();
        std::os::unix::fs::symlink("../b", from.join("etc/new/link")).unwrap();
        let mut tree = tree_of(&[
            ("top/etc", "-> ../real"),
            ("real/b", "old"),
            ("real/c", "c"),
        ]);
        let directory = |merged| AdditionalDirectory {
            source: from.to_path_buf(),
            destination: "/top".into(),
            new_directory_permissions: 0o711,
            merged_directory_permissions: merged,
            child_file_permissions: 0o640,
        };
        add_directories(&mut tree, &[directory(None)], TIME).unwrap();
        assert_eq!(text_of(&tree, "real/b") + &text_of(&tree, "real/c"), "bc");
        assert_eq!(text_of(&tree, "real/new/link"), "b");
        let permissions = |tree: &Tree<Content>| {
            ["top", "real", "real/new", "real/new/a"].map(|path| permissions_of(tree, path))
        };
        assert_eq!(permissions(&tree), [0o755, 0o755, 0o711, 0o640]);
        add_directories(&mut tree, &[directory(Some(0o700))], TIME).unwrap();
        assert_eq!(permissions(&tree), [0o700, 0o700, 0o700, 0o640]);
    }

    #[test]
    fn files_that_are_added_are_not_held_open() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "x").unwrap();
        let directory = AdditionalDirectory {
            source: folder.path().to_path_buf(),
            destination: "/x".into(),
            new_directory_permissions: 0o755,
            merged_directory_permissions: None,
            child_file_permissions: 0o755,
        };
        let mut tree = tree_of(&[]);
        add_directories(&mut tree, &[directory], TIME).unwrap();
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let ours: Vec<_> = open
            .filter(|path| path.starts_with(folder.path()))
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
        assert_eq!(text_of(&tree, "x/a"), "x");
    }

    #[test]
    fn pipes_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for (source, says) in [
            (folder.path().to_path_buf(), "pipe"),
            (folder.path().join("missing"), "missing"),
        ] {
            let directory = AdditionalDirectory {
                source,
                destination: "/x".into(),
                new_directory_permissions: 0o755,
                merged_directory_permissions: None,
                child_file_permissions: 0o755,
            };
            let error = add_directories(&mut tree_of(&[]), &[directory], TIME).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(says), "{source}");
        }
    }
}
