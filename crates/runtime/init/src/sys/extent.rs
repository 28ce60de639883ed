//! Where a file's bytes lie on its device. rustix has no wrapper for these requests.
//!
//! Source: Linux, `include/uapi/linux/fs.h`; only root may ask.
#![expect(
    unsafe_code,
    reason = "ioctl(2) takes what its request says, which no type can"
)]

use std::fs::File;
use std::io;

use rustix::ioctl::{Opcode, Updater, ioctl};

const FIBMAP: Opcode = 1;
const FIGETBSZ: Opcode = 2;

/// The first byte of a file that lies in one piece on its device.
pub(super) fn extent(path: &str) -> io::Result<u64> {
    let file = File::open(path)?;
    let refused = || io::Error::other("it lies in several pieces");
    let block_len = ask::<FIGETBSZ>(&file, 0)?;
    let blocks = file.metadata()?.len().div_ceil(block_len.max(1));
    let last = i32::try_from(blocks.saturating_sub(1)).map_err(|_| refused())?;
    let first_block = ask::<FIBMAP>(&file, 0)?;
    let last_block = ask::<FIBMAP>(&file, last)?;
    // A block that is none is 0. Pieces between the two that lie elsewhere would leave gaps for others, which no ISO 9660 has.
    let is_whole =
        first_block > 0 && last_block.checked_sub(first_block) == u64::try_from(last).ok();
    if !is_whole {
        return Err(refused());
    }
    Ok(first_block.saturating_mul(block_len))
}

fn ask<const OPCODE: Opcode>(file: &File, value: i32) -> io::Result<u64> {
    let mut value = value;
    // SAFETY: both requests read and write one `int` at the address that they are given.
    unsafe { ioctl(file, Updater::<OPCODE, i32>::new(&mut value)) }?;
    u64::try_from(value).map_err(|_| io::Error::other("the kernel answers with a negative block"))
}
