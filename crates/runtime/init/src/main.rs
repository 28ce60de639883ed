//! `liveos-init`: the program in the initramfs.

fn main() {}
