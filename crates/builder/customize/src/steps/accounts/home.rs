//! What an account has in the tree: its home, its mail box, its SSH keys.

use block::{Content, Error, Result};
use tree::{Inode, InodeId, Metadata, Name, Node, Timestamp, Tree};

use super::defaults::Defaults;
use crate::steps::place;

/// Whose the files are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Makes a home with a copy of the skeleton in it. Answers `false` where something is there already, which stays as it is.
///
/// Source: shadow 4.13 `src/useradd.c` (`create_home`), `lib/copydir.c` (`copy_tree`): permissions, times and xattrs are kept, owners
/// are not.
pub(super) fn create(
    tree: &mut Tree<Content>,
    path: &str,
    owner: Owner,
    defaults: &Defaults,
    time: Timestamp,
) -> Result<bool> {
    let metadata = Metadata {
        uid: owner.uid,
        gid: owner.gid,
        ..place::metadata(defaults.home_permissions, time)
    };
    let (home, is_new) = place::folder(tree, path, &metadata)?;
    if is_new
        && let Ok((from, skeleton)) = tree.resolve(&defaults.skeleton)
        && tree.directory(skeleton).is_some()
    {
        // OK: the folder was just found or made.
        let to = tree.resolve(path).map(|(to, _)| to).unwrap_or_default();
        if to.starts_with(&from) {
            let message = format!("SKEL is {from}, which holds the home {to}");
            return Err(Error::unsupported("/etc/default/useradd", message));
        }
        copy(tree, skeleton, home, owner)?;
    }
    Ok(is_new)
}

/// Copies what is in the folder `from` into the folder `to`. Hard links become files of their own.
fn copy(tree: &mut Tree<Content>, from: InodeId, to: InodeId, owner: Owner) -> Result<()> {
    let mut pending = vec![(from, to)];
    while let Some((from, to)) = pending.pop() {
        let names: Vec<(Name, InodeId)> = tree
            .directory(from)
            .into_iter()
            .flatten()
            .map(|(name, id)| (name.clone(), *id))
            .collect();
        for (name, id) in names {
            let inode = tree.inode(id);
            let metadata = Metadata {
                uid: owner.uid,
                gid: owner.gid,
                ..inode.metadata.clone()
            };
            let is_folder = matches!(inode.node, Node::Directory(_));
            let node = match &inode.node {
                Node::Directory(_) => Node::empty_directory(),
                other => other.clone(),
            };
            let copied = place::add(tree, to, name, Inode::new(metadata, node))?;
            if is_folder {
                pending.push((id, copied));
            }
        }
    }
    Ok(())
}

/// Makes an empty mail box, where the folder of mail boxes is there and has none of this name.
///
/// Source: shadow 4.13 `src/useradd.c` (`create_mail`): 0660 of the group `mail`, 0600 where there is no such group.
pub(super) fn create_mail_box(
    tree: &mut Tree<Content>,
    path: &str,
    owner: Owner,
    mail_group: Option<u32>,
    time: Timestamp,
) -> Result<()> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if tree.resolve(folder).is_err() || tree.resolve(path).is_ok() {
        return Ok(());
    }
    let metadata = Metadata {
        uid: owner.uid,
        gid: mail_group.unwrap_or(owner.gid),
        ..place::metadata(if mail_group.is_some() { 0o660 } else { 0o600 }, time)
    };
    place::write(tree, path, Vec::new(), &metadata)?;
    Ok(())
}

/// Adds lines to `~/.ssh/authorized_keys`; one that is there already is not added again.
///
/// # Errors
///
/// [`block::Kind::NotFound`] where the home is not there.
pub(super) fn add_keys(
    tree: &mut Tree<Content>,
    home: &str,
    owner: Owner,
    keys: &[String],
    time: Timestamp,
) -> Result<()> {
    let what = "the SSH keys of a user";
    let is_there = tree
        .resolve(home)
        .is_ok_and(|(_, id)| tree.directory(id).is_some());
    if !is_there {
        let message = format!("the home {home} is not there; make it with `additionalDirs`");
        return Err(Error::not_found(what, message));
    }
    let owned = |permissions| Metadata {
        uid: owner.uid,
        gid: owner.gid,
        ..place::metadata(permissions, time)
    };
    let folder = format!("{home}/.ssh");
    place::folder(tree, &folder, &owned(0o700))?;
    let path = format!("{folder}/authorized_keys");
    let mut text = place::text(tree, &path)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for key in keys
        .iter()
        .map(|key| key.trim())
        .filter(|key| !key.is_empty())
    {
        if !text.lines().any(|line| line.trim() == key) {
            text.push_str(key);
            text.push('\n');
        }
    }
    let id = place::write(tree, &path, text.into_bytes(), &owned(0o600))?;
    let metadata = tree.metadata_mut(id);
    metadata.permissions = 0o600;
    (metadata.uid, metadata.gid) = (owner.uid, owner.gid);
    Ok(())
}

/// Gives what belongs to group `old` in a home to group `new`, where the home is the user's own.
///
/// Source: usermod(8), `-g`.
pub(super) fn change_group(tree: &mut Tree<Content>, home: &str, old: u32, owner: Owner) {
    let Ok((path, id)) = tree.resolve(home) else {
        return;
    };
    if id == tree.root() || tree.inode(id).metadata.uid != owner.uid {
        return;
    }
    let below: Vec<InodeId> = tree.walk_from(path, id).map(|entry| entry.id).collect();
    for id in below {
        let metadata = tree.metadata_mut(id);
        if metadata.gid == old {
            metadata.gid = owner.gid;
        }
    }
}
