//! ext2, ext3 and ext4, all mounted as ext4, which reads each of them.
//!
//! Source: Linux, `fs/ext4/ext4.h`, `struct ext4_super_block`, at byte 1024.

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

const MAGIC: u16 = 0xef53;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let Some(block) = bytes::<1024>(device, 1024)? else {
        return Ok(None);
    };
    if field::u16le(&block, 0x38) != MAGIC {
        return Ok(None);
    }
    let label = field::text::<16>(&block, 0x78);
    Ok(Some(Identity::new(
        "ext4",
        [label],
        field::uuid(&block, 0x68),
    )))
}
