//! What the targets have in common: sources made of the fuzzer's bytes, and going through all that a reader answers.
//!
//! Run one with `cargo +nightly fuzz run TARGET` in the root of the repository. A finding becomes a row of the damage tests of its crate.

use std::sync::Arc;

use block::{Content, ReadAt, Result, Window, WriteAt as _};
use tree::{Node, Tree};

/// How much is read of anything whose length the input chose.
const MOST: u64 = 1 << 20;

/// A source of sectors that are mostly zeros: the fuzzer's bytes are records of a sector's number (two bytes) and 510 bytes of it, so
/// that it need not find its way through the gaps of a disk image.
pub fn scattered(bytes: &[u8]) -> Arc<dyn ReadAt> {
    let disk = block::MemoryTarget::new();
    for record in bytes.chunks(512) {
        let Some((number, data)) = record.split_first_chunk() else {
            continue;
        };
        let sector = u64::from(u16::from_le_bytes(*number) & 0x3ff);
        disk.write_all_at(data, sector * 512).expect("memory");
    }
    Arc::new(disk.into_bytes())
}

/// A source of the fuzzer's bytes as they are.
pub fn plain(bytes: &[u8]) -> Arc<dyn ReadAt> {
    Arc::new(bytes.to_vec())
}

/// Reads the beginning and the end of `source`, and the ranges of data that it says it has.
pub fn read_some(source: &dyn ReadAt) -> Result<()> {
    let len = source.len();
    let part = usize::try_from(len.min(MOST)).expect("a MiB");
    let mut buf = vec![0; part];
    source.read_exact_at(&mut buf, 0)?;
    source.read_exact_at(&mut buf, len - part as u64)?;
    let mut offset = 0;
    for _ in 0..64 {
        let Some(range) = source.next_data(offset)? else {
            break;
        };
        assert!(offset <= range.start && range.start < range.end && range.end <= len);
        let part = usize::try_from((range.end - range.start).min(MOST)).expect("a MiB");
        source.read_exact_at(&mut buf[..part], range.start)?;
        offset = range.end;
    }
    Ok(())
}

/// Reads all files of `tree`, as far as they are not too long. Answers whether all could be read.
pub fn read_files(tree: &Tree<Content>) -> Result<()> {
    let mut left = 16 * MOST;
    for entry in tree.walk() {
        if let Node::File(content) = &entry.inode.node
            && let Some(rest) = left.checked_sub(content.len().min(MOST))
        {
            left = rest;
            read_some(content)?;
        }
    }
    Ok(())
}

/// The first `len` bytes of `source`.
pub fn cut(source: &Arc<dyn ReadAt>, len: u64) -> Arc<dyn ReadAt> {
    let len = len.min(source.len());
    Arc::new(Window::new(source.clone(), 0, len).expect("not past the end"))
}

/// What AddressSanitizer should leave alone: libdeflate holds one table in several of its files, which it takes for a clash.
///
/// It asks for this by name when a target starts.
#[unsafe(no_mangle)]
pub extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"detect_odr_violation=0".as_ptr()
}
