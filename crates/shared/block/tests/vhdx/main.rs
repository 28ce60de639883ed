//! VHDX: what `qemu-img` and `qemu-io` make, read by us; images that were not closed; and damaged images.
#![expect(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod damage;
#[path = "../disk/mod.rs"]
mod disk;
mod image;
mod log;
mod reading;
#[path = "../support/mod.rs"]
mod support;
