//! `etc/fstab` without the disk that the system came from.
//!
//! Each line whose first field is a block device becomes a comment: the live root is an overlay, what the other lines mounted is part
//! of it, and systemd would wait 90 seconds for each device that is not there. Everything else (tmpfs, network file systems, bind
//! mounts) stays, byte for byte.

use block::{Content, Error, Result};
use tree::{Node, Tree};

use crate::Warning;

/// The longest `fstab` that is edited: a megabyte, as `source` reads it.
const MAX_LEN: usize = 1 << 20;

/// What stands before a line that was taken out.
const MARK: &str = "# not on live media: ";

/// Takes the lines of block devices out of `etc/fstab`. A tree without one is left as it is.
///
/// # Errors
///
/// Whatever reading the file answers; [`Kind::Limit`](block::Kind::Limit) where it is over a megabyte.
pub fn without_disks(tree: &mut Tree<Content>) -> Result<Vec<Warning>> {
    let Ok((_, id)) = tree.resolve("etc/fstab") else {
        return Ok(Vec::new());
    };
    let Node::File(content) = &tree.inode(id).node else {
        return Ok(Vec::new());
    };
    let bytes = content
        .read_all(MAX_LEN)
        .map_err(|error| error.while_doing("reading etc/fstab"))?;
    let entries = inspect::fstab::parse(&bytes).entries;
    let mut lines: Vec<Vec<u8>> = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let mut warnings = Vec::new();
    for entry in entries.iter().filter(|entry| entry.spec.is_block_device()) {
        if let Some(line) = entry
            .line
            .checked_sub(1)
            .and_then(|index| lines.get_mut(index))
        {
            line.splice(0..0, MARK.bytes());
        }
        if entry.kind == "swap" {
            warnings.push(Warning::SwapDropped {
                spec: entry.spec.to_string(),
            });
        }
    }
    let node = Node::File(Content::from_bytes(lines.concat()));
    tree.set_node(id, node)
        .map_err(|error| Error::corrupt("writing etc/fstab", "").caused_by(error))?;
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, TreePath};

    #[test]
    fn lines_of_disks_become_comments_and_the_rest_stays() {
        let fstab = "# a comment\nUUID=1-2 / ext4 defaults 0 1\n/dev/sda3\tnone swap sw 0 0\n\
                     tmpfs /tmp tmpfs size=1G 0 0\nserver:/x /x nfs4 ro 0 0\n/srv /mnt none bind 0 0";
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        let file = Inode::new(
            Metadata::with_permissions(0o600),
            Node::File(Content::from_bytes(fstab.as_bytes())),
        );
        let id = tree
            .put(&TreePath::parse("etc/fstab").unwrap(), file)
            .unwrap();
        let warnings = without_disks(&mut tree).unwrap();
        assert_eq!(
            warnings,
            [Warning::SwapDropped {
                spec: "/dev/sda3".into()
            }]
        );
        let bytes = tree.file("etc/fstab").unwrap().read_all(1000).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "# a comment\n# not on live media: UUID=1-2 / ext4 defaults 0 1\n\
             # not on live media: /dev/sda3\tnone swap sw 0 0\n\
             tmpfs /tmp tmpfs size=1G 0 0\nserver:/x /x nfs4 ro 0 0\n/srv /mnt none bind 0 0"
        );
        assert_eq!(tree.inode(id).metadata.permissions, 0o600);
        assert_eq!(
            without_disks(&mut tree).unwrap(),
            [],
            "a second run finds nothing more"
        );
    }
}
