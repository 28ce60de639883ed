//! Btrfs. Source: Linux, `include/uapi/linux/btrfs_tree.h`, `struct btrfs_super_block`, at byte 65536.

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let Some(block) = bytes::<1024>(device, 0x1_0000)? else {
        return Ok(None);
    };
    if field::array(&block, 0x40) != *b"_BHRfS_M" {
        return Ok(None);
    }
    let label = field::text::<256>(&block, 0x12b);
    Ok(Some(Identity::new(
        "btrfs",
        [label],
        field::uuid(&block, 0x20),
    )))
}
