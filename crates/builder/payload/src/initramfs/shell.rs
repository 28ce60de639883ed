//! A shell for the initramfs, for `rd.shell` and `rd.break`: busybox of the image, else one of the builder's machine that needs no library,
//! else the image's own shell.

use block::{Content, Error, Result};
use tree::Tree;

use super::install::is_static;

/// Where distributions have busybox.
const PLACES: [&str; 5] = [
    "/bin/busybox",
    "/usr/bin/busybox",
    "/sbin/busybox",
    "/usr/sbin/busybox",
    "/usr/lib/initramfs-tools/bin/busybox",
];

/// Where busybox is in the initramfs.
const BUSYBOX: &str = "/bin/busybox";

/// What busybox is called by. One that lacks one of these says so when it is called.
const NAMES: [&str; 52] = [
    "sh", "[", "basename", "blkid", "cat", "chmod", "chroot", "clear", "cp", "cut", "date", "dd",
    "df", "dirname", "dmesg", "du", "echo", "env", "find", "free", "grep", "head", "hexdump", "ip",
    "kill", "less", "ln", "losetup", "ls", "lsmod", "mkdir", "modprobe", "more", "mount", "mv",
    "ping", "poweroff", "ps", "readlink", "reboot", "rm", "sed", "sleep", "sort", "stat", "sync",
    "tail", "test", "umount", "uname", "vi", "wc",
];

/// Programs that make a shell useful, where that is not busybox.
const COMPANIONS: [&str; 8] = [
    "/bin/cat",
    "/bin/dmesg",
    "/bin/ls",
    "/bin/mount",
    "/bin/umount",
    "/sbin/blkid",
    "/bin/grep",
    "/usr/bin/less",
];

/// A shell.
#[derive(Debug)]
pub(crate) enum Shell {
    /// Busybox at this path of the image, with the libraries that it needs.
    OfImage(&'static str),
    /// Busybox of the builder's machine.
    OfHost(Content),
    /// The image's shell and some programs, with the libraries that they need.
    Plain(Vec<&'static str>),
}

impl Shell {
    /// The best one that there is. `host` is busybox of the builder's machine, and `runtime` a program for the image's architecture.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is none.
    pub(crate) fn find(
        tree: &Tree<Content>,
        host: Option<&Content>,
        runtime: &Content,
    ) -> Result<Self> {
        let here = |path: &&&str| {
            tree.resolve(**path)
                .is_ok_and(|(_, id)| matches!(tree.inode(id).node, tree::Node::File(_)))
        };
        if let Some(path) = PLACES.iter().find(here) {
            return Ok(Self::OfImage(path));
        }
        if let Some(host) = host
            && is_static(host, runtime)?
        {
            return Ok(Self::OfHost(host.clone()));
        }
        if here(&&"/bin/sh") {
            let found = COMPANIONS.iter().filter(|path| here(path)).copied();
            return Ok(Self::Plain(["/bin/sh"].into_iter().chain(found).collect()));
        }
        let message = "a shell was asked for, and neither the image nor this machine has busybox: install busybox or busybox-static on one of them";
        Err(Error::unsupported(
            "putting the initramfs together",
            message,
        ))
    }

    /// The files of the image to install.
    pub(crate) fn files(&self) -> Vec<&'static str> {
        match self {
            Self::OfImage(path) => vec![path],
            Self::OfHost(_) => Vec::new(),
            Self::Plain(paths) => paths.clone(),
        }
    }

    /// The symbolic links that it is called by, each with its target.
    pub(crate) fn links(&self) -> Vec<(String, &'static str)> {
        let target = match self {
            Self::OfImage(path) => path,
            Self::OfHost(_) => BUSYBOX,
            Self::Plain(_) => return Vec::new(),
        };
        NAMES
            .iter()
            .map(|name| (format!("/bin/{name}"), target))
            .collect()
    }

    /// The program that is no file of the image, with its path.
    pub(crate) fn program(&self) -> Option<(&'static str, Content)> {
        match self {
            Self::OfHost(content) => Some((BUSYBOX, content.clone())),
            Self::OfImage(_) | Self::Plain(_) => None,
        }
    }

    /// What a user should know.
    pub(crate) fn warning(&self) -> Option<String> {
        matches!(self, Self::Plain(_)).then(|| {
            "the shell of the initramfs is the image's own with few programs, as neither the image nor this machine has busybox".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::Kind;
    use tree::{Inode, Metadata, Node, TreePath};

    fn tree(paths: &[&str]) -> Tree<Content> {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        for path in paths {
            let path = TreePath::parse(*path).unwrap();
            let folder = Metadata::with_permissions(0o755);
            tree.make_directories(&path.parent().unwrap(), &folder)
                .unwrap();
            let node = Node::File(Content::from_bytes(b"program".as_slice()));
            tree.put(&path, Inode::new(Metadata::with_permissions(0o755), node))
                .unwrap();
        }
        tree
    }

    /// The start of a program of 64 bits for this machine type, which needs nothing.
    fn program(machine: u8) -> Content {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([2, 0, machine, 0, 1, 0, 0, 0]);
        bytes.resize(52, 0);
        bytes.extend([64, 0, 56, 0, 0, 0, 64, 0, 0, 0, 0, 0]);
        Content::from_bytes(bytes)
    }

    #[test]
    fn busybox_of_the_image_comes_first_then_that_of_this_machine_then_the_images_shell() {
        let (x86, arm) = (program(62), program(183));
        let all = tree(&["/usr/bin/busybox", "/bin/sh"]);
        let found = Shell::find(&all, Some(&x86), &x86).unwrap();
        assert_eq!(found.files(), ["/usr/bin/busybox"]);
        let links = found.links();
        assert!(links.contains(&("/bin/sh".to_owned(), "/usr/bin/busybox")));
        let plain = tree(&["/bin/sh", "/bin/ls"]);
        let found = Shell::find(&plain, Some(&x86), &x86).unwrap();
        assert_eq!(found.program().unwrap().0, "/bin/busybox");
        assert!(found.files().is_empty() && found.warning().is_none());
        // One for another architecture cannot run there.
        for host in [None, Some(&arm)] {
            let found = Shell::find(&plain, host, &x86).unwrap();
            assert_eq!(found.files(), ["/bin/sh", "/bin/ls"]);
            assert!(found.links().is_empty() && found.warning().is_some());
        }
    }

    #[test]
    fn where_there_is_no_shell_none_is_promised() {
        let error = Shell::find(&tree(&["/etc/fstab"]), None, &program(62)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
    }

    #[test]
    fn no_name_is_there_twice() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
