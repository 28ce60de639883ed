//! Labels for the files of a tree.
//!
//! Source: libselinux 3.4 `src/selinux_restorecon.c` (`restorecon_sb`), setfiles(8) without `-F`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use block::{Content, Result};
use tree::{Tree, Xattrs};

use super::FileContexts;
use crate::steps::place;

/// The xattr of the label; its value ends with a NUL.
const XATTR: &[u8] = b"security.selinux";

/// Which files get a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that have another one than the policy says.
    All,
    /// Those that have none: what was added.
    Unlabelled,
}

/// Gives files the labels of the policy `policy`, and answers how many changed.
///
/// A file that has a label keeps its user, role and range, and a type that administrators may choose (`customizable_types`) stays.
/// Of a file with several names the first in the tree's order counts.
///
/// # Errors
///
/// As [`FileContexts::load`] and [`FileContexts::label`].
pub fn relabel(tree: &mut Tree<Content>, policy: &str, scope: Scope) -> Result<usize> {
    let contexts = FileContexts::load(tree, policy)?;
    let path = format!("/etc/selinux/{policy}/contexts/customizable_types");
    let text = place::text(tree, path)?.unwrap_or_default();
    let customizable: BTreeSet<&[u8]> = text.lines().map(|line| line.trim().as_bytes()).collect();
    let mut seen = vec![false; tree.id_bound()];
    let mut changes = Vec::new();
    for entry in tree.walk() {
        if std::mem::replace(&mut seen[entry.id.index()], true) {
            continue;
        }
        let current = entry.inode.metadata.xattrs.get(XATTR);
        if current.is_some() && scope == Scope::Unlabelled {
            continue;
        }
        let Some(label) = contexts.label(entry.path.as_bytes(), entry.inode.node.type_bits())?
        else {
            continue;
        };
        let current = current.map(|value| value.strip_suffix(b"\0").unwrap_or(value));
        if let Some(new) = changed(current, label, &customizable) {
            changes.push((entry.id, new));
        }
    }
    let count = changes.len();
    let mut shared: BTreeMap<Box<[u8]>, Xattrs> = BTreeMap::new();
    for (id, mut label) in changes {
        label.push(0);
        let label: Box<[u8]> = label.into();
        let xattrs = &mut tree.metadata_mut(id).xattrs;
        let is_alone = xattrs.keys().all(|name| &**name == XATTR);
        if is_alone {
            let of_label = shared.entry(label.clone());
            let new = of_label.or_insert_with(|| Arc::new(BTreeMap::from([(XATTR.into(), label)])));
            *xattrs = Arc::clone(new);
        } else {
            Arc::make_mut(xattrs).insert(XATTR.into(), label);
        }
    }
    Ok(count)
}

/// The label that a file gets in the place of `current`; `None` where that stays.
fn changed(
    current: Option<&[u8]>,
    label: &[u8],
    customizable: &BTreeSet<&[u8]>,
) -> Option<Vec<u8>> {
    let current: Vec<&[u8]> = current
        .unwrap_or_default()
        .splitn(4, |byte| *byte == b':')
        .collect();
    let (Some(old), Some(new)) = (current.get(2), label.split(|byte| *byte == b':').nth(2)) else {
        return Some(label.to_vec());
    };
    if customizable.contains(old) || *old == new {
        return None;
    }
    let mut parts = current.clone();
    parts[2] = new;
    Some(parts.join(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::tree_of;

    fn system() -> Tree<Content> {
        tree_of(&[
            (
                "etc/selinux/p/contexts/files/file_contexts",
                "/.*  u:r:default_t:s0\n/etc/a  --  u:r:a_t:s0\n/none.*  <<none>>\n",
            ),
            ("etc/selinux/p/contexts/customizable_types", "chosen_t\n"),
            ("etc/a", ""),
            ("etc/b", ""),
            ("etc/c", ""),
            ("none", ""),
        ])
    }

    fn set(tree: &mut Tree<Content>, path: &str, name: &[u8], value: &[u8]) {
        let (_, id) = tree.resolve(path).unwrap();
        let xattrs = &mut tree.metadata_mut(id).xattrs;
        Arc::make_mut(xattrs).insert(name.into(), value.into());
    }

    fn label(tree: &Tree<Content>, path: &str) -> String {
        let (_, id) = tree.resolve(path).unwrap();
        let label = tree.inode(id).metadata.xattrs.get(XATTR);
        String::from_utf8_lossy(label.map_or(b"-", |label| label)).into_owned()
    }

    #[test]
    fn only_types_change_and_chosen_ones_stay() {
        let mut tree = system();
        set(
            &mut tree,
            "etc/a",
            XATTR,
            b"admin_u:role_r:old_t:s0:c1,c2\0",
        );
        set(&mut tree, "etc/b", XATTR, b"u:r:chosen_t:s0\0");
        set(&mut tree, "etc/c", b"user.x", b"y");
        let count = relabel(&mut tree, "p", Scope::All).unwrap();
        assert_eq!(label(&tree, "etc/a"), "admin_u:role_r:a_t:s0:c1,c2\0");
        assert_eq!(label(&tree, "etc/b"), "u:r:chosen_t:s0\0");
        assert_eq!(label(&tree, "etc/c"), "u:r:default_t:s0\0");
        assert_eq!(
            (label(&tree, "none"), label(&tree, "/")),
            ("-".into(), "u:r:default_t:s0\0".into())
        );
        let (_, id) = tree.resolve("etc/c").unwrap();
        assert_eq!(tree.inode(id).metadata.xattrs.len(), 2);
        assert_eq!(count, tree.walk().count() - 2);
        assert_eq!(
            relabel(&mut tree, "p", Scope::All).unwrap(),
            0,
            "a second time changes nothing"
        );
    }

    #[test]
    fn new_files_alone_can_be_labelled() {
        let mut tree = system();
        set(&mut tree, "etc/a", XATTR, b"u:r:old_t:s0\0");
        relabel(&mut tree, "p", Scope::Unlabelled).unwrap();
        assert_eq!(label(&tree, "etc/a"), "u:r:old_t:s0\0");
        assert_eq!(label(&tree, "etc/b"), "u:r:default_t:s0\0");
    }
}
