//! Any bytes as an ext2, ext3 or ext4 file system, with its journal.
//!
//! Seeds: images of 1 MiB that `mke2fs -t ext2 -b 1024 -O none,extents,inline_data` and the like make.
#![no_main]

use formats::ext4::{probe, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), liveos_fuzz::scattered(bytes)] {
        let known = probe(&source);
        if let Ok(volume) = read(source) {
            assert!(known.expect("it was read").is_some(), "what can be read is recognised");
            drop(liveos_fuzz::read_files(&volume.tree));
        }
    }
});
