//! The newc archives of an initramfs.
