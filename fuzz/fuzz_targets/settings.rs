//! Configuration files of bytes that no person wrote.
//!
//! What a file names is looked for on this machine, from the folder that the target runs in: run it where nothing of value can be read.
#![no_main]

use std::path::Path;

use config::file::{Overrides, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match parse(Path::new("fuzz.yaml"), bytes, Overrides::default()) {
        Ok(settings) => {
            let again = parse(Path::new("fuzz.yaml"), bytes, Overrides::default());
            assert!(again.is_ok_and(|again| again == settings), "the same bytes, another value");
        }
        Err(faults) => {
            assert!(faults.count() > 0, "refused without a fault");
            let text = faults.to_string();
            assert!(!text.contains('\u{1b}'), "a fault that moves the cursor");
        }
    }
});
