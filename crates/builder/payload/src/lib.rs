//! A tree to files that the boot loads.

pub mod initramfs;
