//! A tree to files that the boot loads.

pub mod esp;
pub mod initramfs;
