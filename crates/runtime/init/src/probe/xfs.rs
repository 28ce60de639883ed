//! XFS. Source: Linux, `fs/xfs/libxfs/xfs_format.h`, `struct xfs_dsb`, at byte 0.

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let Some(block) = bytes::<128>(device, 0)? else {
        return Ok(None);
    };
    if !block.starts_with(b"XFSB") {
        return Ok(None);
    }
    let label = field::text::<12>(&block, 108);
    Ok(Some(Identity::new("xfs", [label], field::uuid(&block, 32))))
}
