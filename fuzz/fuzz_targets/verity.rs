//! Any bytes as a hash tree of dm-verity behind a block of data, and behind data of a length that they choose.
#![no_main]

use formats::verity::{RootHash, Tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let chosen = bytes.first_chunk().copied().map_or(0, u32::from_le_bytes);
    for len in [4096, u64::from(chosen)] {
        if let Ok(Some(tree)) = Tree::open(liveos_fuzz::plain(bytes), len) {
            let _ = tree.root_hash();
            let _ = tree.check(RootHash([0; 32]), 1, &|_| {});
        }
    }
});
