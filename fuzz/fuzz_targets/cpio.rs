//! Any bytes as an initramfs; what could be read is written again, and read again.
#![no_main]

use std::sync::Arc;

use formats::cpio::{WriteOptions, probe, read_tree, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), liveos_fuzz::scattered(bytes)] {
        let _ = probe(&source);
        let Ok(tree) = read_tree(source) else {
            continue;
        };
        if liveos_fuzz::read_files(&tree).is_err() {
            continue;
        }
        let mut archive = Vec::new();
        let written = write(&tree, &WriteOptions::default(), &mut archive).expect("in memory");
        if written.len < 16 << 20 {
            let again = read_tree(Arc::new(archive)).expect("ours");
            assert_eq!(again.walk().count(), tree.walk().count());
        }
    }
});
