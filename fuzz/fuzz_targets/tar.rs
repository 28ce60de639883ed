//! Any bytes as a tar archive; what could be read is written again, and read again.
#![no_main]

use std::sync::Arc;

use formats::tar::{WriteOptions, probe, read_tree, write};
use libfuzzer_sys::fuzz_target;

/// Sets the check sum of every block that may be a header: it is not guessed.
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512) {
        // A header's magic; the content of files is left alone.
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), Arc::new(with_sums(bytes))] {
        let _ = probe(&source);
        let Ok(tree) = read_tree(source) else {
            continue;
        };
        if liveos_fuzz::read_files(&tree).is_err() {
            continue;
        }
        let lens = tree.walk().filter_map(|entry| match &entry.inode.node {
            tree::Node::File(content) => Some(block::ReadAt::len(content)),
            _ => None,
        });
        if lens.fold(0, u64::saturating_add) > 16 << 20 {
            continue;
        }
        let mut archive = Vec::new();
        write(&tree, &WriteOptions::default(), &mut archive).expect("in memory");
        let again = read_tree(Arc::new(archive)).expect("ours");
        let shown = |tree: &tree::Tree<block::Content>| {
            tree.dump(|content| {
                let bytes = content.read_all(16 << 20).expect("read before");
                crc32c::crc32c(&bytes).to_string()
            })
        };
        assert_eq!(shown(&again), shown(&tree));
    }
});
