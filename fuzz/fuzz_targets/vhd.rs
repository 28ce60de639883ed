//! Any bytes as a VHD image.
#![no_main]

use block::vhd::{Image, probe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), liveos_fuzz::scattered(bytes)] {
        let _ = probe(&source);
        if let Ok(image) = Image::open(source) {
            let _ = liveos_fuzz::read_some(&image);
        }
    }
});
