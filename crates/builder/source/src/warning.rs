//! What was left out of a tree, or is not as it should be: values, for the command to show.

use std::fmt;

/// Something about the input that did not stop the reading of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The disk image is damaged in a place of which it has a copy.
    DiskImage(String),
    /// The partition table is not as it should be.
    Table(String),
    /// A file system is not as it should be.
    FileSystem {
        /// Which one.
        what: String,
        /// What is to be said of it.
        text: String,
    },
    /// A line of `fstab` names a file system that the disk does not hold.
    NotOnDisk {
        /// Its first field.
        spec: String,
        /// Where it would be mounted.
        mount_point: String,
    },
    /// A partition that `fstab` mounts holds nothing that can be read here.
    Unreadable {
        /// Its number.
        index: u32,
        /// Where it would be mounted.
        mount_point: String,
        /// Why not.
        reason: String,
    },
    /// A partition that `fstab` does not mount.
    NotMounted {
        /// Its number.
        index: u32,
        /// What it holds.
        what: String,
    },
    /// A line of `fstab` cannot be read.
    Fstab(String),
    /// Something about a folder of this machine.
    Folder(String),
    /// Something about a live medium.
    Media(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiskImage(text) => write!(f, "the disk image: {text}"),
            Self::Table(text) => write!(f, "the partition table: {text}"),
            Self::FileSystem { what, text } => write!(f, "{what}: {text}"),
            Self::NotOnDisk { spec, mount_point } => write!(
                f,
                "etc/fstab mounts {spec} at {mount_point}, which is not on this disk: left out"
            ),
            Self::Unreadable {
                index,
                mount_point,
                reason,
            } => write!(
                f,
                "partition {index}, which etc/fstab mounts at {mount_point}, is left out: {reason}"
            ),
            Self::NotMounted { index, what } => {
                write!(
                    f,
                    "partition {index} ({what}) is not mounted by etc/fstab: left out"
                )
            }
            Self::Fstab(text) | Self::Folder(text) | Self::Media(text) => f.write_str(text),
        }
    }
}
