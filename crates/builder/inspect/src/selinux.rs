//! The SELinux setting of a system.

use block::{Content, Result};
use serde::Serialize;
use tree::Tree;

use crate::file;

/// What `/etc/selinux/config` says.
///
/// Source: selinux_config(5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeLinux {
    /// `enforcing`, `permissive` or `disabled`; `enforcing` where the file does not say, as libselinux has it.
    pub mode: String,
    /// The policy's name, `targeted`; the folder of `/etc/selinux` that holds it.
    pub policy: String,
    /// Whether the policy's `file_contexts` are there, by which files could be labelled.
    pub file_contexts: bool,
}

/// Reads `/etc/selinux/config`; `None` where there is none.
pub(crate) fn find(tree: &Tree<Content>) -> Result<Option<SeLinux>> {
    let Some(text) = file::text(tree, "/etc/selinux/config")? else {
        return Ok(None);
    };
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
            .next_back()
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let mode = value("SELINUX").unwrap_or_else(|| "enforcing".to_owned());
    let policy = value("SELINUXTYPE").unwrap_or_else(|| "targeted".to_owned());
    let contexts = format!("/etc/selinux/{policy}/contexts/files/file_contexts");
    Ok(Some(SeLinux {
        mode: mode.to_ascii_lowercase(),
        file_contexts: tree.file(contexts).is_some(),
        policy,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, Node, TreePath};

    #[test]
    fn mode_and_policy_are_read_and_default_as_the_library_does() {
        for (text, mode, policy) in [
            (
                "# SELINUX=x\nSELINUX=Permissive\nSELINUXTYPE=mls\n",
                "permissive",
                "mls",
            ),
            ("", "enforcing", "targeted"),
        ] {
            let mut tree = Tree::new(Metadata::default());
            let file = Node::File(Content::from_bytes(text.as_bytes()));
            let path = TreePath::parse("/etc/selinux/config").unwrap();
            tree.put(&path, Inode::new(Metadata::default(), file))
                .unwrap();
            let found = find(&tree).unwrap().unwrap();
            assert_eq!((found.mode.as_str(), found.policy.as_str()), (mode, policy));
            assert!(!found.file_contexts);
        }
    }
}
