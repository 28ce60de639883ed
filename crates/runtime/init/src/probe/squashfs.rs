//! squashfs 4, which has no label and no UUID. Source: Linux, `fs/squashfs/squashfs_fs.h`.

use std::io;

use super::{Identity, bytes};
use crate::system::Bytes;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let magic = bytes::<4>(device, 0)?;
    Ok((magic == Some(*b"hsqs")).then(|| Identity::new("squashfs", [], String::new())))
}
