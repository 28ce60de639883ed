//! Starts media in QEMU.
