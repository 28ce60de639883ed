//! Any bytes as the boot configuration of an image: what is made of them is read by the same parser and boots the kernel.
//!
//! NULs separate the parts: `grub.cfg`, an environment block, a Boot Loader Specification entry.
#![no_main]

use bootloader::grub::{Edits, Script, quote};
use bootloader::live::{ImageConfig, LiveBoot, LiveKernel, configure};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.split(|byte| *byte == 0);
    let config = parts.next().unwrap_or_default();
    let block = [
        b"# GRUB Environment Block\n",
        parts.next().unwrap_or_default(),
    ]
    .concat();
    let entry = parts.next().unwrap_or_default();
    if let Ok(script) = Script::parse(config) {
        assert_eq!(Edits::new().apply(script.source()), config);
    }
    if let Ok(text) = std::str::from_utf8(entry) {
        let text = text.replace('\r', "");
        let script =
            Script::parse(format!("echo {}", quote(&text))).expect("a quoted text is one word");
        assert_eq!(
            script.commands()[0].command.arguments()[0].literal(),
            Some(&*text)
        );
    }
    let file = |_: &str| Ok(Some(block.clone()));
    let image = ImageConfig {
        grub_config: Some(config),
        bls_entries: &[("a-6.1.conf".to_owned(), entry.to_vec())],
        file: &file,
    };
    let kernels = vec![LiveKernel::new("6.1"), LiveKernel::new("5.0")];
    let boot = LiveBoot::new("CDROM", "System", kernels);
    let made = configure(&image, &boot).expect("there are kernels");
    Script::parse(made.redirector).expect("ours");
    Script::parse(made.files["/boot/grub2/grub.cfg"].clone()).expect("ours");
    for kernel in &boot.kernels {
        assert!(made.entries.iter().any(|entry| entry.kernel == *kernel));
    }
});
