//! What a name leads to: metadata and what kind of thing it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{InodeId, Name};

/// Mode bits (POSIX `<sys/stat.h>`), as `st_mode` and every format that copies it hold them.
pub mod mode {
    /// The mask of the type.
    pub const TYPE: u16 = 0o170_000;
    /// A socket.
    pub const SOCKET: u16 = 0o140_000;
    /// A symbolic link.
    pub const SYMLINK: u16 = 0o120_000;
    /// A regular file.
    pub const FILE: u16 = 0o100_000;
    /// A block device.
    pub const BLOCK: u16 = 0o060_000;
    /// A folder.
    pub const DIRECTORY: u16 = 0o040_000;
    /// A character device.
    pub const CHARACTER: u16 = 0o020_000;
    /// A named pipe.
    pub const FIFO: u16 = 0o010_000;
    /// The mask of what is no type: permissions, setuid, setgid, sticky.
    pub const PERMISSIONS: u16 = 0o7777;
}

/// A point in time: seconds since 1970-01-01 UTC, and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC; negative before it.
    pub seconds: i64,
    /// Nanoseconds after the second, 0 to 999 999 999.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// A whole second.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
        }
    }
}

/// Extended attributes by their full name (`security.selinux`); shared, because most inodes of a system have one of few sets.
pub type Xattrs = Arc<BTreeMap<Box<[u8]>, Box<[u8]>>>;

/// What a name leads to has besides its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permissions, setuid, setgid and sticky bit: [`mode::PERMISSIONS`] and nothing else.
    pub permissions: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When the content was changed last.
    pub mtime: Timestamp,
    /// The extended attributes; POSIX ACLs are among them (`system.posix_acl_access`).
    pub xattrs: Xattrs,
}

impl Metadata {
    /// The metadata of something of root's, without xattrs, of the beginning of 1970.
    #[must_use]
    pub fn with_permissions(permissions: u16) -> Self {
        Self {
            permissions: permissions & mode::PERMISSIONS,
            ..Self::default()
        }
    }
}

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// Which driver: 0 to 4095 in Linux.
    pub major: u32,
    /// Which of the driver's devices: 0 to 1 048 575 in Linux.
    pub minor: u32,
}

/// What kind of thing an inode is, with what only that kind has.
#[derive(Clone, Debug)]
pub enum Node<C> {
    /// A folder, with the names in it.
    Directory(BTreeMap<Name, InodeId>),
    /// A regular file: where its bytes are.
    File(C),
    /// A symbolic link: its target, any bytes but NUL.
    Symlink(Box<[u8]>),
    /// A character device.
    Character(Device),
    /// A block device.
    Block(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl<C> Node<C> {
    /// A folder with nothing in it.
    #[must_use]
    pub fn empty_directory() -> Self {
        Self::Directory(BTreeMap::new())
    }

    /// The type as mode bits.
    #[must_use]
    pub fn type_bits(&self) -> u16 {
        match self {
            Self::Directory(_) => mode::DIRECTORY,
            Self::File(_) => mode::FILE,
            Self::Symlink(_) => mode::SYMLINK,
            Self::Character(_) => mode::CHARACTER,
            Self::Block(_) => mode::BLOCK,
            Self::Fifo => mode::FIFO,
            Self::Socket => mode::SOCKET,
        }
    }
}

/// What one or more names lead to.
#[derive(Clone, Debug)]
pub struct Inode<C> {
    /// Owner, permissions, time, xattrs.
    pub metadata: Metadata,
    /// The kind of thing, and its content.
    pub node: Node<C>,
    /// How many names lead here; kept by the tree.
    pub(crate) names: u32,
}

impl<C> Inode<C> {
    /// An inode that no name leads to yet.
    pub fn new(metadata: Metadata, node: Node<C>) -> Self {
        Self {
            metadata,
            node,
            names: 0,
        }
    }

    /// How many names lead here: 1 for a folder (`.` and the `..` of its folders are not counted).
    #[must_use]
    pub fn names(&self) -> u32 {
        self.names
    }

    /// Type and permissions, as `st_mode`.
    #[must_use]
    pub fn mode(&self) -> u16 {
        self.node.type_bits() | (self.metadata.permissions & mode::PERMISSIONS)
    }
}
