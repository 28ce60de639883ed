//! Any bytes as a qcow2 image.
#![no_main]

use block::qcow2::Image;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), liveos_fuzz::scattered(bytes)] {
        // An image over itself reaches the code for backing files.
        let Ok(image) = Image::open(source.clone()) else {
            continue;
        };
        let _ = liveos_fuzz::read_some(&image);
        if let Ok(top) = Image::open(source) {
            let _ = liveos_fuzz::read_some(&top.over_image(image.into()));
        }
    }
});
