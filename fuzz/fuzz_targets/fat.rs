//! Any bytes as a FAT file system; what could be read is written again, and read again.
#![no_main]

use std::sync::Arc;

use block::MemoryTarget;
use formats::fat::{Checked, Options, probe, read_tree, write};
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
        let Ok(checked) = Checked::new(&tree, &Options::default()) else {
            continue;
        };
        if checked.len() < 64 << 20 {
            let target = MemoryTarget::new();
            write(&checked, &target).expect("all could be read");
            let again = read_tree(Arc::new(target.into_bytes())).expect("ours");
            assert_eq!(again.walk().count(), tree.walk().count());
        }
    }
});
