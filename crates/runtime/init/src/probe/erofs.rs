//! EROFS. Source: Linux, `fs/erofs/erofs_fs.h`, `struct erofs_super_block`, at byte 1024.

use std::io;

use super::{Identity, bytes, field};
use crate::system::Bytes;

const MAGIC: u32 = 0xe0f5_e1e2;

pub(super) fn probe(device: &dyn Bytes) -> io::Result<Option<Identity>> {
    let Some(block) = bytes::<128>(device, 1024)? else {
        return Ok(None);
    };
    if field::u32le(&block, 0) != MAGIC {
        return Ok(None);
    }
    let label = field::text::<16>(&block, 64);
    Ok(Some(Identity::new(
        "erofs",
        [label],
        field::uuid(&block, 48),
    )))
}
