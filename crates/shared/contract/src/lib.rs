//! What the builder writes and the runtime reads: each fact that both sides know is spelled here, once.
//!
//! * [`media`]: where things lie on the media, in the initramfs and in the running system.
//! * [`parameter`]: every name on the kernel command line that liveos knows.
//! * [`cmdline`]: the kernel command line, read and written.
//! * [`request`]: what a command line asks the runtime for.
//! * [`explain`]: the same in words.
//! * [`label`]: how a command line names a label.
//! * [`failure`]: why a boot stops, and what to do.
//! * [`module_index`]: the kernel modules of an initramfs, and which device asks for which.
//! * [`checksums`]: the media check's table.
//! * [`hex`]: how digests are written.
//! * [`attributes`]: the extended attributes of a system that is an initramfs.
//!
//! Everything is text to a value and back. This crate touches no file, and computes no digest.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing
    )
)]

pub mod attributes;
pub mod checksums;
pub mod cmdline;
mod error;
pub mod explain;
pub mod failure;
pub mod hex;
pub mod label;
pub mod media;
pub mod module_index;
pub mod parameter;
pub mod request;

pub use error::Error;
