//! Any bytes as the field of a volume descriptor: checksums that are printed and read again alike, none, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mediacheck::{Check, DESCRIPTOR_LEN, Implanted};

fuzz_target!(|bytes: &[u8]| {
    let mut descriptor = [b' '; DESCRIPTOR_LEN];
    descriptor[..7].copy_from_slice(b"\x01CD001\x01");
    descriptor[80..84].copy_from_slice(&1000u32.to_le_bytes());
    let len = bytes.len().min(512);
    descriptor[883..883 + len].copy_from_slice(&bytes[..len]);
    let Ok(Some(implanted)) = Implanted::read(&descriptor) else {
        return;
    };
    if let Ok(field) = implanted.print() {
        descriptor[883..883 + 512].copy_from_slice(&field);
        assert_eq!(Implanted::read(&descriptor), Ok(Some(implanted.clone())));
    }
    for mut check in Check::all(&implanted) {
        assert!(check.len() <= implanted.volume_len);
        let _ = check.update(bytes);
        let _ = check.finish();
    }
});
