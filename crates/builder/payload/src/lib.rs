//! A tree to files that the boot loads.

pub mod dracut_module;
pub mod esp;
pub mod full_os;
pub mod initramfs;
