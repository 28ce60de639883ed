//! What runs as process 1.

use block::Content;
use serde::Serialize;
use tree::{Tree, TreePath};

use crate::Found;

/// The program that is process 1, by its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum InitSystem {
    /// systemd.
    Systemd,
    /// OpenRC, with whichever init starts it.
    OpenRc,
    /// runit.
    Runit,
    /// s6.
    S6,
    /// `BusyBox` init.
    BusyBox,
    /// SysV init.
    SysV,
    /// A program of another kind.
    Other,
}

/// Where the kernel and `liveos-init` look for process 1, in their order.
const PATHS: [&str; 6] = [
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/etc/init",
    "/bin/init",
    "/bin/sh",
];

/// Finds process 1 and tells its family by the name of the program that the links end at.
pub(crate) fn find(tree: &Tree<Content>) -> Option<Found<InitSystem>> {
    let (asked, real) = PATHS.iter().find_map(|path| {
        tree.file(path)?;
        let (real, _) = tree.resolve(path).ok()?;
        Some((*path, real))
    })?;
    let value = family(tree, &real);
    let reason = if real.as_bytes() == asked.as_bytes() {
        asked.to_owned()
    } else {
        format!("{asked} leads to {real}")
    };
    Some(Found { value, reason })
}

fn family(tree: &Tree<Content>, program: &TreePath) -> InitSystem {
    let name = String::from_utf8_lossy(program.file_name().unwrap_or_default());
    if name == "systemd" {
        InitSystem::Systemd
    } else if tree.resolve("/sbin/openrc").is_ok() {
        InitSystem::OpenRc
    } else if name.starts_with("runit") {
        InitSystem::Runit
    } else if name.starts_with("s6") {
        InitSystem::S6
    } else if name.starts_with("busybox") {
        InitSystem::BusyBox
    } else if tree.resolve("/etc/inittab").is_ok() {
        InitSystem::SysV
    } else {
        InitSystem::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, Node};

    #[test]
    fn the_family_is_told_by_where_the_link_leads() {
        let mut tree = Tree::new(Metadata::default());
        assert_eq!(find(&tree), None);
        let mut put = |path: &str, node| {
            let path = TreePath::parse(path).unwrap();
            tree.put(&path, Inode::new(Metadata::default(), node))
                .unwrap();
        };
        put("/usr/lib/systemd/systemd", Node::File(Content::default()));
        put(
            "/sbin/init",
            Node::Symlink((*b"/usr/lib/systemd/systemd").into()),
        );
        let found = find(&tree).unwrap();
        assert_eq!(found.value, InitSystem::Systemd);
        assert_eq!(found.reason, "/sbin/init leads to /usr/lib/systemd/systemd");
    }
}
