//! Where a path of the image leads: symbolic links are followed inside the tree, never out of it, and folders on the way are made.
//!
//! The small files that steps change are read and written here too. A file that is there keeps its owner, permissions and xattrs.

use block::{Content, Error, Result};
use tree::{Inode, InodeId, Metadata, Name, Node, Timestamp, Tree, TreePath};

/// How many symbolic links are followed on the way, as Linux does. More is an error.
const MAX_SYMLINKS: u32 = 40;

/// The longest configuration file that a step reads; a larger one is an error with its path.
const MAX_FILE: usize = 16 << 20;

/// Where a path leads.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The path without symbolic links.
    pub(crate) path: TreePath,
    /// The folder.
    pub(crate) parent: InodeId,
    /// The name in it.
    pub(crate) name: Name,
    /// What is there; never a symbolic link.
    pub(crate) found: Option<InodeId>,
}

/// Finds the place of `path` as a program would that runs in the image; folders that are missing on the way are made, with
/// permissions 0755 and of root's. A symbolic link that leads nowhere leads to the place it names.
///
/// # Errors
///
/// [`block::Kind::Unsupported`] for the root itself, a path through something that is no folder, a name that cannot be one, and more
/// than 40 symbolic links.
pub(crate) fn locate(
    tree: &mut Tree<Content>,
    path: impl AsRef<[u8]>,
    time: Timestamp,
) -> Result<Place> {
    let asked = path.as_ref();
    let refuse = |message: String| {
        let what = format!("the path {} of the image", asked.escape_ascii());
        Error::unsupported(what, message)
    };
    let mut pending = parts(asked);
    let mut symlinks_left = MAX_SYMLINKS;
    let mut way: Vec<(Name, InodeId)> = Vec::new();
    let mut last = None;
    while let Some(part) = pending.pop() {
        if part == b".." {
            way.pop();
            continue;
        }
        let name = Name::new(&part).map_err(|error| refuse(error.to_string()))?;
        let parent = way.last().map_or_else(|| tree.root(), |(_, id)| *id);
        let names = tree
            .directory(parent)
            .ok_or_else(|| refuse(format!("{} is no folder", path_of(&way))))?;
        let found = names.get(&name).copied();
        match found.map(|id| &tree.inode(id).node) {
            Some(Node::Symlink(target)) => {
                symlinks_left = symlinks_left
                    .checked_sub(1)
                    .ok_or_else(|| refuse("more than 40 symbolic links on the way".to_owned()))?;
                if target.first() == Some(&b'/') {
                    way.clear();
                }
                pending.extend(parts(target));
                continue;
            }
            None if !pending.is_empty() => {
                let id = add(tree, parent, name.clone(), new_folder(0o755, time))?;
                way.push((name, id));
                continue;
            }
            _ => {}
        }
        if let Some(id) = found {
            way.push((name, id));
        } else {
            last = Some((parent, name));
        }
    }
    if let Some((parent, name)) = last {
        let path = path_of(&way).join(&name);
        return Ok(Place {
            path,
            parent,
            name,
            found: None,
        });
    }
    let path = path_of(&way);
    let Some((name, id)) = way.pop() else {
        return Err(refuse("it is the root".to_owned()));
    };
    let parent = way.last().map_or_else(|| tree.root(), |(_, id)| *id);
    Ok(Place {
        path,
        parent,
        name,
        found: Some(id),
    })
}

/// The parts of a path, the last one first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

fn path_of(way: &[(Name, InodeId)]) -> TreePath {
    way.iter()
        .fold(TreePath::root(), |path, (name, _)| path.join(name))
}

/// Adds an inode and says where if it cannot be done.
///
/// # Errors
///
/// What the tree answers.
pub(crate) fn add(
    tree: &mut Tree<Content>,
    parent: InodeId,
    name: Name,
    inode: Inode<Content>,
) -> Result<InodeId> {
    let what = format!("adding {name} to the image");
    tree.add(parent, name, inode)
        .map_err(|error| Error::unsupported(what, "").caused_by(error))
}

/// An empty folder of root's.
pub(crate) fn new_folder(permissions: u16, time: Timestamp) -> Inode<Content> {
    Inode::new(metadata(permissions, time), Node::empty_directory())
}

/// Metadata of root's.
pub(crate) fn metadata(permissions: u16, time: Timestamp) -> Metadata {
    Metadata {
        mtime: time,
        ..Metadata::with_permissions(permissions)
    }
}

/// The folder at `path`, made like `metadata` where it is missing; the answer says whether it was made.
///
/// # Errors
///
/// As [`locate`]; something else that is there.
pub(crate) fn folder(
    tree: &mut Tree<Content>,
    path: impl AsRef<[u8]>,
    metadata: &Metadata,
) -> Result<(InodeId, bool)> {
    let path = path.as_ref();
    if parts(path).is_empty() {
        return Ok((tree.root(), false));
    }
    let place = locate(tree, path, metadata.mtime)?;
    match place.found {
        Some(id) if tree.directory(id).is_some() => Ok((id, false)),
        Some(_) => Err(Error::unsupported(
            format!("the path {} of the image", place.path),
            "it is no folder",
        )),
        None => {
            let inode = Inode::new(metadata.clone(), Node::empty_directory());
            Ok((add(tree, place.parent, place.name, inode)?, true))
        }
    }
}

/// All bytes of the file at `path`, symbolic links followed; `None` where there is no regular file.
///
/// # Errors
///
/// What reading answers; [`block::Kind::Limit`] over 16 MiB.
pub(crate) fn read(tree: &Tree<Content>, path: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    let Some(content) = tree.file(path) else {
        return Ok(None);
    };
    let read = content.read_all(MAX_FILE).map(Some);
    read.map_err(|error| error.in_file(String::from_utf8_lossy(path).as_ref()))
}

/// The same as text; what is not UTF-8 is replaced.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn text(tree: &Tree<Content>, path: impl AsRef<[u8]>) -> Result<Option<String>> {
    Ok(read(tree, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Gives the file at `path` these bytes. It keeps its metadata but for the time; a new one gets `new`.
///
/// # Errors
///
/// As [`locate`]; something there that is no regular file.
pub(crate) fn write(
    tree: &mut Tree<Content>,
    path: impl AsRef<[u8]>,
    bytes: Vec<u8>,
    new: &Metadata,
) -> Result<InodeId> {
    let place = locate(tree, path, new.mtime)?;
    let node = Node::File(Content::from_bytes(bytes));
    let Some(id) = place.found else {
        return add(
            tree,
            place.parent,
            place.name,
            Inode::new(new.clone(), node),
        );
    };
    if !matches!(tree.inode(id).node, Node::File(_)) {
        let what = format!("writing {} of the image", place.path);
        return Err(Error::unsupported(
            what,
            "something else than a file is there",
        ));
    }
    tree.set_node(id, node)
        .map_err(|error| Error::corrupt("writing a file of the image", "").caused_by(error))?;
    tree.metadata_mut(id).mtime = new.mtime;
    Ok(id)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const TIME: Timestamp = Timestamp::from_seconds(1_700_000_000);

    /// A tree of files by path; a text that begins with `-> ` makes a symbolic link, a path that ends in `/` a folder.
    pub(crate) fn tree_of(files: &[(&str, &str)]) -> Tree<Content> {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        for (path, text) in files {
            let (permissions, node) = match text.strip_prefix("-> ") {
                Some(target) => (0o777, Node::Symlink(target.as_bytes().into())),
                None if path.ends_with('/') => (0o755, Node::empty_directory()),
                None => (0o644, Node::File(Content::from_bytes(text.as_bytes()))),
            };
            let inode = Inode::new(Metadata::with_permissions(permissions), node);
            tree.put(&TreePath::parse(path).unwrap(), inode).unwrap();
        }
        tree
    }

    /// The text of a file of `tree`.
    pub(crate) fn text_of(tree: &Tree<Content>, path: &str) -> String {
        text(tree, path).unwrap().unwrap()
    }

    #[test]
    fn links_are_followed_inside_the_tree_and_folders_are_made() {
        let mut tree = tree_of(&[
            ("etc/link", "-> ../../../var/new/file"),
            ("var/lock", "-> /run/lock"),
            ("etc/self", "-> self"),
            ("etc/file", "x"),
        ]);
        for (asked, leads) in [
            ("/etc/link", "/var/new/file"),
            ("var/lock/a/b", "/run/lock/a/b"),
            ("etc/../../etc/./file", "/etc/file"),
        ] {
            let place = locate(&mut tree, asked, TIME).unwrap();
            assert_eq!(place.path.to_string(), leads, "{asked}");
            assert_eq!(place.found.is_some(), leads == "/etc/file");
        }
        let made = tree.resolve("/run/lock/a").unwrap().1;
        assert_eq!(tree.inode(made).metadata, metadata(0o755, TIME));
        for refused in ["/", "", "etc/self", "etc/file/below", "etc/.."] {
            let error = locate(&mut tree, refused, TIME).unwrap_err();
            assert_eq!(error.kind(), block::Kind::Unsupported, "{refused}");
        }
    }

    #[test]
    fn a_file_that_is_there_keeps_its_metadata() {
        let mut tree = tree_of(&[("etc/a", "old")]);
        let (_, id) = tree.resolve("etc/a").unwrap();
        tree.metadata_mut(id).uid = 7;
        write(&mut tree, "etc/a", b"new".to_vec(), &metadata(0o600, TIME)).unwrap();
        let inode = tree.inode(id);
        assert_eq!((inode.metadata.uid, inode.metadata.permissions), (7, 0o644));
        assert_eq!(inode.metadata.mtime, TIME);
        assert_eq!(text_of(&tree, "etc/a"), "new");
        assert!(write(&mut tree, "etc", Vec::new(), &metadata(0o600, TIME)).is_err());
    }
}
